"""Optimization history: every trial's value in the order of the trials, the default config and the running best.

optuna.visualization's history takes an infinite value for the best and does not know the default config.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fxai.report.figure import GREEN, GREY
from fxai.report.outcome import Outcome, is_feasible
from fxai.report.plots.axes import core_range
from fxai.report.plots.drawn import Drawn, joined
from fxai.report.plots.points import (
    MAX_POINTS,
    Group,
    evenly,
    groups,
    hover,
    metric_axis,
    pruned,
    short_float,
    thinned_note,
)
from fxai.report.plots.subject import Subject
from fxai.report.text import count

LEGEND_Y = -0.2
"""Top of the legend below one panel, in heights of it: above the plot a legend of several lines covers points."""


def history(subject: Subject) -> Drawn:
    """One panel per metric."""
    outcome = subject.outcome
    remark, figure = "There is nothing to draw yet.", None
    if outcome.completed or pruned(outcome):
        figure, outside = history_figure(outcome, subject.order)
        alone = len(outcome.completed) == 1
        remark = joined(
            "One completed trial: there is no history to see yet." if alone else "",
            thinned_note(outcome),
            outside_note(outside),
        )
    return Drawn(
        name="optimization_history",
        title="optimization history",
        reading="Each point is a trial, in the order in which they were started. The green line is the best so far: "
        "while it still rises, more trials pay; where it has long been flat, they hardly do."
        if len(outcome.metric_names) == 1 and outcome.directions[0] == "maximize"
        else "Each point is a trial, in the order in which they were started. Where the best have long not become "
        "better, more trials hardly pay.",
        figure=figure,
        remark=remark,
        height_px=420 * len(outcome.metric_names),
    )


def outside_note(outside: int) -> str:
    """The sentence on points beyond the range that a plot opens with."""
    if not outside:
        return ""
    return f"Not in sight at first: {count(outside, 'point')} far from the others. Double-click the plot to see all."


def history_figure(outcome: Outcome, order: Sequence[str] = ()) -> tuple[Any, int]:
    """The plotly figure, one panel per metric, and how many points lie outside the ranges it opens with."""
    from plotly.subplots import make_subplots

    several = len(outcome.metric_names) > 1
    figure = make_subplots(rows=len(outcome.metric_names), shared_xaxes=True, vertical_spacing=0.06)
    outside = 0
    for row, (metric, direction) in enumerate(zip(outcome.metric_names, outcome.directions, strict=True)):
        for trace in _traces(outcome, row, several, order):
            figure.add_trace(trace, row=row + 1, col=1)
        values = [trial.values[row] for trial in outcome.completed]
        values += [] if several else [value for _, value in pruned(outcome)]
        limits = core_range(values, keep=[t.values[row] for t in (outcome.best, outcome.default) if t])
        if limits is not None:
            outside += sum(not limits[0] <= value <= limits[1] for value in values)
        figure.update_yaxes(**metric_axis(metric, direction), range=limits, row=row + 1, col=1)
    figure.update_xaxes(title_text="trial", row=len(outcome.metric_names), col=1)
    figure.update_layout(
        template="plotly_white",
        hovermode="closest",
        margin={"t": 50, "r": 20},
        legend={"orientation": "h", "y": LEGEND_Y / len(outcome.metric_names), "yanchor": "top"},
    )
    return figure, outside


def _traces(outcome: Outcome, row: int, several: bool, order: Sequence[str]) -> list[Any]:
    drawn = groups(outcome)
    traces = [_points(group, [t.values[row] for t in group.trials], outcome, row, order) for group in drawn]
    if several:
        return traces
    stopped = dict((trial.number, value) for trial, value in pruned(outcome))
    if stopped:
        trials = evenly([trial for trial, _ in pruned(outcome)], MAX_POINTS)
        marker = {"color": GREY, "size": 7, "symbol": "x-thin-open"}
        group = Group("pruned, at its last report", trials, marker)
        under = sum(group.name not in ("best", outcome.start) for group in drawn)
        traces.insert(under, _points(group, [stopped[t.number] for t in trials], outcome, row, order))
    return [_running_best(outcome), *traces]


def _points(group: Group, values: Sequence[float], outcome: Outcome, row: int, order: Sequence[str]) -> Any:
    import plotly.graph_objects as go

    ending = "%{y}<extra>%{fullData.name}</extra>"
    return go.Scatter(
        x=[trial.number for trial in group.trials],
        y=[short_float(value) for value in values],
        mode="markers",
        name=group.name,
        marker=group.marker,
        text=[hover(trial, order) for trial in group.trials],
        hovertemplate="%{text}<br>" + ending,
        legendgroup=group.name,
        showlegend=row == 0,
    )


def _running_best(outcome: Outcome) -> Any:
    import plotly.graph_objects as go

    x, best = running_best(outcome)
    if len(x) > MAX_POINTS:  # only its steps
        kept = [i for i in range(len(x)) if i in (0, len(x) - 1) or best[i] != best[i - 1]]
        x, best = [x[i] for i in kept], [best[i] for i in kept]
    line = {"shape": "hv", "color": GREEN, "width": 2}
    y = [short_float(value) for value in best]
    return go.Scatter(x=x, y=y, mode="lines", name="running best", line=line, hoverinfo="skip")


def running_best(outcome: Outcome) -> tuple[list[int], list[float]]:
    """Trial numbers and the best value up to each, of trials that may be best; carried on to the last trial."""
    better = max if outcome.directions[0] == "maximize" else min
    feasible = [trial for trial in outcome.completed if is_feasible(trial)] or list(outcome.completed)
    best: list[float] = []
    for trial in feasible:
        best.append(better([trial.values[0], *best[-1:]]))
    x = [trial.number for trial in feasible]
    if x and outcome.trials[-1].number > x[-1]:
        x, best = [*x, outcome.trials[-1].number], [*best, best[-1]]
    return x, best
