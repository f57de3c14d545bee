"""Open the study database so that it survives what docs/faults.md lists.

SQLite (one host): see `sqlite`. PostgreSQL (many hosts): connections are tested before use, a server that is away is
waited for, and a transaction that broke off is done again (see `outage`).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from fxai.errors import FxaiError, InputError, StorageError
from fxai.secrets import ELSEWHERE, redact, redact_url, unescaped
from fxai.study.database import outage, sqlite
from fxai.study.database.outage import DATABASE_ERRORS as DATABASE_ERRORS
from fxai.study.database.outage import Connector, PatientStorage
from fxai.study.database.postgresql import for_optuna, hint_for, in_short
from fxai.study.database.reader import NotOfStudies, write_a_url
from fxai.study.names import no_such_study

HEARTBEAT_INTERVAL_S = 10
GRACE_PERIOD_S = 60
"""A trial without a beat for this long is reclaimed by whoever looks next."""

_CREATING = 0x46584149
"""Number of the lock that PostgreSQL's clients hold while they create tables or a study."""

_POOL = {"pool_pre_ping": True, "pool_size": 2, "max_overflow": 8}
"""A worker has two connections, its own and its heart's; more are for the dashboard, and closed when they are idle."""


def open_storage(
    url: str, create: bool, *, check: bool = True, readonly: bool = False, patience_s: float | None = None
) -> RDBStorage:
    """Open the database of `url`, creating it only where `create` says so.

    Args:
        url: `sqlite:///path` or `postgresql://…`.
        create: make a missing SQLite file, or the tables of an empty PostgreSQL database; otherwise what is missing is
            an error and nothing is created.
        check: verify file and schema; workers skip this, their parent has done it.
        readonly: take no write lock, so that looking at a study never waits for its workers.
        patience_s: how long to wait for a PostgreSQL server that is away; None for outage.START_S. Once it is open,
            who writes waits for outage.OUTAGE_S at least.

    Raises:
        InputError: not a database that FxAI works with, or it does not exist.
        StorageError: it is damaged, of another Optuna version, or cannot be reached.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    parsed = _parse(url)
    with storage_errors(url):
        if parsed.get_backend_name() != "sqlite":
            first_s = outage.START_S if patience_s is None else patience_s
            database = _open_postgresql(url, parsed, create, check, first_s)
            database.connector.patience_s = first_s if readonly else max(first_s, outage.OUTAGE_S)
            return database
        path = sqlite.path_of(url, parsed)
        if check:
            sqlite.check(path, create)
        if create and not path.exists():
            sqlite.create_file(path)
            check = False
        elif create:
            sqlite.use_write_ahead_log(path)
        with _optunas_faults(url):
            text = sqlite.for_optuna(parsed)
            storage = RDBStorage(text, engine_kwargs=dict(sqlite.ENGINE), skip_compatibility_check=not check)
        sqlite.begin_immediate(storage, not readonly and os.access(path, os.W_OK))
        return storage


@contextlib.contextmanager
def opened(
    url: str, *, create: bool = False, readonly: bool = False, patience_s: float | None = None
) -> Iterator[RDBStorage]:
    """`open_storage` whose errors are named and whose connections are closed at the end of the block."""
    with storage_errors(url):
        storage = open_storage(url, create, readonly=readonly, patience_s=patience_s)
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
    with storage.engine.execution_options(**{sqlite.ONLY_READS: True}).connect() as connection, connection.begin():
        yield connection


@contextlib.contextmanager
def writing(storage: RDBStorage) -> Iterator[sqlalchemy.Connection]:
    """A transaction that is done as a whole or, after an exception, not at all."""
    with storage.engine.begin() as connection:
        yield connection


@contextlib.contextmanager
def creating(storage: RDBStorage) -> Iterator[None]:
    """Hold off every other program that would create a study in this database.

    Raises:
        StorageError: somebody else does for too long.
    """
    with storage_errors(storage.url):
        if isinstance(storage, PatientStorage):
            alone = _alone(storage.connector)
        else:
            alone = sqlite.alone(sqlite.path_of(storage.url, make_url(storage.url)))
        with alone:
            yield


def was_away(storage: RDBStorage, connection: sqlalchemy.Connection, within_s: float) -> bool:
    """Whether the database, as far as it and this process know, could not be written within the last seconds."""
    if not isinstance(storage, PatientStorage):
        return False
    started = "SELECT now() - pg_postmaster_start_time() < make_interval(secs => %(s)s)"
    return storage.connector.was_away(within_s) or bool(connection.exec_driver_sql(started, {"s": within_s}).scalar())


def hurry(storage: RDBStorage, patience_s: float) -> None:
    """Wait no longer than this, from now on, for a server that is away; any thread may call it."""
    if isinstance(storage, PatientStorage):
        storage.connector.hurry(patience_s)


def _parse(url: str) -> URL:
    if (character := unescaped(url)) is not None:
        raise InputError(
            f"{redact_url(url)!r}: {character!r} in a user name or password must be percent-encoded",
            where="storage",
            hint=f"write %{ord(character):02X} for it; or leave the password out and {ELSEWHERE}",
        )
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


def _open_postgresql(url: str, parsed: URL, create: bool, check: bool, patience_s: float) -> PatientStorage:
    """Connect; the password stays with the connector, and Optuna gets a URL without it."""
    try:
        connector = Connector(parsed, patience_s)
    except ImportError as error:
        raise InputError(
            "PostgreSQL needs the package psycopg", where="storage", hint="pip install 'fxai[postgres]'"
        ) from error
    bare = URL.create(parsed.drivername, parsed.username, None, parsed.host, parsed.port, parsed.database)

    def once(_again: bool) -> PatientStorage:
        with _optunas_faults(url), contextlib.ExitStack() as unless_opened, contextlib.ExitStack() as stack:
            unless_opened.callback(connector.close)
            ready = not check or _has_tables(url, connector)
            if not ready:
                if not create:
                    raise _no_studies(url)
                stack.enter_context(_alone(connector))
            storage = PatientStorage(
                sqlite.for_optuna(bare),
                engine_kwargs={"creator": connector, **_POOL},
                skip_compatibility_check=not check,
                skip_table_creation=ready,
            )
            unless_opened.pop_all()
            return storage

    storage = outage.whole(once)
    storage.connector = connector
    return storage


def _single(connector: Connector) -> sqlalchemy.Connection:
    """A connection of no pool, each statement a transaction."""
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=connector, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT"
    )
    return engine.connect()


def _has_tables(url: str, connector: Connector) -> bool:
    """Whether Optuna's tables are there, whole.

    Raises:
        StorageError: those of another program are.
    """
    with _single(connector) as connection:
        there = "SELECT to_regclass('studies') IS NOT NULL, to_regclass('alembic_version') IS NOT NULL"
        studies, versions = connection.exec_driver_sql(there).one()
        marked = versions and bool(connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar())
    if marked and not studies:
        raise _no_studies(url)
    return bool(marked)


def _no_studies(url: str) -> NotOfStudies:
    return NotOfStudies(
        "is a database, but not one of studies", where=redact_url(url), hint="choose another with --storage"
    )


@contextlib.contextmanager
def _alone(connector: Connector) -> Iterator[None]:
    """A lock that the server drops with its holder's connection."""

    def lock(_again: bool) -> sqlalchemy.Connection:
        with contextlib.ExitStack() as unless_held:
            connection = unless_held.enter_context(_single(connector))
            connection.exec_driver_sql(f"SET lock_timeout = '{sqlite.BUSY_TIMEOUT_S:.0f}s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({_CREATING})")
            unless_held.pop_all()
            return connection

    with outage.whole(lock):
        yield


@contextlib.contextmanager
def _optunas_faults(url: str) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # the schema is of another version
        raise StorageError(
            f"the database was made by another Optuna version than {optuna.__version__}: {redact(str(error))}",
            where=redact_url(url),
            hint=f"optuna storage upgrade --storage {for_optuna(url)}   (keep a copy of the database)",
        ) from error


def _named(error: Exception, url: str) -> FxaiError:
    """One line of what the driver said, without SQL and password."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
    original = getattr(cause, "orig", None) or cause
    said = redact(str(original)).strip() or type(original).__name__
    if url.startswith("postgresql"):
        reason, hint = in_short(said), hint_for(said)
    else:
        reason, hint = said.splitlines()[0], None
        if "malformed" in reason or "not a database" in reason:
            return sqlite.damaged(sqlite.path_of(url, make_url(url)), f"is damaged: {reason}")
        if "full" in reason:
            hint = "free some space and run again; what was written before is intact"
        elif "locked" in reason:
            hint = f"another program has held the database for {sqlite.BUSY_TIMEOUT_S:.0f} s; close it and run again"
    return StorageError(f"the study database failed: {reason}", where=redact_url(url), hint=hint)
