"""A database server that goes away for a while: connections wait for it, transactions that broke off are done again.

`Connector` makes the connections of an engine, so Optuna's own calls wait too. `whole` does a transaction again; which
of them may be done twice, and how a lost answer to a commit is told from a commit that failed, is their own affair.
"""

from __future__ import annotations

import functools
import logging
import math
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, PendingRollbackError, SQLAlchemyError

from fxai.secrets import redact
from fxai.study.database.postgresql import in_short, lost, passes

START_S = 60.0
"""How long a program that starts waits for a server that is away."""

OUTAGE_S = 300.0
"""How long one that runs does."""

CONNECT_TIMEOUT_S = 10

DATABASE_ERRORS = (StorageInternalError, SQLAlchemyError, sqlite3.Error)
"""What Optuna's storage lets through when the database fails."""

_WAITS_S = (0.1, 2.0)
"""Between two tries: first and longest; each is twice the one before."""

_BROKE_OFF = ("08", "57P", "40001", "40P01", "25P03")
"""SQLSTATEs, or their beginnings: connection lost, server stopping, transaction undone because of another one, or of
IDLE_S."""

IDLE_S = 60
"""A transaction in which nothing happens for so long is undone by the server: its process is suspended, and what it has
locked would keep all others waiting."""

_KEEP_ALIVE = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Options of libpq: a host that vanished is noticed in a minute, and not after TCP's quarter of an hour."""

log = logging.getLogger("fxai.database")

T = TypeVar("T")


class Connector:
    """Makes the connections of an engine, for as long as its patience lasts; used by all threads of a process."""

    def __init__(self, url: URL, patience_s: float) -> None:
        """Connect nothing yet.

        Raises:
            ImportError: there is no driver.
        """
        import psycopg

        self._connect: Callable[..., Any] = psycopg.connect
        self._error = psycopg.OperationalError
        self.patience_s = patience_s
        _, options = url.get_dialect()().create_connect_args(url)
        self._options: dict[str, Any] = {**_KEEP_ALIVE, **options}
        self._lock = threading.Lock()
        self._give_up_at = math.inf
        self._away_since: float | None = None
        self._back_at = -math.inf
        self._made: weakref.WeakSet[Any] = weakref.WeakSet()

    def __call__(self) -> Any:
        """A new connection.

        Raises:
            psycopg.OperationalError: the server is away for longer than the patience lasts, or waiting does not help.
        """
        wait_s, longest_s = _WAITS_S
        while True:
            try:
                connection = _in_utc(self._connect(**self._options))
            except self._error as error:
                if not passes(str(error)):
                    raise
                until = self._note_away(in_short(str(error))) + self.patience_s
                left_s = min(until, self._give_up_at) - time.monotonic()
                if left_s <= 0.0:
                    raise
                time.sleep(min(left_s, wait_s * random.uniform(0.5, 1.0)))  # not all workers at once
                wait_s = min(wait_s * 2.0, longest_s)
            else:
                self._note_back()
                self._made.add(connection)
                return connection

    def hurry(self, patience_s: float) -> None:
        """Whoever waits, now or later, gives up after so many seconds from now."""
        self._give_up_at = time.monotonic() + patience_s

    def close(self) -> None:
        """Close every connection that it made and somebody still has."""
        for connection in list(self._made):
            connection.close()

    def was_away(self, age_s: float) -> bool:
        """Whether the server was away, for this process, within the last seconds."""
        return time.monotonic() - self._back_at < age_s

    def _note_away(self, reason: str) -> float:
        """Say it once for an outage; returns when that began."""
        with self._lock:
            if self._away_since is None:
                self._away_since = time.monotonic()
                if self.patience_s > 0.0:
                    told = (redact(reason), self.patience_s)
                    log.warning("the study database does not answer (%s): trying again for %.0f s", *told)
            return self._away_since

    def _note_back(self) -> None:
        with self._lock:
            if self._away_since is not None:
                self._back_at = time.monotonic()
                log.warning("the study database answers again, after %.1f s", self._back_at - self._away_since)
                self._away_since = None


def _in_utc(connection: Any) -> Any:
    """Beats are stored in the time of the session's zone: two zones, or a clock change, would age them by hours."""
    try:
        connection.autocommit = True
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'")
        connection.autocommit = False
    except BaseException:
        connection.close()
        raise
    return connection


def whole(work: Callable[[bool], T]) -> T:
    """Do a transaction, and do it again where its connection broke off in the middle.

    Args:
        work: one whole transaction. It is told whether an earlier try broke off: that may have been committed, with
            only the answer lost.

    Raises:
        StorageInternalError, SQLAlchemyError: anything else went wrong, or it breaks off for too long.
    """
    again = False
    wait_s, longest_s = _WAITS_S
    until = time.monotonic() + OUTAGE_S
    while True:
        try:
            return work(again)
        except DATABASE_ERRORS as error:
            if not broke_off(error) or time.monotonic() > until:
                raise
            log.info("a transaction broke off and is done again: %s", redact(in_short(str(_cause(error)))))
        again = True
        time.sleep(wait_s * random.uniform(0.5, 1.0))
        wait_s = min(wait_s * 2.0, longest_s)


def broke_off(error: BaseException) -> bool:
    """Whether a transaction failed because its connection, or another transaction, cut it off."""
    cause = _cause(error)
    if isinstance(cause, PendingRollbackError):  # Optuna has gone on after the first error
        return True
    if not isinstance(cause, DBAPIError):
        return False
    state = getattr(cause.orig, "sqlstate", None) or ""
    # while a new connection is prepared, SQLAlchemy does not say that it is invalid
    return cause.connection_invalidated or state.startswith(_BROKE_OFF) or (not state and lost(str(cause.orig)))


def _cause(error: BaseException) -> BaseException:
    return error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error


class PatientStorage(RDBStorage):
    """Optuna's storage on a server that may go away: its transactions are done again."""

    connector: Connector

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        """As Optuna does it; a waiting trial that was created unheard is not created again."""
        return self.get_trial(whole(lambda again: self._created(study_id, template_trial, again)))

    def _created(self, study_id: int, template: FrozenTrial | None, again: bool) -> int:
        if again and template is not None:
            for trial in self._get_trials(study_id, (template.state,), set(), -1):
                if (trial.system_attrs, trial.user_attrs) == (template.system_attrs, template.user_attrs):
                    return int(trial._trial_id)
        with _create_scoped_session(self.scoped_session) as session:
            models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
            return int(self._get_prepared_new_trial(study_id, template, session).trial_id)


_DONE_AGAIN = (
    "create_new_study",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_trial",
    "_get_trials",
    "_get_best_trial_id",
    "get_trial_id_from_study_id_trial_number",
    "get_trial_user_attrs",
    "get_trial_system_attrs",
    "_set_trial_param",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "record_heartbeat",
)


def _done_again(method: Callable[..., T]) -> Callable[..., T]:
    @functools.wraps(method)
    def patient(*args: Any, **kwargs: Any) -> T:
        return whole(lambda _again: method(*args, **kwargs))

    return patient


for _name in _DONE_AGAIN:
    setattr(PatientStorage, _name, _done_again(getattr(RDBStorage, _name)))
