"""Who may run which trial: exact counts, atomic claims, and the way back to the queue.

Each function is a transaction that holds the study's row (SQLite: the whole database), so that it is exact with
any number of workers and a kill -9 leaves it done or not done. Optuna's own `ask` and retry callback are several
transactions each; docs/faults.md lists what that loses.

A budget of n_trials counts COMPLETE, PRUNED and final FAIL. A FAIL whose parameters went back to the queue carries
`requeued_as` and does not count.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import bindparam, orm, select

from fxai.study.database import rows
from fxai.study.database.outage import whole
from fxai.study.database.rows import TRIALS, USER_ATTRS
from fxai.study.database.storage import GRACE_PERIOD_S, reading, was_away, writing
from fxai.study.owner import Owner

MAX_ATTEMPTS = 3
"""Workers that the parameters of one trial may take down with them."""


STUDIES: sqlalchemy.Table = models.StudyModel.__table__
HEARTBEATS: sqlalchemy.Table = models.TrialHeartbeatModel.__table__

_OF_STUDY = TRIALS.c.study_id == bindparam("study_id")
_STUDY = select(STUDIES.c.study_id).where(STUDIES.c.study_id == bindparam("study_id")).with_for_update()
_STATES = select(TRIALS.c.state, sqlalchemy.func.count()).where(_OF_STUDY).group_by(TRIALS.c.state)
_RUN_AGAIN = (
    select(sqlalchemy.func.count())
    .select_from(TRIALS.join(USER_ATTRS, USER_ATTRS.c.trial_id == TRIALS.c.trial_id))
    .where(_OF_STUDY, TRIALS.c.state == TrialState.FAIL, USER_ATTRS.c.key == "requeued_as")
)
_WAITING = (
    select(TRIALS.c.trial_id)
    .where(_OF_STUDY, TRIALS.c.state == TrialState.WAITING)
    .order_by(TRIALS.c.number)
    .limit(1)
    .with_for_update()
)
_START = (
    sqlalchemy.update(TRIALS)
    .where(TRIALS.c.trial_id == bindparam("id"))
    .values(state=bindparam("to_state"), datetime_start=bindparam("to_datetime_start"))
)
_RUNNING = (
    select(
        TRIALS.c.trial_id,
        TRIALS.c.datetime_start,
        HEARTBEATS.c.heartbeat,
        USER_ATTRS.c.value_json,
        sqlalchemy.func.now().label("now"),
    )
    .select_from(
        TRIALS.outerjoin(HEARTBEATS, HEARTBEATS.c.trial_id == TRIALS.c.trial_id).outerjoin(
            USER_ATTRS, sqlalchemy.and_(USER_ATTRS.c.trial_id == TRIALS.c.trial_id, USER_ATTRS.c.key == "owner")
        )
    )
    .where(_OF_STUDY, TRIALS.c.state == TrialState.RUNNING)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Trials of a study by what they mean for its budget."""

    complete: int
    pruned: int
    failed: int
    """Finally failed; those run again are not in it."""

    running: int
    waiting: int

    @property
    def finished(self) -> int:
        """Trials that the budget has paid for."""
        return self.complete + self.pruned + self.failed


@dataclass(frozen=True, slots=True)
class Requeued:
    """A trial that was taken away from its worker."""

    number: int
    requeued_as: int | None
    """Number of the trial that repeats it; None when its attempts are used up and it failed for good."""

    reason: str

    def event(self) -> dict[str, Any]:
        """What the view is told."""
        state = "FAIL" if self.requeued_as is None else "REQUEUED"
        return {
            "kind": "trial_finished",
            "number": self.number,
            "state": state,
            "value": None,
            "error": self.reason,
            "duration_s": None,
        }


def trial_seed(study_seed: int, number: int) -> int:
    """Seed of a trial's training: a function of study seed and trial number alone."""
    return _seed(study_seed, number, 0)


def sampler_seed(study_seed: int, number: int) -> int:
    """Seed of the sampler that suggests trial `number`.

    One seed for the whole study would repeat its first points after each resume.
    """
    return _seed(study_seed, number, 1)


def _seed(study_seed: int, number: int, stream: int) -> int:
    return int(np.random.SeedSequence(study_seed, spawn_key=(number, stream)).generate_state(1)[0])


def tally(storage: RDBStorage, study_id: int) -> Tally:
    """Count the trials of a study."""

    def count(_again: bool) -> Tally:
        with reading(storage) as connection:
            return _tally(connection, study_id)[0]

    return whole(count)


def claim(storage: RDBStorage, study_id: int, n_trials: int, owner: Owner) -> int | None:
    """Take the first waiting trial, or create one while the budget lasts; owner and first beat are written with it.

    Args:
        storage: the study's database.
        study_id: Optuna's id of the study.
        n_trials: the study's whole budget.
        owner: the process that will run the trial.

    Returns:
        Optuna's id of the trial, now RUNNING, or None when nothing is left to start.
    """

    def take(again: bool) -> int | None:
        with writing(storage) as connection:
            _hold(connection, study_id)
            held = _held_by(connection, study_id, owner) if again else None  # committed, and the answer was lost
            return _take(connection, study_id, n_trials, owner) if held is None else held

    return whole(take)


def _take(connection: sqlalchemy.Connection, study_id: int, n_trials: int, owner: Owner) -> int | None:
    count, created = _tally(connection, study_id)
    if count.finished + count.running >= n_trials:
        return None
    trial_id = _first_waiting(connection, study_id)
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    running = {"state": TrialState.RUNNING, "datetime_start": now}
    if trial_id is not None:
        connection.execute(_START, {"id": trial_id, **{f"to_{key}": value for key, value in running.items()}})
    else:
        done = connection.execute(TRIALS.insert(), {"study_id": study_id, "number": created, **running})
        assert done.inserted_primary_key is not None
        trial_id = int(done.inserted_primary_key[0])
    rows.add(connection, trial_id, rows.Changes(user_attrs={"owner": owner.as_dict()}))
    connection.execute(HEARTBEATS.insert(), {"trial_id": trial_id})
    return trial_id


_BROUGHT_ALONG = ("seed", "default", "gradient_accumulation_steps")
"""User attributes that a repeated trial has from the first one."""


def requeue(
    storage: RDBStorage, trial_id: int, reason: str, *, blame: bool, changed: Mapping[str, Any] | None = None
) -> Requeued | None:
    """Fail a running trial and put one with the same parameters and seed into the queue.

    Args:
        storage: the study's database.
        trial_id: Optuna's id of the trial.
        reason: recorded with the trial as its error.
        blame: the trial may be what killed its worker; after MAX_ATTEMPTS of those it fails for good.
        changed: user attributes that the repeated trial gets.

    Returns:
        None if the trial is not running any more: somebody else was first.
    """

    def put_back(again: bool) -> Requeued | None:
        with _create_scoped_session(storage.scoped_session) as session:
            study_id = int(models.TrialModel.find_or_raise_by_id(trial_id, session).study_id)
            models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
            trial = models.TrialModel.find_or_raise_by_id(trial_id, session, for_update=True)
            frozen = storage._build_frozen_trial_from_trial_model(trial)
            if frozen.state == TrialState.RUNNING:
                done = _put_back(storage, session, study_id, frozen, reason, blame, changed or {})
                trial.state, trial.datetime_complete = TrialState.FAIL, datetime.datetime.now()
                return done
            told = str(frozen.user_attrs.get("error"))
            if again and frozen.state == TrialState.FAIL and told.startswith(reason):  # by us: the answer was lost
                return Requeued(frozen.number, frozen.user_attrs.get("requeued_as"), told)
            return None

    return whole(put_back)


def _put_back(
    storage: RDBStorage,
    session: orm.Session,
    study_id: int,
    frozen: FrozenTrial,
    reason: str,
    blame: bool,
    changed: Mapping[str, Any],
) -> Requeued:
    attempt, progress = _attempt(frozen.user_attrs)
    attrs: dict[str, Any] = {"error": reason}
    again = None
    if blame and attempt >= MAX_ATTEMPTS:
        attrs["error"] = f"{reason}; given up after {attempt} attempts"
    else:
        fixed = {**frozen.system_attrs.get("fixed_params", {}), **frozen.params}
        kept = {name: frozen.user_attrs[name] for name in _BROUGHT_ALONG if name in frozen.user_attrs}
        template = create_trial(
            state=TrialState.WAITING,
            system_attrs={"fixed_params": fixed},
            user_attrs={
                **kept,
                **changed,
                "requeue_of": frozen.number,
                "attempt": attempt + blame,
                **({"progress": progress} if progress else {}),
            },
        )
        again = int(storage._get_prepared_new_trial(study_id, template, session).number)
        attrs["requeued_as"] = again
    _set_attrs(storage, session, frozen._trial_id, attrs)
    return Requeued(frozen.number, again, attrs["error"])


def _attempt(attrs: Mapping[str, Any]) -> tuple[int, int]:
    """Which attempt a trial is since it last got further, and the update from which it went on then.

    Deaths between two checkpoints say something about a trial; those of a long one, each further on, of the machine.
    """
    attempt, progress = int(attrs.get("attempt", 1)), int(attrs.get("progress", 0))
    begun = int(attrs.get("continued_from") or 0)
    return (1, begun) if begun > progress else (attempt, progress)


def reclaim(
    storage: RDBStorage, study_id: int, gone: Mapping[Owner, str] | None = None, *, blame: bool = True
) -> list[Requeued]:
    """Take back the trials whose worker is gone: dead on this host, or without a beat for the grace period.

    Args:
        storage: the study's database.
        study_id: Optuna's id of the study.
        gone: processes whose end the caller has seen, and how they ended.
        blame: as in `requeue`.
    """
    taken = []
    for trial_id, reason in whole(lambda _again: _orphans(storage, study_id, gone or {})):
        done = requeue(storage, trial_id, reason, blame=blame)
        if done is not None:
            taken.append(done)
    return taken


def set_trial_attrs(storage: RDBStorage, trial_id: int, attrs: dict[str, Any]) -> None:
    """Write several user attributes of a running trial at once.

    Raises:
        optuna.exceptions.UpdateFinishedTrialError: the trial was taken away from this process.
    """

    def write(_again: bool) -> None:
        with writing(storage) as connection:
            rows.add(connection, trial_id, rows.Changes(user_attrs=attrs))

    whole(write)


def _orphans(storage: RDBStorage, study_id: int, gone: Mapping[Owner, str]) -> list[tuple[int, str]]:
    found = []
    with reading(storage) as connection:
        for trial_id, owner, age_s in running(connection, study_id):
            if owner is not None and owner in gone:
                found.append((trial_id, gone[owner]))
            elif owner is not None and owner.is_known_dead():
                found.append((trial_id, f"{owner} died"))
            elif _is_silent(storage, connection, owner, age_s):
                found.append((trial_id, f"no heartbeat from {owner or 'its worker'} in {GRACE_PERIOD_S} s"))
    return found


def running(connection: sqlalchemy.Connection, study_id: int) -> list[tuple[int, Owner | None, float]]:
    """Id, owner and seconds since the last beat of each running trial; no owner where FxAI did not start it."""
    return [
        (
            int(row.trial_id),
            Owner.from_dict(None if row.value_json is None else json.loads(row.value_json)),
            _age_s(row),
        )
        for row in connection.execute(_RUNNING, {"study_id": study_id}).all()
    ]


def _is_silent(storage: RDBStorage, connection: sqlalchemy.Connection, owner: Owner | None, age_s: float) -> bool:
    """Whether a worker should have beaten and has not: it may be the database that was away."""
    if age_s <= GRACE_PERIOD_S or was_away(storage, connection, GRACE_PERIOD_S):
        return False
    # The machine, or process and caller together, may have slept, or the clock jumped; what is awake here will beat.
    return owner is None or not owner.is_known_awake()


def _age_s(row: sqlalchemy.Row[Any]) -> float:
    """Seconds since the last beat, or since the start where something other than FxAI started the trial."""
    last = row.heartbeat or row.datetime_start
    return 0.0 if last is None else float((row.now.replace(tzinfo=None) - last).total_seconds())


def _hold(connection: sqlalchemy.Connection, study_id: int) -> None:
    """Let nobody else claim a trial of the study until the transaction ends."""
    connection.execute(_STUDY, {"study_id": study_id}).one()


def _held_by(connection: sqlalchemy.Connection, study_id: int, owner: Owner) -> int | None:
    """The running trial of this process, if there is one."""
    return next((trial_id for trial_id, other, _ in running(connection, study_id) if other == owner), None)


def _first_waiting(connection: sqlalchemy.Connection, study_id: int) -> int | None:
    return connection.execute(_WAITING, {"study_id": study_id}).scalar_one_or_none()


def _tally(connection: sqlalchemy.Connection, study_id: int) -> tuple[Tally, int]:
    """What the trials of a study mean for its budget, and how many there are."""
    count: dict[TrialState, int] = {state: n for state, n in connection.execute(_STATES, {"study_id": study_id})}
    failed = count.get(TrialState.FAIL, 0)
    again = connection.execute(_RUN_AGAIN, {"study_id": study_id}).scalar_one() if failed else 0
    tally = Tally(
        complete=count.get(TrialState.COMPLETE, 0),
        pruned=count.get(TrialState.PRUNED, 0),
        failed=failed - again,
        running=count.get(TrialState.RUNNING, 0),
        waiting=count.get(TrialState.WAITING, 0),
    )
    return tally, sum(count.values())


def _set_attrs(storage: RDBStorage, session: orm.Session, trial_id: int, attrs: dict[str, Any]) -> None:
    for key, value in attrs.items():
        storage._set_trial_attr_without_commit(session, models.TrialUserAttributeModel, trial_id, key, value)
