"""A running study for scripts (`run --json`): one JSON object per line on stdout, a summary as the last line.

Every object has `event` and `time` (UTC, ISO 8601). Keys are only ever added. What is unknown or not finite is null.

study_started   study, n_trials, finished (before this run), best {trial, value} | null, direction, metric
trial_started   trial, worker, params {dotted name: value}, seed, requeue_of (the trial that it repeats | null),
                continued_from (the update after which it goes on with what that trial saved | null)
report          trial, worker, step, total_steps, value, env_steps, env_steps_per_s, metrics {…} | null, train {…}
trial_finished  trial, worker, state (complete, pruned, fail, requeued), value, values [one per metric] | null,
                feasible, error, duration_s
log             text
summary         study, state (finished, timed_out, interrupted, failed), n_trials, finished, added, duration_s,
                exit_code, error, folder, files [path], metric_names, directions,
                best and start {trial, values, params, metrics} | null, start_name (what trial 0 ran), front [trial],
                remarks [sentence]
confirmation    study, trial, metric, direction, seeds, default and best [one per seed], difference {mean, low, high};
                the last line of `chain --json`
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TextIO

from fxai.report.outcome import Outcome, metrics_of
from fxai.report.stream import SteadyStream

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_KEYS = {
    "trial_started": ("params", "seed", "requeue_of", "continued_from"),
    "report": ("step", "total_steps", "value", "env_steps", "env_steps_per_s", "metrics", "train"),
    "trial_finished": ("state", "value", "values", "feasible", "error", "duration_s"),
}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class JsonView:
    """A view (fxai.study.workers.launch.View) that writes lines of JSON."""

    def __init__(self, stream: TextIO | None = None, *, now: Callable[[], str] = _now) -> None:
        self._stream = SteadyStream(stream if stream is not None else sys.stdout)
        self._now = now

    def start(
        self,
        study_name: str,
        n_trials: int,
        finished: int,
        best: tuple[int, float] | None,
        direction: str,
        metric_name: str,
    ) -> None:
        """Say what is about to run."""
        self.write(
            "study_started",
            study=study_name,
            n_trials=n_trials,
            finished=finished,
            best=None if best is None else {"trial": best[0], "value": best[1]},
            direction=direction,
            metric=metric_name,
        )

    def handle(self, event: Mapping[str, Any]) -> None:
        """Write one event; those that the schema does not know are left out."""
        kind = event.get("kind")
        if kind == "log":
            self.write("log", text=event["text"])
        elif kind in _KEYS:
            told = {key: event.get(key) for key in _KEYS[kind]}
            if kind == "trial_finished":
                told |= {"state": str(event["state"]).lower(), "feasible": event.get("feasible", True)}
            self.write(kind, trial=event["number"], worker=event.get("worker", 0), **told)

    def close(self) -> None:
        """The summary is still to come."""
        self._stream.flush()

    def write(self, event: str, **told: Any) -> None:
        """Write one line, at once."""
        line = {"event": event, "time": self._now(), **told}
        self._stream.write(as_json(line) + "\n")
        self._stream.flush()


def as_json(told: Mapping[str, Any]) -> str:
    """An object in one line; null for every number that JSON does not have."""
    return json.dumps(_finite(told), allow_nan=False, ensure_ascii=False, default=str)


def best_record(trial: FrozenTrial | None) -> dict[str, Any] | None:
    """A completed trial as the summary has it."""
    if trial is None:
        return None
    return {"trial": trial.number, "values": trial.values, "params": trial.params, "metrics": metrics_of(trial)}


def result_record(outcome: Outcome) -> dict[str, Any]:
    """Best, default and front of a study."""
    return {
        "metric_names": outcome.metric_names,
        "directions": outcome.directions,
        "best": best_record(outcome.best),
        "start": best_record(outcome.default),
        "start_name": outcome.start,
        "front": [trial.number for trial in outcome.front],
    }


def _finite(value: Any) -> Any:
    """The value with null for every number that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
