"""Defects: every row of every kind, and what is said of each."""

from __future__ import annotations

import numpy as np
import pytest

from fxai.errors import DataError
from fxai.market.checks import check, defects
from fxai.market.reading.raw import Origin, RawBars, Source

HOUR_NS = 3_600 * 10**9
FROM_NS = 1_704_067_200 * 10**9  # 2024-01-01 00:00 UTC


def raw(hours: list[int], **numbers: list[float]) -> RawBars:
    return RawBars(
        source=Source(name="bars.csv", first_line=2),
        time_N=FROM_NS + HOUR_NS * np.array(hours, dtype=np.int64),
        numbers={role: np.array(values, dtype=np.float64) for role, values in numbers.items()},
        quoted="bid_close" in numbers,
        origin=Origin(format="table", timezone="UTC"),
    )


def found(bars: RawBars) -> dict[str, list[tuple[int, str]]]:
    """Kind → rows, each with what is wrong with it."""
    return {each.kind: [(int(row), each.describe(int(row))) for row in each.rows] for each in defects(bars)}


def test_good_bars_have_none():
    good = raw([0, 1, 2], open=[1, 2, 3], high=[2, 3, 4], low=[1, 1, 1], close=[2, 2, 2], volume=[0, 1, 2])
    assert found(good) == {}
    check(good)


def test_all_rows_of_all_kinds_are_found_at_once():
    nan, inf = float("nan"), float("inf")
    bars = raw(
        [0, 1, 1, 1, 0, 5, 6],
        open=[1, nan, 1, 1, 1, 0, 1],
        high=[2, 2, inf, 0.5, 2, 2, 2],
        low=[1, 1, nan, 1, 1, 1, 3],
        close=[1, 1, 1, 1, -2, 0, 1],
        volume=[0, -1, 0, 0, 0, 0, -3],
        spread=[0, 0, 0, -0.1, 0.5, 0, 0.2],
    )
    assert found(bars) == {
        "blank or infinite": [(1, "open is blank or NaN"), (2, "high is infinite")],
        "time goes back": [
            (4, "the time 2024-01-01 UTC is before that of the row before, 2024-01-01 01:00:00 UTC"),
        ],
        "repeated time": [
            (2, "the time 2024-01-01 01:00:00 UTC repeats that of the row before"),
            (3, "the time 2024-01-01 01:00:00 UTC repeats that of the row before"),
        ],
        "price not above 0": [
            (4, "close is -2, a price must be above 0"),
            (5, "open is 0, a price must be above 0"),
        ],
        "high below low": [(3, "high 0.5 is below low 1"), (6, "high 2 is below low 3")],
        "negative volume": [(1, "volume is -1"), (6, "volume is -3")],
        "negative spread": [(3, "spread is -0.1")],
        # 0.5 beside a close of -2 is not one more defect of that row
        "spread too wide": [(6, "spread 0.2 is over 10% of the price 1")],
    }
    with pytest.raises(DataError) as error:
        check(bars)
    assert (error.value.where, error.value.what) == ("bars.csv:3", "open is blank or NaN")


def test_quotes_are_checked_on_each_side_and_against_each_other():
    quotes = raw(
        [0, 1, 2],
        bid_open=[1, 1, 1],
        bid_high=[2, 0.5, 2],
        bid_low=[1, 1, 1],
        bid_close=[1, 1, 1.5],
        ask_open=[1, 0.9, 1],
        ask_high=[2, 2, 2],
        ask_low=[1, 1, 3],
        ask_close=[1, 1, 1.4],
    )
    assert found(quotes) == {
        "high below low": [(1, "bid_high 0.5 is below bid_low 1"), (2, "ask_high 2 is below ask_low 3")],
        "ask below bid": [(1, "ask_open 0.9 is below bid_open 1"), (2, "ask_close 1.4 is below bid_close 1.5")],
    }


def test_rows_that_run_backwards_are_said_to():
    (defect,) = defects(raw([2, 1, 0], close=[1, 1, 1]))
    assert defect.describe(1).endswith("; the rows run from the newest to the oldest")
    assert "data.sort: true" in defect.hint
    (defect,) = defects(raw([0, 2, 1], close=[1, 1, 1]))
    assert "newest" not in defect.describe(2)
