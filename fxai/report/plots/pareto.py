"""Pareto front: the trials of a study of several objectives that no other one beats in all of them."""

from __future__ import annotations

import itertools
from typing import Any

from fxai.report.figure import GREEN
from fxai.report.plots.axes import core_range
from fxai.report.plots.drawn import Drawn, joined
from fxai.report.plots.grid import Grid, axis_suffix, panel_layout
from fxai.report.plots.history import outside_note
from fxai.report.plots.points import groups, hover, metric_axis, short_float, thinned_note
from fxai.report.plots.subject import Subject
from fxai.report.text import count

MAX_PAIRS = 6


def pareto(subject: Subject) -> Drawn:
    """A panel for each pair of metrics."""
    outcome = subject.outcome
    pairs = list(itertools.combinations(range(len(subject.metrics)), 2))
    shown = pairs[:MAX_PAIRS]
    figure, outside = pareto_figure(subject, shown) if outcome.completed and shown else (None, 0)
    several = len(subject.metrics) > 2
    return Drawn(
        name="pareto_front",
        title="Pareto front",
        reading="Green rings are the trials that no other one beats in every metric: choose among them by what you "
        "give up of one metric for another. Points within the front are worse than one of them in all metrics.",
        figure=figure,
        remark=joined(
            "A study of one metric has no front, only a best trial." if not shown else "",
            "" if outcome.completed or not shown else "No trial has completed: there is nothing to draw yet.",
            f"{count(len(outcome.front), 'trial')} on the front." if figure is not None else "",
            "In a panel of two metrics some of them seem beaten: they are better in a third." if several else "",
            f"Of {len(pairs)} pairs of metrics the first {len(shown)} are shown." if len(pairs) > len(shown) else "",
            thinned_note(outcome) if figure is not None else "",
            outside_note(outside),
        ),
        height_px=pareto_grid(max(1, len(shown))).height_px,
    )


def pareto_grid(panels: int) -> Grid:
    """How the panels are laid out: a single one is as wide as the page."""
    most, height = (1, 560) if panels == 1 else (3, 380)
    return Grid(
        panels=panels, most=most, width=320, height=height, gap_x=80, gap_y=70, shared=False, top=20, bottom=130
    )


def pareto_figure(subject: Subject, pairs: list[tuple[int, int]]) -> tuple[Any, int]:
    """The figure, and how many trials lie outside the ranges that it opens with."""
    import plotly.graph_objects as go

    outcome, traces, far = subject.outcome, [], set()
    axes = []
    for row, (name, direction) in enumerate(zip(outcome.metric_names, outcome.directions, strict=True)):
        values = [trial.values[row] for trial in outcome.completed]
        limits = core_range(values, keep=[t.values[row] for t in (*outcome.front, outcome.default) if t])
        if limits is not None:
            far |= {t.number for t in outcome.completed if not limits[0] <= t.values[row] <= limits[1]}
        axes.append(metric_axis(name, direction) | {"range": limits})
    for panel, (a, b) in enumerate(pairs):
        place = {"xaxis": f"x{axis_suffix(panel)}", "yaxis": f"y{axis_suffix(panel)}"}
        if len(outcome.metric_names) == 2:
            traces.append(_edge(subject, place))
        for group in groups(outcome):
            traces.append(
                go.Scatter(
                    x=[short_float(trial.values[a]) for trial in group.trials],
                    y=[short_float(trial.values[b]) for trial in group.trials],
                    mode="markers",
                    name=group.name,
                    marker=group.marker,
                    text=[hover(trial, subject.order, outcome.metric_names) for trial in group.trials],
                    hovertemplate="%{text}<extra>%{fullData.name}</extra>",
                    legendgroup=group.name,
                    showlegend=panel == 0,
                    **place,
                )
            )
    grid = pareto_grid(len(pairs))
    layout = panel_layout(grid, [dict(axes[a]) for a, _ in pairs], [dict(axes[b]) for _, b in pairs])
    return go.Figure(traces, layout), len(far)


def _edge(subject: Subject, place: dict[str, str]) -> Any:
    """The border of what is reached: any point behind it is beaten by one of the front."""
    import plotly.graph_objects as go

    front = sorted(subject.outcome.front, key=lambda trial: (trial.values[0], trial.number))
    # going right, the value of the one is kept until the next is met: from below or from above, as x is better or worse
    shape = "vh" if subject.outcome.directions[0] == "maximize" else "hv"
    return go.Scatter(
        x=[short_float(trial.values[0]) for trial in front],
        y=[short_float(trial.values[1]) for trial in front],
        mode="lines",
        line={"color": GREEN, "width": 1.5, "dash": "dot", "shape": shape},
        hoverinfo="skip",
        showlegend=False,
        **place,
    )
