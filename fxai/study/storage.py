"""Open the study database so that it survives what docs/faults.md lists.

SQLite (one host): write-ahead log, long busy timeout, every transaction BEGIN IMMEDIATE. Without the last, Optuna
gives one queued trial to two workers. PostgreSQL (many hosts): connections are tested before use.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from fxai.errors import FxaiError, InputError, StorageError
from fxai.secrets import redact, redact_url
from fxai.study.names import no_such_study
from fxai.study.reader import write_a_url

BUSY_TIMEOUT_S = 180.0
"""How long a transaction waits for another one; longer than any lock that a healthy program holds."""

CONNECT_TIMEOUT_S = 10

HEARTBEAT_INTERVAL_S = 10
GRACE_PERIOD_S = 60
"""A trial without a beat for this long is reclaimed by whoever looks next."""

DATABASE_ERRORS = (StorageInternalError, SQLAlchemyError, sqlite3.Error)
"""What Optuna's storage lets through when the database fails."""


def open_storage(url: str, create: bool, *, check: bool = True, readonly: bool = False) -> RDBStorage:
    """Open the database of `url`, creating it only where `create` says so.

    Args:
        url: `sqlite:///path` or `postgresql://…`.
        create: make a missing SQLite file; otherwise a missing one is an error and nothing is created.
        check: verify file and schema; workers skip this, their parent has done it.
        readonly: take no write lock, so that looking at a study never waits for its workers.

    Raises:
        InputError: not a database that FxAI works with, or it does not exist.
        StorageError: it is damaged, of another Optuna version, or cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parsed = _parse(url)
    with storage_errors(url):
        if parsed.get_backend_name() != "sqlite":
            engine = {"pool_pre_ping": True, "connect_args": {"connect_timeout": CONNECT_TIMEOUT_S}}
            return _rdb(url, parsed, engine, check)
        path = _sqlite_path(url, parsed)
        if check:
            _check_sqlite(path, create)
        if create and not path.exists():
            _create_sqlite(path)
            check = False
        elif create:
            _use_write_ahead_log(path)
        storage = _rdb(url, parsed, _SQLITE_ENGINE, check)
        _begin_immediate(storage, not readonly and os.access(path, os.W_OK))
        return storage


@contextlib.contextmanager
def opened(url: str, *, create: bool = False, readonly: bool = False) -> Iterator[RDBStorage]:
    """`open_storage` whose errors are named and whose connections are closed at the end of the block."""
    with storage_errors(url):
        storage = open_storage(url, create, readonly=readonly)
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()


def load_study(
    storage: RDBStorage,
    name: str,
    *,
    sampler: optuna.samplers.BaseSampler | None = None,
    pruner: optuna.pruners.BasePruner | None = None,
    through: BaseStorage | None = None,
) -> optuna.Study:
    """Load a study that exists.

    Args:
        storage: its database.
        name: of the study.
        sampler: of the study; Optuna's default if None.
        pruner: of the study; Optuna's default if None.
        through: a storage on top of `storage` that the study is to use.

    Raises:
        InputError: there is none of that name; the message lists those that exist.
    """
    with storage_errors(storage.url):
        try:
            return optuna.load_study(study_name=name, storage=through or storage, sampler=sampler, pruner=pruner)
        except KeyError:
            names = study_names(storage)
    raise no_such_study(name, names, storage.url)


def study_names(storage: RDBStorage) -> list[str]:
    """Names of all studies in the database, in the order of creation."""
    with storage_errors(storage.url):
        return [study.study_name for study in storage.get_all_studies()]


@contextlib.contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn errors of the database into StorageError, without its password.

    Raises:
        StorageError: in place of any error of Optuna's storage, SQLAlchemy or sqlite3.
    """
    try:
        yield
    except DATABASE_ERRORS as error:
        raise _named(error, url) from error


@contextlib.contextmanager
def reading(storage: RDBStorage) -> Iterator[sqlalchemy.Connection]:
    """A transaction that only reads: it sees one state of the database and waits for no writer."""
    with storage.engine.execution_options(**{_ONLY_READS: True}).connect() as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def writing(storage: RDBStorage) -> Iterator[sqlalchemy.Connection]:
    """A transaction that is done as a whole or, after an exception, not at all."""
    with storage.engine.begin() as connection:
        yield connection


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InputError(
            f"{redact_url(url)!r} is not a database URL",
            where="storage",
            hint=write_a_url(url),
        ) from error
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise InputError(
            f"{backend} is not supported: FxAI is tested on SQLite (one host) and PostgreSQL (many)",
            where="storage",
            hint=write_a_url(url),
        )
    if backend == "sqlite" and parsed.database and parsed.database.startswith("//"):
        # a slash too many: SQLite's own URI would take //folder for a host
        parsed = parsed.set(database="/" + parsed.database.lstrip("/"))
    if parsed.drivername == "postgresql":  # SQLAlchemy would look for psycopg2
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


def _sqlite_path(url: str, parsed: URL) -> Path:
    if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
        raise InputError(
            f"{url!r} names no file; worker processes share the study through one",
            where="storage",
            hint="write sqlite:///optuna_studies.db",
        )
    return Path(parsed.database)


_ONLY_READS = "fxai_only_reads"
"""Execution option of a connection."""

_SQLITE_ENGINE: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT_S, "isolation_level": None}}
"""isolation_level None: Python's sqlite3 begins no transaction by itself, `_begin_immediate` does."""


def _rdb(url: str, parsed: URL, engine_kwargs: dict[str, Any], check: bool) -> RDBStorage:
    # Optuna runs str.format over the URL: braces in a password must be doubled.
    text = parsed.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    try:
        return RDBStorage(text, engine_kwargs=engine_kwargs, skip_compatibility_check=not check)
    except ImportError as error:
        raise InputError(
            "PostgreSQL needs the package psycopg", where="storage", hint="pip install 'fxai[postgres]'"
        ) from error
    except RuntimeError as error:  # the schema is of another version
        raise StorageError(
            f"the database was made by another Optuna version than {optuna.__version__}: {redact(str(error))}",
            where=redact_url(url),
            hint=f"optuna storage upgrade --storage {redact_url(url)}   (keep a copy of the database)",
        ) from error


def _begin_immediate(storage: RDBStorage, writes: bool) -> None:
    @event.listens_for(storage.engine, "connect")
    def connected(connection: sqlite3.Connection, _record: object) -> None:
        # With a write-ahead log NORMAL loses nothing when a process dies, at a tenth of the cost of FULL.
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(storage.engine, "begin")
    def begun(connection: sqlalchemy.Connection) -> None:
        looks = connection.get_execution_options().get(_ONLY_READS, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes and not looks else "BEGIN")

    storage.engine.dispose()  # connections from before the events


def _check_sqlite(path: Path, create: bool) -> None:
    """Refuse a file that is no study database before anything touches it."""
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
        raise _damaged(path, f"is damaged: {problem}")
    if "studies" not in tables and (tables or not create):
        raise StorageError(
            "is an SQLite database, but not one of studies",
            where=str(path),
            hint="choose another with --storage",
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


def _create_sqlite(path: Path) -> None:
    """Build the database beside its place and link it there whole: two creators at once both succeed."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name[:40]}.", dir=path.parent) as folder:
        draft = Path(folder) / "draft.db"
        with contextlib.closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        url = URL.create("sqlite", database=str(draft))
        storage = _rdb(str(url), url, _SQLITE_ENGINE, False)
        storage.remove_session()
        storage.engine.dispose()  # the last connection folds the log into the file
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first, and its file is as good
        except OSError:  # a file system without links
            os.replace(draft, path)


def _use_write_ahead_log(path: Path) -> None:
    """The mode stays in the file; it can only be changed while nobody else is connected."""
    with contextlib.closing(sqlite3.connect(path, timeout=1.0)) as connection:
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            with contextlib.suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode=WAL")


def _named(error: Exception, url: str) -> FxaiError:
    """One line of what the driver said, without SQL and password."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
    original = getattr(cause, "orig", None) or cause
    reason = (redact(str(original)).strip().splitlines() or [type(original).__name__])[0]
    if "malformed" in reason or "not a database" in reason:
        return _damaged(Path(make_url(url).database or ""), f"is damaged: {reason}")
    hint = None
    if "full" in reason:
        hint = "free some space and run again; what was written before is intact"
    elif "locked" in reason:
        hint = f"another program has held the database for {BUSY_TIMEOUT_S:.0f} s; close it and run again"
    return StorageError(f"the study database failed: {reason}", where=redact_url(url), hint=hint)


def _damaged(path: Path, what: str) -> StorageError:
    return StorageError(
        what,
        where=str(path),
        hint="nothing was changed; restore a copy, try `sqlite3 FILE .recover`, or use another with --storage",
    )
