"""The trades of one account, from its ledger (docs/trading_model.md, section Trades), and what they come to.

K trades in order of their entry.  Money is in the quote currency, gains are fractions of the equity at entry, times
are the stamps of the bars, UTC nanoseconds.  Equity does not move between trades, so that the P&L of all trades is
the change of equity over the episode.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from fxai.evaluate.ledger import Ledger

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

REASONS = ("signal", "flip", "stop", "margin call", "open at end")
"""Why a trade ended: the agent went flat; it took the other side; the account was stopped, or could no longer pay for
closing; stopped by env.maintenance_margin; it did not end, and is marked at the last close."""

SIGNAL, FLIP, STOP, MARGIN_CALL, OPEN = range(len(REASONS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Trades:
    """Trades as columns, [K]."""

    side_K: Ints
    """1 long, −1 short."""
    entry_time_K: Ints
    exit_time_K: Ints
    """Bar of the fill, or the bar at whose close a stop closed it."""
    entry_price_K: Floats
    """Mid price of the first fill; what the fill cost is in `costs`."""
    exit_price_K: Floats
    max_units_K: Floats
    """The most units held, without sign."""
    bars_K: Ints
    """Closes since the entry."""
    gain_K: Floats
    """Equity at exit over equity at entry − 1, after all costs."""
    pnl_K: Floats
    mfe_K: Floats
    """Maximum favourable excursion at a close or at the exit, ≥ 0."""
    mae_K: Floats
    """Maximum adverse excursion, ≤ 0."""
    costs_K: Floats
    """Spread, commission, slippage, financing and liquidation."""
    reason_K: Ints
    """Index into `REASONS`."""

    def __len__(self) -> int:
        return len(self.side_K)

    def take(self, chosen: NDArray[np.bool_] | Ints) -> Trades:
        """Some of the trades."""
        return Trades(**{f.name: getattr(self, f.name)[chosen] for f in fields(Trades)})


def trades_of(ledger: Ledger) -> Trades:
    """All trades of an account."""
    steps = len(ledger.units_T)
    side_T = np.sign(ledger.units_T).astype(np.int64)
    turned_T = side_T != np.concatenate([[0], side_T[:-1]])
    turns = np.append(np.flatnonzero(turned_T), steps)
    begins = np.flatnonzero(side_T[turns[:-1]] != 0)
    entry_K, exit_K = turns[begins], turns[begins + 1]
    at_fill_K = exit_K < steps
    exit_row_K = np.minimum(exit_K, steps - 1)

    rest_T = ledger.at_fill_T - ledger.leaving_T
    entry_equity_K = rest_T[entry_K]
    # debt that is left after closing is forgiven
    exit_equity_K = np.where(at_fill_K, np.maximum(rest_T[exit_row_K], 0.0), ledger.equity_T1[-1])
    gain_K = exit_equity_K / entry_equity_K - 1.0
    ends_K = (entry_K, exit_K)
    highest_K = over(np.maximum, ledger.equity_T1[1:], *ends_K) / entry_equity_K - 1.0
    lowest_K = over(np.minimum, ledger.equity_T1[1:], *ends_K) / entry_equity_K - 1.0
    return Trades(
        side_K=side_T[entry_K],
        entry_time_K=ledger.time_T1[entry_K + 1],
        exit_time_K=ledger.time_T1[exit_row_K + 1],
        entry_price_K=ledger.fill_T[entry_K],
        exit_price_K=np.where(at_fill_K, ledger.fill_T[exit_row_K], ledger.close_T1[-1]),
        max_units_K=over(np.maximum, np.abs(ledger.units_T), *ends_K),
        bars_K=exit_K - entry_K,
        gain_K=gain_K,
        pnl_K=exit_equity_K - entry_equity_K,
        mfe_K=np.maximum(np.maximum(highest_K, gain_K), 0.0),
        mae_K=np.minimum(np.minimum(lowest_K, gain_K), 0.0),
        costs_K=_costs(ledger, entry_K, exit_K),
        reason_K=_reasons(ledger, side_T, rest_T, exit_K),
    )


def over(reduce: np.ufunc, values_T: Floats, begin_K: Ints, end_K: Ints) -> Floats:
    """`reduce` over values begin … end − 1 of each of K stretches that follow each other without overlap."""
    padded = np.append(values_T, values_T[-1])  # an end may lie behind the last value
    borders = np.stack([begin_K, end_K], axis=1).reshape(-1)
    return np.asarray(reduce.reduceat(padded, borders)[::2]) if len(borders) else np.zeros(0)


def _costs(ledger: Ledger, entry_K: Ints, exit_K: Ints) -> Floats:
    """At a flip, financing and the cost of closing belong to the trade that ends, the rest to the one that begins."""
    of_old_T = ledger.leaving_T + ledger.costs["financing"]
    leaving_K = np.append(of_old_T, 0.0)[exit_K]
    return np.asarray(over(np.add, ledger.paid_T, entry_K, exit_K) - of_old_T[entry_K] + leaving_K)


def _reasons(ledger: Ledger, side_T: Ints, rest_T: Floats, exit_K: Ints) -> Ints:
    steps = len(side_T)
    last = OPEN if not ledger.stopped else MARGIN_CALL if ledger.margin_called else STOP
    row_K = np.minimum(exit_K, steps - 1)
    by_fill_K = np.where(side_T[row_K] != 0, FLIP, np.where(rest_T[row_K] <= 0, STOP, SIGNAL))
    return np.where(exit_K == steps, last, by_fill_K)


def statistics(trades: list[Trades]) -> dict[str, float]:
    """What the trades of several accounts come to; an average of nothing is 0.

    payoff      mean gain of the winners over the mean loss of the losers, 0 where either is missing
    efficiency  gain over (MFE − MAE), the share of the trade's range that was kept, mean (Sweeney 1996)
    """

    def joined(name: str) -> Floats:
        return np.concatenate([np.zeros(0), *(getattr(each, name) for each in trades)])

    def mean(values: Floats) -> float:
        return float(values.mean()) if values.size else 0.0

    gain, mfe, mae, bars = (joined(name) for name in ("gain_K", "mfe_K", "mae_K", "bars_K"))
    won, lost = gain[gain > 0], gain[gain < 0]
    span = mfe - mae
    return {
        "trades": float(gain.size),
        "winners": float((gain > 0).sum()),
        "win_rate": mean((gain > 0).astype(np.float64)),
        "mean_gain": mean(gain),
        "mean_winner": mean(won),
        "mean_loser": mean(lost),
        "payoff": mean(won) / -mean(lost) if won.size and lost.size else 0.0,
        "best": float(gain.max(initial=0.0)),
        "worst": float(gain.min(initial=0.0)),
        "mean_mfe": mean(mfe),
        "mean_mae": mean(mae),
        "efficiency": mean(np.divide(gain, span, out=np.zeros_like(gain), where=span > 0)),
        "mean_bars": mean(bars),
        "longest_bars": float(bars.max(initial=0.0)),
    }


def reasons(trades: list[Trades]) -> dict[str, int]:
    """How many trades ended for each of `REASONS`."""
    counted = Counter(int(code) for each in trades for code in each.reason_K)
    return {reason: counted[code] for code, reason in enumerate(REASONS)}
