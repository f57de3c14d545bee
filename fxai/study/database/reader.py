"""Read studies from their database without Optuna and SQLAlchemy, whose import takes longer than an answer may.

Only reads: one snapshot for as long as it is open, no lock that a worker would wait for, and no file is created. The
tables are those of Optuna's schema SCHEMA; a test compares what is read here with Optuna's own view.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from fxai import defaults
from fxai.errors import InputError, StorageError
from fxai.secrets import ELSEWHERE, redact, redact_url, unescaped
from fxai.study.database.postgresql import for_optuna, hint_for, in_short
from fxai.study.database.records import Direction, State, StudyRecord, TrialRecord
from fxai.study.names import no_such_study

SCHEMA = "v3.2.0.a"
"""Revision of Optuna's tables that this module knows."""

WAIT_S = 30.0
"""How long to wait for a program that keeps readers out; with a write-ahead log none does."""

JUDGED = ("failure", "default", "requeue_of", "requeued_as")
"""User attributes that are read of every trial: they decide which trial is the best."""

_BATCH = 500
"""Trials that one query names; SQLite takes no more than 999 values in old versions."""


def write_a_url(url: str) -> str:
    """The hint for what is no database URL; often it is the bare name of a file."""
    file = url if re.fullmatch(r"[\w./-]+\.(db|sqlite3?)", url) else defaults.STORAGE.removeprefix("sqlite:///")
    return f"write sqlite:///{file}, or postgresql://user@host/database"


class NotOfStudies(StorageError):
    """The database has none of Optuna's tables."""


class Reader:
    """An open database; `reading` makes it."""

    def __init__(self, connection: Any, *, marker: str = "?") -> None:
        self._connection = connection
        self._marker = marker

    def study_names(self) -> list[str]:
        """All studies, in the order of creation."""
        return [name for (name,) in self._rows("SELECT study_name FROM studies ORDER BY study_id")]

    def study(self, name: str, url: str) -> StudyRecord:
        """A study without its trials.

        Raises:
            InputError: there is none of that name; the hint lists those that exist.
        """
        found = self._rows("SELECT study_id FROM studies WHERE study_name = ?", [name])
        if not found:
            raise no_such_study(name, self.study_names(), url)
        key = int(found[0][0])
        directions = self._rows("SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", [key])
        return StudyRecord(
            study_id=key,
            study_name=name,
            directions=[Direction[direction] for (direction,) in directions],
            user_attrs=self._attrs_of_study("study_user_attributes", key),
            system_attrs=self._attrs_of_study("study_system_attributes", key),
        )

    def load(self, name: str, url: str) -> StudyRecord:
        """A study and what decides about its trials: state, times, values, constraints and JUDGED attributes.

        Parameters, reports and all other attributes are left for `complete`: of thousands of trials an answer
        shows two.
        """
        study = self.study(name, url)
        study.trials = [
            TrialRecord(
                trial_id=key, number=number, state=State[state], start_utc=_time(start), complete_utc=_time(end)
            )
            for key, number, state, start, end in self._rows(
                "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials "
                "WHERE study_id = ? ORDER BY number, trial_id",
                [study.study_id],
            )
        ]
        trials = {trial.trial_id: trial for trial in study.trials}
        of_study = f"FROM trials t JOIN {{}} a ON a.trial_id = t.trial_id WHERE t.study_id = {study.study_id}"
        self._add_values(trials, of_study)
        self._add_attrs("trial_system_attributes", trials, of_study, ["a.key LIKE ?"], ["constraints%"])
        # what is null decides nothing
        judged = [f"a.key IN ({', '.join('?' * len(JUDGED))})", "a.value_json <> 'null'"]
        self._add_attrs("trial_user_attributes", trials, of_study, judged, JUDGED)
        return study

    def complete(self, trials: Iterable[TrialRecord | None]) -> None:
        """Read all parts of these trials of `load`; None is skipped."""
        wanted = {trial.trial_id: trial for trial in trials if trial is not None and not trial.whole}
        for trial in wanted.values():
            trial.user_attrs, trial.system_attrs, trial.whole = {}, {}, True
        keys = sorted(wanted)
        for first in range(0, len(keys), _BATCH):
            batch = keys[first : first + _BATCH]
            chosen = f"FROM {{}} a WHERE a.trial_id IN ({', '.join(map(str, batch))})"
            self._add_params(wanted, chosen)
            self._add_reports(wanted, chosen)
            self._add_attrs("trial_user_attributes", wanted, chosen)
            self._add_attrs("trial_system_attributes", wanted, chosen)

    def beats(self, study: StudyRecord) -> dict[int, float]:
        """Seconds since the last beat of each running trial, by its trial_id and the database's own clock."""
        rows = self._rows(
            "SELECT b.trial_id, b.heartbeat, CURRENT_TIMESTAMP FROM trial_heartbeats b "
            "JOIN trials t ON t.trial_id = b.trial_id WHERE t.study_id = ? AND t.state = ?",
            [study.study_id, State.RUNNING.name],
        )
        times = [(key, _time(beat), _time(now)) for key, beat, now in rows]
        return {key: (now - beat).total_seconds() for key, beat, now in times if beat is not None and now is not None}

    def schema(self) -> str | None:
        """Revision of Optuna's tables; None where the database has none."""
        try:
            found = self._rows("SELECT version_num FROM alembic_version")
            self._rows("SELECT study_id FROM studies LIMIT 1")
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return None
        return str(found[0][0]) if found else None

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a question about the database itself: its version, size or mode."""
        return self._rows(sql)

    def _add_values(self, trials: dict[int, TrialRecord], of_study: str) -> None:
        what = f"SELECT a.trial_id, a.value, a.value_type {of_study.format('trial_values')}"
        rows = self._rows(f"{what} ORDER BY a.trial_id, a.objective")
        for key, value, kind in rows:
            trial = trials[key]
            trial.values = [*(trial.values or ()), _NOT_FINITE.get(kind, value)]

    def _add_reports(self, trials: dict[int, TrialRecord], chosen: str) -> None:
        what = "a.trial_id, a.step, a.intermediate_value, a.intermediate_value_type"
        for key, step, value, kind in self._rows(f"SELECT {what} {chosen.format('trial_intermediate_values')}"):
            trials[key].intermediate_values[step] = _NOT_FINITE.get(kind, value)

    def _add_params(self, trials: dict[int, TrialRecord], chosen: str) -> None:
        what = f"SELECT a.trial_id, a.param_name, a.param_value, a.distribution_json {chosen.format('trial_params')}"
        read: dict[str, Any] = {}
        for key, name, value, distribution in self._rows(f"{what} ORDER BY a.param_id"):
            if distribution not in read:
                read[distribution] = json.loads(distribution)
            trials[key].params[name] = external(value, read[distribution])

    def _add_attrs(
        self,
        table: str,
        trials: dict[int, TrialRecord],
        chosen: str,
        conditions: Sequence[str] = (),
        parameters: Sequence[str] = (),
    ) -> None:
        sql = " AND ".join([f"SELECT a.trial_id, a.key, a.value_json {chosen.format(table)}", *conditions])
        of_user = table == "trial_user_attributes"
        for key, name, value in self._rows(sql, parameters):
            attrs = trials[key].user_attrs if of_user else trials[key].system_attrs
            attrs[name] = json.loads(value)

    def _attrs_of_study(self, table: str, study_id: int) -> dict[str, Any]:
        rows = self._rows(f"SELECT key, value_json FROM {table} WHERE study_id = ?", [study_id])
        return {key: json.loads(value) for key, value in rows}

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor()
        cursor.execute(sql.replace("?", self._marker), tuple(parameters))
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


_NOT_FINITE = {"INF_POS": math.inf, "INF_NEG": -math.inf, "NAN": math.nan}
"""Databases have no such numbers; Optuna writes their names beside."""


def external(value: float, distribution: dict[str, Any]) -> Any:
    """A parameter's value as a trial has it, from the number that the database has.

    Args:
        value: the number: of a choice its place in the list.
        distribution: Optuna's, as its JSON says.
    """
    name, attributes = str(distribution.get("name")), distribution.get("attributes", {})
    if name == "CategoricalDistribution":
        return attributes["choices"][int(value)]
    return int(value) if name.startswith("Int") else value


@contextlib.contextmanager
def reading(url: str) -> Iterator[Reader]:
    """Open the database of `url` to look at it; nothing is created, locked or changed.

    Raises:
        InputError: not a database that FxAI works with, or it does not exist.
        StorageError: it is damaged, of another Optuna version, or cannot be reached.
    """
    scheme, separator, rest = url.partition("://")
    backend = scheme.partition("+")[0]
    if (character := unescaped(url)) is not None:
        raise InputError(
            f"{redact_url(url)!r}: {character!r} in a user name or password must be percent-encoded",
            where="storage",
            hint=f"write %{ord(character):02X} for it; or leave the password out and {ELSEWHERE}",
        )
    if not separator:
        raise InputError(f"{redact_url(url)!r} is not a database URL", where="storage", hint=write_a_url(url))
    if backend == "sqlite":
        opened = _sqlite(url, _file(url))
    elif backend == "postgresql":
        opened = _postgresql(url, f"postgresql://{rest}")
    else:
        raise InputError(
            f"{backend} is not supported: FxAI is tested on SQLite (one host) and PostgreSQL (many)",
            where="storage",
            hint=write_a_url(url),
        )
    with opened as reader:
        yield reader


def sqlite_exists(url: str) -> bool | None:
    """Whether there is the file of an SQLite database; None of other databases."""
    return Path(_file(url)).exists() if url.startswith("sqlite:///") else None


def _file(url: str) -> str:
    """The file of an SQLite URL, as storage.opened reads it."""
    path = unquote(url.partition("://")[2].partition("?")[0]).removeprefix("/")
    return re.sub("^/{2,}", "/", path)


@contextlib.contextmanager
def _sqlite(url: str, path: str) -> Iterator[Reader]:
    file = Path(path)
    if path in ("", ":memory:") or path.startswith("file:"):
        raise InputError(
            f"{url!r} names no file; worker processes share the study through one",
            where="storage",
            hint=write_a_url(url),
        )
    if not file.exists():
        raise _absent(url, file)
    if file.is_dir():
        raise InputError("is a folder, not a database", where=path)
    if not os.access(file, os.R_OK):
        raise InputError("cannot be read", where=path, hint="choose another database with --storage")
    try:
        with contextlib.closing(_connected(file)) as connection:
            reader = Reader(connection)
            _check(reader.schema(), path, url)
            yield reader
    except sqlite3.Error as error:
        raise _failed(str(error), path) from error


def _connected(file: Path) -> sqlite3.Connection:
    """Connect so that nothing is left behind.

    A connection that may not write cannot take away the log files that it makes, so `ro` is only for files that this
    user cannot write, and `immutable` for folders where not even these can be made: nobody writes there.
    """
    uri = f"file:{quote(str(file.absolute()))}"
    modes = ["mode=rw"] if os.access(file, os.W_OK) and os.access(file.parent, os.W_OK) else ["mode=ro"]
    if not file.with_name(f"{file.name}-wal").exists():
        modes += ["immutable=1"] * (modes == ["mode=ro"])
    for mode in modes:
        connection = sqlite3.connect(f"{uri}?{mode}", uri=True, timeout=WAIT_S, isolation_level=None)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.OperationalError:
            connection.close()
            if mode == modes[-1]:
                raise
        except sqlite3.Error:
            connection.close()
            raise
        else:
            return connection
    raise AssertionError("the last mode connects or raises")


@contextlib.contextmanager
def _postgresql(url: str, conninfo: str) -> Iterator[Reader]:
    try:
        import psycopg
    except ImportError as error:
        raise InputError(
            "PostgreSQL needs the package psycopg", where="storage", hint="pip install 'fxai[postgres]'"
        ) from error
    where = redact_url(url)
    try:
        with psycopg.connect(conninfo, connect_timeout=10) as connection:
            connection.execute("SET TIME ZONE 'UTC'")  # as those that beat have it
            connection.commit()
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ  # one snapshot
            reader = Reader(connection, marker="%s")
            _check(_schema_of_postgresql(connection, reader), where, url)
            yield reader
    except psycopg.Error as error:
        said = redact(str(error))
        raise StorageError(f"the study database failed: {in_short(said)}", where=where, hint=hint_for(said)) from error


def _schema_of_postgresql(connection: Any, reader: Reader) -> str | None:
    """A query that fails would end the transaction: ask first whether there are tables."""
    [(there,)] = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchall()
    return reader.schema() if there else None


def _check(schema: str | None, where: str, url: str) -> None:
    if schema is None:
        raise NotOfStudies("is a database, but not one of studies", where=where, hint="choose another with --storage")
    if schema != SCHEMA:
        from importlib import metadata

        raise StorageError(
            f"the database was made by another Optuna version than {metadata.version('optuna')}: its tables are of "
            f"revision {schema}, not {SCHEMA}",
            where=where,
            hint=f"optuna storage upgrade --storage {for_optuna(url)}   (keep a copy of the database)",
        )


def _absent(url: str, file: Path) -> InputError:
    if url == defaults.STORAGE:
        hint = "no study was run in this folder yet: poe optuna-demo runs a first one (or name a database: --storage)"
    else:
        hint = "name it with --storage sqlite:///path/to/file.db"
    return InputError("there is no such study database", where=str(file), hint=hint)


def _failed(reason: str, where: str) -> StorageError:
    line = (redact(reason).strip().splitlines() or ["for no reason that it told"])[0]
    if "malformed" in line or "not a database" in line:
        return StorageError(
            f"is damaged: {line}",
            where=where,
            hint="nothing was changed; restore a copy, try `sqlite3 FILE .recover`, or use another with --storage",
        )
    hint = None
    if "locked" in line:
        hint = f"another program has held the database for {WAIT_S:.0f} s; close it and run again"
    return StorageError(f"the study database failed: {line}", where=where, hint=hint)


def _time(value: Any) -> datetime | None:
    """What SQLite has as text and PostgreSQL as a timestamp.

    CURRENT_TIMESTAMP loses its zone as it did when a beat was written: PostgreSQL stores that one in the zone of the
    session, all other times are UTC.
    """
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value.replace(tzinfo=None) if isinstance(value, datetime) else None
