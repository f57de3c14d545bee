"""Room on the disks that a study writes to: results, database, cache."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fxai.doctor.finding import Finding, note, ok, wrong
from fxai.doctor.place import Place
from fxai.doctor.snapshot import sqlite_file
from fxai.market import cache
from fxai.study.forecast import forecast
from fxai.study.spec import StudySpec

LEAST_BYTES = 200_000_000
"""With less than this free a study without a forecast is taken to end in a full disk; the demo needs a tenth."""

LOW_BYTES = 2_000_000_000
LEAST_FILES = 10_000
"""Inodes; a trial takes about four."""


def check(place: Place) -> Iterator[Finding]:
    """Each folder, and what the studies of a spec will need."""
    need = sum(forecast(study).disk_bytes for study in place.studies)
    yield _folder("results", place.results_dir, need or LEAST_BYTES, _wish(need, place.studies))
    files = [file for url in place.urls if (file := sqlite_file(url)) is not None]
    for folder in dict.fromkeys(file.parent for file in files):
        yield _folder("database", folder, LEAST_BYTES, "")
    yield from (_cannot_be_written(file) for file in files if file.exists() and not os.access(file, os.W_OK))
    home = cache.folder()
    if home is None:
        yield ok("disk", f"cache: off ({cache.VARIABLE})")
    else:
        yield _cache(home)


def _wish(need: int, studies: tuple[StudySpec, ...]) -> str:
    names = ", ".join(study.study_name for study in studies)
    return f"; {names} will write about {need / 1e6:,.0f} MB" if need else ""


def _cannot_be_written(file: Path) -> Finding:
    return wrong("disk", f"{file} cannot be written by you", _mine(file))


def _mine(path: Path) -> str:
    return f"sudo chown -R $USER {shlex.quote(str(path))}   (or name another place)"


def _folder(what: str, folder: Path, need: int, wish: str) -> Finding:
    """A folder that is needed; one that is not there yet is judged by where it will be made.

    Args:
        what: it holds.
        folder: it.
        need: bytes.
        wish: what needs them, in words.
    """
    base = _nearest(folder)
    told, free, files = _room(base)
    head = f"{what} in {folder}: {told}"
    facts: dict[str, Any] = {"folder": str(folder), "free_bytes": free, "free_inodes": files, "need_bytes": need}
    if not base.is_dir():
        return wrong("disk", f"{what} in {folder}: {base} is a file", f"mv {base} {base}.old", **facts)
    if not os.access(base, os.W_OK | os.X_OK):
        return wrong("disk", f"{head}, and you may not write there", _mine(base), **facts)
    if free < need:
        return wrong("disk", f"{head}: too little{wish}", "free some, or name another place", **facts)
    if files is not None and files < LEAST_FILES:
        hint = f"find out what holds so many files: du --inodes -d1 {base}"
        return wrong("disk", f"{head}: only {files} more files can be made", hint, **facts)
    if free < LOW_BYTES:
        return note("disk", f"{head}: that is little{wish}", **facts)
    return ok("disk", f"{head}, writable{wish}", **facts)


def _cache(home: Path) -> Finding:
    """A cache that cannot be kept costs time alone."""
    base = _nearest(home)
    told, free, _ = _room(base)
    facts: dict[str, Any] = {"folder": str(home), "free_bytes": free}
    if not os.access(base, os.W_OK | os.X_OK):
        return note("disk", f"cache in {home}: cannot be written, and prices are read anew", _mine(base), **facts)
    return ok("disk", f"cache in {home}: {told}, writable", **facts)


def _nearest(path: Path) -> Path:
    """The path, or the first above it that exists."""
    path = path.absolute()
    return next((place for place in (path, *path.parents) if place.exists()), Path("/"))


def _room(base: Path) -> tuple[str, int, int | None]:
    """In words, free bytes, and free inodes; None where the file system has no fixed number of them."""
    room = os.statvfs(base)
    free, total = room.f_bavail * room.f_frsize, room.f_blocks * room.f_frsize
    return f"{free / 1e9:,.1f} GB free of {total / 1e9:,.1f} GB", free, room.f_favail if room.f_files else None
