"""Notes that a run and `data-check` share: each where it belongs, and none about ordinary bars."""

from __future__ import annotations

import numpy as np
import pytest

from fxai.config.data import SplitConfig
from fxai.market.bars import Bars
from fxai.market.checks import jump_note, jumps
from fxai.market.notes import filler_note, oddities, timeframe_note
from fxai.market.synthetic import ar1_bars, market_from_bars

HOUR_NS = 3_600 * 10**9
MONDAY_NS = 946_857_600 * 10**9  # 2000-01-03 00:00 UTC


def hours(at: np.ndarray | list[int]) -> np.ndarray:
    return MONDAY_NS + HOUR_NS * np.asarray(at, dtype=np.int64)


@pytest.mark.parametrize(("factor", "count"), [(1.99, 0), (2.01, 2), (1 / 1.99, 0), (1 / 2.01, 2), (10.0, 2)])
def test_a_jump_is_a_change_by_more_than_a_factor_of_2(factor: float, count: int):
    close_N = np.full(50, 1.5)
    close_N[20] *= factor  # there and back
    assert jumps(close_N).count == count
    assert jumps(close_N).first == (20 if count else -1)


def test_a_single_jump_names_no_number():
    note = jump_note(np.array([1.27, 1.27, 101.9, 101.9]), lambda row: f"row {row}")
    assert note == "the price jumps from 1.27 to 101.9 at row 2; a wrong decimal point, or another instrument?"


@pytest.mark.parametrize(
    ("row", "parts", "told"), [(849, ("train",), True), (850, ("train",), False), (850, ("test",), True)]
)
def test_a_jump_in_the_sealed_test_is_told_when_it_is_opened(row: int, parts: tuple[str, ...], told: bool):
    # 0.85 · 999 steps are 849.15: row 850 is the first of the test
    frame = ar1_bars(1000, 0.0)
    frame.iloc[row] *= 10.0
    market = market_from_bars({"A": frame}, split=SplitConfig(validation=0.15, test=0.15), parts=parts)
    assert any("jumps" in note for note in market.notes) is told


def test_steps_of_many_lengths_are_noted_and_weekends_and_months_are_not():
    # of 19 steps 3 are of two hours: 84% are of one
    steps = [1] * 16 + [2] * 3
    note = timeframe_note(hours(np.cumsum([0, *steps])), 3600.0)
    assert note is not None
    assert note.startswith("only 84% of the steps are 60 minutes, weekends aside")
    assert timeframe_note(hours(np.cumsum([0, *[1] * 18, 2])), 3600.0) is None  # 18 of 19 are 95%
    weekdays = [24 * day for day in range(70) if day % 7 < 5]  # a step of three days in five
    assert timeframe_note(hours(weekdays), 86_400.0) is None
    months = np.arange("2000-01", "2010-01", dtype="datetime64[M]").astype("datetime64[ns]").astype(np.int64)
    assert timeframe_note(months, 31 * 86_400.0) is None


def test_weekends_are_filled_where_almost_all_their_bars_are_still():
    # days from a Monday: 5 and 6, 12 and 13 repeat Friday's close
    close_N = 1.0 + 0.01 * np.arange(14)
    close_N[[5, 6]], close_N[[12, 13]] = close_N[4], close_N[11]
    time_N = hours(24 * np.arange(14))
    note = filler_note(Bars(time_N=time_N, close_N=close_N))
    assert note is not None
    assert note.startswith("4 flat or repeated bars fill 2 weekends: they count in bars per year")
    traded = Bars(time_N=time_N, close_N=close_N, volume_N=np.arange(14.0))
    assert filler_note(traded) is None  # a price that stood still while it was traded
    assert filler_note(Bars(time_N=time_N, close_N=1.0 + 0.01 * np.arange(14))) is None  # a coin trades all week


def test_ordinary_bars_have_no_oddity():
    at = [hour for hour in range(24 * 7 * 8) if hour % 168 < 4 * 24 + 22 or hour % 168 >= 6 * 24 + 22]
    close_N = 1.1 + 1e-4 * np.random.default_rng(0).normal(size=len(at))
    assert oddities(Bars(time_N=hours(at), close_N=close_N), 3600.0, len(at)) == ()
