"""Curves of a backtest: equity, drawdown and exposure over time, thinned without losing a peak.

N times, the same for every curve.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxai.report.figure import BLUE, GREEN, GREY, ORANGE
from fxai.report.html import escape

Floats = NDArray[np.float64]
Times = NDArray[np.int64]

MAX_POINTS = 4000
"""Points drawn per curve; a screen is narrower."""

MAX_MEANS = 600
"""Points of exposure; more bars than that are drawn as means, since flips between long and short would be a block."""

FAR = 5.0
"""A curve that leads so many times further from 1 than the first one is hidden until its name is clicked."""

_COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#e69f00", "#56b4e9", GREY)


def drawdown(equity_N: Floats) -> Floats:
    """Loss from the highest equity so far as a negative share of it; NaN where equity is NaN."""
    peak_N = np.fmax.accumulate(equity_N)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(equity_N / peak_N - 1.0)


def thin(values_N: Floats, limit: int = MAX_POINTS) -> NDArray[np.int64]:
    """Indices of at most `limit` points to draw: first, lowest, highest and last of each equal stretch.

    No peak and no trough is lost (M4 aggregation, Jugel et al. 2014). Fewer than `limit` values are all kept.
    """
    n = len(values_N)
    if n <= limit:
        return np.arange(n)
    edges = np.linspace(0, n, limit // 4 + 1).astype(np.int64)
    kept = set()
    for start, stop in itertools.pairwise(edges.tolist()):
        part = values_N[start:stop]
        kept |= {start, stop - 1}
        if not np.isnan(part).all():
            kept |= {start + int(np.nanargmin(part)), start + int(np.nanargmax(part))}
    return np.array(sorted(kept), dtype=np.int64)


def thinned_note(n: int) -> list[str]:
    """The sentence that says that points were left out, if any were."""
    if n <= MAX_POINTS:
        return []
    return [
        f"Each curve has {n:,} points, of which at most {MAX_POINTS:,} are drawn: the first, lowest, highest and "
        "last of equal stretches, so no peak or trough is lost. No metric is computed from the points drawn."
    ]


def means(times_ns: Times, values_N: Floats, limit: int = MAX_MEANS) -> tuple[Times, Floats]:
    """Means of at most `limit` equal stretches, each at the time of its first value; few values stay as they are."""
    n = len(values_N)
    if n <= limit:
        return times_ns, values_N
    begins = np.linspace(0, n, limit + 1).astype(np.int64)[:-1]
    lengths = np.diff(np.append(begins, n))
    return times_ns[begins], np.asarray(np.add.reduceat(values_N, begins) / lengths)


def stamps(times_ns: Times) -> list[str]:
    """Times as plotly takes them, UTC."""
    return [str(text) for text in np.datetime_as_string(np.asarray(times_ns).astype("datetime64[ns]"), unit="s")]


def hidden_curves(curves: Mapping[str, Floats]) -> list[str]:
    """Curves so far above the first that the others would be flat lines beside them."""
    ends = {name: float(np.nanmax(equity_N)) / float(equity_N[0]) - 1.0 for name, equity_N in curves.items()}
    near = max(list(ends.values())[0], 0.2)  # noqa: RUF015 (the first is the agent)
    return [name for name, end in ends.items() if end > FAR * near]


def curves_figure(times_ns: Times, curves: Mapping[str, Floats], exposures: Mapping[str, Floats]) -> Any:
    """Equity, drawdown and exposure below each other.

    Args:
        times_ns: N times, nanoseconds UTC, ascending.
        curves: name → N values of equity; NaN leaves a gap.
        exposures: name → N values of notional over equity.

    Raises:
        ValueError: a curve has another length than `times_ns`, or there is none.
    """
    from plotly.subplots import make_subplots

    if not curves or not len(times_ns):
        raise ValueError("no curve, or no time")
    for name, values_N in itertools.chain(curves.items(), exposures.items()):
        if len(values_N) != len(times_ns):
            raise ValueError(f"curve {name} has {len(values_N)} values for {len(times_ns)} times")
    figure = make_subplots(rows=3, shared_xaxes=True, vertical_spacing=0.04, row_heights=[0.5, 0.25, 0.25])
    hidden = hidden_curves(curves)
    for number, (name, equity_N) in enumerate(curves.items()):
        visible = "legendonly" if name in hidden else True
        for row, values_N in enumerate((equity_N, drawdown(equity_N)), start=1):
            trace = _line(times_ns, values_N, name, number, group=name, legend=row == 1, visible=visible)
            figure.add_trace(trace, row=row, col=1)
    for number, (name, values_N) in enumerate(exposures.items()):
        at_ns, mean_N = means(times_ns, values_N)
        trace = _line(at_ns, mean_N, name, number * (len(_COLOURS) - 1), group=f"exposure {name}", legend=False)
        figure.add_trace(trace, row=3, col=1)
    for row, (title, ticks) in enumerate((("equity", ""), ("drawdown", ".0%"), ("exposure", "")), start=1):
        figure.update_yaxes(title_text=title, tickformat=ticks, hoverformat=".2%" if ticks else ".4f", row=row, col=1)
    figure.update_layout(
        template="plotly_white",
        hovermode="x unified",
        margin={"t": 10, "r": 10, "l": 60, "b": 30},
        legend={"orientation": "h", "y": -0.06, "yanchor": "top"},
    )
    return figure


def _line(
    times_ns: Times, values_N: Floats, name: str, number: int, *, group: str, legend: bool, visible: Any = True
) -> Any:
    import plotly.graph_objects as go

    kept = thin(np.asarray(values_N, dtype=np.float64))
    return go.Scatter(
        x=stamps(times_ns[kept]),
        y=[float(f"{value:.7g}") if np.isfinite(value) else None for value in values_N[kept]],
        mode="lines",
        name=escape(name),
        legendgroup=escape(group),
        showlegend=legend,
        visible=visible,
        line={
            "color": _COLOURS[number % len(_COLOURS)],
            "width": 1.5,
            "dash": "solid" if number < len(_COLOURS) else "dot",
        },
    )
