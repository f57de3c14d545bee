"""Features from the cache are the features, bit for bit, and those of the sealed test are never there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fxai.config.data import SplitConfig
from fxai.market import cache, feature_cache
from fxai.market.bars import Bars
from fxai.market.feature_cache import cached_features
from fxai.market.features import BOUND, FeatureSet, compute_features
from fxai.market.synthetic import ar1_bars, market_from_bars

ALL = FeatureSet(time_of_day=True, high_low=True, spread=True, volume=True)
N = 200


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, for few bars."""
    monkeypatch.setattr(feature_cache, "WORTH_BARS", 1)
    monkeypatch.setenv("FXAI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length of every series that is computed from now on."""
    calls: list[int] = []

    def compute(bars: Bars, which: FeatureSet, bar_s: float) -> np.ndarray:
        calls.append(len(bars))
        return compute_features(bars, which, bar_s)

    monkeypatch.setattr(feature_cache, "compute_features", compute)
    return calls


def bars(**changes: np.ndarray) -> Bars:
    rng = np.random.default_rng(0)
    close_N = np.exp(np.cumsum(rng.normal(0, 1e-3, N)))
    columns = {
        "time_N": np.arange(N, dtype=np.int64) * 3600 * 10**9,
        "open_N": close_N,
        "close_N": close_N,
        "high_N": close_N * 1.001,
        "low_N": close_N * 0.999,
        "volume_N": rng.exponential(9.0, N),
        "spread_open_bp_N": np.ones(N),
        "spread_close_bp_N": np.ones(N),
    }
    return Bars(**{**columns, **changes})


def test_computed_once_and_the_same_ever_after(computed: list[int]):
    expected = compute_features(bars(), ALL, 3600.0)
    for _ in range(3):
        got = cached_features(bars(), ALL, 3600.0)
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected)
    assert computed == [N]


@pytest.mark.parametrize("column", ["time_N", "close_N", "high_N", "low_N", "volume_N", "spread_close_bp_N"])
def test_any_other_bar_is_computed_anew(computed: list[int], column: str):
    cached_features(bars(), ALL, 3600.0)
    values = getattr(bars(), column).copy()
    values[17] += values.dtype.type(1) if column == "time_N" else 1e-12
    other = bars(**{column: values})
    np.testing.assert_array_equal(cached_features(other, ALL, 3600.0), compute_features(other, ALL, 3600.0))
    assert computed == [N, N]


def test_other_features_and_timeframes_are_computed_anew(computed: list[int]):
    cached_features(bars(), ALL, 3600.0)
    fewer = FeatureSet(time_of_day=True, high_low=True, spread=True, volume=False)
    assert cached_features(bars(), fewer, 3600.0).shape[1] == len(ALL.names) - 1
    cached_features(bars(), ALL, 1800.0)
    assert len(computed) == 3
    # the open is no input of a feature
    cached_features(bars(open_N=np.full(N, 7.0), spread_open_bp_N=np.full(N, 7.0)), ALL, 3600.0)
    assert len(computed) == 3


@pytest.mark.parametrize(
    "forged",
    [
        {},
        {"features": np.zeros((3, 3), dtype=np.float32)},
        {"features": np.zeros((N - 64, len(ALL.names)))},
        {"features": np.full((N - 64, len(ALL.names)), np.nan, dtype=np.float32)},
        {"features": np.full((N - 64, len(ALL.names)), BOUND + 1, dtype=np.float32)},
        {"features": np.full((N - 64, len(ALL.names)), -np.inf, dtype=np.float32)},
    ],
    ids=["empty", "shape", "float64", "NaN", "too large", "infinite"],
)
def test_an_entry_that_cannot_be_features_is_computed_anew(computed: list[int], home: Path, forged: dict):
    expected = cached_features(bars(), ALL, 3600.0)
    (path,) = home.iterdir()
    cache.store(path.name, cache.Entry(arrays=forged))
    np.testing.assert_array_equal(cached_features(bars(), ALL, 3600.0), expected)
    assert computed == [N, N]


def test_few_bars_and_no_cache_leave_no_file(home: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feature_cache, "WORTH_BARS", N + 1)
    cached_features(bars(), ALL, 3600.0)
    monkeypatch.setattr(feature_cache, "WORTH_BARS", 1)
    monkeypatch.setenv("FXAI_CACHE", "off")
    cached_features(bars(), ALL, 3600.0)
    assert len(computed) == 2
    assert not home.exists()


def test_a_market_is_the_same_without_with_and_from_the_cache_and_test_features_are_never_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    frames = {"A": ar1_bars(1000, 0.1), "B": ar1_bars(900, 0.1, seed=2)}
    split = SplitConfig(validation=0.2, test=0.2, purge_bars=10)
    every = ("train", "validation", "test")
    with monkeypatch.context() as context:
        context.setenv("FXAI_CACHE", "off")
        plain = market_from_bars(frames, split=split, parts=every)
    for _ in range(2):
        market = market_from_bars(frames, split=split, parts=every)
        assert market.data_hash == plain.data_hash
        for one, other in zip(market.parts, plain.parts, strict=True):
            np.testing.assert_array_equal(one.features_NF, other.features_NF)
    entries = [cache.load(path.name) for path in home.iterdir()]
    kept = sorted(len(entry.arrays["features"]) for entry in entries if entry is not None)
    # two instruments, train and validation each; the rows of test are in none of them
    assert plain.train is not None
    assert plain.validation is not None
    assert kept == sorted(np.diff([*plain.train.offsets_I]).tolist() + np.diff([*plain.validation.offsets_I]).tolist())
    assert plain.test is not None
    for entry in entries:
        assert entry is not None
        sealed = {row.tobytes() for row in plain.test.features_NF}
        assert not sealed & {row.tobytes() for row in entry.arrays["features"]}
