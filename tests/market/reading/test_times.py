"""Timestamps to UTC, with the clocks going forward and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fxai.errors import DataError
from fxai.market.reading.raw import Source
from fxai.market.reading.times import TimeRules, to_utc
from fxai.market.reading.zones import find_zone

SOURCE = Source(name="bars.csv", first_line=2)


def rules(zone: str) -> TimeRules:
    return TimeRules(zone=find_zone(zone, "timezone"))


def utc(values: list[object], zone: str = "UTC") -> list[str]:
    return [str(pd.Timestamp(time_ns)) for time_ns in to_utc(pd.Series(values), rules(zone), SOURCE).time_N]


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("kind", [int, str, float])
def test_unix_units_are_told_apart_by_their_size(scale: int, kind: type):
    # 1,704,142,800 s is 2024-01-01 21:00 UTC; the zone plays no part
    values = [kind(1_704_142_800 * scale), kind(1_704_146_400 * scale)]
    assert utc(values, "Asia/Tokyo") == ["2024-01-01 21:00:00", "2024-01-01 22:00:00"]


def test_fractions_of_unix_seconds_are_read_to_the_microsecond():
    assert utc([1_704_142_800.25]) == ["2024-01-01 21:00:00.250000"]


@pytest.mark.parametrize(
    "text", ["2024-07-01 21:00", "2024-07-01T21:00:00.000", "2024/07/01 21:00", "2024.07.01 21:00:00", "20240701 2100"]
)
def test_year_first_in_all_its_forms(text: str):
    assert utc([text]) == ["2024-07-01 21:00:00"]


def test_naive_times_are_in_the_zone_of_the_config():
    # New York is UTC−5 in winter, UTC−4 in summer; Etc/GMT+5 is UTC−5 all year
    texts: list[object] = ["2024-01-15 12:00", "2024-07-15 12:00"]
    assert utc(texts, "America/New_York") == ["2024-01-15 17:00:00", "2024-07-15 16:00:00"]
    assert utc(texts, "Etc/GMT+5") == ["2024-01-15 17:00:00", "2024-07-15 17:00:00"]


def test_offsets_overrule_the_zone_and_may_change():
    texts: list[object] = ["2024-01-15 09:30:00-05:00", "2024-07-15 09:30:00-04:00"]
    assert utc(texts, "Asia/Tokyo") == ["2024-01-15 14:30:00", "2024-07-15 13:30:00"]
    assert utc(["2024-01-15T09:30:00Z"], "Asia/Tokyo") == ["2024-01-15 09:30:00"]
    # a bare date ends in -31, which is no offset
    assert utc(["2024-01-31"], "Asia/Tokyo") == ["2024-01-30 15:00:00"]


def test_the_hour_that_clocks_repeat_is_read_in_order():
    # on 2024-11-03 New York's clocks went from 02:00 back to 01:00: 01:30 at UTC−4 is 05:30, at UTC−5 06:30
    local: list[object] = ["2024-11-03 00:30", "2024-11-03 01:00", "2024-11-03 01:30", "2024-11-03 01:00"]
    local += ["2024-11-03 01:30", "2024-11-03 02:00"]
    hours = ["04:30", "05:00", "05:30", "06:00", "06:30", "07:00"]
    assert utc(local, "America/New_York") == [f"2024-11-03 {hour}:00" for hour in hours]


def test_hourly_bars_over_years_keep_their_distance():
    # three years of hours in UTC, written down in local time, must come back as they were
    times = pd.date_range("2022-01-01", "2025-01-01", freq="h", tz="UTC")
    local = times.tz_convert("Europe/Berlin").tz_localize(None)
    got = to_utc(pd.Series(local), rules("Europe/Berlin"), SOURCE).time_N
    np.testing.assert_array_equal(got, times.as_unit("ns").asi8)
    got = to_utc(pd.Series(local.strftime("%Y-%m-%d %H:%M")), rules("Europe/Berlin"), SOURCE).time_N
    np.testing.assert_array_equal(got, times.as_unit("ns").asi8)


def test_a_repeated_hour_that_comes_once_is_refused():
    with pytest.raises(DataError) as error:
        utc(["2024-11-03 00:30", "2024-11-03 01:30", "2024-11-03 02:30"], "America/New_York")
    assert error.value.where == "bars.csv:3"
    assert (
        error.value.what
        == "2024-11-03 01:30:00 came twice in America/New_York, where clocks went back: which is meant?"
    )


def test_an_hour_that_never_was_is_refused():
    # on 2024-03-31 Berlin's clocks went from 02:00 to 03:00
    with pytest.raises(DataError) as error:
        utc(["2024-03-31 01:00", "2024-03-31 02:00"], "Europe/Berlin")
    assert error.value.where == "bars.csv:3"
    assert error.value.what == "2024-03-31 02:00:00 did not exist in Europe/Berlin, where clocks went forward"
