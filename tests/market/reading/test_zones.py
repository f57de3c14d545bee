"""Zones, also those moved by a fixed time."""

from __future__ import annotations

import zoneinfo
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from fxai.errors import DataError
from fxai.market.reading.raw import Source
from fxai.market.reading.zones import clock_rules, find_zone, localise

SOURCE = Source(name="bars.csv", first_line=2)


def utc(zone: str, *local: str) -> list[str]:
    return [str(time)[:16] for time in localise(pd.DatetimeIndex(list(local)), find_zone(zone, "timezone"), SOURCE)]


def test_a_moved_zone_follows_the_clocks_of_its_own():
    # in 2024 New York moved its clocks on 10 March and 3 November, Athens on 31 March and 27 October
    times = ["2024-01-15 12:00", "2024-03-20 12:00", "2024-07-15 12:00", "2024-10-29 12:00", "2024-12-15 12:00"]
    # New York + 7: UTC+2, then UTC+3 from 10 March to 3 November
    assert [time[11:] for time in utc("America/New_York+07:00", *times)] == [
        "10:00",
        "09:00",
        "09:00",
        "09:00",
        "10:00",
    ]
    assert [time[11:] for time in utc("Europe/Athens", *times)] == ["10:00", "10:00", "09:00", "10:00", "10:00"]
    assert [time[11:] for time in utc("UTC-05:30", *times)] == ["17:30"] * 5


def test_the_hour_that_new_york_repeats_is_seven_hours_later_at_the_broker():
    # 01:00 and 01:30 came twice in New York on 3 November 2024, so 08:00 and 08:30 did at the broker
    local = ["2024-11-03 07:30", "2024-11-03 08:00", "2024-11-03 08:30", "2024-11-03 08:00", "2024-11-03 08:30"]
    expected = ["2024-11-03 04:30", "2024-11-03 05:00", "2024-11-03 05:30", "2024-11-03 06:00", "2024-11-03 06:30"]
    assert utc("America/New_York+07:00", *local) == expected
    assert utc("America/New_York+07:00", *local[::-1]) == expected[::-1]  # newest first as well


def test_rows_from_the_newest_to_the_oldest_name_their_own_line():
    with pytest.raises(DataError) as error:
        utc("Europe/Berlin", "2024-03-31 04:00", "2024-03-31 02:30", "2024-03-31 01:00")
    assert error.value.where == "bars.csv:3"
    with pytest.raises(DataError) as error:
        utc("America/New_York+07:00", "2024-03-10 08:30", "2024-03-10 09:30")
    assert error.value.what == (
        "2024-03-10 09:30:00 did not exist in America/New_York+07:00, where clocks went forward"
    )


@pytest.mark.parametrize(
    ("name", "hours"), [("UTC", 0), ("Etc/GMT+5", -5), ("Etc/GMT-2", 2), ("UTC+02:00", 2), ("Etc/GMT+5-01:00", -6)]
)
def test_fixed_zones(name: str, hours: int):
    assert find_zone(name, "timezone").fixed == timedelta(hours=hours)


def test_zones_that_clocks_cannot_tell_apart():
    est = find_zone("Etc/GMT+5", "timezone")
    assert est.like(find_zone("UTC-05:00", "timezone"))
    assert not est.like(find_zone("America/New_York", "timezone"))
    assert not est.like(find_zone("Etc/GMT-5", "timezone"))
    assert find_zone("America/New_York", "timezone").fixed is None


@pytest.mark.parametrize(
    "name", ["America/New_York+7", "+02:00", "UTC+25:00", "UTC+02:75", "Mars/Base+01:00", "UTC +02:00", ""]
)
def test_what_is_no_zone(name: str):
    with pytest.raises(DataError) as error:
        find_zone(name, "data.timezone")
    assert (error.value.where, error.value.what) == ("data.timezone", f"{name!r} is not a time zone")
    assert error.value.hint is not None
    assert "America/New_York+07:00" in error.value.hint


def test_the_rules_of_a_zone_are_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    athens, tokyo = clock_rules("Europe/Athens"), clock_rules("Asia/Tokyo")
    assert athens[:4] == tokyo[:4] == b"TZif"  # RFC 8536
    assert athens != tokyo
    (tmp_path / "Asia").mkdir()
    (tmp_path / "Asia" / "Tokyo").write_bytes(b"TZif of another edition")
    monkeypatch.setattr(zoneinfo, "TZPATH", (str(tmp_path),))
    assert clock_rules("Asia/Tokyo") == b"TZif of another edition"
    assert clock_rules("Europe/Athens")[:4] in (b"TZif", b"")  # of the package tzdata, where it is installed
    assert clock_rules("No/Zone") == b""
