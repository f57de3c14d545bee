"""Trials as rows of Optuna's tables: read and written in few statements.

Optuna's own storage takes a query for each kind of value and each attribute of a trial, through the object-relational
mapper; beside short trainings that is most of a trial's overhead. What stands here reads and leaves the same rows
(tests/study/database/test_worker_storage.py holds both against each other).
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Row, Table, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

TRIALS: Table = models.TrialModel.__table__
PARAMS: Table = models.TrialParamModel.__table__
VALUES: Table = models.TrialValueModel.__table__
REPORTS: Table = models.TrialIntermediateValueModel.__table__
USER_ATTRS: Table = models.TrialUserAttributeModel.__table__
SYSTEM_ATTRS: Table = models.TrialSystemAttributeModel.__table__

_NEWS = (
    select(TRIALS)
    .where(TRIALS.c.study_id == bindparam("study_id"), TRIALS.c.trial_id > bindparam("after"))
    .order_by(TRIALS.c.trial_id)
)
_NEWS_AND_OTHERS = (
    select(TRIALS)
    .where(
        TRIALS.c.study_id == bindparam("study_id"),
        sqlalchemy.or_(
            TRIALS.c.trial_id > bindparam("after"), TRIALS.c.trial_id.in_(bindparam("others", expanding=True))
        ),
    )
    .order_by(TRIALS.c.trial_id)
)
_WHEN_ENDED = select(TRIALS.c.state, TRIALS.c.datetime_complete).where(TRIALS.c.trial_id == bindparam("id"))
_STATE = select(TRIALS.c.state).where(TRIALS.c.trial_id == bindparam("id")).with_for_update()
_ONE = select(TRIALS).where(TRIALS.c.trial_id == bindparam("id"))
_CHILDREN = {
    table: select(table).where(table.c.trial_id.in_(bindparam("ids", expanding=True))).order_by(*table.primary_key)
    for table in (PARAMS, VALUES, REPORTS, USER_ATTRS, SYSTEM_ATTRS)
}
_FINISH = (
    sqlalchemy.update(TRIALS)
    .where(TRIALS.c.trial_id == bindparam("id"), TRIALS.c.state == TrialState.RUNNING)
    .values(state=bindparam("to"), datetime_complete=bindparam("ended"))
)

_CHUNK = 500
"""Trials per query; databases limit the variables of a statement."""


@dataclass(slots=True)
class Changes:
    """What is to be added to a running trial."""

    params: dict[str, tuple[float, BaseDistribution]] = field(default_factory=dict)
    """Name → Optuna's internal value and the distribution."""

    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    reports: dict[int, float] = field(default_factory=dict)
    """Step → value."""

    def __bool__(self) -> bool:
        return bool(self.params or self.user_attrs or self.system_attrs or self.reports)


def trials_between(
    connection: Connection, study_id: int, *, after: int, besides: Iterable[int], known: Mapping[int, FrozenTrial]
) -> list[FrozenTrial]:
    """Trials of a study that may have changed, in the order of their creation.

    Args:
        connection: in a transaction.
        study_id: Optuna's id of the study.
        after: trials with an id above this.
        besides: ids of others.
        known: id → what the caller knows better; these trials are not read.
    """
    others = [trial_id for trial_id in besides if trial_id <= after]
    known_to = {"study_id": study_id, "after": after, **({"others": others} if others else {})}
    found = connection.execute(_NEWS_AND_OTHERS if others else _NEWS, known_to).all()
    read = {trial.trial_id: trial for trial in found if trial.trial_id not in known}
    built = {trial._trial_id: trial for trial in _built(connection, read)} if read else {}
    return [known[row.trial_id] if row.trial_id in known else built[row.trial_id] for row in found]


def read_trial(connection: Connection, trial_id: int) -> FrozenTrial:
    """One trial, which exists."""
    row = connection.execute(_ONE, {"id": trial_id}).one()
    return next(_built(connection, {trial_id: row}))


def _built(connection: Connection, found: Mapping[int, Row[Any]]) -> Iterator[FrozenTrial]:
    ids = list(found)
    for start in range(0, len(ids), _CHUNK):
        yield from _build_chunk(connection, {key: found[key] for key in ids[start : start + _CHUNK]})


def _build_chunk(connection: Connection, found: Mapping[int, Row[Any]]) -> Iterator[FrozenTrial]:
    params = _children(connection, PARAMS, found)
    values = _children(connection, VALUES, found)
    reports = _children(connection, REPORTS, found)
    user_attrs = _children(connection, USER_ATTRS, found)
    system_attrs = _children(connection, SYSTEM_ATTRS, found)
    to_value = models.TrialValueModel.stored_repr_to_value
    to_report = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
    for trial_id, row in found.items():
        space = _space(tuple((param.param_name, param.distribution_json) for param in params[trial_id]))
        stored = sorted(values[trial_id], key=lambda value: int(value.objective))
        yield FrozenTrial(
            number=row.number,
            state=row.state,
            value=None,
            values=[to_value(value.value, value.value_type) for value in stored] or None,
            datetime_start=local_time(row.datetime_start),
            datetime_complete=local_time(row.datetime_complete),
            params={p.param_name: space[p.param_name].to_external_repr(p.param_value) for p in params[trial_id]},
            distributions=space,
            user_attrs={attr.key: json.loads(attr.value_json) for attr in user_attrs[trial_id]},
            system_attrs={attr.key: json.loads(attr.value_json) for attr in system_attrs[trial_id]},
            intermediate_values={
                r.step: to_report(r.intermediate_value, r.intermediate_value_type) for r in reports[trial_id]
            },
            trial_id=trial_id,
        )


def _children(connection: Connection, table: Table, found: Mapping[int, Row[Any]]) -> dict[int, list[Row[Any]]]:
    """Rows of a table by trial, in the order of their creation."""
    by_trial: dict[int, list[Row[Any]]] = {trial_id: [] for trial_id in found}
    for row in connection.execute(_CHILDREN[table], {"ids": list(found)}):
        by_trial[row.trial_id].append(row)
    return by_trial


@lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    """The distribution of a text: one object for all trials that have it, which nobody changes."""
    return json_to_distribution(text)


@lru_cache(maxsize=1024)
def _space(texts: tuple[tuple[str, str], ...]) -> dict[str, BaseDistribution]:
    """Name → distribution: one mapping for all trials of one space, which nobody changes (see `Intersection`)."""
    return {name: _distribution(text) for name, text in texts}


def first_distribution(connection: Connection, study_id: int, name: str) -> BaseDistribution | None:
    """What a parameter of a study was first drawn from."""
    query = select(PARAMS.c.distribution_json).join(TRIALS, TRIALS.c.trial_id == PARAMS.c.trial_id)
    text = connection.execute(
        query.where(TRIALS.c.study_id == study_id, PARAMS.c.param_name == name).limit(1)
    ).scalar_one_or_none()
    return None if text is None else _distribution(text)


def add(connection: Connection, trial_id: int, changes: Changes) -> None:
    """Write what is new in a running trial; twice does no harm.

    Raises:
        UpdateFinishedTrialError: it is not running any more.
    """
    if connection.execute(_STATE, {"id": trial_id}).scalar_one() != TrialState.RUNNING:
        raise UpdateFinishedTrialError(f"trial id {trial_id} was finished by somebody else")
    _insert(connection, trial_id, changes)


def finish(
    connection: Connection,
    trial_id: int,
    state: TrialState,
    values: Iterable[float],
    changes: Changes,
    *,
    ended: datetime.datetime,
    again: bool = False,
) -> None:
    """End a running trial.

    Args:
        connection: in a transaction.
        trial_id: Optuna's id of the trial.
        state: how it ends.
        values: one for each objective, or none.
        changes: what else is to be added.
        ended: UTC, naive.
        again: an earlier try may have been committed; to the microsecond it is known by its time.

    Raises:
        UpdateFinishedTrialError: it is not running any more.
    """
    if connection.execute(_FINISH, {"id": trial_id, "to": state, "ended": ended}).rowcount != 1:
        if again and tuple(connection.execute(_WHEN_ENDED, {"id": trial_id}).one()) == (state, ended):
            return
        raise UpdateFinishedTrialError(f"trial id {trial_id} was finished by somebody else")
    _insert(connection, trial_id, changes)
    to_stored = models.TrialValueModel.value_to_stored_repr
    told = [
        dict(zip(("value", "value_type"), to_stored(value), strict=True), trial_id=trial_id, objective=objective)
        for objective, value in enumerate(values)
    ]
    if told:
        connection.execute(VALUES.insert(), told)


def _insert(connection: Connection, trial_id: int, changes: Changes) -> None:
    if changes.params:
        drawn = [
            {
                "trial_id": trial_id,
                "param_name": name,
                "param_value": value,
                "distribution_json": distribution_to_json(distribution),
            }
            for name, (value, distribution) in changes.params.items()
        ]
        columns = ("param_value", "distribution_json")
        connection.execute(_upsert(connection.dialect.name, PARAMS, "param_name", columns), drawn)
    for table, attrs in ((USER_ATTRS, changes.user_attrs), (SYSTEM_ATTRS, changes.system_attrs)):
        if attrs:
            rows = [{"trial_id": trial_id, "key": key, "value_json": json.dumps(attrs[key])} for key in attrs]
            connection.execute(_upsert(connection.dialect.name, table, "key", ("value_json",)), rows)
    if changes.reports:
        to_stored = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
        columns = ("intermediate_value", "intermediate_value_type")
        reports = [
            dict(zip(columns, to_stored(value), strict=True), trial_id=trial_id, step=step)
            for step, value in changes.reports.items()
        ]
        connection.execute(_upsert(connection.dialect.name, REPORTS, "step", columns), reports)


@lru_cache(maxsize=16)
def _upsert(dialect: str, table: Table, key: str, columns: tuple[str, ...]) -> Any:
    """Insert rows of a trial; a row of the same key gets the new values."""
    insert: Any = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    changed = {column: insert.excluded[column] for column in columns}
    return insert.on_conflict_do_update(index_elements=[table.c.trial_id, table.c[key]], set_=changed)


def local_time(utc: datetime.datetime | None) -> datetime.datetime | None:
    """A stored time as Optuna shows it: local and naive."""
    if utc is None:
        return None
    return utc.replace(tzinfo=datetime.timezone.utc).astimezone().replace(tzinfo=None)
