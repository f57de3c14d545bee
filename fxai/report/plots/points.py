"""Trials as points: the groups that every plot tells apart, what a point says, and which ones are left out.

The same trial has the same mark in all plots: blue is complete, hollow too few trades, a green star the best, an
orange diamond the default config, a green ring the Pareto front.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from fxai.report.figure import BLUE, GREEN, ORANGE
from fxai.report.html import escape
from fxai.report.outcome import Outcome, is_feasible
from fxai.report.text import TOO_FEW_TRADES, clean, count, is_share, metric, number, short_names

MAX_POINTS = 2000
"""Points of a group that are drawn; an SVG with more is slow to open and to zoom."""

MAX_TOLD = 8
"""Parameters that a point names; with 25 the label would be taller than a phone."""


@dataclass(frozen=True, slots=True)
class Group:
    """Trials that a plot draws alike."""

    name: str
    trials: tuple[FrozenTrial, ...]
    marker: dict[str, Any] = field(default_factory=dict)


def groups(outcome: Outcome, limit: int = MAX_POINTS) -> list[Group]:
    """Completed trials by what they are, those drawn on top last."""
    sound = [trial for trial in outcome.completed if is_feasible(trial)]
    broken = [trial for trial in outcome.completed if not is_feasible(trial)]
    found = []
    if sound or not broken:
        found.append(Group("complete", evenly(sound, limit), {"color": BLUE, "size": 7}))
    if broken:
        # where no trial keeps the constraints, one of these is the best
        beaten = outcome.best is not None and is_feasible(outcome.best)
        name = f"{TOO_FEW_TRADES}, cannot be best" if beaten else TOO_FEW_TRADES
        found.append(Group(name, evenly(broken, limit), {"color": BLUE, "size": 8, "symbol": "circle-open"}))
    if len(outcome.metric_names) > 1:
        ring = {"color": GREEN, "size": 12, "symbol": "circle-open", "line": {"width": 2}}
        found.append(Group("Pareto front", evenly(outcome.front, limit), ring))
    else:
        best = () if outcome.best is None else (outcome.best,)
        found.append(Group("best", best, {"color": GREEN, "size": 14, "symbol": "star"}))
    if outcome.default is not None:
        found.append(Group(outcome.start, (outcome.default,), {"color": ORANGE, "size": 11, "symbol": "diamond"}))
    return found


def evenly(trials: Sequence[FrozenTrial], limit: int) -> tuple[FrozenTrial, ...]:
    """At most `limit` of the trials at equal distances, the first and the last among them."""
    n = len(trials)
    if n <= limit:
        return tuple(trials)
    return tuple(trials[round(i * (n - 1) / (limit - 1))] for i in range(limit))


def thinned_note(outcome: Outcome, limit: int = MAX_POINTS) -> str:
    """The sentence that says that trials were left out, if any were."""
    many = len(outcome.completed)
    if sum(map(len, (group.trials for group in groups(outcome, many)[:2]))) <= limit:
        return ""
    return (
        f"Of the {many:,} completed trials at most {limit:,} of a kind are drawn, evenly chosen, and always the best "
        f"and the {outcome.start}."
    )


def hover(trial: FrozenTrial, order: Sequence[str] = (), metrics: Sequence[str] = ()) -> str:
    """What a point says as HTML: trial, values, and the first parameters of `order`, or of the trial."""
    lines = [f"trial {trial.number}"]
    if metrics and trial.values is not None:
        lines += [f"{escape(name)} {metric_text(name, v)}" for name, v in zip(metrics, trial.values, strict=True)]
    names = [name for name in order if name in trial.params] or list(trial.params)
    short = short_names(trial.params)
    lines += [f"{escape(clean(short[k], 40))} = {escape(number(trial.params[k]))}" for k in names[:MAX_TOLD]]
    if len(names) > MAX_TOLD:
        lines.append(f"and {count(len(names) - MAX_TOLD, 'parameter')} more")
    return "<br>".join(lines)


def metric_text(name: str, value: float) -> str:
    """A metric's value as HTML."""
    return escape(metric(name, value))


def metric_axis(name: str, direction: str) -> dict[str, Any]:
    """Plotly's settings of an axis of a metric: its name, which way is better, and per cent where it is a share."""
    axis: dict[str, Any] = {"title": {"text": f"{escape(name)} ({direction})"}, "zeroline": False}
    return axis | {"tickformat": ".3~%"} if is_share(name) else axis


def short_float(value: float) -> float | None:
    """A number as a page needs it, in six digits; None, a gap, where it is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def last_report(trial: FrozenTrial) -> float | None:
    """The last value that a trial reported, if it is finite."""
    if not trial.intermediate_values:
        return None
    value = trial.intermediate_values[max(trial.intermediate_values)]
    return value if math.isfinite(value) else None


def pruned(outcome: Outcome) -> list[tuple[FrozenTrial, float]]:
    """The pruned trials with the last value that each reported."""
    stopped = [(trial, last_report(trial)) for trial in outcome.trials if trial.state is TrialState.PRUNED]
    return [(trial, value) for trial, value in stopped if value is not None]
