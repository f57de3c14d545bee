"""What lies in the folders of studies: locks, and temporary files of processes that were killed while writing."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from fxai.doctor.finding import Finding, note, ok, wrong
from fxai.doctor.place import Place
from fxai.doctor.snapshot import sqlite_file
from fxai.report.text import count
from fxai.study.workers.lock import LOCK_NAME
from fxai.study.workers.turns import LOCK_NAME as DRAW_LOCK_NAME

LOCKS = Path("/proc/locks")

OLD_S = 24 * 3600.0
"""Nobody writes a file for longer; younger ones may be in use."""

TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")
"""As fxai.files.open_atomic names them."""

DRAFT = "draft.db"
"""In a folder beside a database that is being created (fxai.study.database.storage)."""


def check(place: Place) -> Iterator[Finding]:
    """Looks only; removing is fxai.doctor.repair's work."""
    folders = study_folders(place.results_dir)
    yield from _locks(folders)
    yield from _leftovers(place)


def study_folders(results_dir: Path) -> list[Path]:
    """Folders below the results that a study was run in; links are not followed."""
    try:
        inside = sorted(results_dir.iterdir())
    except OSError:
        return []
    return [path for path in inside if not path.is_symlink() and (path / LOCK_NAME).is_file()]


def leftovers(results_dir: Path, now: float | None = None) -> list[Path]:
    """Half-written files older than a day in the folders of studies and beside them."""
    now = time.time() if now is None else now
    places = [results_dir, *(Path(at) for folder in study_folders(results_dir) for at, _, _ in os.walk(folder))]
    return [path for folder in places for path in sorted(_temporary(folder)) if _age_s(path, now) > OLD_S]


def _temporary(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if TEMPORARY.fullmatch(e.name) and e.is_file(follow_symlinks=False)]
    except OSError:
        return
    yield from (folder / name for name in names)


def _age_s(path: Path, now: float) -> float:
    try:
        return now - path.lstat().st_mtime
    except OSError:  # gone by now
        return 0.0


def _locks(folders: list[Path]) -> Iterator[Finding]:
    """A lock file stays when its holder has gone: the lock is the system's, and is dropped with the process."""
    held = _held()
    files = [path for folder in folders for name in (LOCK_NAME, DRAW_LOCK_NAME) if (path := folder / name).is_file()]
    for path in files:
        if not os.access(path, os.W_OK):
            mine = f"sudo chown -R $USER {shlex.quote(str(path.parent))}"
            yield wrong("locks", f"{path} belongs to another user: the study cannot be run by you", mine)
    taken = [f"{path} by process {held[number]}" for path in files if (number := path.stat().st_ino) in held]
    if taken:
        yield ok("locks", f"held: {', '.join(taken)}", held=taken)
    elif files:
        yield ok("locks", f"{count(len(files), 'lock file')}, none is held: they stay for the next run", held=[])


def _held() -> dict[int, int]:
    """Inode → process, of every flock on this machine; asking for a lock could stop a run that starts now."""
    try:
        rows = [line.split() for line in LOCKS.read_text(encoding="ascii").splitlines()]
    except OSError:
        return {}
    return {int(row[5].rpartition(":")[2]): int(row[4]) for row in rows if len(row) > 5 and row[1] == "FLOCK"}


def _leftovers(place: Place) -> Iterator[Finding]:
    old = leftovers(place.results_dir)
    if old:
        size = sum(path.lstat().st_size for path in old)
        text = f"{count(len(old), 'half-written file')} of killed processes, {size / 1e6:.1f} MB, such as {old[0]}"
        told = [str(path) for path in old]
        yield note("leftovers", text, f"poe optuna-doctor --repair{place.options}", files=told)
    else:
        yield ok("leftovers", "no half-written files older than a day")
    now = time.time()
    for file in (file for url in place.urls if (file := sqlite_file(url)) is not None):
        for draft in sorted(file.parent.glob(f".{file.name[:40]}.*/{DRAFT}")):
            if _age_s(draft, now) > OLD_S:
                text = f"{draft.parent} is a database that was never finished"
                yield note("leftovers", text, f"rm -r {shlex.quote(str(draft.parent))}")
