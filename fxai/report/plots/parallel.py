"""Parallel coordinates: each trial a line through its parameters' axes, coloured by how good it was.

Drawn with ordinary lines: plotly's own parcoords, which optuna.visualization uses, compiles code for WebGL, which the
pages' content security policy forbids; it can mark no single trial, and trials without a conditional parameter are
left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial

from fxai.report.figure import BLUE, GREEN, GREY, ORANGE
from fxai.report.frame import broken_name
from fxai.report.html import escape
from fxai.report.outcome import Outcome, is_feasible
from fxai.report.plots.axes import ParameterAxis, core_range
from fxai.report.plots.drawn import Drawn, joined
from fxai.report.plots.points import evenly, metric_text, short_float
from fxai.report.plots.subject import Subject
from fxai.report.text import TOO_FEW_TRADES, count, metric

MAX_AXES = 9
"""Parameters that are drawn: more axes stand too close to be read."""

MAX_LINES = 250

FIFTHS = ("best fifth", "second fifth", "third fifth", "fourth fifth", "worst fifth")
SHADES = (BLUE, "#5389ab", "#8b9aa0", "#b9b08f", "#dcc58a")
"""From blue to sand, readable on white and on black."""

NOT_SEARCHED = -0.09
"""Where a line passes an axis whose parameter its trial did not search."""


def parallel(subject: Subject) -> Drawn:
    """The most important parameters, with the first metric at the left."""
    names = subject.order[:MAX_AXES]
    figures = []
    if names and subject.outcome.completed:
        figures = [(metric, parallel_figure(subject, names, row)) for row, metric in enumerate(subject.metrics)]
    hidden, many = len(subject.axes) - len(names), len(subject.outcome.completed)
    which = "most important" if subject.weights.importances else "first"
    return Drawn(
        name="parallel_coordinate",
        title="parallel coordinates",
        reading="Each line is a completed trial, from its value at the left through its parameters. Where the lines of "
        "the best fifth meet on an axis, that parameter should be there; click a name below to hide its lines.",
        figure=figures[0][1] if figures else None,
        remark=joined(
            "" if figures else "No trial has completed: there is nothing to draw yet.",
            f"Shown are the {which} {len(names)} of {len(subject.axes)} parameters." if figures and hidden else "",
            f"Of {many:,} completed trials {MAX_LINES} are drawn: the best fifty, the default, and an even selection."
            if many > MAX_LINES
            else "",
        ),
        height_px=520,
        min_width_px=100 + 95 * len(names),
        by_metric=tuple(figures) if len(figures) > 1 else (),
    )


def parallel_figure(subject: Subject, names: Sequence[str], row: int) -> Any:
    """The figure for one metric."""
    import plotly.graph_objects as go

    outcome, axes = subject.outcome, [subject.axes[name] for name in names]
    values = [trial.values[row] for trial in outcome.completed]
    keep = [t.values[row] for t in (outcome.best, outcome.default) if t]
    low, high = core_range(values, keep) or (min(values), max(values))
    figure = go.Figure()
    for name, trials, line in _bundles(outcome, row):
        # lines in the legend are as faint as those in the plot
        opacity = 1.0 if len(trials) == 1 else max(0.45, min(0.85, 15.0 / len(trials)))
        x, y, told = _lines(trials, axes, row, (low, high), subject.metrics[row])
        figure.add_scatter(
            x=x,
            y=y,
            text=told,
            mode="lines",
            name=name,
            line=line,
            opacity=opacity,
            hovertemplate="%{text}<extra>%{fullData.name}</extra>",
        )
    ends = [metric(subject.metrics[row], value) for value in (low, (low + high) / 2, high)]
    marks = [(0, at, text) for at, text in zip((0.0, 0.5, 1.0), ends, strict=True)]
    for i, axis in enumerate(axes, start=1):
        marks += [(i, axis_share(axis, at), text) for at, text in zip(*axis.ticks(4), strict=True)]
        if any(axis.name not in trial.params for trial in outcome.completed):
            marks.append((i, NOT_SEARCHED, "not searched"))
    heads = [_head(subject.metrics[row], f" ({outcome.directions[row]})"), *(_head(axis.label) for axis in axes)]
    figure.update_layout(_layout(heads, marks))
    return figure


def axis_share(axis: ParameterAxis, at: float) -> float:
    """A scaled place as a share of the axis."""
    return 0.5 if axis.high == axis.low else (at - axis.low) / (axis.high - axis.low)


def _bundles(outcome: Outcome, row: int) -> list[tuple[str, list[FrozenTrial], dict[str, Any]]]:
    """(name, trials, line): fifths of those that count, then those that do not, then default and best on top."""
    sign = -1.0 if outcome.directions[row] == "maximize" else 1.0
    ranked = sorted(outcome.completed, key=lambda trial: (sign * trial.values[row], trial.number))
    kept = {t.number for t in [*ranked[:50], *evenly(ranked[50:], MAX_LINES - 50)]}
    sound = [trial for trial in ranked if is_feasible(trial)]
    broken = [trial for trial in ranked if not is_feasible(trial) and trial.number in kept]
    n, told = len(sound), []
    if n >= len(FIFTHS):
        cuts = [round(i * n / 5) for i in range(6)]
        for i in reversed(range(5)):  # the best are drawn last
            fifth = [trial for trial in sound[cuts[i] : cuts[i + 1]] if trial.number in kept]
            told.append((FIFTHS[i], fifth, {"color": SHADES[i], "width": 2.2 if i == 0 else 1.5}))
    elif sound:
        told.append((count(n, "complete trial"), sound, {"color": BLUE, "width": 1.5}))
    if broken:
        told.insert(0, (TOO_FEW_TRADES, broken, {"color": GREY, "width": 1, "dash": "dot"}))
    if outcome.default is not None:
        told.append((outcome.start, [outcome.default], {"color": ORANGE, "width": 3, "dash": "dash"}))
    if outcome.best is not None:
        name = "best" if len(outcome.metric_names) == 1 else f"best by {escape(outcome.metric_names[0])}"
        told.append((name, [outcome.best], {"color": GREEN, "width": 3.5}))
    return told


def _lines(
    trials: Sequence[FrozenTrial], axes: Sequence[ParameterAxis], row: int, ends: tuple[float, float], name: str
) -> tuple[list[float | None], list[float | None], list[str | None]]:
    """Points of all lines, a gap between two, and what each point says."""
    x: list[float | None] = []
    y: list[float | None] = []
    told: list[str | None] = []
    low, high = ends
    for trial in trials:
        value = trial.values[row]
        at = 0.5 if high == low else min(1.05, max(-0.05, (value - low) / (high - low)))
        x += [0.0, *(float(i) for i in range(1, len(axes) + 1)), None]
        y.append(short_float(at))
        told.append(f"trial {trial.number}<br>{escape(name)} {metric_text(name, value)}")
        for axis in axes:
            share = axis.share(trial.params[axis.name]) if axis.name in trial.params else None
            # categories would lie on one another
            y.append(NOT_SEARCHED if share is None else round(share + _apart(axis, trial), 4))
            said = axis.text(trial.params[axis.name]) if axis.name in trial.params else "not searched"
            told.append(f"trial {trial.number}<br>{escape(axis.label)}: {said}")
        y.append(None)
        told.append(None)
    return x, y, told


def _apart(axis: ParameterAxis, trial: FrozenTrial) -> float:
    return axis.spread(trial) / max(6.0, 3.0 * (axis.high - axis.low))


def _head(label: str, ending: str = "") -> str:
    lines = broken_name(label, 13)
    lines = lines if len(lines) <= 4 else [*lines[:3], "…"]
    return "<br>".join(escape(line) for line in [*lines, *([ending.strip()] if ending else [])])


def _layout(heads: Sequence[str], marks: Sequence[tuple[int, float, str]]) -> dict[str, Any]:
    notes = [
        {
            "x": i,
            "y": at,
            "text": escape(text if len(text) <= 14 else text[:13] + "…"),
            "showarrow": False,
            "xanchor": "left",
            "xshift": 3,
            "font": {"size": 10},
            "borderpad": 0,
            "opacity": 0.85,
        }
        for i, at, text in marks
        if math.isfinite(at)
    ]
    return {
        "template": "plotly_white",
        "hovermode": "closest",
        "margin": {"t": 90, "r": 30, "l": 45, "b": 90},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "traceorder": "reversed"},
        "xaxis": {
            "side": "top",
            "tickvals": list(range(len(heads))),
            "ticktext": list(heads),
            "tickangle": 0,
            "tickfont": {"size": 11},
            "range": [-0.25, len(heads) - 0.4],
            "gridwidth": 2,
            "zeroline": False,
        },
        "yaxis": {"visible": False, "range": [-0.14, 1.07]},
        "annotations": notes,
    }
