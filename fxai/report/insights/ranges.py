"""Findings about the ranges that a study searches: a good end that is cut off, a search that still moves.

Both are told only of parameters whose importance is clear of luck, so that noise gives any in one study of twenty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from fxai.config.load import field_fault
from fxai.config.trial import TrialConfig
from fxai.errors import ConfigError
from fxai.report.insights import Finding, Importance
from fxai.report.insights.chance import apart
from fxai.report.insights.sample import Floats, Sample, position, value_at
from fxai.report.outcome import Outcome
from fxai.report.text import count, number
from fxai.study.space import Parameter, apply
from fxai.study.spec import StudySpec

GOOD = 0.2
"""Share of the trials that are called good."""

FEWEST_GOOD = 3

AT_THE_EDGE, NEAR_THE_EDGE = 0.1, 0.2
"""The best lies this close to an end, and most good ones that close: shares of the range on its own scale."""

MOVED = 0.05
"""Share of a range by which a parameter must have moved to be told."""

WIDER = 0.3
"""Share of a range, on its own scale, by which it is widened at an end."""


def range_findings(
    outcome: Outcome, spec: StudySpec, sample: Sample, importances: Sequence[Importance]
) -> list[Finding]:
    """What the clear parameters' ranges show."""
    clear = {importance.name for importance in importances if importance.clear}
    found = []
    for i, parameter in enumerate(sample.parameters):
        if parameter.name in clear:
            found += _edge(outcome, spec, sample, parameter, sample.positions_NP[:, i])
            found += _drift(sample, parameter, sample.positions_NP[:, i])
    return found


def good_positions(sample: Sample, position_N: Floats) -> Floats:
    """Where the good trials lie that have the parameter."""
    good_N = position_N[sample.top(GOOD) & sample.sound_N]
    kept: Floats = good_N[~np.isnan(good_N)]
    return kept


def edge_of(outcome: Outcome, sample: Sample, parameter: Parameter) -> tuple[str, int, int] | None:
    """The end of its range, `low` or `high`, at which the best and most good trials lie.

    Returns the end, how many good trials are near it, and how many there are. None of a parameter with choices, or
    with so few values that the end is one of the likely ones.
    """
    if outcome.best is None or parameter.choices is not None or (parameter.size or math.inf) < 5:
        return None
    good = good_positions(sample, sample.column(parameter.name))
    best = position(parameter, outcome.best.params.get(parameter.name))
    if len(good) < FEWEST_GOOD or math.isnan(best):
        return None
    for end, distance, far in (("low", best, good), ("high", 1.0 - best, 1.0 - good)):
        near = int((far <= NEAR_THE_EDGE + 1e-9).sum())
        if distance <= AT_THE_EDGE + 1e-9 and 2 * near >= len(good):
            return end, near, len(good)
    return None


def widened(base: TrialConfig, parameter: Parameter, end: str) -> int | float | None:
    """The range's end moved outwards by WIDER of the range, or as far as the setting allows; None if it cannot move.

    Whole steps are kept; what the setting refuses is halved.
    """
    low, high = parameter.bounds
    limit = low if end == "low" else high
    for share in (WIDER, WIDER / 2, WIDER / 4, WIDER / 8):
        value = _on_grid(parameter, value_at(parameter, -share if end == "low" else 1.0 + share), end)
        if value != limit and (value < limit) == (end == "low") and _allowed(base, parameter, value):
            return value
    return None


def _allowed(base: TrialConfig, parameter: Parameter, value: float) -> bool:
    if parameter.type == "int_log" and value < 1:
        return False
    if field_fault(base, parameter.name, value) is not None:
        return False
    try:  # the setting alone may take it, and not beside the others
        apply(base, {parameter.name: value})
    except ConfigError:
        return False
    return True


def _on_grid(parameter: Parameter, value: float, end: str) -> float:
    """A value that the widened range can have: whole steps beyond its old end, at least one; else three digits."""
    low, high = parameter.bounds
    limit = low if end == "low" else high
    step = 1 if parameter.type.startswith("int") and parameter.step is None else parameter.step
    if step is None:
        if parameter.type.endswith("_log"):
            return float(f"{value:.3g}")
        return round(value, max(0, 2 - math.floor(math.log10(high - low))))
    steps = max(1, round(abs(value - limit) / step))
    moved = limit + steps * step if end == "high" else limit - steps * step
    return int(moved) if parameter.type.startswith("int") else float(f"{moved:.12g}")


def _edge(outcome: Outcome, spec: StudySpec, sample: Sample, parameter: Parameter, position_N: Floats) -> list[Finding]:
    edge = edge_of(outcome, sample, parameter)
    if edge is None or outcome.best is None:
        return []
    end, near, many = edge
    low, high = parameter.bounds
    value, limit = outcome.best.params[parameter.name], low if end == "low" else high
    everywhere = int(((position_N if end == "low" else 1.0 - position_N) <= NEAR_THE_EDGE + 1e-9).sum())
    further = widened(spec.base, parameter, end)
    if further is None:
        advice = f"The setting allows nothing {'below' if end == 'low' else 'above'} {number(limit)}."
    else:
        advice = f"Widen it to {number(further)}; the optimum may lie outside."
    return [
        Finding(
            kind="edge",
            severity="info" if further is None else "warning",
            text=f"The best {parameter.name}, {number(value)}, sits at the {end} end of its range, {number(low)} to "
            f"{number(high)}, and so do most good trials: {near} of the best {many} are in that fifth of the range, "
            f"{everywhere} of all {len(sample.trials)}.",
            evidence={
                "parameter": parameter.name,
                "end": end,
                "limit": limit,
                "best": value,
                "good_near": near,
                "good": many,
                "all_near": everywhere,
                "widen_to": further,
            },
            advice=advice,
        )
    ]


def _drift(sample: Sample, parameter: Parameter, position_N: Floats) -> list[Finding]:
    """The last third of the trials lies elsewhere than the third before (Mann and Whitney, p < 0.01)."""
    many = len(sample.trials)
    third = many // 3
    before, after = (x[~np.isnan(x)] for x in (position_N[many - 2 * third : many - third], position_N[many - third :]))
    if parameter.choices is not None or min(len(before), len(after)) < FEWEST_GOOD:
        return []
    p, (old, new) = apart(before, after), (float(np.median(x)) for x in (before, after))
    if p >= 0.01 or abs(new - old) < MOVED:
        return []
    was, now = value_at(parameter, old), value_at(parameter, new)
    return [
        Finding(
            kind="drift",
            severity="info",
            text=f"The search still moves in {parameter.name}: the median went from {number(was)} to {number(now)} "
            f"over the last {count(2 * third, 'completed trial')} (p = {p:.2g}), and it matters.",
            evidence={"parameter": parameter.name, "before": was, "after": now, "p": p, "trials": 2 * third},
            advice="It has not settled: more trials, or a refined study around where it went.",
        )
    ]
