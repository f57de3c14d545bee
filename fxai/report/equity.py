"""Equity curves of a backtest as one self-contained HTML file: equity, drawdown, metrics.

Shapes: N times, the same for every curve.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxai.files import write_text_atomic
from fxai.report.html import escape, page, paragraphs, table
from fxai.report.plots import BLUE, GREEN, GREY, ORANGE, draw, place, plotly_js
from fxai.report.text import metric

MAX_POINTS = 4000
"""Points drawn per curve; a screen is narrower."""

_COLOURS = (BLUE, ORANGE, GREEN, "#cc79a7", "#e69f00", "#56b4e9", GREY)


def equity_curve_html(
    path: Path,
    *,
    title: str,
    times_ns: NDArray[np.int64],
    curves: Mapping[str, NDArray[np.float64]],
    metrics: Mapping[str, float] | Mapping[str, Mapping[str, float]],
    notes: Sequence[str] = (),
) -> Path:
    """Write the page; it needs no other file and no network.

    Args:
        path: the HTML file; replaced as a whole.
        title: heading.
        times_ns: N times, nanoseconds UTC, ascending.
        curves: name → N values of equity; NaN leaves a gap.
        metrics: name → value for a single strategy, or curve → (name → value) for a column each.
        notes: sentences for the top of the page.

    Raises:
        ValueError: a curve has another length than `times_ns`, or there is none.
        StorageError, InputError: the file cannot be written.
    """
    if not curves or not len(times_ns):
        raise ValueError("no curve, or no time")
    for name, equity_N in curves.items():
        if len(equity_N) != len(times_ns):
            raise ValueError(f"curve {name} has {len(equity_N)} values for {len(times_ns)} times")
    body = "\n".join(
        [paragraphs([*notes, *_thinned(len(times_ns))]), _metrics_table(metrics, title), place("equity", 640)]
    )
    figure = _figure(times_ns, curves)
    write_text_atomic(path, page(title=title, body=body, scripts=[plotly_js(), draw(figure, "equity")]))
    return path


def drawdown(equity_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Loss from the highest equity so far as a negative share of it; NaN where equity is NaN."""
    peak_N = np.fmax.accumulate(equity_N)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(equity_N / peak_N - 1.0)


def thin(values_N: NDArray[np.float64], limit: int = MAX_POINTS) -> NDArray[np.int64]:
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


def _thinned(n: int) -> list[str]:
    if n <= MAX_POINTS:
        return []
    return [
        f"Each curve has {n:,} points, of which at most {MAX_POINTS:,} are drawn: the first, lowest, highest and "
        "last of equal stretches, so no peak or trough is lost. The metrics are of all points."
    ]


def _figure(times_ns: NDArray[np.int64], curves: Mapping[str, NDArray[np.float64]]) -> Any:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.05, row_heights=[0.65, 0.35])
    times_N = np.asarray(times_ns).astype("datetime64[ns]")
    for number, (name, equity) in enumerate(curves.items()):
        equity_N = np.asarray(equity, dtype=np.float64)
        colour = _COLOURS[number % len(_COLOURS)]
        for row, values_N in enumerate((equity_N, drawdown(equity_N)), start=1):
            kept = thin(values_N)
            line = go.Scatter(
                x=np.datetime_as_string(times_N[kept], unit="s").tolist(),
                y=[float(value) if np.isfinite(value) else None for value in values_N[kept]],
                mode="lines",
                name=escape(name),
                legendgroup=str(number),
                showlegend=row == 1,
                line={"color": colour, "width": 1.5, "dash": "solid" if number < len(_COLOURS) else "dot"},
            )
            figure.add_trace(line, row=row, col=1)
    figure.update_yaxes(title_text="equity", row=1, col=1)
    figure.update_yaxes(title_text="drawdown", tickformat=".0%", row=2, col=1)
    figure.update_layout(
        template="plotly_white",
        hovermode="x unified",
        margin={"t": 40, "r": 20},
        legend={"orientation": "h", "y": 1.07},
    )
    return figure


def _metrics_table(metrics: Mapping[str, float] | Mapping[str, Mapping[str, float]], title: str) -> str:
    columns: dict[str, Mapping[str, float]] = {}
    single: dict[str, float] = {}
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            columns[name] = value
        else:
            single[name] = value
    if single:
        columns = {"value": single, **columns}
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    if not names:
        return ""
    rows = [[name, *(metric(name, column.get(name)) for column in columns.values())] for name in names]
    return table(["metric", *columns], rows)
