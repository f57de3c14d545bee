"""The study database: reachable, whole, of this Optuna's schema, and where SQLite works."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from fxai.doctor.finding import Finding, note, of_error, ok, wrong
from fxai.doctor.place import Place
from fxai.doctor.snapshot import Snapshot, sqlite_file
from fxai.errors import FxaiError
from fxai.secrets import redact_url
from fxai.study.database.mounts import network_file_system
from fxai.study.database.reader import NotOfStudies

LOG_BYTES = 100_000_000
"""A write-ahead log of this size was not folded into its database for long: some reader never lets go."""

ELSEWHERE = "put it on a disk of this machine, or use PostgreSQL: --storage postgresql://user@host/name"


def check(place: Place, found: dict[str, Snapshot | FxaiError]) -> Iterator[Finding]:
    """Each database on its own.

    Args:
        place: where the doctor looks.
        found: what reading each URL gave.
    """
    for url, snapshot in found.items():
        file = sqlite_file(url)
        if file is not None:
            yield from _on_network(file)
        if isinstance(snapshot, Snapshot):
            yield from _of(snapshot)
        elif file is not None and not place.by_hand and not file.exists() and file.parent.is_dir():
            yield note("database", f"{file} is not there yet: no study was run here", _first(place))
        elif isinstance(snapshot, NotOfStudies) and (file is None or file.stat().st_size == 0):
            yield note("database", f"{redact_url(url)} has no tables of studies yet: the first run makes them")
        else:
            yield of_error("database", snapshot, _reach(url))


def _first(place: Place) -> str:
    if place.spec is None:
        return "poe optuna-demo runs a first one"
    return f"poe optuna-run --spec {shlex.quote(str(place.spec.path))}"


def _reach(url: str) -> str:
    return f"is {redact_url(url)} what you mean, and does its server run?   (psql tells more)"


def _on_network(file: Path) -> Iterator[Finding]:
    kind = network_file_system(Path(file))
    if kind is not None:
        text = f"{file} lies on a network file system ({kind}), where SQLite's locks do not hold"
        yield wrong("database", text, ELSEWHERE, file_system=kind)


def _of(snapshot: Snapshot) -> Iterator[Finding]:
    where = redact_url(snapshot.url)
    facts = {
        "url": where,
        "server": snapshot.server,
        "schema": snapshot.schema,
        "size_bytes": snapshot.size_bytes,
        "journal": snapshot.journal,
        "studies": len(snapshot.studies),
    }
    if snapshot.damage:
        hint = "nothing was changed; restore a copy, or try `sqlite3 FILE .recover`"
        yield wrong("database", f"{where} is damaged: {snapshot.damage[0]}", hint, **facts)
        return
    told = [
        where,
        snapshot.server,
        f"{snapshot.size_bytes / 1e6:.1f} MB",
        "1 study" if len(snapshot.studies) == 1 else f"{len(snapshot.studies)} studies",
        f"schema {snapshot.schema} as Optuna {metadata.version('optuna')} has it",
        *(["intact"] if snapshot.file is not None else []),
    ]
    yield ok("database", ", ".join(told), **facts)
    if snapshot.file is not None:
        yield from _log(snapshot, snapshot.file)


def _log(snapshot: Snapshot, file: Path) -> Iterator[Finding]:
    if snapshot.journal != "wal":
        text = f"{file} has no write-ahead log (mode {snapshot.journal}): readers wait for workers"
        yield note("database", text, "close what else has it open: the next run turns the log on")
        return
    log = file.with_name(f"{file.name}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > LOG_BYTES:
        text = f"{log} has {size / 1e6:.0f} MB: some program has kept the database open for long"
        yield note("database", text, f"fuser -v {file} shows which; it shrinks when the last one closes")
