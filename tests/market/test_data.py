"""Markets: parts, sealing, hashes, and no look-ahead."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fxai.config.data import DataConfig, SplitConfig
from fxai.errors import DataError
from fxai.market.data import Market, MarketPart, load_market
from fxai.market.features import LOOKBACK
from fxai.market.synthetic import ar1_bars, market_from_bars, white_noise_bars

SPLIT = SplitConfig(validation=0.2, test=0.2, purge_bars=10)


def arrays_of(part: MarketPart) -> dict[str, np.ndarray]:
    values = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def with_extras(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Add spread and volume."""
    rng = np.random.default_rng(seed)
    return frame.assign(spread=1e-4 * rng.random(len(frame)), volume=rng.integers(1, 100, len(frame)))


def test_parts_are_cut_by_time_with_the_purge_between_them():
    # 1,000 hours from row 0 to row 999: cuts at 999 · 0.6 = 599.4 → row 600 and 999 · 0.8 = 799.2 → row 800
    frame = with_extras(white_noise_bars(1000))
    market = market_from_bars({"A": frame}, split=SPLIT, parts=("train", "validation", "test"))
    stamps = frame.index.as_unit("ns").asi8
    for part, start, stop in zip(market.parts, (LOOKBACK, 600, 800), (590, 790, 1000), strict=True):
        np.testing.assert_array_equal(part.time_N, stamps[start:stop])
        np.testing.assert_array_equal(part.close_N, frame["close"].to_numpy()[start:stop])
        np.testing.assert_array_equal(part.open_N, frame["open"].to_numpy()[start:stop])
        assert part.offsets_I.tolist() == [0, stop - start]
        assert part.features_NF.shape == (stop - start, len(part.feature_names))
        bp_N = (frame["spread"] / frame["close"] * 1e4).to_numpy()[start:stop]
        np.testing.assert_allclose(part.spread_close_bp_N, bp_N, rtol=1e-12)
        assert part.spread_open_bp_N is not None


def test_instruments_share_the_cuts_and_lie_end_to_end():
    # A has 1,000 hours; B starts 200 hours later and ends with A: the range is A's, and the cuts are A's rows 600 and
    # 800, which are B's rows 400 and 600
    long, late = white_noise_bars(1000, seed=1), white_noise_bars(1000, seed=2).iloc[200:]
    market = market_from_bars({"A": long, "B": late}, split=SPLIT)
    train, validation = market.train, market.validation
    assert train is not None
    assert validation is not None
    assert train.offsets_I.tolist() == [0, 590 - LOOKBACK, 590 - LOOKBACK + 390 - LOOKBACK]
    assert validation.offsets_I.tolist() == [0, 190, 380]
    np.testing.assert_array_equal(validation.time_N[:190], validation.time_N[190:])
    np.testing.assert_array_equal(validation.close_N[190:], late["close"].to_numpy()[400:590])


def test_bars_of_the_sealed_test_are_in_no_array():
    frame = with_extras(white_noise_bars(1000))
    market = market_from_bars({"A": frame}, split=SPLIT)
    assert market.test is None
    sealed = {column: frame[column].to_numpy()[800:] for column in ("open", "high", "low", "close")}
    for part in market.parts:
        for name, values in arrays_of(part).items():
            assert values.base is None, f"{part.name}.{name} is a view, and keeps bars of other parts in memory"
            for prices in sealed.values():
                assert not np.isin(prices, values).any()
        assert part.time_N.max() < frame.index.as_unit("ns").asi8[800]


@pytest.mark.parametrize("parts", [("train",), ("validation",), ("test",), ("validation", "test")])
def test_only_the_parts_asked_for_are_kept_and_they_are_the_same(parts: tuple[str, ...]):
    frames = {"A": with_extras(ar1_bars(1000, 0.2)), "B": with_extras(ar1_bars(1000, 0.2, seed=5))}
    whole = market_from_bars(frames, split=SPLIT, parts=("train", "validation", "test"))
    some = market_from_bars(frames, split=SPLIT, parts=parts)
    assert tuple(part.name for part in some.parts) == parts
    assert (some.data_hash, some.bars_per_year, some.notes) == (whole.data_hash, whole.bars_per_year, whole.notes)
    for part in some.parts:
        expected = arrays_of(getattr(whole, part.name))
        for name, values in arrays_of(part).items():
            np.testing.assert_array_equal(values, expected[name])


def test_unknown_parts_are_a_bug_of_the_caller():
    with pytest.raises(ValueError, match="parts are among"):
        market_from_bars({"A": white_noise_bars(1000)}, parts=("train", "future"))


def write_csv(frame: pd.DataFrame, folder: Path, name: str) -> DataConfig:
    frame.to_csv(folder / f"{name}.csv")
    return DataConfig(
        source="file", path=str(folder / "{instrument}.csv"), instruments=(name,), timezone="UTC", split=SPLIT
    )


def test_files_and_frames_make_the_same_market(tmp_path: Path):
    frame = with_extras(ar1_bars(600, 0.1))
    from_file = load_market(write_csv(frame, tmp_path, "A"))
    from_frame = market_from_bars({"A": frame}, split=SPLIT)
    for one, other in zip(from_file.parts, from_frame.parts, strict=True):
        assert one.feature_names == other.feature_names
        for name, values in arrays_of(one).items():
            np.testing.assert_allclose(values, arrays_of(other)[name], rtol=1e-6, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), t=st.integers(LOOKBACK, 398), factor=st.floats(0.5, 2.0))
def test_changing_bars_after_t_changes_nothing_at_or_before_t(seed: int, t: int, factor: float):
    frame = with_extras(ar1_bars(400, 0.1, seed=seed), seed)
    changed = frame.astype(float)
    changed.iloc[t + 1 :] *= factor * (1 + np.random.default_rng(seed).random((399 - t, 1)))
    with tempfile.TemporaryDirectory() as folder:
        before = load_market(write_csv(frame, Path(folder), "A"), parts=("train", "validation", "test"))
        after = load_market(write_csv(changed, Path(folder), "A"), parts=("train", "validation", "test"))
    assert before.data_hash != after.data_hash
    t_ns = frame.index.as_unit("ns").asi8[t]
    for one, other in zip(before.parts, after.parts, strict=True):
        until = int(np.searchsorted(one.time_N, t_ns, side="right"))
        assert one.feature_names == other.feature_names
        np.testing.assert_array_equal(one.offsets_I, other.offsets_I)
        for name, values in arrays_of(one).items():
            if name != "offsets_I":
                np.testing.assert_array_equal(values[:until], arrays_of(other)[name][:until], err_msg=name)


def test_a_later_volume_adds_no_feature():
    # whether there is a volume is decided by the first bars, which no part holds
    frame = ar1_bars(1000, 0.1).assign(volume=0)
    frame.loc[frame.index[500:], "volume"] = 7
    market = market_from_bars({"A": frame}, split=SPLIT)
    assert market.train is not None
    assert "volume" not in market.train.feature_names
    assert "A: the volume starts with zeros and is no feature" in market.notes


def test_too_few_bars_name_both_numbers():
    frame = white_noise_bars(1000)
    market_from_bars({"A": frame}, split=SPLIT, min_bars=190)
    with pytest.raises(DataError) as error:
        market_from_bars({"A": frame}, split=SPLIT, min_bars=191)
    # validation has rows 600 … 789
    assert error.value.what == (
        "A has 190 bars in validation, and window + episode need 191 (of 1,000 bars in all, after lookback and purge)"
    )
    assert error.value.where == "data.split"
    assert error.value.hint is not None
    assert "max_episode_steps" in error.value.hint
    with pytest.raises(DataError, match="A has 65 bars, and features alone look back 64"):
        market_from_bars({"A": white_noise_bars(65)}, split=SPLIT)
    # 100 bars: train would be rows 64 … 49
    with pytest.raises(DataError, match="A has 0 bars in train"):
        market_from_bars({"A": white_noise_bars(100)}, split=SPLIT)


def hash_of(frame: pd.DataFrame, name: str = "A", split: SplitConfig = SPLIT) -> str:
    return market_from_bars({name: frame}, split=split).data_hash


def test_the_hash_tells_data_and_settings_apart(tmp_path: Path):
    frame = with_extras(white_noise_bars(1000))
    reference = hash_of(frame)
    assert len(reference) == 64
    assert hash_of(frame.copy()) == reference
    last_close = frame.copy()
    last_close.loc[frame.index[-1], "close"] *= 1.0001  # a bar of the sealed test counts too
    others = [
        hash_of(last_close),
        hash_of(frame.iloc[1:]),
        hash_of(frame.drop(columns="spread")),
        hash_of(frame.set_axis(frame.index + pd.Timedelta("1h"))),
        hash_of(frame, name="B"),
        hash_of(frame, split=SplitConfig(validation=0.2, test=0.2, purge_bars=11)),
    ]
    assert reference not in others
    assert len(set(others)) == len(others)
    # another folder is the same data
    (tmp_path / "x").mkdir()
    moved = [load_market(write_csv(frame, folder, "A")).data_hash for folder in (tmp_path, tmp_path / "x")]
    assert moved[0] == moved[1]


def test_start_and_end_are_whole_days():
    # hourly bars from Monday 2000-01-03; 5 to 20 January are 16 days of 24 hours, and hour 0 of day 5 is row 48
    frame = white_noise_bars(1000)
    split = SplitConfig(validation=0.2, test=0.2, purge_bars=0)
    parts = ("train", "validation", "test")
    market = market_from_bars({"A": frame}, start="2000-01-05", end="2000-01-20", split=split, parts=parts)
    assert market.train is not None
    assert market.test is not None
    assert market.train.time_N[0] == frame.index.as_unit("ns").asi8[48 + LOOKBACK]
    assert pd.Timestamp(market.test.time_N[-1]) == pd.Timestamp("2000-01-20 23:00")
    assert sum(len(part.time_N) for part in market.parts) == 16 * 24 - LOOKBACK


@pytest.mark.parametrize(
    ("start", "end", "where", "what"),
    [
        ("2030-01-01", None, "data.start", "A has no bars from 2030-01-01 to its end"),
        (None, "1990-01-01", "data.end", "A has no bars from its start to 1990-01-01"),
        ("2000-01-20", "2000-01-10", "data.start", "A has no bars from 2000-01-20 to 2000-01-10"),
        ("2000-02-30", None, "data.start", "'2000-02-30' is not a day of the calendar"),
        (None, "2000-13-01", "data.end", "'2000-13-01' is not a day of the calendar"),
    ],
)
def test_ranges_without_bars(start: str | None, end: str | None, where: str, what: str):
    with pytest.raises(DataError) as error:
        market_from_bars({"A": white_noise_bars(1000)}, start=start, end=end)
    assert (error.value.where, error.value.what) == (where, what)


def test_instruments_must_be_alike():
    plain = white_noise_bars(1000)
    with pytest.raises(DataError, match="A and B differ: only B has spread_close_bp"):
        market_from_bars({"A": plain, "B": plain.assign(spread=1e-4)})
    with pytest.raises(DataError, match="bars of B are 15 minutes apart, those of A 60 minutes"):
        market_from_bars({"A": plain, "B": white_noise_bars(4000, timeframe_s=900)})


def test_gaps_are_notes_and_not_filled():
    # ten hours from row 300 and a weekend of 48 from row 500 are missing: the steps are 11 and 49 hours
    frame = white_noise_bars(1000)
    gone = frame.drop(frame.index[500:548]).drop(frame.index[300:310])
    market = market_from_bars({"A": gone, "B": frame}, split=SPLIT)
    read = "data frame, 1-hour bars, times in UTC by their offsets"
    assert market.notes == (
        f"A: {read}: 942 bars from 2000-01-03 to 2000-02-13 15:00:00 UTC, 2 gaps, the longest 2.04 days after "
        "2000-01-23 19:00:00",
        f"B: {read}: 1,000 bars from 2000-01-03 to 2000-02-13 15:00:00 UTC, no gaps",
    )


def test_a_timeframe_that_changes_is_a_note():
    daily = white_noise_bars(100, timeframe_s=86_400)  # until 11 April
    hourly = ar1_bars(2000, 0.0, start="2000-04-13")
    market = market_from_bars({"A": pd.concat([daily, hourly])}, split=SPLIT)
    expected = (
        "A: the first bars are 24 hours apart, later ones 60 minutes; move data.start to where the timeframe changes"
    )
    assert expected in market.notes


def test_bars_per_year_and_timeframe():
    # hours without gaps: 365.25 · 24 = 8,766 a year
    market: Market = market_from_bars({"A": white_noise_bars(1000)}, split=SPLIT)
    assert market.bars_per_year == pytest.approx(8766.0)
    assert market.timeframe_s == 3600.0
    assert market.has_open
    market.check_execution("next_open")
    assert market.train is not None
    assert {"time_of_day_sin", "bar_range"} <= set(market.train.feature_names)
