"""Metrics of evaluation episodes, in plain NumPy; every one is defined for flat, all-win and all-loss paths.

Axes: E episodes, T steps.  A ratio whose denominator vanishes is 0 where nothing was gained and ±`RATIO_CAP` otherwise;
every ratio is clipped to that range, so that no metric is ever NaN or infinite.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from fxai.config.metrics import RATIO_CAP

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """What one agent did in E episodes of up to T steps; after a stop nothing is held: all is 0 and equity stays."""

    equity_ET: Floats
    """Equity [E, T + 1], the first column the initial capital."""
    reward_ET: Floats
    """Reward of the ruler, per cent."""
    shaped_reward_ET: Floats
    """Reward under the agent's own coefficients, per cent."""
    traded_ET: Floats
    """Notional traded over equity."""
    cost_ET: Floats
    """Costs and financing paid, quote currency."""
    exposure_ET: Floats
    """Signed notional over equity at the close."""
    units_ET: Floats
    """Units held at the close, negative when short, before a stop closes them."""
    opened_ET: Bools
    closed_ET: Bools
    """A trade ended at the fill."""
    closed_gain_ET: Floats
    """Gain of that trade, fraction."""
    closed_bars_ET: Floats
    """Closes for which it was held."""
    last_E: Bools
    """A trade was held at the last close before the stop or the end: closed there by the stop, else still open."""
    last_gain_E: Floats
    """Its gain, marked at that close, after what a stop pays; 0 without one."""
    last_bars_E: Floats
    """Closes for which it was held; 0 without one."""
    length_E: NDArray[np.int64]
    """Steps until the account was stopped, `steps` where it was not."""
    steps_E: NDArray[np.int64]
    """Steps of the episode, those after a stop included; T, but where episodes of several lengths stand together."""
    stopped_E: Bools
    """The account was stopped, in step `length`."""

    def episodes(self, which: slice | NDArray[np.int64]) -> Paths:
        """Some of the episodes."""
        return Paths(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


def returns(paths: Paths) -> Floats:
    """Simple return of every bar, all episodes in a row; 0 after a stop."""
    equity = paths.equity_ET
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(equity[:, :-1] > 0, equity[:, 1:] / equity[:, :-1] - 1.0, 0.0)
    return np.asarray(change[np.arange(change.shape[1]) < paths.steps_E[:, None]])


def ratio(numerator: float, denominator: float) -> float:
    """Quotient in ±RATIO_CAP; of a vanishing denominator 0 or the cap with the numerator's sign."""
    if abs(denominator) < 1e-12:
        return 0.0 if abs(numerator) < 1e-12 else float(np.copysign(RATIO_CAP, numerator))
    return float(np.clip(numerator / denominator, -RATIO_CAP, RATIO_CAP))


def drawdowns(equity_ET: Floats) -> Floats:
    """Fraction below the highest equity so far."""
    return np.asarray(1.0 - equity_ET / np.maximum.accumulate(equity_ET, axis=1))


def deepest(paths: Paths) -> tuple[float, int]:
    """The deepest drawdown of any episode, and how long it lasted (Magdon-Ismail & Atiya 2004 for its depth).

    Returns:
        The depth, fraction of the peak; the bars from that peak to the first close back at it, or to the end of the
        episode where there is none, as after a stop. 0, 0 where equity never falls. Of equal ones the first counts.
    """
    drawdown_ET = drawdowns(paths.equity_ET)
    episode, bottom = np.unravel_index(drawdown_ET.argmax(), drawdown_ET.shape)
    depth_T = drawdown_ET[episode]
    if depth_T[bottom] <= 0.0:
        return 0.0, 0
    at_peak = np.flatnonzero(depth_T == 0.0)
    peak = at_peak[at_peak < bottom][-1]
    recovered = at_peak[at_peak > bottom]
    return float(depth_T[bottom]), int((recovered[0] if recovered.size else paths.steps_E[episode]) - peak)


def trade_gains(paths: Paths) -> Floats:
    """Gain of every trade, those still open at the end marked at the last close."""
    return np.concatenate([paths.closed_gain_ET[paths.closed_ET], paths.last_gain_E[paths.last_E]])


def trade_bars(paths: Paths) -> Floats:
    """Bars held of every trade, in the order of `trade_gains`."""
    return np.concatenate([paths.closed_bars_ET[paths.closed_ET], paths.last_bars_E[paths.last_E]])


def measure(paths: Paths, bars_per_year: float) -> dict[str, float]:
    """All metrics of `METRIC_NAMES`, each finite for any path; docs/trading_model.md has the formulas and sources.

    Args:
        paths: the episodes. Bars and trades of all of them are pooled; what is per episode is averaged.
        bars_per_year: annualises cagr, sharpe, sortino and calmar.
    """
    return {**_of_equity(paths, bars_per_year), **_of_trades(paths), **_of_episodes(paths)}


def _of_equity(paths: Paths, bars_per_year: float) -> dict[str, float]:
    """What the bars' returns and the equity curves tell.

    sharpe            mean / std (n − 1) of bar returns · √bars_per_year (Sharpe 1994, risk-free rate 0)
    sortino           mean / √mean(min(r, 0)²) · √bars_per_year (Sortino & Price 1994, target 0)
    cagr              e^(mean of ln(1 + r) · bars_per_year) − 1: growth per year of the episodes laid end to end,
                      which one total loss makes −1; at most RATIO_CAP
    calmar            cagr over the deepest drawdown (Young 1991)
    total_return      mean over episodes of final over initial equity − 1
    max_drawdown      the deepest of any episode, fraction of the peak
    max_drawdown_bars bars from its peak until equity is back there, or the episode ends
    stopped           share of episodes in which the account was stopped

    All are of every bar: a stopped account holds nothing for the rest of its episode, and r is 0 there.
    """
    bar_returns = returns(paths)
    year = bars_per_year**0.5
    mean = float(bar_returns.mean()) if bar_returns.size else 0.0
    deviation = float(bar_returns.std(ddof=1)) if bar_returns.size > 1 else 0.0
    downside = float(np.sqrt(np.mean(np.minimum(bar_returns, 0.0) ** 2))) if bar_returns.size else 0.0
    growth = _growth(bar_returns, bars_per_year)
    worst, worst_bars = deepest(paths)
    return {
        "total_return": float((paths.equity_ET[:, -1] / paths.equity_ET[:, 0]).mean() - 1.0),
        "cagr": growth,
        "sharpe": ratio(mean * year, deviation),
        "sortino": ratio(mean * year, downside),
        "calmar": ratio(growth, worst),
        "max_drawdown": worst,
        "max_drawdown_bars": float(worst_bars),
        "stopped": float(paths.stopped_E.mean()),
    }


def _growth(bar_returns: Floats, bars_per_year: float) -> float:
    """`cagr`."""
    if (bar_returns <= -1.0).any():
        return -1.0
    log_growth = float(np.log1p(bar_returns).mean()) if bar_returns.size else 0.0
    return float(np.expm1(min(log_growth * bars_per_year, np.log1p(RATIO_CAP))))


def _of_trades(paths: Paths) -> dict[str, float]:
    """What the trades tell; those still open at the end count as they stand. All 0 without a trade.

    win_rate       share of trades with a gain above 0
    profit_factor  sum of gains over sum of losses (Schwager 1995)
    expectancy     mean gain of a trade, fraction of the equity at its entry (Tharp 1998)
    holding_bars   mean closes for which a trade is held
    n_trades       trades opened, all episodes together
    n_closed       those of them that ended, at a fill or by a stop
    """
    gains, bars = trade_gains(paths), trade_bars(paths)
    return {
        "win_rate": float((gains > 0).mean()) if gains.size else 0.0,
        "profit_factor": ratio(float(gains.clip(0).sum()), float(-gains.clip(max=0).sum())),
        "expectancy": _bounded(float(gains.mean())) if gains.size else 0.0,
        "n_trades": float(paths.opened_ET.sum()),
        "n_closed": float(paths.closed_ET.sum() + (paths.last_E & paths.stopped_E).sum()),
        "holding_bars": float(bars.mean()) if bars.size else 0.0,
    }


def _of_episodes(paths: Paths) -> dict[str, float]:
    """What was earned by the ruler, and what was used for it.

    mean_reward         mean over episodes of the summed reward, per cent
    mean_shaped_reward  the same under the agent's own coefficients
    turnover            notional traded over equity, mean per bar until a stop
    exposure            |notional| over equity at the close, mean per bar until a stop
    costs               costs and financing over initial equity, mean per episode; below 0 where financing is earned
    """
    bars = max(int(paths.length_E.sum()), 1)
    return {
        "mean_reward": float(paths.reward_ET.sum(1).mean()),
        "turnover": _bounded(float(paths.traded_ET.sum() / bars)),
        "exposure": _bounded(float(np.abs(paths.exposure_ET).sum() / bars)),
        "costs": _bounded(float((paths.cost_ET.sum(1) / paths.equity_ET[:, 0]).mean())),
        "mean_shaped_reward": float(paths.shaped_reward_ET.sum(1).mean()),
    }


def _bounded(value: float) -> float:
    """Within ±RATIO_CAP."""
    return float(np.clip(value, -RATIO_CAP, RATIO_CAP))
