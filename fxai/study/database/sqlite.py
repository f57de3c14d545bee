"""SQLite as FxAI keeps a study in it: one host, a write-ahead log, every transaction that writes BEGIN IMMEDIATE.

Without the last, Optuna gives one queued trial to two workers.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy import event
from sqlalchemy.engine import URL

from fxai.errors import InputError, StorageError
from fxai.study.database.mounts import network_file_system
from fxai.study.database.reader import NotOfStudies

BUSY_TIMEOUT_S = 180.0
"""How long a transaction waits for another one; longer than any lock that a healthy program holds."""

ENGINE: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT_S, "isolation_level": None}}
"""isolation_level None: Python's sqlite3 begins no transaction by itself, `begin_immediate` does."""

ONLY_READS = "fxai_only_reads"
"""Execution option of a connection."""


def path_of(url: str, parsed: URL) -> Path:
    """The file that a URL names.

    Raises:
        InputError: none, or one that others cannot share.
    """
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise InputError(
            f"{url!r} names no file; worker processes share the study through one",
            where="storage",
            hint="write sqlite:///optuna_studies.db",
        )
    return Path(parsed.database)


def begin_immediate(storage: RDBStorage, writes: bool) -> None:
    """Make every transaction take the write lock at its beginning, but for those with ONLY_READS."""

    @event.listens_for(storage.engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        # With a write-ahead log NORMAL loses nothing when a process dies, at a tenth of the cost of FULL.
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(storage.engine, "begin")
    def begun(connection: sqlalchemy.Connection) -> None:
        looks = connection.get_execution_options().get(ONLY_READS, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes and not looks else "BEGIN")

    storage.engine.dispose()  # connections from before the events


def check(path: Path, create: bool) -> None:
    """Refuse a file that is no study database before anything touches it.

    Raises:
        InputError: it is absent, a folder, not ours, or on a file system of a network.
        StorageError: it is damaged, or another program's database.
    """
    if create:
        _check_place(path)
    if not path.exists():
        _check_absent(path, create)
        return
    if path.is_dir():
        raise InputError("is a folder, not a database", where=str(path))
    if path.stat().st_size == 0 and create:
        return  # an empty file is an empty database
    for mode, word in ((os.R_OK, "read"), (os.W_OK, "written")):
        if not os.access(path, mode) and (create or mode == os.R_OK):
            raise InputError(f"cannot be {word}", where=str(path), hint="choose another database with --storage")
    problem, tables = _inspect(path)
    if problem != "ok":
        raise damaged(path, f"is damaged: {problem}")
    if "studies" not in tables and (tables or not create):
        raise NotOfStudies(
            "is an SQLite database, but not one of studies",
            where=str(path),
            hint="choose another with --storage",
        )


def _check_place(path: Path) -> None:
    kind = network_file_system(path)
    if kind is not None:
        raise InputError(
            f"lies on {kind}, a network file system: SQLite's write-ahead log needs memory that all processes share, "
            "and does not work over a network; the database would be damaged",
            where=str(path),
            hint="keep it on a local disk (--storage sqlite:////local/folder/studies.db), "
            "or use PostgreSQL, for several hosts in any case",
        )


def _check_absent(path: Path, create: bool) -> None:
    if not create:
        raise InputError(
            "there is no such study database",
            where=str(path),
            hint="name it with --storage sqlite:///path/to/file.db",
        )
    if not path.parent.is_dir():
        raise InputError("its folder does not exist", where=str(path), hint=f"create {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise InputError("its folder cannot be written", where=str(path), hint="choose another with --storage")


def _inspect(path: Path) -> tuple[str, set[str]]:
    """SQLite's own verdict on the file, and the names of its tables.

    Only SQLite may open the file: closing a descriptor of our own would drop the locks of this process's connections,
    and the next process would fold and delete their log.
    """
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as connection:
        verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return " ".join(verdict.split()), {name for (name,) in rows}


def create_file(path: Path) -> None:
    """Build the database beside its place and link it there whole: two creators at once both succeed."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name[:40]}.", dir=path.parent) as folder:
        draft = Path(folder) / "draft.db"
        with contextlib.closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        storage = RDBStorage(
            for_optuna(URL.create("sqlite", database=str(draft))), engine_kwargs=ENGINE, skip_compatibility_check=True
        )
        storage.remove_session()
        storage.engine.dispose()  # the last connection folds the log into the file
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first, and its file is as good
        except OSError:  # a file system without links
            os.replace(draft, path)


def for_optuna(url: URL) -> str:
    """The URL as text; Optuna runs str.format over it, so braces must be doubled."""
    return url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")


def use_write_ahead_log(path: Path) -> None:
    """The mode stays in the file; it can only be changed while nobody else is connected."""
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA busy_timeout=1000")
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode=WAL")


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold off other programs that would create a study in this file.

    The lock is the folder's: a descriptor of the file itself must not be closed (see `_inspect`), and a file for it
    would be left behind. The system drops it when its holder dies.

    Raises:
        StorageError: somebody else holds it for too long.
    """
    handle = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    until = time.monotonic() + BUSY_TIMEOUT_S
    try:
        while not _locked(handle):
            if time.monotonic() > until:
                raise StorageError(
                    f"another program has been creating a study there for {BUSY_TIMEOUT_S:.0f} s", where=str(path)
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: as before there were any
        return True
    return True


def damaged(path: Path, what: str) -> StorageError:
    """The error for a file that is no sound database."""
    return StorageError(
        what,
        where=str(path),
        hint="nothing was changed; restore a copy, try `sqlite3 FILE .recover`, or use another with --storage",
    )
