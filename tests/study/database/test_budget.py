"""Exact counts and atomic claims."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from fxai.study import owner
from fxai.study.database import budget
from fxai.study.database.storage import GRACE_PERIOD_S, open_storage
from fxai.study.fingerprint import open_study
from fxai.study.owner import Owner
from fxai.study.spec import StudySpec

ME = Owner.current()
GONE = Owner(ME.host, ME.pid, (ME.pid_start or 0) + 1, ME.pid_namespace)
"""Our process id, with another start: a process that lived before us."""
ELSEWHERE = Owner("another-host", 1, 1, 1)


@pytest.fixture
def storage(spec: StudySpec) -> RDBStorage:
    return open_storage(spec.storage, create=True)


@pytest.fixture
def study(storage: RDBStorage, spec: StudySpec) -> optuna.Study:
    """A new study: trial 0, the defaults, waits."""
    return open_study(storage, spec, None)


def numbers(study: optuna.Study, state: TrialState) -> list[int]:
    return [trial.number for trial in study.get_trials(deepcopy=False, states=(state,))]


def test_waiting_trials_come_first_and_the_budget_ends_it(storage, study):
    claimed = [budget.claim(storage, study._study_id, 2, ME) for _ in range(3)]
    # n_trials 2: the waiting trial 0, then a new trial 1, then nothing
    assert claimed[2] is None
    assert [storage.get_trial_number_from_id(i) for i in claimed[:2]] == [0, 1]
    count = budget.tally(storage, study._study_id)
    assert (count.running, count.waiting, count.finished) == (2, 0, 0)


def test_a_waiting_trial_beyond_the_budget_stays_waiting(storage, study):
    study.enqueue_trial({"training.learning_rate": 0.001})
    assert budget.claim(storage, study._study_id, 1, ME) is not None
    assert budget.claim(storage, study._study_id, 1, ME) is None
    assert numbers(study, TrialState.WAITING) == [1]


def test_a_claim_carries_owner_and_first_beat(storage, study):
    trial_id = budget.claim(storage, study._study_id, 1, ELSEWHERE)
    assert Owner.from_dict(storage.get_trial(trial_id).user_attrs["owner"]) == ELSEWHERE
    # With its beat fresh, a trial of a host that cannot be looked at is left alone.
    assert budget.reclaim(storage, study._study_id) == []


def test_twenty_queued_trials_go_to_eight_claimers_once_each(spec, storage, study):
    for _ in range(19):
        study.enqueue_trial({"training.learning_rate": 0.001})
    claimed: list[int | None] = []
    start = threading.Barrier(8)

    def claimer() -> None:
        own = open_storage(spec.storage, create=False)
        start.wait()
        for _ in range(4):
            claimed.append(budget.claim(own, study._study_id, 20, ME))

    threads = [threading.Thread(target=claimer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # 8 × 4 = 32 claims for 20 trials: 12 come back empty, no trial is given twice
    assert claimed.count(None) == 12
    assert len({i for i in claimed if i is not None}) == 20


def test_requeue_keeps_parameters_and_seed_and_does_not_count(storage, study):
    trial_id = budget.claim(storage, study._study_id, 4, ME)
    budget.set_trial_attrs(storage, trial_id, {"seed": 99})
    taken = budget.requeue(storage, trial_id, "stopped", blame=False)
    old, new = study.get_trials()
    assert (taken.number, taken.requeued_as) == (0, 1)
    assert (old.state, old.user_attrs["requeued_as"], old.user_attrs["error"]) == (TrialState.FAIL, 1, "stopped")
    assert new.state == TrialState.WAITING
    assert new.system_attrs["fixed_params"] == {"training.learning_rate": 3e-4}
    assert (new.user_attrs["requeue_of"], new.user_attrs["seed"], new.user_attrs["attempt"]) == (0, 99, 1)
    assert budget.tally(storage, study._study_id).finished == 0
    assert budget.requeue(storage, trial_id, "again", blame=False) is None


def test_the_third_blamed_attempt_is_the_last(storage, study):
    outcomes = []
    for _ in range(3):
        trial_id = budget.claim(storage, study._study_id, 4, ME)
        outcomes.append(budget.requeue(storage, trial_id, "died", blame=True).requeued_as)
    # trial 0 → 1 → 2, which fails for good
    assert outcomes == [1, 2, None]
    assert study.trials[2].user_attrs["error"] == "died; given up after 3 attempts"
    assert budget.tally(storage, study._study_id).failed == 1


def test_deaths_of_a_trial_that_gets_further_use_up_no_attempts(storage, study):
    attempts = []
    # from which update each attempt went on: the first starts over; 10 and 20 are progress, twice 20 is none
    for begun in (None, 10, 20, 20, 20):
        trial_id = budget.claim(storage, study._study_id, 1, ME)
        attempts.append(storage.get_trial(trial_id).user_attrs.get("attempt"))
        if begun is not None:
            budget.set_trial_attrs(storage, trial_id, {"continued_from": begun})
        assert budget.requeue(storage, trial_id, "died", blame=True) is not None
    # a death after progress is the first again: 1 + 1
    assert attempts == [None, 2, 2, 2, 3]
    last = study.trials[-1]
    assert last.state == TrialState.FAIL
    assert last.user_attrs["error"] == "died; given up after 3 attempts"


def test_interruptions_use_up_no_attempts(storage, study):
    for _ in range(5):
        trial_id = budget.claim(storage, study._study_id, 4, ME)
        assert budget.requeue(storage, trial_id, "stopped", blame=False).requeued_as is not None
    assert study.trials[-1].user_attrs["attempt"] == 1


@pytest.mark.skipif(ME.pid_start is None, reason="needs /proc")
def test_trials_of_a_dead_process_are_reclaimed_at_once_and_those_of_a_living_one_are_not(storage, study):
    budget.claim(storage, study._study_id, 4, GONE)
    budget.claim(storage, study._study_id, 4, ME)
    [taken] = budget.reclaim(storage, study._study_id)
    assert (taken.number, taken.requeued_as) == (0, 2)
    assert numbers(study, TrialState.RUNNING) == [1]


@pytest.mark.skipif(not Path("/proc/1/stat").exists(), reason="this system has no /proc")
def test_a_process_that_proc_hides_is_judged_by_its_beats(storage, study, monkeypatch):
    # hidepid, as on many clusters: another user's process lives, and its folder in /proc cannot be seen
    trial_id = budget.claim(storage, study._study_id, 1, ME)
    monkeypatch.setattr(owner, "_stat_fields", lambda pid: [])
    assert budget.reclaim(storage, study._study_id) == []
    assert not ME.is_known_alive()
    set_beat_back(storage, trial_id, GRACE_PERIOD_S + 5)
    [taken] = budget.reclaim(storage, study._study_id)
    assert "no heartbeat from" in taken.reason


@pytest.mark.skipif(ME.boot is None, reason="this system tells no boots apart")
def test_a_process_of_another_machine_of_the_same_name_is_judged_by_its_beats(storage, study):
    # two machines called "fedora": nearly every process of the one has an id that the other does not have
    trial_id = budget.claim(storage, study._study_id, 1, replace(GONE, boot="another"))
    assert budget.reclaim(storage, study._study_id) == []
    set_beat_back(storage, trial_id, GRACE_PERIOD_S + 5)
    [taken] = budget.reclaim(storage, study._study_id)
    assert "no heartbeat from" in taken.reason


def test_a_process_whose_end_was_seen_is_reclaimed_with_the_reason(storage, study):
    budget.claim(storage, study._study_id, 4, ELSEWHERE)
    [taken] = budget.reclaim(storage, study._study_id, {ELSEWHERE: "it exploded"})
    assert taken.reason == "it exploded"


def test_a_trial_without_a_beat_for_the_grace_period_is_reclaimed(storage, study):
    trial_id = budget.claim(storage, study._study_id, 4, ELSEWHERE)
    set_beat_back(storage, trial_id, GRACE_PERIOD_S - 5)
    assert budget.reclaim(storage, study._study_id) == []
    set_beat_back(storage, trial_id, 10)  # in all 65 s, grace is 60 s
    [taken] = budget.reclaim(storage, study._study_id)
    assert "no heartbeat from process 1 on another-host" in taken.reason


@pytest.mark.skipif(ME.pid_start is None, reason="this system does not tell which processes are awake")
def test_a_process_that_is_awake_here_keeps_its_trial_however_long_it_slept(storage, study):
    # Ctrl-Z and fg, a laptop's lid, a clock that was set: whoever looks first finds beats as old as that
    trial_id = budget.claim(storage, study._study_id, 1, ME)
    set_beat_back(storage, trial_id, 8 * 3600)
    assert budget.reclaim(storage, study._study_id) == []


def test_a_trial_that_something_else_started_is_left_alone_until_it_is_old(storage, study):
    study.ask()  # neither owner nor beat
    assert budget.reclaim(storage, study._study_id) == []


def test_seeds_depend_on_study_and_number_alone():
    assert budget.trial_seed(7, 3) == budget.trial_seed(7, 3)
    seeds = {f(s, n) for f in (budget.trial_seed, budget.sampler_seed) for s in (7, 8) for n in range(50)}
    # 2 streams × 2 study seeds × 50 numbers, all different
    assert len(seeds) == 200


def set_beat_back(storage: RDBStorage, trial_id: int, seconds: int) -> None:
    with storage.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-{seconds} seconds') "
            f"WHERE trial_id = {trial_id}"
        )
