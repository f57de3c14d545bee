"""The parent's loop at moments that real processes meet once in a thousand runs."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import fakes
import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from fxai.errors import FxaiError
from fxai.study.database import budget
from fxai.study.database.storage import open_storage
from fxai.study.fingerprint import open_study
from fxai.study.owner import Owner
from fxai.study.workers import supervisor
from fxai.study.workers.handle import Handle, Started
from fxai.study.workers.slots import Slot
from fxai.study.workers.supervisor import Supervisor
from fxai.study.workers.worker import WorkerSetup

ELSEWHERE = Owner("another-host", 1, 1, 1)


class FakeProcess:
    """Lives until it is killed, or is dead from the start; nobody may look at it for ever."""

    def __init__(self, connection: Connection, *, alive: bool, blameless: bool = False) -> None:
        self.connection, self.alive, self.looks_left, self.blameless = connection, alive, 1000, blameless

    def is_alive(self) -> bool:
        self.looks_left -= 1
        assert self.looks_left, "the loop does not end"
        return self.alive

    def join(self, timeout: float | None = None) -> None: ...

    def kill(self) -> None:
        self.alive = False
        self.connection.close()

    def how_it_ended(self) -> str:
        return "ended"

    def is_blameless(self) -> bool:
        return self.blameless


@pytest.fixture
def storage(tmp_path: Path) -> RDBStorage:
    return open_storage(fakes.load(tmp_path).storage, create=True)


@pytest.fixture
def study(storage: RDBStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> optuna.Study:
    monkeypatch.setattr(supervisor, "TICK_S", 0.01)
    return open_study(storage, fakes.load(tmp_path), None)


def parent(
    folder: Path,
    storage: RDBStorage,
    study: optuna.Study,
    start: Callable[[WorkerSetup], Started],
    n_slots: int = 1,
    **changes: Any,
) -> Supervisor:
    spec = fakes.load(folder, **{"n_trials": 1, **changes})
    setup = WorkerSetup(slot=Slot(0), spec=spec, study_seed=7, folder=folder, objective="fakes:quadratic")
    return Supervisor(setup, storage, study._study_id, lambda event: None, start, tuple(map(Slot, range(n_slots))))


def test_a_trial_that_comes_back_just_as_the_last_one_seems_to_run_elsewhere_is_run_here(
    tmp_path: Path, storage: RDBStorage, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = budget.claim(storage, study._study_id, 1, ELSEWHERE)
    assert elsewhere is not None
    real, looks = budget.tally, []

    def tally(*given: object) -> budget.Tally:
        count = real(*given)  # type: ignore[arg-type]
        looks.append(count)
        if len(looks) == 2:  # the first is of the start
            budget.requeue(storage, elsewhere, "left", blame=False)
        return count

    def start(setup: WorkerSetup) -> Started:
        trial_id = budget.claim(storage, study._study_id, 1, ELSEWHERE)
        assert trial_id is not None
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
        mine, theirs = multiprocessing.Pipe()
        theirs.send({"kind": "bye", "reason": "budget", "worker": 0})
        theirs.close()
        return Started(FakeProcess(theirs, alive=False), mine, None)

    monkeypatch.setattr(budget, "tally", tally)
    parent(tmp_path, storage, study, start).run()
    assert [trial.state for trial in study.trials] == [TrialState.FAIL, TrialState.COMPLETE]


def test_who_waits_for_a_place_in_a_cluster_goes_home_when_the_time_is_up(
    tmp_path: Path, storage: RDBStorage, study: optuna.Study
) -> None:
    started = []

    def start(setup: WorkerSetup) -> Started:
        mine, theirs = multiprocessing.Pipe()
        started.append(FakeProcess(theirs, alive=True))
        return Started(started[-1], mine, None)

    waits = parent(tmp_path, storage, study, start, timeout=0.05)
    waits.run()
    assert waits.timed_out
    assert [process.alive for process in started] == [False]
    assert [trial.state for trial in study.trials] == [TrialState.WAITING]


def test_a_slot_whose_workers_die_at_their_start_rests_while_others_run_trials(
    tmp_path: Path, storage: RDBStorage, study: optuna.Study
) -> None:
    started = []

    def start(setup: WorkerSetup) -> Started:
        started.append(setup.slot.index)
        mine, theirs = multiprocessing.Pipe()
        if setup.slot.index == 1:  # its GPU is broken
            theirs.close()
            return Started(FakeProcess(theirs, alive=False), mine, None)
        trial_id = budget.claim(storage, study._study_id, 9, ELSEWHERE)
        assert trial_id is not None
        number = storage.get_trial_number_from_id(trial_id)
        storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
        theirs.send({"kind": "trial_started", "number": number, "worker": 0})
        theirs.send({"kind": "bye", "reason": "spent", "worker": 0})
        theirs.close()
        return Started(FakeProcess(theirs, alive=False), mine, None)

    parent(tmp_path, storage, study, start, n_slots=2, n_trials=9).run()
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 9
    assert started.count(1) == supervisor.MAX_QUICK_DEATHS


def test_slots_that_all_lose_their_workers_end_the_run(
    tmp_path: Path, storage: RDBStorage, study: optuna.Study
) -> None:
    broken = False

    def start(setup: WorkerSetup) -> Started:
        nonlocal broken
        mine, theirs = multiprocessing.Pipe()
        if not broken:
            theirs.send({"kind": "trial_started", "number": 0, "worker": 0})
        broken = True
        theirs.close()
        return Started(FakeProcess(theirs, alive=False), mine, None)

    with pytest.raises(FxaiError, match="3 workers in a row ended before their first trial"):
        parent(tmp_path, storage, study, start, n_slots=2).run()


@pytest.mark.parametrize(("blameless", "attempt"), [(False, 2), (True, 1)])
def test_only_an_end_that_a_trial_may_have_caused_counts_against_it(
    blameless: bool, attempt: int, storage: RDBStorage, study: optuna.Study, tmp_path: Path
) -> None:
    spec = fakes.load(tmp_path, n_trials=1)
    setup = WorkerSetup(slot=Slot(0), spec=spec, study_seed=7, folder=tmp_path, objective="fakes:quadratic")
    started: list[WorkerSetup] = []
    mine, theirs = multiprocessing.Pipe()

    def start(setup: WorkerSetup) -> Started:
        started.append(setup)
        return Started(FakeProcess(theirs, alive=True), mine, None)

    events: list[dict[str, Any]] = []
    parent = Supervisor(setup, storage, study._study_id, events.append, start, (Slot(0),))
    budget.claim(storage, study._study_id, 1, ELSEWHERE)
    gone = FakeProcess(theirs, alive=False, blameless=blameless)
    worker = Handle(setup, gone, multiprocessing.Pipe()[0], ELSEWHERE, had_trial=True)
    parent._workers.append(worker)
    parent._bury(worker)
    first, again = study.get_trials()
    assert first.user_attrs["error"] == "its worker ended"
    assert again.user_attrs["attempt"] == attempt
    assert started == [setup]  # another one goes on
