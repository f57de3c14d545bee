"""Metrics of evaluation episodes, in plain NumPy; every one is defined for flat, all-win and all-loss paths.

Axes: E episodes, T steps.  A ratio whose denominator vanishes is 0 where nothing was gained and ±`RATIO_CAP` otherwise;
every ratio is clipped to that range, so that no metric is ever NaN or infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxai.config.metrics import RATIO_CAP

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """What one agent did in E episodes of T steps; after the end of an episode all is 0 and equity stays."""

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
    opened_ET: Bools
    closed_ET: Bools
    closed_gain_ET: Floats
    """Gain of the trade that closed, fraction."""
    open_gain_E: Floats
    """Gain of the trade still open after the last step, marked at the close; 0 without one."""
    open_E: Bools
    length_E: NDArray[np.int64]
    """Steps until the end of the episode: T, or fewer where the account was stopped."""

    @property
    def live_ET(self) -> Bools:
        """Steps before the end of their episode."""
        return np.arange(self.reward_ET.shape[1]) < self.length_E[:, None]


def returns(paths: Paths) -> Floats:
    """Simple return of every live bar, all episodes in a row."""
    equity = paths.equity_ET
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(equity[:, :-1] > 0, equity[:, 1:] / equity[:, :-1] - 1.0, 0.0)
    return np.asarray(change[paths.live_ET])


def ratio(numerator: float, denominator: float) -> float:
    """Quotient in ±RATIO_CAP; of a vanishing denominator 0 or the cap with the numerator's sign."""
    if abs(denominator) < 1e-12:
        return 0.0 if abs(numerator) < 1e-12 else float(np.copysign(RATIO_CAP, numerator))
    return float(np.clip(numerator / denominator, -RATIO_CAP, RATIO_CAP))


def drawdowns(equity_ET: Floats) -> Floats:
    """Fraction below the highest equity so far."""
    return np.asarray(1.0 - equity_ET / np.maximum.accumulate(equity_ET, axis=1))


def trade_gains(paths: Paths) -> Floats:
    """Gain of every trade, those still open at the end marked at the last close."""
    return np.concatenate([paths.closed_gain_ET[paths.closed_ET], paths.open_gain_E[paths.open_E]])


def measure(paths: Paths, bars_per_year: float) -> dict[str, float]:
    """All metrics of `METRIC_NAMES`.

    sharpe         mean / std (n − 1) of bar returns · √bars_per_year (Sharpe 1994, risk-free rate 0)
    sortino        mean / √mean(min(r, 0)²) · √bars_per_year (Sortino & Price 1994, target 0)
    calmar         annualised log growth, as a simple rate, over the largest drawdown (Young 1991)
    total_return   mean over episodes of final over initial equity − 1
    max_drawdown   the largest of any episode, fraction of the peak
    profit_factor  gains over losses, summed over trades; win_rate the share of trades with a gain
    turnover       notional traded over equity, mean per bar
    mean_reward    mean over episodes of the summed reward, per cent
    """
    bar_returns = returns(paths)
    mean, year = float(bar_returns.mean()), bars_per_year**0.5
    deviation = float(bar_returns.std(ddof=1)) if bar_returns.size > 1 else 0.0
    downside = float(np.sqrt(np.mean(np.minimum(bar_returns, 0.0) ** 2)))
    growth = float(np.expm1(np.clip(np.log1p(bar_returns.clip(-1 + 1e-9)).mean() * bars_per_year, -50, 50)))
    worst = float(drawdowns(paths.equity_ET).max())
    gains = trade_gains(paths)
    bars = max(int(paths.length_E.sum()), 1)
    return {
        "mean_reward": float(paths.reward_ET.sum(1).mean()),
        "sharpe": ratio(mean * year, deviation),
        "sortino": ratio(mean * year, downside),
        "calmar": ratio(growth, worst),
        "total_return": float((paths.equity_ET[:, -1] / paths.equity_ET[:, 0]).mean() - 1.0),
        "max_drawdown": worst,
        "profit_factor": ratio(float(gains.clip(0).sum()), float(-gains.clip(max=0).sum())),
        "win_rate": float((gains > 0).mean()) if gains.size else 0.0,
        "turnover": float(paths.traded_ET.sum() / bars),
        "n_trades": float(paths.opened_ET.sum()),
        "mean_shaped_reward": float(paths.shaped_reward_ET.sum(1).mean()),
    }
