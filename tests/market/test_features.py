"""Feature values worked out by hand, and what holds for every series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fxai.market.bars import Bars
from fxai.market.features import (
    BOUND,
    CHUNK,
    HORIZONS,
    LOOKBACK,
    POSITION_WINDOWS,
    FeatureSet,
    _extremes,
    compute_features,
    timeframe_s,
)
from fxai.market.synthetic import ar1_bars

HOUR_NS = 3600 * 10**9
PLAIN = FeatureSet(time_of_day=False, high_low=False, spread=False, volume=False)
ALL = FeatureSet(time_of_day=True, high_low=True, spread=True, volume=True)


def hours(n: int, first: str = "2024-01-01") -> np.ndarray:
    """`n` hourly stamps; 2024-01-01 was a Monday."""
    return pd.Timestamp(first).as_unit("ns").value + HOUR_NS * np.arange(n, dtype=np.int64)


def last(bars: Bars, which: FeatureSet = PLAIN, bar_s: float = 3600.0) -> dict[str, float]:
    """Features of the last bar by name."""
    return dict(zip(which.names, compute_features(bars, which, bar_s)[-1].tolist(), strict=True))


def test_steady_growth():
    # every return is 0.001, so σ = 0.001 and return_h = 0.001 h / (0.001 √h) = √h, cut at 5 for h = 32 and 64
    bars = Bars(time_N=hours(65), close_N=np.exp(0.001 * np.arange(65)))
    got = last(bars)
    for horizon in HORIZONS:
        assert got[f"return_{horizon}"] == pytest.approx(min(np.sqrt(horizon), 5.0), rel=1e-6)
    assert got["volatility"] == pytest.approx(0.0, abs=1e-6)  # log(0.001 / 0.001)
    assert got["volatility_ratio"] == pytest.approx(0.0, abs=1e-6)  # the last 8 returns are like the last 64
    assert got["range_64"] == 5.0  # 63 steps from bottom to top: 0.063 / (0.001 · 8) = 7.875, cut at 5
    assert got["position_16"] == got["position_64"] == 1.0  # the last close is the highest
    assert got["gap"] == pytest.approx(0.0, abs=1e-6)  # one hour after the bar before


def test_one_jump_after_a_flat_stretch():
    # 64 equal closes, then +1% in logs: σ² = w_0 · 0.01², w_0 = (1 − d) / (1 − d^64) with d = 2^(−1/16) = 0.957603:
    # (1 − 0.957603) / (1 − 1/16) = 0.045223, so return_1 = 1/√0.045223 = 4.70240 and return_h = 4.70240 / √h
    close_N = np.ones(65)
    close_N[-1] = np.exp(0.01)
    got = last(Bars(time_N=hours(65), close_N=close_N))
    assert got["return_1"] == pytest.approx(4.70240, abs=1e-4)
    assert got["return_4"] == pytest.approx(4.70240 / 2, abs=1e-4)
    assert got["volatility"] == pytest.approx(np.log(0.01 / 4.70240 / 1e-3), abs=1e-4)
    # short: √(0.01²/8), long: √(0.01²/64); log(√64 / √8) = log(2.82843) = 1.03972
    assert got["volatility_ratio"] == pytest.approx(1.03972, abs=1e-4)
    assert got["range_64"] == pytest.approx(4.70240 / 8, abs=1e-4)  # 0.01 / (σ √64)
    assert got["position_64"] == 1.0


def test_a_price_that_never_moves_gives_zeros_and_the_lowest_volatility():
    got = last(Bars(time_N=hours(65), close_N=np.full(65, 1.25)))
    assert {got[f"return_{horizon}"] for horizon in HORIZONS} == {0.0}
    assert (got["range_64"], got["position_16"], got["position_64"]) == (0.0, 0.0, 0.0)
    assert got["volatility_ratio"] == 0.0
    assert got["volatility"] == -BOUND


def test_position_of_the_close_between_low_and_high():
    # in logs: highs 0.02, lows −0.02, the close at 0.01 is 3/4 of the way up: 2 · 0.75 − 1 = 0.5
    n = 65
    close_N = np.ones(n)
    close_N[-1] = np.exp(0.01)
    bars = Bars(time_N=hours(n), close_N=close_N, high_N=np.full(n, np.exp(0.02)), low_N=np.full(n, np.exp(-0.02)))
    got = last(bars, FeatureSet(time_of_day=False, high_low=True, spread=False, volume=False))
    assert got["position_16"] == pytest.approx(0.5, abs=1e-6)
    assert got["position_64"] == pytest.approx(0.5, abs=1e-6)
    # σ = 0.01 / 4.70240 = 0.0021266; the bar's range 0.04 / 0.0021266 = 18.8, cut at 5
    assert got["bar_range"] == 5.0


def test_bar_range_and_spread_are_in_units_of_volatility():
    # returns of ±0.001 in turn: σ = 0.001. log high − log low = 0.002 → 2. Spread 1.5 bp = 0.00015 → 0.15
    n = 65
    close_N = np.exp(0.001 * (np.arange(n) % 2))
    bars = Bars(
        time_N=hours(n),
        close_N=close_N,
        high_N=close_N * np.exp(0.0005),
        low_N=close_N * np.exp(-0.0015),
        spread_close_bp_N=np.full(n, 1.5),
    )
    got = last(bars, FeatureSet(time_of_day=False, high_low=True, spread=True, volume=False))
    assert got["bar_range"] == pytest.approx(2.0, rel=1e-5)
    assert got["spread"] == pytest.approx(0.15, rel=1e-5)


def test_volume_is_a_z_score_over_the_last_64_bars():
    # log(1 + volume) is 1 in 60 of the last 64 bars and 2 in the last four: mean 1 + 4/64, variance p (1 − p) with
    # p = 4/64; z = (1 − p) / √(p (1 − p)) = √(60/4) = 3.87298. The first of the 65 volumes is outside the window
    volume_N = np.full(65, np.e - 1)
    volume_N[-4:] = np.e**2 - 1
    volume_N[0] = 1e9
    which = FeatureSet(time_of_day=False, high_low=False, spread=False, volume=True)
    got = last(Bars(time_N=hours(65), close_N=np.ones(65), volume_N=volume_N), which)
    assert got["volume"] == pytest.approx(3.87298, abs=1e-4)
    # no variance: 0
    got = last(Bars(time_N=hours(65), close_N=np.ones(65), volume_N=np.full(65, 7.0)), which)
    assert got["volume"] == 0.0


def test_gap_is_the_log_of_bars_missed():
    # three bars' time since the bar before: log 3 = 1.09861; log 100,000 = 11.5 is cut at 5
    time_N = hours(65)
    time_N[-1] = time_N[-2] + 3 * HOUR_NS
    assert last(Bars(time_N=time_N, close_N=np.ones(65)))["gap"] == pytest.approx(1.09861, abs=1e-5)
    time_N[-1] = time_N[-2] + 100_000 * HOUR_NS
    assert last(Bars(time_N=time_N, close_N=np.ones(65)))["gap"] == 5.0


@pytest.mark.parametrize(
    ("stamp", "day", "week"),
    [
        ("2024-01-01 00:00", (0.0, 1.0), (0.0, 1.0)),  # Monday midnight: angle 0 on both circles
        ("2024-01-04 12:00", (0.0, -1.0), (0.0, -1.0)),  # Thursday noon: half of the day, 3.5 of 7 days
        ("2024-01-02 18:00", (-1.0, 0.0), (1.0, 0.0)),  # Tuesday 18:00: 3/4 of the day, 1.75 of 7 days = 1/4
    ],
)
def test_time_of_day_and_week(stamp: str, day: tuple[float, float], week: tuple[float, float]):
    time_N = hours(65) - 64 * HOUR_NS + (pd.Timestamp(stamp) - pd.Timestamp("2024-01-01")).value
    which = FeatureSet(time_of_day=True, high_low=False, spread=False, volume=False)
    got = last(Bars(time_N=time_N, close_N=np.ones(65)), which)
    assert (got["time_of_day_sin"], got["time_of_day_cos"]) == pytest.approx(day, abs=1e-6)
    assert (got["time_of_week_sin"], got["time_of_week_cos"]) == pytest.approx(week, abs=1e-6)


def test_timeframe_is_the_commonest_step_of_the_first_bars():
    time_N = hours(200)
    time_N[10:] += 48 * HOUR_NS  # a weekend
    assert timeframe_s(time_N) == 3600.0
    time_N[100:] += 3600 * HOUR_NS  # later bars are not asked
    assert timeframe_s(time_N) == 3600.0
    # no step is common: 1, 2, …, 64 s, their median is 32.5 s
    assert timeframe_s(np.cumsum(np.arange(65, dtype=np.int64)) * 10**9) == 32.5


def test_too_few_bars_give_no_features():
    assert compute_features(Bars(time_N=hours(64), close_N=np.ones(64)), PLAIN, 3600.0).shape == (0, len(PLAIN.names))


def full_bars(close_N: np.ndarray, seed: int = 0) -> Bars:
    """Bars with every column, around the given closes."""
    rng = np.random.default_rng(seed)
    n = len(close_N)
    width_N = 1 + 1e-3 * rng.random(n)
    return Bars(
        time_N=hours(n),
        close_N=close_N,
        high_N=close_N * width_N,
        low_N=close_N / width_N,
        volume_N=np.floor(rng.exponential(100, n)),
        spread_open_bp_N=rng.random(n),
        spread_close_bp_N=rng.random(n),
    )


def test_features_do_not_depend_on_where_the_series_is_cut():
    n = CHUNK + 500
    bars = full_bars(ar1_bars(n, 0.1)["close"].to_numpy())
    whole = compute_features(bars, ALL, 3600.0)
    for start in (1, 77, CHUNK - 3, CHUNK + 200):
        cut = compute_features(bars.rows(start, n), ALL, 3600.0)
        np.testing.assert_array_equal(cut, whole[start:])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), t=st.integers(LOOKBACK, 199), scale=st.floats(0.5, 2.0))
def test_bars_after_t_change_no_feature_at_or_before_t(seed: int, t: int, scale: float):
    bars = full_bars(ar1_bars(200, 0.0, seed=seed)["close"].to_numpy(), seed)
    arrays_after = {f"{name}_N": values_N.copy() for name, values_N in bars.arrays().items()}
    for values_N in arrays_after.values():
        values_N[t + 1 :] *= scale * (1 + np.random.default_rng(seed + 1).random(199 - t))
    changed = Bars(time_N=bars.time_N.copy(), **arrays_after)
    changed.time_N[t + 1 :] += HOUR_NS
    before, after = compute_features(bars, ALL, 3600.0), compute_features(changed, ALL, 3600.0)
    np.testing.assert_array_equal(before[: t + 1 - LOOKBACK], after[: t + 1 - LOOKBACK])
    if t < 199:
        assert not np.array_equal(before[t + 1 - LOOKBACK :], after[t + 1 - LOOKBACK :])


@settings(max_examples=40, deadline=None)
@given(close_N=arrays(np.float64, 140, elements=st.floats(1e-6, 1e6)))
def test_features_are_finite_and_bounded_for_any_prices(close_N: np.ndarray):
    features_NF = compute_features(full_bars(close_N), ALL, 3600.0)
    assert features_NF.dtype == np.float32
    assert np.isfinite(features_NF).all()
    assert np.abs(features_NF).max() <= BOUND
    # |return_1| is below the bound by itself: it is never cut
    assert np.abs(features_NF[:, 0]).max() < 4.703


def test_the_next_return_of_an_ar1_market_is_read_off_return_1():
    # the correlation of r_t with r_{t+1} is φ = 0.3; dividing both by a noisy σ costs little. Its standard error is
    # about 1/√20,000 = 0.007, and the best linear forecast from return_1 must keep most of φ
    bars = ar1_bars(20_064, 0.3, seed=1)
    close_N = bars["close"].to_numpy()
    return_1_N = compute_features(Bars(time_N=hours(len(close_N)), close_N=close_N), PLAIN, 3600.0)[:-1, 0]
    next_N = np.diff(np.log(close_N))[LOOKBACK:]
    assert np.corrcoef(return_1_N, next_N)[0, 1] == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("window", sorted({LOOKBACK, *POSITION_WINDOWS}))
def test_extremes_are_those_of_a_rolling_window(window: int):
    # the doubling takes powers of two only; pandas goes bar by bar
    assert window & (window - 1) == 0
    high_N = np.random.default_rng(0).normal(size=500)
    top_N, bottom_N = _extremes(high_N, high_N - 1, window)
    np.testing.assert_array_equal(top_N, pd.Series(high_N).rolling(window).max()[LOOKBACK:])
    np.testing.assert_array_equal(bottom_N, pd.Series(high_N - 1).rolling(window).min()[LOOKBACK:])
