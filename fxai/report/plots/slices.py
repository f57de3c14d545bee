"""Slices: the value of every completed trial over each parameter, a small panel each."""

from __future__ import annotations

from typing import Any

from optuna.trial import FrozenTrial

from fxai.report.html import escape
from fxai.report.plots.axes import ParameterAxis, core_range
from fxai.report.plots.drawn import Drawn, joined
from fxai.report.plots.grid import Grid, axis_suffix, panel_layout
from fxai.report.plots.history import outside_note
from fxai.report.plots.points import Group, groups, metric_axis, metric_text, short_float, thinned_note
from fxai.report.plots.subject import Subject
from fxai.report.text import count

MAX_PANELS = 36
MAX_IN_ALL = 12_000
"""Points of all panels together."""

EARLY_LATE = [[0.0, "#dcc58a"], [1.0, "#0072b2"]]
"""Trial numbers from sand to blue, readable on white and on black."""


def slices(subject: Subject) -> Drawn:
    """A panel for each parameter, the most important first."""
    names = subject.order[:MAX_PANELS]
    figures, outside = [], 0
    limit = max(150, MAX_IN_ALL // max(1, len(names)))
    if names and subject.outcome.completed:
        for row, metric in enumerate(subject.metrics):
            figure, beyond = slice_figure(subject, names, row, limit)
            figures.append((metric, figure))
            outside += beyond if row == 0 else 0
    hidden = len(subject.axes) - len(names)
    return Drawn(
        name="slice_plot",
        title="value over each parameter",
        reading="Each point is a completed trial, sand the first and blue the last. A slope or a hump says where a "
        "parameter should be; a cloud without shape says that it hardly matters. Best at an edge: widen that range.",
        figure=figures[0][1] if figures else None,
        remark=joined(
            "" if figures else "No trial has completed: there is nothing to draw yet.",
            f"The {count(hidden, 'parameter')} of least importance are not shown." if hidden else "",
            thinned_note(subject.outcome, limit),
            outside_note(outside),
        ),
        height_px=slice_grid(len(names)).height_px,
        by_metric=tuple(figures) if len(figures) > 1 else (),
    )


def slice_grid(panels: int) -> Grid:
    """How the panels are laid out."""
    return Grid(panels=panels, most=4, width=230, height=250, gap_x=22, gap_y=75, shared=True, top=20, bottom=120)


def slice_figure(subject: Subject, names: list[str], row: int, limit: int) -> tuple[Any, int]:
    """The figure for one metric, and how many trials lie outside the range that it opens with."""
    import plotly.graph_objects as go

    outcome, axes = subject.outcome, [subject.axes[name] for name in names]
    drawn = groups(outcome, limit)
    traces = []
    for i, axis in enumerate(axes):
        for group in drawn:
            traces.append(_points(axis, group, row, i, subject))
    values = [trial.values[row] for trial in outcome.completed]
    limits = core_range(values, keep=[t.values[row] for t in (outcome.best, outcome.default) if t])
    outside = 0 if limits is None else sum(not limits[0] <= value <= limits[1] for value in values)
    y = metric_axis(subject.metrics[row], outcome.directions[row]) | {"range": limits}
    layout = panel_layout(slice_grid(len(names)), [axis.layout() for axis in axes], [y] * len(axes))
    return go.Figure(traces, layout), outside


def _points(axis: ParameterAxis, group: Group, row: int, panel: int, subject: Subject) -> Any:
    import plotly.graph_objects as go

    trials = [trial for trial in group.trials if axis.name in trial.params]
    x = [at for trial in trials if (at := _place(axis, trial, _is_loud(subject, group))) is not None]
    trials = [trial for trial in trials if axis.scaled(trial.params[axis.name]) is not None]
    plain = group.name == "complete"
    marker = dict(group.marker)
    if plain:
        last = max(1, subject.outcome.trials[-1].number)
        marker = {"size": 5, "color": [trial.number for trial in trials], "colorscale": EARLY_LATE}
        marker |= {"cmin": 0, "cmax": last, "opacity": 0.85}
    elif _is_loud(subject, group):
        marker["size"] = 11
    name = subject.metrics[row]
    return go.Scatter(
        x=[short_float(value) for value in x],
        y=[short_float(trial.values[row]) for trial in trials],
        mode="markers",
        name=group.name,
        marker=marker,
        text=[
            f"trial {t.number}<br>{axis.text(t.params[axis.name])}<br>{metric_text(name, t.values[row])}"
            for t in trials
        ],
        hovertemplate=f"{escape(axis.label)}<br>%{{text}}<extra>%{{fullData.name}}</extra>",
        legendgroup=group.name,
        cliponaxis=plain,  # a star at the top is seen whole
        showlegend=panel == 0,
        xaxis=f"x{axis_suffix(panel)}",
        yaxis=f"y{axis_suffix(panel)}",
    )


def _is_loud(subject: Subject, group: Group) -> bool:
    return group.name in ("best", subject.outcome.start)


def _place(axis: ParameterAxis, trial: FrozenTrial, loud: bool) -> float | None:
    at = axis.scaled(trial.params[axis.name])
    if at is None or loud:
        return at
    return at + axis.spread(trial)
