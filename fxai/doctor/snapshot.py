"""A database and its studies at one moment, read once for all checks; nothing is written."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from fxai.errors import FxaiError
from fxai.study.database.reader import Reader, reading
from fxai.study.database.records import State, StudyRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a database holds."""

    url: str
    file: Path | None
    """Of SQLite."""

    server: str
    """Kind and version."""

    schema: str
    """Revision of Optuna's tables."""

    size_bytes: int
    journal: str | None
    """SQLite's journal mode."""

    damage: tuple[str, ...]
    """What SQLite finds wrong in its file."""

    studies: tuple[StudyRecord, ...]
    beats: dict[int, float] = field(default_factory=dict)
    """Seconds since the last beat, by trial_id."""


def take(url: str) -> Snapshot | FxaiError:
    """Read a database, or why it cannot be read."""
    try:
        with reading(url) as reader:
            return _read(reader, url)
    except FxaiError as error:
        return error


def _read(reader: Reader, url: str) -> Snapshot:
    file = sqlite_file(url)
    damage = [] if file is None else [row[0] for row in reader.ask("PRAGMA quick_check(5)") if row[0] != "ok"]
    names = [] if damage else reader.study_names()  # what a damaged file says of its studies is worth nothing
    studies = [reader.load(name, url) for name in names]
    beats: dict[int, float] = {}
    for record in studies:
        reader.complete(record.get_trials(states=(State.RUNNING,)))
        beats |= reader.beats(record)
    facts: dict[str, Any]
    if file is None:
        [(version,)] = reader.ask("SHOW server_version")
        [(size,)] = reader.ask("SELECT pg_database_size(current_database())")
        facts = {"server": f"PostgreSQL {version}", "size_bytes": int(size), "journal": None}
    else:
        [(journal,)] = reader.ask("PRAGMA journal_mode")
        size = file.stat().st_size
        facts = {"server": f"SQLite {sqlite3.sqlite_version}", "size_bytes": size, "journal": str(journal)}
    return Snapshot(
        url=url,
        file=file,
        schema=reader.schema() or "",
        damage=tuple(" ".join(str(line).split()) for line in damage),
        studies=tuple(studies),
        beats=beats,
        **facts,
    )


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite URL; None for any other."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # no URL, as `take` says
        return None
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path("/" + parsed.database.lstrip("/") if parsed.database.startswith("//") else parsed.database)
