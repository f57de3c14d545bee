"""The state of a running study, kept from the workers' events; knows nothing of terminals.

Times are seconds of a monotonic clock. `done` counts trials that used up budget (complete, pruned, failed); a
requeued trial runs again and does not count.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

FINISHED_STATES = ("complete", "pruned", "fail")


@dataclass(slots=True, kw_only=True)
class TrialRow:
    """What is known of one trial."""

    number: int
    params: dict[str, Any] = field(default_factory=dict)
    worker: int = 0
    state: str = "running"
    value: float | None = None
    step: int = 0
    total_steps: int = 0
    started: float
    duration_s: float | None = None
    error: str | None = None
    feasible: bool = True
    """Whether it keeps the study's constraints; one that does not cannot be the best."""

    @property
    def running(self) -> bool:
        """Whether a worker is at it."""
        return self.state == "running"


class RunProgress:
    """Counts, best value, speed and remaining time of one run of a study.

    Args:
        n_trials: the study's whole budget.
        finished: trials of it that were finished before this run.
        best: (trial number, value) of the best before this run.
        direction: `maximize`, `minimize`, or anything else for several objectives, which have no single best.
    """

    def __init__(
        self,
        *,
        n_trials: int,
        finished: int,
        best: tuple[int, float] | None,
        direction: str,
        clock: Callable[[], float],
    ) -> None:
        self.n_trials = n_trials
        self.finished_before = finished
        self.best = best
        self.direction = direction
        self.elsewhere = 0
        """Trials that other processes have finished meanwhile (`--join`), as far as was told."""
        self.counts: Counter[str] = Counter()
        self.rows: dict[int, TrialRow] = {}
        self.ended = False
        self.started = clock()
        self._clock = clock
        self._seconds_of_finished = 0.0
        self._workers = 0
        self._speeds: dict[int, float] = {}

    def apply(self, event: Mapping[str, Any]) -> TrialRow | None:
        """Take in one event; returns the trial's row, or None for events that are about no trial."""
        kind = event.get("kind")
        if kind == "tally":
            self.elsewhere = max(0, event["finished"] - self.finished_before - self.finished_now)
            best = event.get("best")
            if best is not None and self._improves(best[1]):
                self.best = (best[0], best[1])
            return None
        if kind == "trial_started":
            row = self._row(event)
            row.params = dict(event["params"])
            self.rows[row.number] = row
            self._workers = max(self._workers, len(self.running))
            return row
        if kind not in ("report", "trial_finished"):
            return None
        row = self.rows.setdefault(event["number"], self._row(event))
        if kind == "report":
            self._report(row, event)
        else:
            self._finish(row, event)
        return row

    def _row(self, event: Mapping[str, Any]) -> TrialRow:
        return TrialRow(number=event["number"], worker=event.get("worker", 0), started=self._clock())

    def _report(self, row: TrialRow, event: Mapping[str, Any]) -> None:
        row.step, row.total_steps = event["step"], event["total_steps"]
        if event.get("env_steps_per_s") is not None:
            self._speeds[row.worker] = event["env_steps_per_s"]
        if event.get("value") is not None:
            row.value = event["value"]

    def _finish(self, row: TrialRow, event: Mapping[str, Any]) -> None:
        state = str(event["state"]).lower()
        row.duration_s = event.get("duration_s")
        if row.duration_s is None:
            row.duration_s = self._clock() - row.started
        row.state, row.error = state, event.get("error")
        row.feasible = event.get("feasible", True) or state != "complete"
        if event.get("value") is not None:
            row.value = event["value"]
        self.counts[state] += 1
        if state in FINISHED_STATES:
            self._seconds_of_finished += row.duration_s
        if state == "complete" and row.feasible and self._improves(row.value):
            assert row.value is not None
            self.best = (row.number, row.value)

    def _improves(self, value: object) -> bool:
        if self.direction not in ("maximize", "minimize"):
            return False
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            return False
        if self.best is None:
            return True
        return value > self.best[1] if self.direction == "maximize" else value < self.best[1]

    @property
    def running(self) -> list[TrialRow]:
        """Trials that a worker is at, in order of number."""
        return sorted((row for row in self.rows.values() if row.running), key=lambda row: row.number)

    @property
    def finished_now(self) -> int:
        """Trials finished in this run."""
        return sum(self.counts[state] for state in FINISHED_STATES)

    @property
    def done(self) -> int:
        """Trials of the budget that are finished."""
        return self.finished_before + self.finished_now + self.elsewhere

    @property
    def elapsed_s(self) -> float:
        """Seconds since this run began."""
        return self._clock() - self.started

    @property
    def env_steps_per_s(self) -> float | None:
        """Speed of the workers that are at a trial, from the last report of each; None before the first."""
        speeds = [self._speeds[row.worker] for row in self.running if row.worker in self._speeds]
        return sum(speeds) if speeds else None

    @property
    def remaining_s(self) -> float | None:
        """Estimated seconds to the end; None until a trial has finished in this run.

        Mean duration of the trials finished in this run × trials left, less what the running ones have behind
        them, shared by as many workers as were seen at work at once. Pruning makes it a rough estimate.
        """
        left = max(0, self.n_trials - self.done)
        if left == 0:
            return 0.0
        if self.finished_now == 0:
            return None
        mean = self._seconds_of_finished / self.finished_now
        now = self._clock()
        behind = sum(min(now - row.started, mean) for row in self.running)
        return max(0.0, left * mean - behind) / max(1, min(self._workers, left))

    @property
    def most_running(self) -> int:
        """The most trials that were seen at work at once."""
        return self._workers

    def age_s(self, row: TrialRow) -> float:
        """Seconds since a trial began."""
        return self._clock() - row.started

    def latest(self, limit: int) -> list[TrialRow]:
        """The newest `limit` trials that have ended, in order of number."""
        over = sorted((row for row in self.rows.values() if not row.running), key=lambda row: -row.number)
        return over[: max(0, limit)][::-1]
