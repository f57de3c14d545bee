"""Train | purge | validation | purge | test, by time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxai.config.data import SplitConfig
from fxai.market.splits import Cuts, cut_times, part_rows


def test_cut_times_are_shares_of_the_range():
    # 1,000 ns from 500: validation 15% and test 10% leave 75%: cuts at 500 + 750 and 500 + 900
    assert cut_times(500, 1500, SplitConfig(validation=0.15, test=0.1)) == Cuts(validation_ns=1250, test_ns=1400)


def test_purge_is_exact():
    # bars at 0, 10, …, 990; validation from 700 is row 70, test from 850 is row 85; 5 bars are dropped before each
    time_N = np.arange(0, 1000, 10, dtype=np.int64)
    rows = part_rows(time_N, Cuts(validation_ns=700, test_ns=850), purge_bars=5, lookback=3)
    assert rows == {"train": (3, 65), "validation": (70, 80), "test": (85, 100)}


def test_a_bar_between_cuts_belongs_to_the_part_that_began():
    # the first bar at or after 695 is at 700, row 70
    time_N = np.arange(0, 1000, 10, dtype=np.int64)
    rows = part_rows(time_N, Cuts(validation_ns=695, test_ns=850), purge_bars=0, lookback=0)
    assert rows == {"train": (0, 70), "validation": (70, 85), "test": (85, 100)}


def test_an_instrument_that_starts_late_has_an_empty_train():
    time_N = np.arange(800, 1000, 10, dtype=np.int64)
    rows = part_rows(time_N, Cuts(validation_ns=700, test_ns=850), purge_bars=2, lookback=4)
    # rows 0…4 are before 850; two are purged and the first four have no features
    assert rows == {"train": (4, 4), "validation": (4, 4), "test": (5, 20)}


@given(
    steps=st.lists(st.integers(1, 1000), min_size=2, max_size=300),
    purge=st.integers(0, 50),
    lookback=st.integers(0, 50),
    validation=st.floats(0.01, 0.49),
    test=st.floats(0.01, 0.49),
)
def test_parts_never_overlap_and_are_parted_by_the_purge(
    steps: list[int], purge: int, lookback: int, validation: float, test: float
):
    time_N = np.cumsum(np.array(steps, dtype=np.int64))
    cuts = cut_times(int(time_N[0]), int(time_N[-1]), SplitConfig(validation=validation, test=test))
    rows = part_rows(time_N, cuts, purge_bars=purge, lookback=lookback)
    for start, stop in rows.values():
        assert lookback <= start <= stop
    for earlier, later in (("train", "validation"), ("validation", "test")):
        start, stop = rows[earlier]
        if stop > start:
            assert rows[later][0] - stop >= purge
    if rows["test"][1] > rows["test"][0]:
        assert time_N[rows["test"][0]] >= cuts.test_ns
    if rows["validation"][1] > rows["validation"][0]:
        assert cuts.validation_ns <= time_N[rows["validation"][0]]
        assert time_N[rows["validation"][1] - 1] < cuts.test_ns


@pytest.mark.parametrize("purge", [0, 64])
def test_nothing_is_lost_but_lookback_and_purge(purge: int):
    time_N = np.arange(1000, dtype=np.int64)
    rows = part_rows(time_N, cut_times(0, 999, SplitConfig()), purge_bars=purge, lookback=64)
    assert sum(stop - start for start, stop in rows.values()) == 1000 - 64 - 2 * purge
