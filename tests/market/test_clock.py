"""Units of time, how lengths are written, holes in the data and bars per year."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fxai.market.checks import holes_note
from fxai.market.clock import (
    DAY_NS,
    YEAR_S,
    bar_length,
    bars_per_year,
    day_start_ns,
    holes,
    stamp,
    time_apart,
    timeframe_name,
)
from fxai.market.synthetic import ar1_bars, market_from_bars

HOUR_NS = 3600 * 10**9


@pytest.mark.parametrize(
    ("seconds", "before_a_noun", "alone"),
    [
        (60, "1-minute", "1 minute"),
        (900, "15-minute", "15 minutes"),
        (5400, "90-minute", "90 minutes"),
        (14_400, "4-hour", "4 hours"),
        (86_400, "1-day", "1 day"),
        (604_800, "7-day", "7 days"),
        (5, "5-second", "5 seconds"),
        (0.5, "0.5-second", "0.5 seconds"),
        (1_234_567, "1,234,567-second", "1,234,567 seconds"),
    ],
)
def test_names_of_timeframes(seconds: float, before_a_noun: str, alone: str):
    assert (bar_length(seconds), timeframe_name(seconds)) == (before_a_noun, alone)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.5, "1.5 s"),
        (119, "119 s"),
        (120, "2 minutes"),
        (7199, "120 minutes"),
        (7200, "2 hours"),
        (49 * 3600, "2.04 days"),
        (1829.6 * 86_400, "1,830 days"),  # three digits, and all that the number has
        (1_000_000 * 86_400, "1,000,000 days"),
    ],
)
def test_lengths_of_time(seconds: float, text: str):
    assert time_apart(seconds) == text


def test_days():
    assert DAY_NS == 86_400_000_000_000
    assert YEAR_S == 31_557_600.0
    assert day_start_ns("1970-01-03") == 2 * DAY_NS
    assert (stamp(2 * DAY_NS), stamp(2 * DAY_NS + HOUR_NS)) == ("1970-01-03", "1970-01-03 01:00:00")
    for none in ("2024-02-30", "1500-01-01"):
        with pytest.raises(ValueError, match=none[:4]):
            day_start_ns(none)


@pytest.mark.parametrize(
    ("timeframe_s", "step_s", "hole"),
    [
        (3600, 14 * 86_400, False),
        (3600, 14 * 86_400 + 1, True),
        (86_400, 20 * 86_400, False),  # of daily bars 20 timeframes are more than 14 days
        (86_400, 20 * 86_400 + 1, True),
        (30 * 86_400, 599 * 86_400, False),
    ],
)
def test_what_is_a_hole(timeframe_s: int, step_s: int, hole: bool):
    time_N = np.cumsum([0, timeframe_s, timeframe_s, step_s, timeframe_s]) * 10**9
    assert holes(time_N, timeframe_s).tolist() == ([2] if hole else [])


def test_a_hole_leaves_bars_per_year_as_they_were():
    # four weeks of 120 hourly bars each, Monday to Friday: the k-th bar of week w is at hour 168 w + k. The last is at
    # hour 168 · 3 + 119 = 623 and 479 steps in 623 hours are 479 / 623 · 8766 = 6,739.9 bars a year
    hour_N = np.concatenate([168 * week + np.arange(120) for week in range(4)])
    assert bars_per_year(hour_N * HOUR_NS, 3600.0) == pytest.approx(479 / 623 * 8766, rel=1e-12)
    # without week 2 the longest step is 168 + 49 = 217 hours, no hole: 359 steps in the same 623 hours
    kept_N = np.delete(hour_N, slice(240, 360))
    assert bars_per_year(kept_N * HOUR_NS, 3600.0) == pytest.approx(359 / 623 * 8766, rel=1e-12)
    # a year later instead: week 3 follows week 1 after 8,766 + 217 hours, which count as one
    late_N = np.concatenate([kept_N[:240], kept_N[240:] + 8766])
    assert bars_per_year(late_N * HOUR_NS, 3600.0) == pytest.approx(359 / (623 - 217 + 1) * 8766, rel=1e-12)


def test_a_market_with_a_hole_says_so_and_annualises_without_it():
    # 2,000 hours without gaps, of which the last 1,000 are 30 days later: 999 + 1 + 999 steps in as many hours
    bars = ar1_bars(2000, 0.0, start="2024-01-01")
    whole = market_from_bars({"A": bars})
    bars.index = bars.index[:1000].append(bars.index[1000:] + pd.Timedelta(days=30))
    holed = market_from_bars({"A": bars})
    assert whole.bars_per_year == holed.bars_per_year == pytest.approx(8766.0)
    assert holed.train is not None
    assert holed.train.bars_per_year_I == pytest.approx((8766.0,))
    # bar 999 is 41 days and 15 hours after 1 January; the next one is 30 days and an hour later, 30.0417 days
    assert [note for note in holed.notes if "missing" in note] == [
        "A: data are missing: no bars for 30 days from 2024-02-11 15:00:00 to 2024-03-12 16:00:00 UTC; bars per year, "
        "by which metrics are annualised, leave that time out"
    ]
    assert not [note for note in whole.notes if "missing" in note]


def test_of_many_holes_the_longest_are_named():
    day_N = np.cumsum([0, *[1] * 9, 30, 50, 40, 60, 1])
    note = holes_note(day_N * DAY_NS, 86_400.0)
    # days 9, 39 (9 February), 89 (31 March), 129 (10 May) and 189 (9 July): steps of 30, 50, 40 and 60 days
    assert note is not None
    assert note.startswith(
        "data are missing: no bars for 60 days from 1970-05-10 to 1970-07-09 UTC, 50 days from 1970-02-09 to "
        "1970-03-31 UTC, 40 days from 1970-03-31 to 1970-05-10 UTC, and in 1 more hole; "
    )
