from __future__ import annotations

import math
from typing import Any

import pytest

from fxai.report.progress import RunProgress


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(clock: Clock, **changes: Any) -> RunProgress:
    settings: dict[str, Any] = {"n_trials": 10, "finished": 0, "best": None, "direction": "maximize", **changes}
    return RunProgress(**settings, clock=clock)


def start(progress: RunProgress, number: int, worker: int = 0, **params: Any) -> None:
    progress.apply({"kind": "trial_started", "number": number, "params": params, "worker": worker})


def report(progress: RunProgress, number: int, worker: int = 0, **changes: Any) -> None:
    event = {"step": 1, "total_steps": 10, "value": None, "env_steps_per_s": None, **changes}
    progress.apply({"kind": "report", "number": number, "worker": worker, **event})


def finish(
    progress: RunProgress, number: int, state: str, value: float | None = None, seconds: float = 8.0, **more: Any
) -> None:
    event = {"kind": "trial_finished", "number": number, "state": state, "value": value, "error": None}
    progress.apply({**event, "duration_s": seconds, "worker": 0, **more})


def test_no_estimate_before_a_trial_has_finished_in_this_run(clock: Clock) -> None:
    progress = make(clock, finished=4)
    start(progress, 4)
    clock.now += 60
    assert progress.remaining_s is None


def test_estimate_is_mean_of_finished_trials_shared_by_the_workers(clock: Clock) -> None:
    progress = make(clock)
    start(progress, 0, worker=0)
    start(progress, 1, worker=1)
    clock.now += 6
    finish(progress, 0, "PRUNED", seconds=6.0)
    start(progress, 2, worker=0)
    clock.now += 4
    finish(progress, 1, "COMPLETE", 0.1, seconds=10.0)
    # mean (6 + 10) / 2 = 8; 8 trials left × 8 = 64; trial 2 has 4 behind it; two workers: (64 − 4) / 2 = 30
    assert progress.remaining_s == pytest.approx(30.0)


def test_a_trial_that_outlasts_the_mean_counts_as_nearly_done_not_as_negative(clock: Clock) -> None:
    progress = make(clock, n_trials=2)
    start(progress, 0)
    finish(progress, 0, "COMPLETE", 0.1, seconds=8.0)
    start(progress, 1)
    clock.now += 500
    assert progress.remaining_s == 0.0  # 1 × 8 − min(500, 8)


def test_nothing_is_left_when_the_budget_is_used_up(clock: Clock) -> None:
    assert make(clock, finished=10).remaining_s == 0.0


def test_requeued_trials_use_no_budget_and_do_not_count_as_finished(clock: Clock) -> None:
    progress = make(clock, finished=2)
    start(progress, 2)
    finish(progress, 2, "REQUEUED", seconds=0.0)
    assert (progress.done, progress.finished_now, progress.counts["requeued"]) == (2, 0, 1)
    assert progress.remaining_s is None


def test_best_is_the_highest_finite_value_of_a_completed_trial(clock: Clock) -> None:
    progress = make(clock, best=(1, 0.5))
    finish(progress, 2, "COMPLETE", 0.4)
    assert progress.best == (1, 0.5)
    finish(progress, 3, "COMPLETE", math.inf)
    finish(progress, 4, "COMPLETE", math.nan)
    finish(progress, 5, "PRUNED", 0.9)
    assert progress.best == (1, 0.5)
    finish(progress, 6, "COMPLETE", 0.6)
    assert progress.best == (6, 0.6)


def test_a_trial_that_breaks_a_constraint_is_not_the_best_so_far(clock: Clock) -> None:
    progress = make(clock)
    finish(progress, 2, "COMPLETE", 0.9, feasible=False)
    assert progress.best is None
    finish(progress, 3, "COMPLETE", 0.1, feasible=True)
    assert progress.best == (3, 0.1)
    assert (progress.rows[2].feasible, progress.rows[3].feasible) == (False, True)


def test_best_is_the_lowest_when_minimising(clock: Clock) -> None:
    progress = make(clock, best=(1, 0.5), direction="minimize")
    finish(progress, 2, "COMPLETE", 0.6)
    finish(progress, 3, "COMPLETE", 0.2)
    assert progress.best == (3, 0.2)


def test_several_objectives_have_no_single_best(clock: Clock) -> None:
    progress = make(clock, direction="maximize, minimize")
    finish(progress, 2, "COMPLETE", 0.6)
    assert progress.best is None


def test_speed_adds_up_the_workers_that_are_at_a_trial(clock: Clock) -> None:
    progress = make(clock)
    assert progress.env_steps_per_s is None
    start(progress, 0, worker=0)
    start(progress, 1, worker=1)
    report(progress, 0, worker=0, env_steps_per_s=1000.0)
    report(progress, 1, worker=1, env_steps_per_s=500.0)
    assert progress.env_steps_per_s == 1500.0
    finish(progress, 1, "COMPLETE", 0.1)
    assert progress.env_steps_per_s == 1000.0
    start(progress, 2, worker=1)  # no report yet: the worker's last speed stands for it
    assert progress.env_steps_per_s == 1500.0


def test_a_value_stays_when_an_update_is_not_evaluated(clock: Clock) -> None:
    progress = make(clock)
    start(progress, 0)
    report(progress, 0, step=5, value=0.3)
    report(progress, 0, step=6, value=None)
    assert (progress.rows[0].value, progress.rows[0].step) == (0.3, 6)


def test_latest_are_the_newest_that_have_ended(clock: Clock) -> None:
    progress = make(clock, n_trials=100)
    for number in range(30):
        start(progress, number)
        if number not in (3, 28):
            finish(progress, number, "COMPLETE", 0.1)
    assert [row.number for row in progress.latest(3)] == [26, 27, 29]
    assert [row.number for row in progress.running] == [3, 28]
    assert progress.latest(0) == []
    assert progress.most_running == 3  # 3, 28, and each of the others while it ran: 3, 28 and 29


def test_reports_of_a_trial_that_was_never_seen_to_start_are_shown(clock: Clock) -> None:
    progress = make(clock)
    report(progress, 7, value=0.2)
    assert progress.rows[7].value == 0.2


def test_other_events_change_nothing(clock: Clock) -> None:
    progress = make(clock)
    assert progress.apply({"kind": "log", "text": "hello"}) is None
    assert progress.apply({"kind": "bye"}) is None
    assert progress.rows == {}


def test_trials_that_others_finish_count_as_done(clock: Clock) -> None:
    progress = make(clock, finished=2)
    start(progress, 2)
    finish(progress, 2, "complete", 1.0)
    assert progress.apply({"kind": "tally", "finished": 6}) is None
    assert (progress.elsewhere, progress.done) == (3, 6)  # 6 less 2 before and 1 here
    start(progress, 6)
    finish(progress, 6, "complete", 1.0)
    assert progress.done == 7
    progress.apply({"kind": "tally", "finished": 7, "best": (4, 0.5)})  # that one was ours
    assert (progress.elsewhere, progress.done) == (3, 7)
    assert progress.best == (2, 1.0)
    progress.apply({"kind": "tally", "finished": 8, "best": (5, 1.5)})
    assert progress.best == (5, 1.5)
