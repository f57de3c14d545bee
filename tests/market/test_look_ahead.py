"""Tripwire: the features pass the look-ahead probe, and every future that is planted is caught by it (F61)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from look_ahead import futures, look_ahead

from fxai.market.bars import Bars
from fxai.market.features import CHUNK, LOOKBACK, FeatureSet, compute_features
from fxai.market.synthetic import ar1_bars

ALL = FeatureSet(time_of_day=True, high_low=True, spread=True, volume=True)
N = 300
MOMENTS = [LOOKBACK, LOOKBACK + 1, 100, 150, N - 3, N - 2]


def bars(n: int = N) -> Bars:
    """Bars with every column."""
    rng = np.random.default_rng(3)
    frame = ar1_bars(n, 0.2, seed=4)
    return Bars(
        time_N=frame.index.as_unit("ns").asi8,
        open_N=frame["open"].to_numpy(),
        high_N=frame["high"].to_numpy() * 1.0001,
        low_N=frame["low"].to_numpy() * 0.9999,
        close_N=frame["close"].to_numpy(),
        volume_N=rng.exponential(100.0, n),
        spread_open_bp_N=rng.exponential(1.0, n),
        spread_close_bp_N=rng.exponential(1.0, n),
    )


def features(own: Bars) -> np.ndarray:
    return compute_features(own, ALL, 3600.0)


def test_the_features_pass():
    assert look_ahead(features, bars(), MOMENTS) is None


def test_the_features_pass_where_they_are_computed_in_chunks():
    assert look_ahead(features, bars(CHUNK + 200), [CHUNK - 1, CHUNK + LOOKBACK - 1, CHUNK + LOOKBACK]) is None


def test_the_probe_changes_every_column_and_nothing_up_to_the_moment():
    own, t = bars(), 100
    touched = set()
    for future in futures(own, t, seed=0):
        for name, values_N in {"time": future.time_N, **future.arrays()}.items():
            original_N = own.time_N if name == "time" else own.arrays()[name]
            np.testing.assert_array_equal(values_N[: t + 1], original_N[: t + 1])
            if len(values_N) == N and (values_N[t + 1 :] != original_N[t + 1 :]).all():
                touched.add(name)
    assert touched == {"time", *own.arrays()}


def next_return(own: Bars) -> np.ndarray:
    log_N = np.log(own.close_N)
    return np.append(np.diff(log_N), 0.0)


def next_open_gap(own: Bars) -> np.ndarray:
    assert own.open_N is not None
    return np.append(own.open_N[1:] / own.close_N[:-1], 1.0)


def mean_of_all(own: Bars) -> np.ndarray:
    return np.log(own.close_N) - np.log(own.close_N).mean()


def largest_volume(own: Bars) -> np.ndarray:
    assert own.volume_N is not None
    return own.volume_N / own.volume_N.max()


def centred_average(own: Bars) -> np.ndarray:
    return np.convolve(np.log(own.close_N), np.full(5, 0.2), mode="same")


def backfilled(own: Bars) -> np.ndarray:
    """A value that is known every fourth bar, filled backwards."""
    source = np.minimum(-(-np.arange(len(own)) // 4) * 4, len(own) - 1)
    return own.close_N[source]


def time_to_the_next_bar(own: Bars) -> np.ndarray:
    return np.append(np.diff(own.time_N), 0)


def next_spread(own: Bars) -> np.ndarray:
    assert own.spread_close_bp_N is not None
    return np.append(own.spread_close_bp_N[1:], 0.0)


PLANTED = (
    next_return,
    next_open_gap,
    mean_of_all,
    largest_volume,
    centred_average,
    backfilled,
    time_to_the_next_bar,
    next_spread,
)


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_future_is_caught(planted: Callable[[Bars], np.ndarray]):
    def with_it(own: Bars) -> np.ndarray:
        return np.column_stack([features(own), planted(own)[LOOKBACK:]])

    found = look_ahead(with_it, bars(), MOMENTS)
    assert found is not None
    moment, row = found
    assert row <= moment


@pytest.mark.parametrize("planted", PLANTED)
def test_the_same_feature_one_bar_late_enough_passes(planted: Callable[[Bars], np.ndarray]):
    # shifted by four bars the local ones are known; what looks at the whole series stays a look-ahead
    def late(own: Bars) -> np.ndarray:
        return np.concatenate([np.zeros(4), planted(own)[:-4]])[LOOKBACK:]

    whole_series = planted in (mean_of_all, largest_volume)
    found = look_ahead(late, bars(), MOMENTS)
    assert (found is not None) == whole_series


def test_the_bar_where_it_shows_is_named():
    # the next return at t changes with bar t + 1, and no other row up to t does
    assert look_ahead(lambda own: next_return(own)[LOOKBACK:], bars(), [100]) == (100, 100)
