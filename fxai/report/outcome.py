"""What a study's trials say: which is best, how the default config did, what to make of it.

Reads any optuna study, or a record of one (fxai.study.database.records), without torch and Optuna; used by the result
files, the summary and the plots, so that they agree.
"Best" is the best COMPLETE, feasible trial with a finite value; optuna's own best_value may be infinite.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fxai.config.metrics import METRIC_DIRECTIONS, rewards_idleness

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A study at one moment.

    Several objectives have a Pareto front; `best` is then the one of it that is best by the first metric.
    """

    trials: tuple[FrozenTrial, ...]
    directions: tuple[str, ...]
    metric_names: tuple[str, ...]
    completed: tuple[FrozenTrial, ...]
    """COMPLETE trials whose values are all finite, in order of number."""

    front: tuple[FrozenTrial, ...]
    """Trials that no other one beats in every objective; with one objective the best trial alone."""

    best: FrozenTrial | None
    default: FrozenTrial | None
    """Trial 0, if it completed: it ran the default config, or where the study starts elsewhere, that (`start`)."""

    start: str = "default config"
    """What trial 0 ran, in words: of a later phase `inherited config`, of a spec with its own start `start config`."""

    @property
    def counts(self) -> Counter[str]:
        """Trials by state in lower case; failed attempts that were queued again count as `requeued`."""
        return Counter(
            "requeued" if "requeued_as" in trial.user_attrs else trial.state.name.lower() for trial in self.trials
        )

    @property
    def start_word(self) -> str:
        """`start` as the head of a column: default, inherited or start."""
        return self.start.partition(" ")[0]

    @property
    def default_value(self) -> float | None:
        """Trial 0's value in the first metric."""
        return None if self.default is None else first_value(self.default)

    @property
    def improvement(self) -> float | None:
        """By how much the best trial is better than trial 0 in the first metric; positive is better.

        None where trial 0 broke off: its value is a floor then, and nobody's merit.
        """
        if self.best is None or self.default is None or self.default.user_attrs.get("failure"):
            return None
        difference = first_value(self.best) - first_value(self.default)
        if not math.isfinite(difference):
            return None
        return difference if self.directions[0] == "maximize" else -difference


def outcome_of(study: optuna.Study, metric_names: Sequence[str]) -> Outcome:
    """Read the study once and judge it."""
    trials = tuple(study.get_trials(deepcopy=False))
    directions = tuple(direction.name.lower() for direction in study.directions)
    completed = tuple(trial for trial in trials if trial.state.name == "COMPLETE" and _finite(trial))
    sound = tuple(trial for trial in completed if not trial.user_attrs.get("failure")) or completed
    candidates = tuple(filter(is_feasible, sound)) or sound
    front = _pareto_front(candidates, directions)
    return Outcome(
        trials=trials,
        directions=directions,
        metric_names=tuple(metric_names),
        completed=completed,
        front=front,
        best=min(front, key=lambda trial: (_losses(trial, directions)[0], trial.number), default=None),
        default=_default_trial(trials, completed),
        start=start_of(study.user_attrs.get("spec")),
    )


def start_of(spec: object) -> str:
    """What trial 0 of a study runs, in words, by its recorded spec."""
    spec = spec if isinstance(spec, dict) else {}
    return "inherited config" if spec.get("inherited") else "start config" if spec.get("start") else "default config"


def first_value(trial: FrozenTrial) -> float:
    """The value of a completed trial in the first metric."""
    return float(trial.values[0])


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether the trial keeps all constraints, for example the least number of trades."""
    return all(value <= 0.0 for value in trial.constraints.values())


def duration_s(trial: FrozenTrial) -> float | None:
    """Seconds from start to end; None for a trial that has not ended."""
    return trial.duration.total_seconds() if trial.duration is not None else None


def metrics_of(trial: FrozenTrial) -> dict[str, float]:
    """The finite metrics of the trial's last evaluation; empty where there was none."""
    metrics = trial.user_attrs.get("metrics")
    told = metrics.items() if isinstance(metrics, dict) else ()
    return {name: value for name, value in told if isinstance(value, (int, float)) and math.isfinite(value)}


def speed(trials: Iterable[FrozenTrial]) -> float | None:
    """Environment steps per second of a worker, over all trials that tell both; None where none does."""
    both = [(trial.user_attrs.get("env_steps"), duration_s(trial)) for trial in trials]
    told = [(steps, seconds) for steps, seconds in both if isinstance(steps, int) and seconds]
    return sum(steps for steps, _ in told) / sum(seconds for _, seconds in told) if told else None


def remarks(
    outcome: Outcome,
    *,
    min_trades: int = 0,
    beside: Sequence[str] = (),
    of_market: bool = True,
) -> list[str]:
    """Honest sentences about the result, the most important first.

    Args:
        outcome: the study.
        min_trades: of the study's evaluation.
        beside: what `fxai.report.baselines.verdicts` says of the best trial beside the baselines.
        of_market: the trials were scored on validation bars; else in a Gymnasium environment, or by a user's function.
    """
    if outcome.best is None:
        return ["No trial has completed with a finite value, so there is no best trial."]
    does = [_of_the_metric(outcome, of_market), *_what_the_best_does(outcome, outcome.best, min_trades)]
    return [s for s in [_beside_the_default(outcome), *does, *beside, _selection(outcome, of_market)] if s]


def _beside_the_default(outcome: Outcome) -> str:
    start = outcome.start
    if outcome.default is None or outcome.best is None:
        return f"The {start} did not complete, so there is nothing to compare the best trial with."
    if outcome.improvement is None:
        return (
            f"The {start} broke off in training and has a floor value: there is nothing to compare the best trial with."
        )
    if len(outcome.completed) == 1:
        return f"Only the {start} has completed."
    if outcome.best.number == outcome.default.number:
        return f"No trial beat the {start}{_but_the_front(outcome)}"
    if outcome.improvement <= 0:
        return f"The best trial is no better than the {start}: keep that."
    if not is_feasible(outcome.default):
        return f"The {start} closes fewer trades than evaluation.min_trades asks for: to beat it means little."
    return ""


def _but_the_front(outcome: Outcome) -> str:
    others = len(outcome.front) - 1
    if not others:
        return ": keep it."
    return f" in {outcome.metric_names[0]}; on the front stand {others} more, better in other metrics."


def _of_the_metric(outcome: Outcome, of_market: bool) -> str:
    name = outcome.metric_names[0]
    if not of_market or len(outcome.metric_names) > 1 or not rewards_idleness(name, outcome.directions[0]):
        return ""
    return f"Doing nothing scores 0 here: {name} alone cannot choose a trader."


def _what_the_best_does(outcome: Outcome, best: FrozenTrial, min_trades: int) -> list[str]:
    metrics, said = metrics_of(best), []
    opened, closed = metrics.get("n_trades"), metrics.get("n_closed")
    if opened == 0:
        said.append(f"The best trial makes no trade{_idle_is_best(outcome)}.")
    elif closed == 0:
        said.append(f"The best trial never closes a trade: it opens {opened:g} and holds them to the end.")
    elif closed is not None and closed < min_trades:
        noun = "trade" if closed == 1 else "trades"
        said.append(f"The best trial closes {closed:g} {noun}, fewer than evaluation.min_trades {min_trades}.")
    if not is_feasible(best):
        said.append("No completed trial keeps the study's constraints (evaluation.min_trades), the best one included.")
    if metrics.get("total_return", 0.0) < 0:
        said.append("The best trial loses money on validation.")
    return said


def _idle_is_best(outcome: Outcome) -> str:
    """Why a trial that does nothing is best; no reason where the metric itself wants that, or is turned round."""
    name, direction = outcome.metric_names[0], outcome.directions[0]
    if METRIC_DIRECTIONS.get(name) != direction or rewards_idleness(name, direction):
        return ""
    return f": nothing that this study tried did better in {name} than doing nothing"


def _selection(outcome: Outcome, of_market: bool) -> str:
    """Choosing the best of many noisy scores picks luck too; the more trials, the more of it."""
    many = len(outcome.completed)
    if not of_market and many == 1:
        return ""
    if not of_market:
        return (
            f"The best of {many} completed trials was chosen by the score that it is shown with, which makes it look "
            "better than it is: train it again with other seeds (training.seed, training.n_seeds)."
        )
    if many == 1:
        return "One completed trial, scored on validation data, is no evidence of an edge."
    return (
        f"The best of {many} completed trials was chosen on the validation data that it is scored on, which "
        "makes it look better than it is: this is no evidence of an edge; only unseen bars can give one."
    )


def _finite(trial: FrozenTrial) -> bool:
    return all(math.isfinite(value) for value in trial.values)


def _losses(trial: FrozenTrial, directions: Sequence[str]) -> tuple[float, ...]:
    """The values with their signs turned so that less is better."""
    return tuple(
        -value if direction == "maximize" else value for value, direction in zip(trial.values, directions, strict=True)
    )


def _pareto_front(trials: Sequence[FrozenTrial], directions: Sequence[str]) -> tuple[FrozenTrial, ...]:
    losses = {trial.number: _losses(trial, directions) for trial in trials}
    if len(directions) == 1:
        best = min(trials, key=lambda trial: (losses[trial.number], trial.number), default=None)
        return () if best is None else (best,)
    # A trial that dominates another comes before it in this order, and is itself on the front or dominated by one that
    # is: each need only be held against the front so far, and with two objectives against its last point alone.
    front: list[FrozenTrial] = []
    for trial in sorted(trials, key=lambda trial: losses[trial.number]):
        rivals = front[-1:] if len(directions) == 2 else front
        if not any(_dominates(losses[other.number], losses[trial.number]) for other in rivals):
            front.append(trial)
    return tuple(sorted(front, key=lambda trial: trial.number))


def _dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _default_trial(trials: Sequence[FrozenTrial], completed: Sequence[FrozenTrial]) -> FrozenTrial | None:
    """The completed trial marked `default` (trial 0 where none is), or what it was queued again as."""
    first_attempt = {trial.number: trial.user_attrs.get("requeue_of") for trial in trials}
    marked = {trial.number for trial in trials if trial.user_attrs.get("default") is True} or {0}

    def is_default(number: int) -> bool:
        seen: set[int] = set()
        while number not in marked:
            seen.add(number)
            earlier = first_attempt.get(number)
            if not isinstance(earlier, int) or earlier in seen:
                return False
            number = earlier
        return True

    return next((trial for trial in reversed(completed) if is_default(trial.number)), None)
