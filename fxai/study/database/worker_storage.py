"""Optuna's storage as one worker sees it: its running trial in memory, its writes gathered, only news read.

What a sampler or a pruner reads is what plain Optuna would give it. What they write waits for `flush`, for a report
or for the end of the trial, and is then one transaction; Optuna's contract allows that ("any preceding writes on any
attributes of Trial are guaranteed to be written into a persistent storage before writes on state").
"""

from __future__ import annotations

import copy
import datetime
import json
from collections.abc import Callable, Container, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.storages import RDBStorage
from optuna.storages._cached_storage import _CachedStorage, _StudyInfo
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection

from fxai.study.database import rows
from fxai.study.database.outage import whole
from fxai.study.database.storage import reading, writing

T = TypeVar("T")


class WorkerStorage(_CachedStorage):
    """The storage of one worker's study; used by one thread."""

    def __init__(self, backend: RDBStorage) -> None:
        """Begin without a trial."""
        super().__init__(backend)
        self._mine: FrozenTrial | None = None
        self._changes = rows.Changes()
        self._finished: dict[int, FrozenTrial] = {}
        """Trials that this worker has finished since it last looked at the database."""

    def adopt(self, study_id: int, trial_id: int) -> FrozenTrial:
        """Take over a trial that was claimed: from now on it is read from memory. Returns what it is."""
        self._mine = _own(self._read(lambda connection: rows.read_trial(connection, trial_id)))
        self._changes = rows.Changes()
        with self._lock:
            self._studies.setdefault(study_id, _StudyInfo()).unfinished_trial_ids.add(trial_id)
            self._add_trials_to_cache(study_id, [_own(self._mine)])
        return self._mine

    def disown(self) -> None:
        """Forget the trial, whatever became of it; changes that were not written are dropped."""
        self._mine = None
        self._changes = rows.Changes()

    def flush(self) -> None:
        """Write what was gathered.

        Raises:
            UpdateFinishedTrialError: the trial was taken away from this worker.
        """
        mine = self._mine
        if mine is not None and self._changes:
            self._write(lambda connection, _again: rows.add(connection, mine._trial_id, self._changes))
            self._changes = rows.Changes()

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Gather a parameter.

        Raises:
            ValueError: the study draws it from something else.
        """
        mine = self._owned(trial_id)
        if mine is None:
            return super().set_trial_param(trial_id, param_name, param_value_internal, distribution)
        self._check_compatible(trial_id, param_name, distribution)
        self._changes.params[param_name] = (param_value_internal, distribution)
        mine.params[param_name] = distribution.to_external_repr(param_value_internal)
        mine.distributions[param_name] = distribution

    def _check_compatible(self, trial_id: int, name: str, distribution: BaseDistribution) -> None:
        study_id, _ = self._trial_id_to_study_id_and_number[trial_id]
        known = self._studies[study_id].param_distribution
        if name not in known:
            first = self._read(lambda connection: rows.first_distribution(connection, study_id, name))
            known[name] = first or distribution
        check_distribution_compatibility(known[name], distribution)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Gather an attribute."""
        mine = self._owned(trial_id)
        if mine is None:
            return super().set_trial_user_attr(trial_id, key, value)
        self._changes.user_attrs[key] = value
        mine.user_attrs[key] = json.loads(json.dumps(value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Gather an attribute."""
        mine = self._owned(trial_id)
        if mine is None:
            return super().set_trial_system_attr(trial_id, key, value)
        self._changes.system_attrs[key] = value
        mine.system_attrs[key] = json.loads(json.dumps(value))

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        """Write a report and what was gathered before it.

        Raises:
            UpdateFinishedTrialError: the trial was taken away from this worker.
        """
        mine = self._owned(trial_id)
        if mine is None:
            return super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        self._changes.reports[step] = intermediate_value
        self.flush()
        mine.intermediate_values[step] = intermediate_value

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Finish the trial, with all that was gathered.

        Raises:
            UpdateFinishedTrialError: the trial was taken away from this worker.
        """
        mine = self._owned(trial_id)
        if mine is None or not state.is_finished():
            return super().set_trial_state_values(trial_id, state, values)
        ended = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        self._write(
            lambda connection, again: rows.finish(
                connection, trial_id, state, values or (), self._changes, ended=ended, again=again
            )
        )
        mine.state = state
        mine.values = list(values) if values is not None else None
        mine.datetime_complete = rows.local_time(ended)
        self._finished[trial_id] = mine
        self.disown()
        return True

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """A trial; this worker's own as it is in memory."""
        own = self._owned(trial_id) or self._finished.get(trial_id)
        return super().get_trial(trial_id) if own is None else _own(own)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All trials of a study by number, as they are now."""
        self._read_trials_from_remote_storage(study_id)
        with self._lock:
            trials = [t for t in self._studies[study_id].trials.values() if states is None or t.state in states]
        trials.sort(key=attrgetter("number"))  # they nearly are: it takes one pass
        return copy.deepcopy(trials) if deepcopy else trials

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        """Bring the cache up to date; the worker's own trials are better known here than there."""
        known = dict(self._finished)
        if self._mine is not None:
            known[self._mine._trial_id] = _own(self._mine)
        with self._lock:
            study = self._studies.setdefault(study_id, _StudyInfo())
            trials = self._read(
                lambda connection: rows.trials_between(
                    connection,
                    study_id,
                    after=study.last_finished_trial_id,
                    besides=study.unfinished_trial_ids,
                    known=known,
                )
            )
            self._add_trials_to_cache(study_id, trials)
            for trial in trials:
                if not trial.state.is_finished():
                    study.unfinished_trial_ids.add(trial._trial_id)
                    continue
                study.last_finished_trial_id = max(study.last_finished_trial_id, trial._trial_id)
                study.unfinished_trial_ids.discard(trial._trial_id)
                self._finished.pop(trial._trial_id, None)

    def _read(self, work: Callable[[Connection], T]) -> T:
        """Read in one transaction, over again where it broke off."""

        def once(_again: bool) -> T:
            with reading(self._backend) as connection:
                return work(connection)

        return whole(once)

    def _write(self, work: Callable[[Connection, bool], None]) -> None:
        """Write in one transaction, over again where it broke off; `work` is told so (`outage.whole`)."""

        def once(again: bool) -> None:
            with writing(self._backend) as connection:
                work(connection, again)

        whole(once)

    def _owned(self, trial_id: int) -> FrozenTrial | None:
        return self._mine if self._mine is not None and self._mine._trial_id == trial_id else None


def _own(trial: FrozenTrial) -> FrozenTrial:
    """A copy whose entries can be changed without changing the original's."""
    own = copy.copy(trial)
    own.params = dict(trial.params)
    own.distributions = dict(trial.distributions)
    own.user_attrs = dict(trial.user_attrs)
    own.system_attrs = dict(trial.system_attrs)
    own.intermediate_values = dict(trial.intermediate_values)
    return own
