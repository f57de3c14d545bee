"""Several instruments in one market, on calendars and over ranges of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fxai.config.data import SplitConfig
from fxai.errors import DataError
from fxai.market.bars import Bars, bars_from_frame
from fxai.market.data import Market, MarketPart
from fxai.market.features import LOOKBACK, FeatureSet, compute_features
from fxai.market.reading.zones import find_zone
from fxai.market.synthetic import ar1_bars, market_from_bars

SPLIT = SplitConfig(validation=0.2, test=0.2, purge_bars=10)
PARTS = ("train", "validation", "test")
N = 1500
FEATURES = FeatureSet(time_of_day=True, high_low=True, spread=False, volume=False)


def frame(seed: int, keep: np.ndarray | None = None) -> pd.DataFrame:
    """Hours of a walk of its own level and volatility from Monday 2000-01-03, or those of them that are kept."""
    sigma = 1e-4 * 10 ** (seed % 3)
    bars = ar1_bars(N, 0.1, sigma=sigma, seed=seed, start_price=10.0 ** (seed % 4))
    return bars if keep is None else bars[keep]


def weekdays() -> np.ndarray:
    """Which of the N hours are not of a Saturday or Sunday."""
    index = frame(0).index
    return np.asarray(index.day_of_week < 5)


def rows_of(part: MarketPart, instrument: str) -> slice:
    place = part.instruments.index(instrument)
    return slice(int(part.offsets_I[place]), int(part.offsets_I[place + 1]))


def bars_of(own: pd.DataFrame) -> Bars:
    return bars_from_frame(own, zone=find_zone("UTC", "test"))


def assert_each_is_itself(market: Market, frames: dict[str, pd.DataFrame]) -> None:
    """Each instrument's rows are its own bars and the features of its own bars, whatever lies beside it."""
    for part in market.parts:
        assert part.offsets_I[-1] == len(part.time_N)
        for name, own in frames.items():
            rows = rows_of(part, name)
            bars = bars_of(own)
            here = np.searchsorted(bars.time_N, part.time_N[rows])
            np.testing.assert_array_equal(bars.time_N[here], part.time_N[rows])
            np.testing.assert_array_equal(bars.close_N[here], part.close_N[rows])
            np.testing.assert_array_equal(np.diff(here), 1)  # a stretch without holes
            expected_NF = compute_features(bars, FEATURES, 3600.0)[here - LOOKBACK]
            np.testing.assert_array_equal(part.features_NF[rows], expected_NF)


def test_calendars_that_differ():
    frames = {"WEEK": frame(1, weekdays()), "ALWAYS": frame(2), "LATE": frame(3)[400:]}
    market = market_from_bars(frames, split=SPLIT, parts=PARTS)
    assert_each_is_itself(market, frames)
    # all are cut at the same moments: no bar of train is later than one of validation, whichever instrument it is of
    train, validation, test = market.parts
    assert train.time_N.max() < validation.time_N.min()
    assert validation.time_N.max() < test.time_N.min()


def test_bars_per_year_are_those_of_each_calendar():
    # hours all week: 24 · 365.25 = 8,766 a year. The 1,500 hours from a Monday hold nine times five days, 1,080 bars
    # whose last is hour 60 · 24 + 23 = 1,463: 1,079 steps in 1,463 hours
    frames = {"WEEK": frame(1, weekdays()), "ALWAYS": frame(2)}
    market = market_from_bars(frames, split=SPLIT)
    expected = (1079 / 1463 * 8766, 8766.0)
    assert market.bars_per_year == pytest.approx(sum(expected) / 2)
    for part in market.parts:
        assert part.bars_per_year_I == pytest.approx(expected)


@settings(max_examples=30, deadline=None)
@given(seeds=st.lists(st.integers(0, 99), min_size=2, max_size=3), data=st.data())
def test_whatever_bars_are_missing_each_instrument_is_itself(seeds: list[int], data: st.DataObject):
    frames = {}
    for place, seed in enumerate(seeds):
        rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
        keep = rng.random(N) > data.draw(st.sampled_from([0.0, 0.05, 0.2]))
        keep[: data.draw(st.integers(0, 300))] = False  # they begin and end at times of their own
        keep[N - data.draw(st.integers(0, 100)) :] = False
        frames[f"I{place}"] = frame(seed, keep)
    market = market_from_bars(frames, split=SPLIT, parts=PARTS)
    assert_each_is_itself(market, frames)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), t=st.integers(LOOKBACK, N - 2))
def test_no_instrument_knows_anything_of_another(seed: int, t: int):
    # every price of B after t is another: B is the same up to t, and A is the same everywhere
    rng = np.random.default_rng(seed)
    frames = {"A": frame(1, weekdays()), "B": frame(2)}
    changed = frames["B"].copy()
    changed.iloc[t + 1 :] *= np.exp(rng.normal(0.0, 0.1, (N - t - 1, 1)))
    before = market_from_bars(frames, split=SPLIT, parts=PARTS)
    after = market_from_bars({**frames, "B": changed}, split=SPLIT, parts=PARTS)
    for one, other in zip(before.parts, after.parts, strict=True):
        np.testing.assert_array_equal(one.offsets_I, other.offsets_I)
        known = rows_of(one, "A")
        np.testing.assert_array_equal(one.features_NF[known], other.features_NF[known])
        np.testing.assert_array_equal(one.close_N[known], other.close_N[known])
        rows = rows_of(one, "B")
        until = rows.start + int(
            np.searchsorted(one.time_N[rows], frames["B"].index.as_unit("ns").asi8[t], side="right")
        )
        np.testing.assert_array_equal(one.features_NF[rows.start : until], other.features_NF[rows.start : until])


def test_the_level_of_a_price_does_not_matter():
    # a price of another unit, as yen for dollars, has the same features: each instrument is in units of its volatility
    own = frame(1)
    market = market_from_bars({"A": own, "B": own * 150.0}, split=SPLIT)
    for part in market.parts:
        np.testing.assert_allclose(
            part.features_NF[rows_of(part, "A")], part.features_NF[rows_of(part, "B")], rtol=0, atol=1e-4
        )


def test_an_instrument_that_begins_too_late_is_named():
    # cuts lie at hours 900 (899.4) and 1,200 (1199.2): from hour 950 on, nothing is left of train
    with pytest.raises(DataError) as error:
        market_from_bars({"A": frame(1), "LATE": frame(2)[950:]}, split=SPLIT)
    assert error.value.what == (
        "LATE has 0 bars in train, and window + episode need 1 (of 550 bars in all, after lookback and purge); "
        # 899.4 hours after 3 January are 37 days, 11 hours and 24 minutes; hour 950 is 39 days and 14 hours after it
        "the split is at the same dates for all instruments, train until 2000-02-09 11:24, "
        "and LATE has bars from 2000-02-11 14:00:00 to 2000-03-05 11:00:00"
    )
    hint = error.value.hint or ""
    assert hint.startswith("set data.start and data.end to a range that all instruments cover, leave LATE out")
    assert "larger share" not in hint


def test_volume_may_be_missing_in_some_and_is_no_feature_then():
    own = {"A": frame(1).assign(volume=5.0), "B": frame(2), "C": frame(3).assign(volume=0.0)}
    market = market_from_bars(own, split=SPLIT)
    assert market.train is not None
    assert "volume" not in market.train.feature_names
    assert market.notes[-2:] == (
        "C: the volume starts with zeros and is no feature of any instrument",
        "B: there is no volume, so it is no feature of any instrument",
    )
    both = market_from_bars({"A": own["A"], "D": frame(2).assign(volume=np.arange(N) % 7)}, split=SPLIT)
    assert both.train is not None
    assert "volume" in both.train.feature_names
    assert not any("volume" in note for note in both.notes)


def test_an_instrument_that_ends_too_early_is_named():
    with pytest.raises(DataError, match="EARLY has 0 bars in validation"):
        market_from_bars({"A": frame(1), "EARLY": frame(2)[:800]}, split=SPLIT)
