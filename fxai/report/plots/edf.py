"""Distribution of the values: which share of the trials is at least as good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial

from fxai.report.figure import BLUE, GREEN, GREY, ORANGE
from fxai.report.html import escape
from fxai.report.outcome import is_feasible
from fxai.report.plots.axes import core_range
from fxai.report.plots.drawn import Drawn, joined
from fxai.report.plots.grid import Grid, axis_suffix, panel_layout
from fxai.report.plots.history import outside_note
from fxai.report.plots.points import metric_axis, metric_text, short_float
from fxai.report.plots.subject import Subject
from fxai.report.text import TOO_FEW_TRADES

MAX_STEPS = 500


def edf(subject: Subject) -> Drawn:
    """A panel for each metric."""
    done = subject.outcome.completed
    figure, outside = edf_figure(subject) if done else (None, 0)
    return Drawn(
        name="edf",
        title="distribution of values",
        reading="The height of the curve is the share of the completed trials that have at most that value. A steep "
        "stretch means that many settings do alike, a long flat end that few do much better or worse.",
        figure=figure,
        remark=joined(
            "No trial has completed: there is nothing to draw yet." if not done else "",
            "One completed trial: its distribution is a single step." if len(done) == 1 else "",
            f"The curve goes through {MAX_STEPS} of the values." if len(done) > MAX_STEPS else "",
            outside_note(outside),
        ),
        height_px=edf_grid(len(subject.metrics)).height_px,
    )


def edf_grid(panels: int) -> Grid:
    """How the panels are laid out."""
    return Grid(panels=panels, most=2, width=340, height=380, gap_x=70, gap_y=60, shared=False, top=20, bottom=100)


def edf_figure(subject: Subject) -> tuple[Any, int]:
    """The figure, and how many trials lie outside the ranges that it opens with."""
    import plotly.graph_objects as go

    outcome = subject.outcome
    sound = [trial for trial in outcome.completed if is_feasible(trial)]
    curves = [("completed trials", list(outcome.completed), {"color": BLUE, "width": 2.5})]
    if sound and len(sound) < len(outcome.completed):
        curves.append((f"without those of {TOO_FEW_TRADES}", sound, {"color": GREY, "width": 1.5, "dash": "dot"}))
    traces, xs, outside = [], [], 0
    for row, (name, direction) in enumerate(zip(outcome.metric_names, outcome.directions, strict=True)):
        place = {"xaxis": f"x{axis_suffix(row)}", "yaxis": f"y{axis_suffix(row)}", "showlegend": row == 0}
        for label, trials, line in curves:
            x, y = steps([trial.values[row] for trial in trials])
            traces.append(
                go.Scatter(x=x, y=y, mode="lines", name=label, line=line | {"shape": "hv"}, legendgroup=label, **place)
            )
            traces[-1].update(hovertemplate="%{y:.0%} are at most %{x}<extra></extra>")
        values = [trial.values[row] for trial in outcome.completed]
        traces += [_mark(label, trial, row, values, marker, name, place) for label, trial, marker in _special(subject)]
        limits = core_range(values, keep=[t.values[row] for t in (outcome.best, outcome.default) if t])
        outside += 0 if limits is None else sum(not limits[0] <= value <= limits[1] for value in values)
        xs.append(metric_axis(name, direction) | {"range": limits})
    share = {"title": {"text": "share of trials"}, "range": [-0.02, 1.04], "tickformat": ".0%", "zeroline": False}
    grid = edf_grid(len(outcome.metric_names))
    return go.Figure(traces, panel_layout(grid, xs, [share] * len(xs))), outside


def steps(values: Sequence[float]) -> tuple[list[float | None], list[float]]:
    """Places and heights of the empirical distribution, from 0; of many values `MAX_STEPS` at even ranks."""
    ranked = sorted(values)
    n = len(ranked)
    kept = range(n) if n <= MAX_STEPS else [round(i * (n - 1) / (MAX_STEPS - 1)) for i in range(MAX_STEPS)]
    return [short_float(ranked[0]), *(short_float(ranked[i]) for i in kept)], [
        0.0,
        *(round((i + 1) / n, 4) for i in kept),
    ]


def _special(subject: Subject) -> list[tuple[str, FrozenTrial, dict[str, Any]]]:
    outcome, told = subject.outcome, []
    label = "best" if len(outcome.metric_names) == 1 else f"best by {escape(outcome.metric_names[0])}"
    if outcome.best is not None:
        told.append((label, outcome.best, {"color": GREEN, "size": 14, "symbol": "star"}))
    if outcome.default is not None:
        told.append((outcome.start, outcome.default, {"color": ORANGE, "size": 11, "symbol": "diamond"}))
    return told


def _mark(
    label: str, trial: FrozenTrial, row: int, values: Sequence[float], marker: dict[str, Any], name: str, place: Any
) -> Any:
    import plotly.graph_objects as go

    value = trial.values[row]
    share = sum(other <= value for other in values) / len(values)
    said = (
        f"trial {trial.number}<br>{escape(name)} {metric_text(name, value)}<br>{share:.0%} of trials are at most this"
    )
    return go.Scatter(
        x=[short_float(value)],
        y=[round(share, 4)],
        mode="markers",
        name=label,
        marker=marker,
        legendgroup=label,
        text=[said],
        hovertemplate="%{text}<extra>%{fullData.name}</extra>",
        **place,
    )
