"""Estimates of the spread: the arithmetic by hand, and spreads that are known because they were put in."""

from __future__ import annotations

import numpy as np
import pytest

from fxai.market.bars import Bars
from fxai.market.spreads import abdi_ranaldo_squares, roll_squares, spread_of

HOUR_NS = 3600 * 10**9


def no_gaps(bars: Bars) -> np.ndarray:
    return np.zeros(len(bars) - 1, dtype=np.bool_)


def bouncing(n: int, spread: float, seed: int = 0) -> Bars:
    """`n` bars of 100 trades each, on either side of a random-walking mid; the spread is a fraction of the price."""
    rng = np.random.default_rng(seed)
    mid = np.cumsum(rng.normal(0.0, 1e-4, n * 100))
    trade = np.exp(mid + spread / 2 * rng.choice([-1.0, 1.0], n * 100)).reshape(n, 100)
    return Bars(
        time_N=np.arange(n, dtype=np.int64) * HOUR_NS, close_N=trade[:, -1], high_N=trade.max(1), low_N=trade.min(1)
    )


def test_abdi_ranaldo_by_hand():
    # logs: c = 0.010, 0.020; high 0.014 and 0.020, low 0.002 and 0.004, so η = 0.008 and 0.012
    # 4 (c_0 − η_0)(c_0 − η_1) = 4 · 0.002 · (−0.002) = −1.6e-5
    close_N, high_N, low_N = (np.exp(x) for x in ([0.010, 0.020], [0.014, 0.020], [0.002, 0.004]))
    np.testing.assert_allclose(abdi_ranaldo_squares(close_N, high_N, low_N), [-1.6e-5], rtol=1e-9)


def test_roll_by_hand():
    # returns 0.001, −0.001, 0.001, −0.001 have mean 0, and every product of neighbours is −1e-6: s² = 4e-6, s = 20 bp,
    # which is the whole step from bid to ask
    close_N = np.exp([0.0, 0.001, 0.0, 0.001, 0.0])
    np.testing.assert_allclose(roll_squares(close_N, np.zeros(4, dtype=np.bool_)), [4e-6] * 3, rtol=1e-9)
    bars = Bars(time_N=np.arange(5, dtype=np.int64) * HOUR_NS, close_N=close_N)
    spread = spread_of(bars, no_gaps(bars))
    assert spread.estimate_bp == pytest.approx(20.0)
    assert spread.at_most_bp == pytest.approx(20.0)  # all terms are alike, so there is no error
    assert "Roll" in spread.method


@pytest.mark.parametrize("spread_bp", [5.0, 20.0])
def test_a_spread_that_was_put_in_is_found(spread_bp: float):
    bars = bouncing(4000, spread_bp * 1e-4)
    both = spread_of(bars, no_gaps(bars))
    assert "Abdi" in both.method
    assert both.estimate_bp == pytest.approx(spread_bp, rel=0.15)
    assert both.at_most_bp is not None
    assert both.at_most_bp > spread_bp * 0.95
    closes = Bars(time_N=bars.time_N, close_N=bars.close_N)
    roll = spread_of(closes, no_gaps(closes))
    # bars of volatility 10 bp hide a spread of 5 bp from Roll's estimate: ± 4 s.e. of the mean of its terms
    terms = roll_squares(bars.close_N, no_gaps(bars))
    error = 4 * terms.std() / np.sqrt(len(terms))
    assert roll.estimate_bp is not None
    assert abs((roll.estimate_bp * 1e-4) ** 2 - (spread_bp * 1e-4) ** 2) < error


def test_no_bounce_is_no_spread():
    bars = bouncing(4000, 0.0)
    spread = spread_of(bars, no_gaps(bars))
    assert spread.estimate_bp is not None
    # the standard error of the mean square is 2e-8 for 4,000 bars of 10 bp volatility: 4.5 of them are (3 bp)²
    assert spread.estimate_bp < 3.0


def test_pairs_over_a_gap_are_left_out():
    # a jump of 10% at the gap between bars 2 and 3 would drown the rest: steps 0.001, −0.001, gap, 0.001, −0.001, 0.001
    # have the mean 0.0002, and each of the three pairs is 0.0008 · (−0.0012): s² = 3.84e-6, s = 19.5959 bp
    close_N = np.exp(np.array([0.0, 0.001, 0.0, 0.1, 0.101, 0.1, 0.101]))
    gap_N = np.array([False, False, True, False, False, False])
    bars = Bars(time_N=np.arange(7, dtype=np.int64), close_N=close_N)
    assert spread_of(bars, gap_N).estimate_bp == pytest.approx(19.5959, abs=1e-3)
    assert spread_of(bars, np.ones(6, dtype=np.bool_)).estimate_bp is None
    # lows at the close and highs 0.002 above in logs: η = c + 0.001, so a term is 0.004 (c_{t+1} − c_t + 0.001), and
    # its mean over the five steps 0.004 · 0.0012 = 4.8e-6 = (21.9089 bp)²
    ranged = Bars(time_N=bars.time_N, close_N=close_N, high_N=close_N * np.exp(0.002), low_N=close_N)
    assert spread_of(ranged, gap_N).estimate_bp == pytest.approx(21.9089, abs=1e-3)


def test_real_spreads_are_quantiles_and_not_estimated():
    # 0, 1, …, 100 bp: the quantiles are their own per cents
    spread_N = np.arange(101.0)
    bars = Bars(time_N=np.arange(101, dtype=np.int64), close_N=np.ones(101), spread_close_bp_N=spread_N[::-1].copy())
    spread = spread_of(bars, no_gaps(bars))
    assert spread.quantiles_bp == pytest.approx((5.0, 50.0, 95.0, 100.0))
    assert (spread.widest, spread.estimate_bp) == (0, None)


def test_too_few_bars_have_no_estimate():
    bars = Bars(time_N=np.arange(3, dtype=np.int64), close_N=np.array([1.0, 1.1, 1.0]))
    assert spread_of(bars, no_gaps(bars)).estimate_bp is None
