"""Contours: the smoothed value over two parameters at once, for the few most important pairs.

All pairs of 25 parameters are 300 panels; optuna.visualization drew them in 149 MB and 16 s. It also joins neighbouring
trials by straight lines, which shows the noise of single trials as hills.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from fxai.report.html import escape
from fxai.report.plots.axes import OTHER_TURN, ParameterAxis, core_range
from fxai.report.plots.drawn import Drawn, joined
from fxai.report.plots.grid import Grid, axis_suffix, panel_layout
from fxai.report.plots.points import evenly, groups, hover, short_float
from fxai.report.plots.subject import Subject
from fxai.report.text import count, is_share

Floats = NDArray[np.float64]

MAX_PARAMETERS = 4
"""Their pairs are drawn: six panels."""

MIN_TRIALS = 10
"""Completed trials with both parameters below which a surface would be made up."""

CELLS = 30
"""Of the surface along an axis of numbers."""

FAR = 1.5
"""Bandwidths beyond which no trial is near: there the surface is left blank."""

MAX_TRIALS = 1000
MAX_MARKED = 150


def contour(subject: Subject) -> Drawn:
    """The pairs of the most important parameters that vary."""
    pairs = contour_pairs(subject)
    figures = [(metric, contour_figure(subject, pairs, row)) for row, metric in enumerate(subject.metrics) if pairs]
    every = len(subject.axes) * (len(subject.axes) - 1) // 2
    which = "the most important parameters" if subject.weights.importances else "the first parameters that vary"
    few = (
        f"A surface needs two parameters that vary and at least {MIN_TRIALS} completed trials with both of them: "
        "there is too little to draw yet."
    )
    return Drawn(
        name="contour_plot",
        title="value over pairs of parameters",
        reading="Yellow is good, dark is bad, blank is where no trial was. The colour is a smoothed mean of nearby "
        "trials: a tilted or closed hill says that the two parameters should be chosen together.",
        figure=figures[0][1] if figures else None,
        remark=joined(
            "" if pairs else few,
            f"Of {every} pairs {len(pairs)} are shown, those of {which}." if pairs and every > len(pairs) else "",
            f"At most {MAX_MARKED} trials of a kind are marked in a panel." if len(_told(subject)) > MAX_MARKED else "",
            _clipped(subject) if pairs else "",
        ),
        height_px=contour_grid(max(1, len(pairs))).height_px,
        by_metric=tuple(figures) if len(figures) > 1 else (),
    )


def _told(subject: Subject) -> tuple[FrozenTrial, ...]:
    return subject.outcome.completed


def _clipped(subject: Subject) -> str:
    values = [trial.values[0] for trial in subject.outcome.completed]
    limits = core_range(values, keep=[])
    beyond = 0 if limits is None else sum(not limits[0] <= value <= limits[1] for value in values)
    if not beyond:
        return ""
    one = "it counts" if beyond == 1 else "they count"
    return f"{count(beyond, 'trial')} far from the others would outweigh them: {one} with the nearest usual value."


def contour_pairs(subject: Subject) -> list[tuple[ParameterAxis, ParameterAxis]]:
    """Pairs of the most important parameters that enough trials searched with more than one value."""
    done = subject.outcome.completed
    varied = [axis for axis in subject.axes.values() if len({t.params.get(axis.name) for t in done} - {None}) > 1]
    pairs = []
    for first, second in itertools.combinations(varied[:MAX_PARAMETERS], 2):
        if sum(first.name in trial.params and second.name in trial.params for trial in done) >= MIN_TRIALS:
            pairs.append((first, second))
    return pairs


def contour_grid(panels: int) -> Grid:
    """How the panels are laid out."""
    return Grid(panels=panels, most=3, width=300, height=330, gap_x=85, gap_y=80, shared=False, top=140, bottom=110)


def contour_figure(subject: Subject, pairs: Sequence[tuple[ParameterAxis, ParameterAxis]], row: int) -> Any:
    """The figure for one metric."""
    import plotly.graph_objects as go

    surfaces = [_surface(subject, *pair, row) for pair in pairs]
    known = np.concatenate([z_YX[~np.isnan(z_YX)] for _, _, z_YX in surfaces])
    shade = {
        "zmin": float(known.min()),
        "zmax": float(known.max()),
        "colorscale": "Viridis",
        "reversescale": subject.outcome.directions[row] == "minimize",
        "colorbar": _colour_bar(subject.metrics[row]),
    }
    hovers = f"{escape(subject.metrics[row])} about %{{z:.3~{'%' if is_share(subject.metrics[row]) else 'g'}}}"
    traces: list[Any] = []
    for panel, (pair, (x, y, z_YX)) in enumerate(zip(pairs, surfaces, strict=True)):
        place = {"xaxis": f"x{axis_suffix(panel)}", "yaxis": f"y{axis_suffix(panel)}"}
        cells = [[short_float(value) for value in line] for line in z_YX.tolist()]
        numbers = pair[0].choices is None and pair[1].choices is None
        kind = go.Contour if numbers else go.Heatmap
        more = {"line": {"width": 0.5}, "ncontours": 12} if numbers else {}
        # the two kinds of trace cannot share a colour axis, so each has the same scale and the first shows it
        how = {**shade, **more, **place, "showscale": panel == 0, "hovertemplate": f"{hovers}<extra></extra>"}
        traces.append(kind(x=x, y=y, z=cells, **how))
        traces += _marks(subject, pair, row, panel, place)
    xs = [first.layout() for first, _ in pairs]
    ys = [
        second.layout() | {"tickangle": 0, "title": {"text": second.heading(30, 2), "standoff": 4}}
        for _, second in pairs
    ]
    layout = panel_layout(contour_grid(len(pairs)), xs, ys)
    for axis in [value for key, value in layout.items() if key.startswith(("xaxis", "yaxis"))]:
        axis["showgrid"] = False
    title = f"{escape(subject.metrics[row])} ({subject.outcome.directions[row]}), smoothed"
    # the bar's own title would lie upon it
    above = {"xref": "paper", "yref": "paper", "x": 0.5, "y": 1, "yshift": 100, "yanchor": "middle"}
    layout["annotations"] = [{"text": title, "showarrow": False, **above}]
    return go.Figure(traces, layout)


def _colour_bar(metric: str) -> dict[str, Any]:
    """Above the panels: beside them it would take a phone's width."""
    return {
        "orientation": "h",
        "yref": "container",
        "y": 1,
        "yanchor": "top",
        "ypad": 48,  # below the buttons
        "thickness": 10,
        "len": 0.6,
        "nticks": 5,
        "tickformat": ".3~%" if is_share(metric) else "",
    }


def _marks(
    subject: Subject, pair: tuple[ParameterAxis, ParameterAxis], row: int, panel: int, place: dict[str, str]
) -> list[Any]:
    import plotly.graph_objects as go

    marks = []
    for group in groups(subject.outcome, MAX_MARKED):
        both = [
            (t, pair[0].scaled(t.params.get(pair[0].name)), pair[1].scaled(t.params.get(pair[1].name)))
            for t in group.trials
        ]
        seen = [(t, x, y) for t, x, y in both if x is not None and y is not None]
        loud = group.name in ("best", subject.outcome.start)
        # white rings are seen on every colour of the surface
        dot = {"size": 4, "color": "#222", "line": {"color": "white", "width": 0.8}}
        if group.marker.get("symbol") == "circle-open":
            dot = {"size": 6, "color": "white", "line": {"color": "#222", "width": 1.2}}
        own = {**group.marker, "size": 14, "line": {"color": "white", "width": 1.8}}
        marks.append(
            go.Scatter(
                x=[short_float(x + (0.0 if loud else pair[0].spread(t))) for t, x, _ in seen],
                y=[short_float(y + (0.0 if loud else pair[1].spread(t, OTHER_TURN))) for t, _, y in seen],
                mode="markers",
                marker=own if loud else dot,
                name=group.name,
                legendgroup=group.name,
                showlegend=panel == 0,
                text=[hover(t, [pair[0].name, pair[1].name], subject.metrics) for t, _, _ in seen],
                hovertemplate="%{text}<extra>%{fullData.name}</extra>",
                **place,
            )
        )
    return marks


def _surface(
    subject: Subject, first: ParameterAxis, second: ParameterAxis, row: int
) -> tuple[list[float], list[float], Floats]:
    """Scaled places along both axes, and the smoothed values between them, NaN where no trial is near."""
    trials = [t for t in subject.outcome.completed if first.name in t.params and second.name in t.params]
    trials = [t for t in trials if None not in (first.share(t.params[first.name]), second.share(t.params[second.name]))]
    trials = list(evenly(trials, MAX_TRIALS))
    values = np.array([trial.values[row] for trial in trials])
    limits = core_range([trial.values[row] for trial in subject.outcome.completed], keep=[])
    if limits is not None:
        values = np.clip(values, limits[0], limits[1])
    shares_X, places_X = _cells(first)
    shares_Y, places_Y = _cells(second)
    near_XN = _nearness(first, shares_X, trials)
    near_YN = _nearness(second, shares_Y, trials)
    return places_X, places_Y, smoothed(near_XN, near_YN, values)


def smoothed(near_XN: Floats, near_YN: Floats, value_N: Floats) -> Floats:
    """Mean of N values weighted by the product of their nearness on both axes [Y, X] (Nadaraya 1964, Watson 1964).

    NaN where even the nearest trial is further than `FAR` bandwidths away.
    """
    weight_YX = near_YN @ near_XN.T
    sum_YX = (near_YN * value_N) @ near_XN.T
    nearest_YX = (near_YN[:, None, :] * near_XN[None, :, :]).max(axis=2)
    known_YX = nearest_YX >= np.exp(-0.5 * FAR**2)
    return np.where(known_YX, sum_YX / np.where(known_YX, weight_YX, 1.0), np.nan)


def _cells(axis: ParameterAxis) -> tuple[Floats, list[float]]:
    """Shares and scaled places of the surface's cells: all categories, or even steps."""
    n = len(axis.choices) if axis.choices is not None else CELLS
    shares_C = np.linspace(0.0, 1.0, n) if n > 1 and axis.high > axis.low else np.full(1, 0.5)
    return shares_C, [float(f"{axis.low + share * (axis.high - axis.low):.6g}") for share in shares_C]


def _nearness(axis: ParameterAxis, shares_C: Floats, trials: Sequence[FrozenTrial]) -> Floats:
    """How near each of N trials is to each cell, 0 to 1 [C, N]: Gaussian, or for categories the same or not."""
    share_N = np.array([axis.share(trial.params[axis.name]) for trial in trials], dtype=np.float64)
    distance_CN = np.abs(shares_C[:, None] - share_N)
    if axis.choices is not None:
        return (distance_CN < 1e-9).astype(np.float64)
    return np.exp(-0.5 * (distance_CN / bandwidth(len(trials))) ** 2)


def bandwidth(n: int) -> float:
    """Share of a range over which n trials are averaged: Scott's n^(−1/6) of two dimensions times a spread of 0.3.

    0.3 is about the standard deviation of even values between 0 and 1. It gives 0.2 at 10 trials, 0.12 at 200.
    """
    return float(max(0.05, 0.3 * n ** (-1.0 / 6.0)))
