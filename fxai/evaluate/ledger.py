"""What one account held and paid, bar by bar: the money side of an episode, as docs/trading_model.md writes it.

T steps until the end of the episode.  Money is in the quote currency, prices are mid prices, times UTC nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fxai.config import EnvConfig
from fxai.evaluate.metrics import Paths
from fxai.market.data import MarketPart

Floats = NDArray[np.float64]

BASIS_POINT = 1e-4
DAY_NS = 86_400 * 10**9

FEES = ("spread", "commission", "slippage")
"""What an order costs."""

COSTS = (*FEES, "financing", "liquidation")
"""What an account pays for; `liquidation` is the spread, commission and slippage of what a stop closes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """One account over one episode; a step is the bar after a decision."""

    time_T1: NDArray[np.int64]
    """Stamps of the bars: of the first decision, then of each step."""
    close_T1: Floats
    equity_T1: Floats
    fill_T: Floats
    """F, the price at which a step's order is filled."""
    units_T: Floats
    """Held at the close, before a stop closes them."""
    at_fill_T: Floats
    """E_f, equity carried to the fill."""
    rate_T: Floats
    """κ, cost of a fill as a share of its notional."""
    costs: dict[str, Floats]
    """Each of `COSTS`, [T]; financing below 0 is earned."""
    stopped: bool
    """The account was stopped in the last step."""
    margin_called: bool
    """By env.maintenance_margin."""

    @property
    def before_T(self) -> Floats:
        """Units held until the fill."""
        return np.concatenate([[0.0], self.units_T[:-1]])

    @property
    def leaving_T(self) -> Floats:
        """What closing all that was held costs, or would have cost, at the fill."""
        return np.asarray(self.rate_T * np.abs(self.before_T) * self.fill_T)

    @property
    def paid_T(self) -> Floats:
        """All costs of each step."""
        return np.asarray(sum(self.costs.values()))


def ledger(part: MarketPart, config: EnvConfig, first_row: int, paths: Paths) -> Ledger:
    """The ledger of a single episode.

    Args:
        part: the bars.
        config: the rules under which the episode was walked.
        first_row: row of the first decision.
        paths: of one episode.
    """
    steps = int(paths.length_E[0])
    rows_T = np.arange(first_row + 1, first_row + 1 + steps)
    at_open = config.execution == "next_open"
    fills_N = part.open_N if at_open else part.close_N
    assert fills_N is not None
    close_T1, fill_T = part.close_N[first_row : first_row + 1 + steps], fills_N[rows_T]
    time_T1 = part.time_N[first_row : first_row + 1 + steps]
    equity_T1, units_T = paths.equity_ET[0, : steps + 1], paths.units_ET[0, :steps]
    before_T = np.concatenate([[0.0], units_T[:-1]])
    stopped, held = bool(paths.stopped_E[0]), abs(units_T[-1]) * close_T1[-1]

    spread_fill_T = _spread(part.spread_open_bp_N if at_open else part.spread_close_bp_N, rows_T, config)
    spread_close_T = _spread(part.spread_close_bp_N, rows_T, config)
    costs = _fees(config, np.abs(units_T - before_T) * fill_T, spread_fill_T)
    costs["financing"] = _financing(config, before_T * close_T1[:-1], np.diff(time_T1) / DAY_NS)
    costs["liquidation"] = np.zeros(steps)
    if stopped:
        costs["liquidation"][-1] = sum(_fees(config, held, spread_close_T[-1]).values())
    at_fill_T = equity_T1[:-1] + before_T * (fill_T - close_T1[:-1]) - costs["financing"]
    filled = sum(costs[name][-1] for name in FEES)
    marked = at_fill_T[-1] - filled + units_T[-1] * (close_T1[-1] - fill_T[-1])
    return Ledger(
        time_T1=time_T1,
        close_T1=close_T1,
        equity_T1=equity_T1,
        fill_T=fill_T,
        units_T=units_T,
        at_fill_T=at_fill_T,
        rate_T=sum(_fees(config, np.ones(steps), spread_fill_T).values()),
        costs=costs,
        stopped=stopped,
        margin_called=stopped and bool(marked < config.maintenance_margin * held),
    )


def _fees(config: EnvConfig, notional: Any, spread_bp: Any) -> dict[str, Any]:
    """Each of `FEES` on a notional that is traded."""
    rates_bp = {"spread": spread_bp / 2, "commission": config.commission_bp, "slippage": config.slippage_bp}
    return {name: notional * rate_bp * BASIS_POINT for name, rate_bp in rates_bp.items()}


def _financing(config: EnvConfig, notional_T: Floats, days_T: Floats) -> Floats:
    """Interest on what was held over the close before; the notional has the sign of the side."""
    long_bp, short_bp = config.financing.long_bp_per_day, config.financing.short_bp_per_day
    return np.asarray(np.abs(notional_T) * np.where(notional_T > 0, long_bp, short_bp) * BASIS_POINT * days_T)


def _spread(spread_bp_N: Floats | None, rows_T: NDArray[np.int64], config: EnvConfig) -> Floats:
    """The bars' own spread, else the config's."""
    return np.full(len(rows_T), config.spread_bp) if spread_bp_N is None else spread_bp_N[rows_T]


def cost_shares(ledgers: list[Ledger]) -> dict[str, float]:
    """Each of `COSTS` as a share of the initial capital, the mean over accounts.

    Their sum is the metric `costs` before that is cut at ±`RATIO_CAP`.
    """
    return {name: float(np.mean([one.costs[name].sum() / one.equity_T1[0] for one in ledgers])) for name in COSTS}
