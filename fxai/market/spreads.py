"""The bid-ask spread of bars: the real one where they carry it, else an estimate from their prices.

N bars, all in basis points (1e-4) of the mid.  An estimate sees the bounce of trades between bid and ask. Bars of
mid prices, or of bids alone as most free minute bars are, have none, so it says nothing of what a broker charges.

R. Roll (1984), A Simple Implicit Measure of the Effective Bid-Ask Spread in an Efficient Market, J. Finance 39(4)
F. Abdi, A. Ranaldo (2017), A Simple Estimation of Bid-Ask Spreads from Daily Close, High, and Low Prices,
Review of Financial Studies 30(12)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxai.arrays import Array
from fxai.market.bars import Bars

QUANTILES = (0.05, 0.5, 0.95, 1.0)

NORMAL_95 = 1.645
"""One-sided 95% of a normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The full spread at the close."""

    quantiles_bp: tuple[float, ...] | None
    """Of the real spread, at QUANTILES; None where bars carry none."""

    widest: int
    """Row of the widest real spread; −1 where bars carry none."""

    estimate_bp: float | None
    """An estimate where there is no real one; 0 where nothing bounces, None of too few bars."""

    at_most_bp: float | None
    """Where the estimate's one-sided 95% confidence interval ends."""

    method: str
    """Where it is from, as a person would name it."""


def spread_of(bars: Bars, gap_N: NDArray[np.bool_]) -> Spread:
    """The real spread, or an estimate from pairs of bars that no gap [N − 1] parts."""
    real_N = bars.spread_close_bp_N
    if real_N is not None:
        quantiles = tuple(float(value) for value in np.quantile(real_N, QUANTILES))
        widest = int(np.argmax(real_N))
        return Spread(quantiles_bp=quantiles, widest=widest, estimate_bp=None, at_most_bp=None, method="the bars")
    if bars.high_N is not None and bars.low_N is not None:
        squares_N = abdi_ranaldo_squares(bars.close_N, bars.high_N, bars.low_N)[~gap_N]
        method = "close, high and low (Abdi & Ranaldo 2017)"
    else:
        squares_N = roll_squares(bars.close_N, gap_N)
        method = "the bounce of closes (Roll 1984)"
    estimate_bp, at_most_bp = _root_of_mean(squares_N)
    return Spread(quantiles_bp=None, widest=-1, estimate_bp=estimate_bp, at_most_bp=at_most_bp, method=method)


def abdi_ranaldo_squares(close_N: Array, high_N: Array, low_N: Array) -> Array:
    """[N − 1] terms whose expectation is the square of the spread, as a fraction.

    s² = E[4 (c_t − η_t)(c_t − η_{t+1})], c the log close, η the mean of log high and log low.
    """
    log_close_N = np.log(close_N)
    middle_N = (np.log(high_N) + np.log(low_N)) / 2
    squares_N: Array = 4.0 * (log_close_N[:-1] - middle_N[:-1]) * (log_close_N[:-1] - middle_N[1:])
    return squares_N


def roll_squares(close_N: Array, gap_N: NDArray[np.bool_]) -> Array:
    """Terms, one for each two steps without a gap, whose expectation is the square of the spread, as a fraction.

    s² = −4 cov(r_t, r_{t+1}).
    """
    return_N = np.diff(np.log(close_N))
    if gap_N.all():
        return np.empty(0)
    return_N = return_N - return_N[~gap_N].mean()
    squares_N: Array = (-4.0 * return_N[:-1] * return_N[1:])[~(gap_N[1:] | gap_N[:-1])]
    return squares_N


def _root_of_mean(squares_N: Array) -> tuple[float | None, float | None]:
    """Basis points of the mean's root, and of the upper end of its confidence interval; a negative mean counts as 0."""
    if len(squares_N) < 2:
        return None, None
    mean = float(squares_N.mean())
    error = float(squares_N.std(ddof=1)) / np.sqrt(len(squares_N))
    return float(np.sqrt(max(mean, 0.0))) * 1e4, float(np.sqrt(max(mean + NORMAL_95 * error, 0.0))) * 1e4
