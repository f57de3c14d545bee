"""A study as its database holds it, in plain objects: importing Optuna takes longer than an answer may.

The names are those of optuna.Study and FrozenTrial, so that what reads finished studies (fxai.report) reads either;
`fxai.study.database.reader` makes them, and a test compares them with Optuna's own view of one database.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import optuna


class State(Enum):
    """Optuna's TrialState."""

    RUNNING = 0
    COMPLETE = 1
    PRUNED = 2
    FAIL = 3
    WAITING = 4

    def is_finished(self) -> bool:
        """Whether nothing more will come of the trial."""
        return self not in (State.RUNNING, State.WAITING)


class Direction(Enum):
    """Optuna's StudyDirection."""

    NOT_SET = 0
    MINIMIZE = 1
    MAXIMIZE = 2


@dataclass(slots=True, kw_only=True)
class TrialRecord:
    """One trial. How much of it was read, the reader says: parts that were not are empty."""

    trial_id: int
    number: int
    state: State
    start_utc: datetime | None
    """Naive, as the database has it."""

    complete_utc: datetime | None
    values: list[float] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system_attrs: dict[str, Any] = field(default_factory=dict)
    intermediate_values: dict[int, float] = field(default_factory=dict)
    whole: bool = False
    """Whether all parts were read."""

    @property
    def datetime_start(self) -> datetime | None:
        """Naive local time, as Optuna gives it."""
        return _local(self.start_utc)

    @property
    def datetime_complete(self) -> datetime | None:
        """Naive local time."""
        return _local(self.complete_utc)

    @property
    def duration(self) -> timedelta | None:
        """From start to end; None for a trial that has not ended."""
        if self.start_utc is None or self.complete_utc is None:
            return None
        return self.complete_utc - self.start_utc

    @property
    def constraints(self) -> dict[str, float]:
        """Constraint → value, at most 0 where it is kept; the list is how earlier versions of Optuna stored them."""
        listed = self.system_attrs.get("constraints") or ()
        named = {k.partition(":")[2]: v for k, v in self.system_attrs.items() if k.startswith("constraints:")}
        return {**{str(i): value for i, value in enumerate(listed)}, **named}


@dataclass(slots=True, kw_only=True)
class StudyRecord:
    """One study and its trials in the order of their numbers."""

    study_id: int
    study_name: str
    directions: list[Direction]
    user_attrs: dict[str, Any]
    system_attrs: dict[str, Any]
    trials: list[TrialRecord] = field(default_factory=list)

    def get_trials(self, deepcopy: bool = True, states: Container[State] | None = None) -> list[TrialRecord]:
        """The trials; `deepcopy` is there for likeness alone, since nothing here is written back."""
        return [trial for trial in self.trials if states is None or trial.state in states]


def as_study(record: StudyRecord) -> optuna.Study:
    """The record where a type says optuna.Study, for code that only reads names and trials."""
    return cast("optuna.Study", record)


def active_time(trials: Iterable[Any]) -> list[tuple[datetime, datetime]]:
    """The stretches of time in which at least one of the trials ran, in order; pauses between runs are left out.

    Args:
        trials: of Optuna or records; those that have not both started and ended do not count.
    """
    spans = sorted(
        (trial.datetime_start, trial.datetime_complete)
        for trial in trials
        if trial.datetime_start is not None and trial.datetime_complete is not None
    )
    joined: list[tuple[datetime, datetime]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _local(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=timezone.utc).astimezone().replace(tzinfo=None)
