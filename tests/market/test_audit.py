"""Gaps, flat bars and jumps counted by hand, and what is left of a file without its defects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fxai.market import checks
from fxai.market.audit import Gaps, Measures, Runs, measure, sound_rows
from fxai.market.bars import Bars, to_bars
from fxai.market.reading.raw import Origin, RawBars, Source

HOUR_NS = 3600 * 10**9


def stamps(*times: str) -> np.ndarray:
    return pd.DatetimeIndex(times).as_unit("ns").asi8


def hours(first: str, last: str) -> list[str]:
    return [str(time) for time in pd.date_range(first, last, freq="h")]


def closes(time_N: np.ndarray) -> Bars:
    """Bars whose close rises by 1% each."""
    return Bars(time_N=time_N, close_N=1.01 ** np.arange(len(time_N)))


def test_weekends_and_other_gaps():
    # 2024-01-05 is a Friday: 70 hours of Wednesday to Friday less ten on Thursday, then Sunday 22:00 to Monday 06:00
    times = [time for time in hours("2024-01-03 00:00", "2024-01-05 21:00") if "2024-01-04 1" not in time]
    bars = closes(stamps(*times, *hours("2024-01-07 22:00", "2024-01-08 06:00")))
    got = measure(bars)
    assert got.timeframe_s == 3600.0
    # ten hours of Thursday, 10 to 19, are missing: the step from 09:00, row 33, to 20:00 is 11 hours
    assert got.other_gaps == Gaps(count=1, longest_s=11 * 3600.0, after=33, missing=10)
    # Friday 21:00 to Sunday 22:00 are 49 hours, after row 24 + 14 + 22 − 1 = 59
    assert got.weekends == Gaps(count=1, longest_s=49 * 3600.0, after=59, missing=48)
    # 60 + 9 bars, and all steps but two are an hour
    assert (got.rows, got.regular) == (69, pytest.approx(66 / 68))
    # from Wednesday 00:00 to Monday 06:00 are 126 hours: 68 steps in 126 / 8766 years
    assert got.bars_per_year == pytest.approx(68 / 126 * 8766)


@pytest.mark.parametrize(
    ("before", "after", "weekend"),
    [
        ("2024-01-05 00:00", "2024-01-08 00:00", True),  # daily bars, Friday to Monday: 72 hours
        ("2024-01-05 16:00", "2024-01-08 09:00", True),  # a stock exchange: 65 hours
        ("2024-01-06 00:00", "2024-01-07 22:00", True),
        ("2024-01-05 00:00", "2024-01-09 00:00", False),  # with Monday: a long weekend is an other gap
        ("2024-01-04 00:00", "2024-01-06 11:59", False),  # ends before Saturday noon
        ("2024-01-06 12:01", "2024-01-08 00:00", False),  # begins after it
        ("2024-01-02 00:00", "2024-01-03 00:00", False),
    ],
)
def test_what_counts_as_a_weekend(before: str, after: str, weekend: bool):
    first = pd.Timestamp(before) - pd.Timedelta("6min")
    minutes = [str(first + pd.Timedelta(minutes=minute)) for minute in range(7)]
    got = measure(closes(stamps(*minutes, after)))
    assert (got.weekends.count, got.other_gaps.count) == ((1, 0) if weekend else (0, 1))


def test_no_gaps():
    got = measure(closes(np.arange(5, dtype=np.int64) * HOUR_NS))
    assert got.weekends == got.other_gaps == Gaps(count=0, longest_s=0.0, after=-1, missing=0)
    assert got.regular == 1.0


def test_flat_bars_and_the_longest_run_of_them():
    # high = low in rows 1, 3, 4, 5 and 8
    n = 9
    high_N = np.full(n, 2.0)
    flat = [1, 3, 4, 5, 8]
    high_N[flat] = 1.0
    bars = Bars(time_N=np.arange(n, dtype=np.int64) * HOUR_NS, close_N=np.ones(n), high_N=high_N, low_N=np.ones(n))
    assert measure(bars).prices.flat == Runs(bars=5, longest=3, first=3)
    # without high and low: closes like the one before, here all but the first
    assert measure(Bars(time_N=bars.time_N, close_N=np.ones(n))).prices.flat == Runs(bars=8, longest=8, first=1)
    assert measure(closes(bars.time_N)).prices.flat == Runs(bars=0, longest=0, first=-1)


def test_moves_by_hand():
    # steps of ±0.001 in logs and four that are not: 0.05 from row 9 to 10, back by 0.049 to row 11 (a spike), −0.025
    # to row 20, over a gap, and 0.012 to row 25 that stays. The median is 0.001, a scale 0.0014826: the first is
    # 33.7 scales, the second 33.0, the third 16.9 and the fourth 8.1
    step_N = 0.001 * (-1.0) ** np.arange(39)
    step_N[[9, 10, 19, 24]] = [0.05, -0.049, -0.025, 0.012]
    time_N = np.arange(40, dtype=np.int64) * HOUR_NS
    time_N[20:] += 5 * HOUR_NS
    got = measure(Bars(time_N=time_N, close_N=np.exp(np.concatenate([[0.0], np.cumsum(step_N)])))).prices.moves
    assert got.scale == pytest.approx(0.0014826)
    assert (got.far, got.spikes) == (2, 1)
    first, second = got.worst
    assert (first.row, first.taken_back, first.over_gap) == (10, True, False)
    assert first.scales == pytest.approx(33.7245, abs=1e-3)
    assert first.change == pytest.approx(np.exp(0.05) - 1)
    # the way back is as far, and what follows it does not undo it
    assert (second.row, second.taken_back) == (11, False)
    assert measure(
        Bars(time_N=time_N, close_N=np.exp(np.cumsum(np.append(0.0, step_N)))), shown=1
    ).prices.moves.worst == (first,)


def test_a_far_move_over_a_gap_says_so():
    step_N = 0.001 * (-1.0) ** np.arange(39)
    step_N[19] = -0.05
    time_N = np.arange(40, dtype=np.int64) * HOUR_NS
    time_N[20:] += 5 * HOUR_NS
    (move,) = measure(Bars(time_N=time_N, close_N=np.exp(np.cumsum(np.append(0.0, step_N))))).prices.moves.worst
    assert (move.row, move.over_gap, move.taken_back) == (20, True, False)


def test_a_price_that_never_moves_has_no_moves():
    got = measure(Bars(time_N=np.arange(5, dtype=np.int64) * HOUR_NS, close_N=np.ones(5)))
    assert (got.prices.moves.scale, got.prices.moves.far, got.prices.moves.worst) == (0.0, 0, ())


@pytest.mark.parametrize("columns", ["closes", "highs and lows", "a real spread"])
def test_no_figure_depends_on_a_price_of_the_sealed_test(columns: str):
    # 40 bars of which those from row 30 on are sealed
    rng = np.random.default_rng(5)
    time_N = np.arange(40, dtype=np.int64) * HOUR_NS

    def measured(sealed_ns: int | None, strange: float) -> Measures:
        close_N = np.exp(np.cumsum(np.random.default_rng(4).normal(0.0, 1e-3, 40)))
        volume_N, spread_N = np.ones(40), np.linspace(1.0, 2.0, 40)
        close_N[30:] *= np.exp(strange * rng.normal(size=10))
        volume_N[30:], spread_N[30:] = 1.0 - strange, 1.0 + 99.0 * strange
        more = {"high_N": close_N * 1.001, "low_N": close_N * 0.999} if columns == "highs and lows" else {}
        more |= {"spread_close_bp_N": spread_N} if columns == "a real spread" else {}
        return measure(Bars(time_N=time_N, close_N=close_N, volume_N=volume_N, **more), sealed_ns=sealed_ns)

    at_ns = 30 * HOUR_NS
    assert measured(at_ns, 0.0) == measured(at_ns, 1.0)
    assert measured(None, 0.0) != measured(None, 1.0)
    prices = measured(at_ns, 1.0).prices
    assert prices is not None
    assert (prices.rows, prices.zero_volume) == (30, 0.0)
    assert measured(at_ns, 1.0).rows == 40
    assert measured(HOUR_NS + 1, 1.0).prices.rows == 2
    assert measured(HOUR_NS, 1.0).prices is None  # of one bar nothing can be told


def test_a_hole_is_counted_and_left_out_of_bars_per_year():
    # 10 hourly bars, 15 days without any, 10 more: 19 steps in 9 + 1 + 9 hours
    hour_N = np.concatenate([np.arange(10), np.arange(10) + 9 + 15 * 24])
    got = measure(closes(hour_N * HOUR_NS))
    assert (got.holes, got.bars_per_year) == (1, pytest.approx(8766.0))
    assert got.other_gaps == Gaps(count=1, longest_s=15 * 86_400.0, after=9, missing=15 * 24 - 1)


def test_volume():
    time_N = np.arange(4, dtype=np.int64) * HOUR_NS
    assert measure(Bars(time_N=time_N, close_N=np.ones(4))).prices.zero_volume is None
    volume_N = np.array([0.0, 1.0, 2.0, 0.0])
    assert measure(Bars(time_N=time_N, close_N=np.ones(4), volume_N=volume_N)).prices.zero_volume == 0.5


def raw(time_N: np.ndarray, order_N: np.ndarray | None = None, **numbers: np.ndarray) -> RawBars:
    return RawBars(
        source=Source(name="a.csv", first_line=2, order_N=order_N),
        time_N=np.asarray(time_N, dtype=np.int64) * HOUR_NS,
        numbers={"close": np.ones(len(time_N)), **numbers},
        quoted=False,
        origin=Origin(format="table", timezone="UTC"),
    )


def test_a_sound_file_is_left_alone():
    sound = raw([0, 1, 2])
    assert sound_rows(sound).raw is sound
    assert sound_rows(sound).defects == ()


def test_rows_with_defects_are_left_out_and_the_others_keep_their_lines():
    # bar 1 is of hour 2, bar 2 of hour 1: backwards; bar 3 repeats hour 2; bar 4 has no close; lines are rows + 2
    got = sound_rows(raw([0, 2, 1, 2, 3, 4], close=np.array([1.0, 1.0, 1.0, 1.0, np.nan, 1.0])))
    assert [(defect.kind, defect.rows.tolist()) for defect in got.defects] == [
        ("blank or infinite", [4]),
        ("time goes back", [2]),
    ]
    # in order of time the second hour 2 repeats the first, and goes too
    assert (got.raw.time_N // HOUR_NS).tolist() == [0, 1, 2, 4]
    assert [got.raw.source.at(row) for row in range(4)] == ["a.csv:2", "a.csv:4", "a.csv:3", "a.csv:7"]
    assert got.dropped == 2


def test_a_newest_first_file_is_measured_all_the_same():
    got = sound_rows(raw([5, 4, 3, 2, 1]))
    assert [defect.kind for defect in got.defects] == ["time goes back"]
    assert (got.raw.time_N // HOUR_NS).tolist() == [1, 2, 3, 4, 5]
    assert got.raw.source.at(0) == "a.csv:6"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_is_left_always_passes_the_checks(data: st.DataObject):
    n = data.draw(st.integers(1, 30))
    strange = st.sampled_from([np.nan, np.inf, -1.0, 0.0, 1.0, 1.0, 1.0, 2.0])
    column = st.lists(strange, min_size=n, max_size=n).map(np.array)
    roles = data.draw(st.sampled_from([("close", "spread", "volume"), ("open", "high", "low", "close")]))
    time_N = np.array(data.draw(st.lists(st.integers(0, 20), min_size=n, max_size=n)))
    given_rows = raw(time_N, **{role: data.draw(column) for role in roles})
    left = sound_rows(given_rows).raw
    assert not list(checks.defects(left))
    if len(left) >= 3:
        bars = to_bars(left)
        got = measure(bars)
        assert got.rows == len(left)
        # every row that is left is a row of the file
        lines = [int(left.source.at(row).rpartition(":")[2]) - 2 for row in range(len(left))]
        np.testing.assert_array_equal(given_rows.time_N[lines], left.time_N)
        np.testing.assert_array_equal(given_rows.numbers["close"][lines], left.numbers["close"])
