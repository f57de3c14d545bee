"""The page of a backtest: one self-contained HTML file with curves, trades, months, costs and metrics.

It loads nothing, so that it can be mailed; it follows the reader's light or dark scheme, and fits a phone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fxai.config.metrics import METRIC_NAMES, RATIO_CAP
from fxai.evaluate.ledger import COSTS
from fxai.evaluate.trades import Trades, reasons, statistics
from fxai.files import write_text_atomic
from fxai.report.beside import curve_names, headings, instrument_stops, meanings, stop_sentences, stopped_cells
from fxai.report.equity import MAX_MEANS, curves_figure, hidden_curves, thinned_note
from fxai.report.figure import draw, draw_choice, place, plotly_js, selector
from fxai.report.html import cards, heading, page, paragraphs, table
from fxai.report.monthly import monthly_returns, monthly_table
from fxai.report.text import NOTHING, count, metric, number
from fxai.report.trade_chart import MAX_PRICES, left_out, trades_figure

if TYPE_CHECKING:
    from fxai.evaluate.backtest import Backtest

SHOWN = tuple(name for name in METRIC_NAMES if name != "mean_shaped_reward")
"""Metrics of a backtest: the reward that counts is the ruler's."""

_CARDS = {
    "total_return": "total return",
    "sharpe": "Sharpe ratio",
    "max_drawdown": "max drawdown",
    "n_trades": "trades",
    "costs": "costs, of the capital",
}

_STATISTICS = {
    "trades": ("trades", "count"),
    "winners": ("with a gain", "count"),
    "win_rate": ("share with a gain", "share"),
    "mean_gain": ("mean gain", "share"),
    "mean_winner": ("mean of the winners", "share"),
    "mean_loser": ("mean of the losers", "share"),
    "payoff": ("payoff ratio", "ratio"),
    "best": ("largest gain", "share"),
    "worst": ("largest loss", "share"),
    "mean_mfe": ("mean best point (MFE)", "share"),
    "mean_mae": ("mean worst point (MAE)", "share"),
    "efficiency": ("efficiency", "ratio"),
    "mean_bars": ("mean bars held", "ratio"),
    "longest_bars": ("most bars held", "count"),
}
"""Statistic → its words and kind."""


def write_backtest_page(
    path: Path, run: Backtest, *, title: str, notes: Sequence[str] = (), warnings: Sequence[str] = ()
) -> Path:
    """Write the page.

    Args:
        path: the HTML file; replaced as a whole.
        run: the first of its paths is the agent.
        title: heading.
        notes: sentences for the top of the page.
        warnings: sentences that must not be overlooked.

    Raises:
        StorageError, InputError: the file cannot be written.
    """
    agent, *others = run.paths
    times, equity = run.portfolio(agent)
    metrics = {name: run.metrics(name) for name in run.paths}
    trades = run.trades(agent)
    parts = [
        paragraphs(warnings, "warning"),
        paragraphs(notes),
        cards([(words, metric(name, metrics[agent].get(name))) for name, words in _CARDS.items()]),
        paragraphs([_beside(run, metrics, agent, others), *(_POOLED if len(run.instruments) > 1 else ())]),
        paragraphs(stop_sentences(run), "warning" if run.stops(agent) else ""),
        heading("Equity, drawdown and exposure"),
        place("equity", 680),
        paragraphs(_curve_notes(run, agent), "note"),
        *_trade_parts(run, trades),
        heading("Returns by month"),
        monthly_table(monthly_returns(times, equity)),
        paragraphs([_MONTHS], "note"),
        heading("Costs"),
        _cost_table(run),
        paragraphs([_COSTS], "note"),
        heading("Metrics"),
        _metric_table(
            {title: metrics[name] for name, title in headings(run).items()},
            {title: stopped_cells(run)[name] for name, title in headings(run).items()},
        ),
        paragraphs([_METRICS, *meanings(run)], "note"),
        *_by_instrument(run, agent),
    ]
    scripts = [plotly_js(), draw(_curves(run, agent), "equity"), draw_choice(_charts(run, trades), "trades")]
    write_text_atomic(path, page(title=title, body="\n".join(parts), scripts=scripts))
    return path


_POOLED = (
    "Metrics pool the bars and trades of all instruments: the Sharpe ratio is that of an average account, not of the "
    "curve below, and the max drawdown is the worst of any account.",
)
_LEGEND = (
    "A line runs from each entry (triangle up: long, down: short) to its exit (cross), solid when long and dotted when "
    "short; blue gained, orange did not. Prices are mid prices, times are the stamps of the bars in UTC; gains are of "
    "the equity at entry, after all costs, and money is in the quote currency."
)
_WORDS = (
    "Payoff ratio: mean gain of the winners over mean loss of the losers. Efficiency: the mean of gain over (MFE − "
    "MAE), the share of its own range that a trade kept. A trade still open counts as it stands at the last close."
)
_MONTHS = (
    "Of the agent's curve above, in per cent; months and years of UTC. The first month begins with the first decision."
)
_METRICS = (
    "Formulas: docs/trading_model.md. cagr, ratios, turnover, exposure, expectancy and costs are cut at 100 (10,000%), "
    "where hindsight gets, and then written as > 100. max_drawdown_bars and holding_bars are bars; turnover is per bar."
)
_COSTS = (
    "Paid over the initial capital, the mean over instruments. Spread, commission and slippage are of the orders that "
    "were filled; liquidation is the three together where a stop closed a position; financing below 0 was earned."
)


def _trade_parts(run: Backtest, trades: Sequence[Trades]) -> list[str]:
    several = len(run.instruments) > 1
    return [
        heading("Trades on the price"),
        *([selector("trades", "instrument", run.instruments)] if several else []),
        place("trades", 460),
        paragraphs([_LEGEND, *left_out(run.instruments, trades)], "note"),
        heading("What the trades came to"),
        _trade_table(trades),
        paragraphs([_exits(trades), _WORDS], "note"),
    ]


def _beside(run: Backtest, metrics: Mapping[str, Mapping[str, float]], agent: str, others: Sequence[str]) -> str:
    """The agent's return in a sentence, beside everybody else's."""
    names = headings(run)
    told = [f"{names[name]} {metric('total_return', metrics[name]['total_return'])}" for name in others]
    own = metric("total_return", metrics[agent]["total_return"])
    return f"Total return of the {agent} {own}; beside it: {', '.join(told)}."


def _curve_notes(run: Backtest, agent: str) -> list[str]:
    curves = _equities(run)
    several = len(run.instruments) > 1
    notes = [
        f"Each curve is the equal-weight mean of {len(run.instruments)} accounts, one for each instrument, from 1, "
        "without shifting money between them. Exposure is the agent's notional over equity: with its sign, and in grey "
        "without."
        if several
        else "Each curve is equity over its start. Exposure is the agent's notional over equity, below 0 when short."
    ]
    if hidden := hidden_curves(curves):
        notes.append(f"Far above the others and hidden until you click its name below: {', '.join(hidden)}.")
    points = len(curves[curve_names(run)[agent]])
    if points > MAX_MEANS:
        notes.append(f"Exposure is drawn as the means of {MAX_MEANS} equal stretches.")
    return notes + thinned_note(points)


def _curves(run: Backtest, agent: str) -> object:
    times, net, gross = run.exposure(agent)
    exposures = {f"{agent}, net": net} | ({f"{agent}, without sign": gross} if len(run.instruments) > 1 else {})
    return curves_figure(times, _equities(run), exposures)


def _equities(run: Backtest) -> dict[str, NDArray[np.float64]]:
    return {shown: run.portfolio(name)[1] for name, shown in curve_names(run).items()}


def _charts(run: Backtest, trades: Sequence[Trades]) -> list[object]:
    points = max(MAX_PRICES // len(run.instruments), 400)
    ends = run.part.offsets_I[1:]
    closes = [run.part.close_N[first:end] for first, end in zip(run.first_I, ends, strict=True)]
    columns = zip(run.instruments, run.time_I, closes, trades, strict=True)
    return [trades_figure(name, times, close, each, points) for name, times, close, each in columns]


def _trade_table(trades: Sequence[Trades]) -> str:
    columns = {
        "all": statistics(list(trades)),
        "long": statistics([each.take(each.side_K > 0) for each in trades]),
        "short": statistics([each.take(each.side_K < 0) for each in trades]),
    }
    rows = [
        [words, *(_statistic(own[name], kind) if own["trades"] else NOTHING for own in columns.values())]
        for name, (words, kind) in _STATISTICS.items()
    ]
    return table(["trade", *columns], rows)


def _statistic(value: float, kind: str) -> str:
    if kind == "count":
        return f"{value:,.0f}"
    return f"{100 * value:.3f}%" if kind == "share" else number(value)


def _exits(trades: Sequence[Trades]) -> str:
    counted = {reason: many for reason, many in reasons(list(trades)).items() if many}
    if not counted:
        return "No trade was opened."
    told = ", ".join(f"{reason} {many:,}" for reason, many in counted.items())
    return f"Why {count(sum(counted.values()), 'trade')} ended: {told}."


def _cost_table(run: Backtest) -> str:
    shares = {shown: run.cost_shares(name) for name, shown in headings(run).items()}
    rows = [[cost, *(_percent(own[cost]) for own in shares.values())] for cost in COSTS]
    rows.append(["together", *(_percent(sum(own.values())) for own in shares.values())])
    return table(["costs", *shares], rows)


def _percent(value: float) -> str:
    """A share of the capital; what the metric `costs` would cut is written as it is there."""
    return metric("costs", value) if abs(value) >= RATIO_CAP else f"{100 * value:.3f}%"


def _metric_table(metrics: Mapping[str, Mapping[str, float]], stopped: Mapping[str, str]) -> str:
    rows = [
        [name, *(stopped[who] if name == "stopped" else metric(name, own.get(name)) for who, own in metrics.items())]
        for name in SHOWN
    ]
    return table(["metric", *metrics], rows)


def _by_instrument(run: Backtest, agent: str) -> list[str]:
    if len(run.instruments) == 1:
        return []
    return [
        heading(f"The {agent}, instrument by instrument"),
        _metric_table(run.instrument_metrics(agent), instrument_stops(run, agent)),
    ]
