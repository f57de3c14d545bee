"""Bars of another file: the same as the config's own where they are the same, placed in time, and refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fxai.config.data import DataConfig
from fxai.errors import DataError
from fxai.market.bars import read_bars
from fxai.market.data import load_market
from fxai.market.features import LOOKBACK
from fxai.market.other import check_alike, load_other, own_bars, same_prices
from fxai.market.synthetic import ar1_bars


def write(path: Path, bars: pd.DataFrame) -> Path:
    bars.to_csv(path)
    return path


def config(path: Path, **data: object) -> DataConfig:
    given = {"source": "file", "path": str(path), "instruments": ["A"], "timezone": "UTC", **data}
    return DataConfig.model_validate(given)


def other(path: Path, data: DataConfig, warmup: int = 8, first: str | None = None, last: str | None = None):
    return load_other(path, data, name="A", warmup_bars=warmup, first_day=first, last_day=last)


def test_the_configs_own_file_gives_the_configs_own_features(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ar1_bars(1000, 0.1))
    data = config(path)
    whole, parts = other(path, data).whole, load_market(data)
    assert whole is not None
    assert parts.validation is not None
    assert len(whole.time_N) == 1000 - LOOKBACK
    at = int(np.searchsorted(whole.time_N, parts.validation.time_N[0]))
    same = slice(at, at + len(parts.validation.time_N))
    np.testing.assert_array_equal(whole.features_NF[same], parts.validation.features_NF)
    np.testing.assert_array_equal(whole.close_N[same], parts.validation.close_N)
    assert whole.feature_names == parts.validation.feature_names


def test_days_choose_the_first_decision_and_the_last_bar(tmp_path: Path) -> None:
    # hourly from 2000-01-03 00:00; from the 10th to the 11th are 48 bars, and 8 − 1 are before them for the warm-up
    path = write(tmp_path / "a.csv", ar1_bars(1000, 0.1))
    whole = other(path, config(path), first="2000-01-10", last="2000-01-11").whole
    assert whole is not None
    stamps = whole.time_N.astype("datetime64[ns]").astype("datetime64[h]").astype(str)
    assert len(stamps) == 7 + 48
    assert (stamps[7], stamps[-1]) == ("2000-01-10T00", "2000-01-11T23")


def test_days_do_not_change_features(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ar1_bars(1000, 0.1))
    whole, cut = (other(path, config(path), first=day).whole for day in (None, "2000-01-10"))
    assert whole is not None
    assert cut is not None
    at = int(np.searchsorted(whole.time_N, cut.time_N[0]))
    np.testing.assert_array_equal(whole.features_NF[at:], cut.features_NF)


def test_the_range_of_the_config_does_not_cut_another_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ar1_bars(1000, 0.1))
    whole = other(path, config(path, start="2000-01-20", end="2000-01-25")).whole
    assert whole is not None
    assert len(whole.time_N) == 1000 - LOOKBACK


def test_own_bars_are_those_of_the_range_with_the_hash_of_a_training(tmp_path: Path) -> None:
    data = config(write(tmp_path / "a.csv", ar1_bars(1000, 0.1)), end="2000-02-01")
    bars, data_hash = own_bars(data)
    # 30 days of hours: 2000-01-03 … 2000-02-01
    assert {name: len(each) for name, each in bars.items()} == {"A": 720}
    assert data_hash == load_market(data).data_hash


@pytest.mark.parametrize(
    ("apart_bp", "share", "common", "same"),
    [
        (0.0, 1.0, 50, True),
        (0.0, 1.0, 49, None),
        (4.9, 1.0, 200, True),  # another broker's quotes
        (5.1, 1.0, 200, False),
        (300.0, 0.05, 200, True),  # 10 bars of 200 are torn
        (300.0, 0.055, 200, False),  # 11
    ],
)
def test_series_are_the_same_where_nearly_all_closes_agree(
    tmp_path: Path, apart_bp: float, share: float, common: int, same: bool | None
) -> None:
    bars = ar1_bars(400, 0.1)
    mine = write(tmp_path / "a.csv", bars.iloc[:200])
    moved = bars.iloc[200 - common : 400].copy()
    moved.iloc[: round(share * common)] *= 1 + apart_bp * 1e-4
    theirs = write(tmp_path / "b.csv", moved)
    one, other_ = (read_bars(path, config(path)) for path in (mine, theirs))
    assert same_prices(one, other_) is same


@pytest.mark.parametrize(
    ("bars", "message"),
    [
        (ar1_bars(60, 0.1), r"of 60 bars 0 are left to walk, after 71 for the features and the warm-up"),
        # 64 + 8 − 1 = 71 bars before the first decision, which needs one more to trade in
        (ar1_bars(72, 0.1), r"of 72 bars 1 are left to walk"),
    ],
)
def test_too_few_bars_are_named(tmp_path: Path, bars: pd.DataFrame, message: str) -> None:
    path = write(tmp_path / "a.csv", bars)
    with pytest.raises(DataError, match=message):
        other(path, config(path))


def test_two_bars_to_walk_are_enough(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ar1_bars(73, 0.1))
    whole = other(path, config(path)).whole
    assert whole is not None
    assert len(whole.time_N) == 8 + 1


def test_a_first_day_without_warmup_is_named(tmp_path: Path) -> None:
    # 24 bars before the second day; features and warm-up need 71
    path = write(tmp_path / "a.csv", ar1_bars(1000, 0.1))
    with pytest.raises(DataError, match=r"there are 24 bars before 2000-01-04, and .* need 71"):
        other(path, config(path), first="2000-01-04")


def test_another_timeframe_is_refused(tmp_path: Path) -> None:
    data = config(write(tmp_path / "a.csv", ar1_bars(1000, 0.1)))
    own = load_market(data)
    path = write(tmp_path / "b.csv", ar1_bars(1000, 0.1, timeframe_s=900))
    with pytest.raises(DataError, match=r"b\.csv: its bars are 15 .* apart; the agent was trained on bars .* apart"):
        check_alike(other(path, data), own.timeframe_s, own.parts[0].feature_names, str(path))


def test_other_features_are_refused_with_their_names(tmp_path: Path) -> None:
    own = load_market(data := config(write(tmp_path / "a.csv", ar1_bars(1000, 0.1))))
    bare = ar1_bars(1000, 0.1).drop(columns=["high", "low"])
    bare["volume"] = np.arange(1000) + 1.0
    path = write(tmp_path / "b.csv", bare)
    with pytest.raises(DataError, match=r"this file lacks bar_range and has also volume"):
        check_alike(other(path, data), own.timeframe_s, own.parts[0].feature_names, str(path))


def test_a_setting_that_the_file_needs_is_named_as_an_option(tmp_path: Path) -> None:
    bars = ar1_bars(1000, 0.1)
    bars.index = bars.index.tz_localize(None)
    path = write(tmp_path / "a.csv", bars)
    with pytest.raises(DataError, match="no offset from UTC") as error:
        other(path, config(path, timezone=None))
    assert (error.value.hint or "").endswith("for example --set data.timezone=UTC")
