"""Trades drawn on the price of one instrument: entry, exit, side and gain.

K trades.  A chart draws at most `MAX_TRADES`; which, is said by `left_out`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxai.evaluate.trades import REASONS, Trades
from fxai.report.equity import stamps, thin
from fxai.report.figure import BLUE, GREY, ORANGE
from fxai.report.html import escape

MAX_TRADES = 1000
"""Trades drawn per instrument: more would neither be told apart nor stay light."""

MAX_PRICES = 24_000
"""Points of price in all charts of a page together."""


def chosen(trades: Trades) -> NDArray[np.int64]:
    """Indices of the trades to draw: all, or the first and last fifth of the limit and the largest gains and losses."""
    count = len(trades)
    if count <= MAX_TRADES:
        return np.arange(count)
    fifth = MAX_TRADES // 5
    ends = np.concatenate([np.arange(fifth), np.arange(count - fifth, count)])
    between = np.arange(fifth, count - fifth)
    by_size = between[np.argsort(-np.abs(trades.gain_K[between]), kind="stable")]
    return np.sort(np.concatenate([ends, by_size[: MAX_TRADES - 2 * fifth]]))


def left_out(instruments: tuple[str, ...], trades: Sequence[Trades]) -> list[str]:
    """A sentence for each instrument of which not all trades are drawn."""
    fifth = MAX_TRADES // 5
    return [
        f"{name}: of {len(each):,} trades {MAX_TRADES:,} are drawn: the first {fifth}, the last {fifth}, and between "
        f"them the {MAX_TRADES - 2 * fifth} with the largest gain or loss. The list of --csv has all."
        for name, each in zip(instruments, trades, strict=True)
        if len(each) > MAX_TRADES
    ]


def trades_figure(
    instrument: str, times_ns: NDArray[np.int64], close_N: NDArray[np.float64], trades: Trades, max_prices: int
) -> Any:
    """The chart of one instrument."""
    import plotly.graph_objects as go

    kept = thin(close_N, max_prices)
    price = go.Scatter(
        x=stamps(times_ns[kept]),
        y=[float(f"{value:.7g}") for value in close_N[kept]],
        mode="lines",
        name="close",
        line={"color": GREY, "width": 1},
        hovertemplate="%{x}<br>close %{y}<extra></extra>",
    )
    drawn = trades.take(chosen(trades))
    figure = go.Figure([price])
    for side, word, symbol in ((1, "long", "triangle-up"), (-1, "short", "triangle-down")):
        for gained, ending, colour in ((True, "gain", BLUE), (False, "no gain", ORANGE)):
            picked = drawn.take((drawn.side_K == side) & ((drawn.gain_K > 0) == gained))
            if len(picked):
                figure.add_trace(_segments(picked, f"{word}, {ending}", symbol, colour))
    figure.update_yaxes(title_text=escape(instrument))
    figure.update_layout(
        template="plotly_white",
        hovermode="closest",
        margin={"t": 10, "r": 10, "l": 60, "b": 30},
        legend={"orientation": "h", "y": -0.1, "yanchor": "top"},
    )
    return figure


def _segments(trades: Trades, name: str, symbol: str, colour: str) -> Any:
    """A line from each entry to its exit, with a triangle at the entry and a cross at the exit."""
    import plotly.graph_objects as go

    entry, leave = stamps(trades.entry_time_K), stamps(trades.exit_time_K)
    texts = [_hover(trades, k, a, b) for k, (a, b) in enumerate(zip(entry, leave, strict=True))]
    prices = zip(trades.entry_price_K.tolist(), trades.exit_price_K.tolist(), strict=True)
    gap: list[Any] = [None]
    return go.Scatter(
        x=[point for a, b in zip(entry, leave, strict=True) for point in (a, b, *gap)],
        y=[point for a, b in prices for point in (float(f"{a:.7g}"), float(f"{b:.7g}"), *gap)],
        text=[point for text in texts for point in (text, text, "")],
        hovertemplate="%{text}<extra></extra>",
        mode="lines+markers",
        name=name,
        line={"color": colour, "width": 1.2, "dash": "solid" if symbol == "triangle-up" else "dot"},
        marker={"color": colour, "size": 7, "symbol": [symbol, "x-thin-open", symbol] * len(trades)},
    )


def _hover(trades: Trades, k: int, entry: str, leave: str) -> str:
    bars = int(trades.bars_K[k])
    return "<br>".join(
        [
            f"{'long' if trades.side_K[k] > 0 else 'short'}, {100 * trades.gain_K[k]:+.3f}% ({trades.pnl_K[k]:+,.2f})",
            f"in  {entry[:16].replace('T', ' ')} at {trades.entry_price_K[k]:.6g}",
            f"out {leave[:16].replace('T', ' ')} at {trades.exit_price_K[k]:.6g}, {REASONS[trades.reason_K[k]]}",
            f"{bars} {'bar' if bars == 1 else 'bars'}, best {100 * trades.mfe_K[k]:+.2f}%, "
            f"worst {100 * trades.mae_K[k]:+.2f}%, costs {trades.costs_K[k]:,.2f}",
        ]
    )
