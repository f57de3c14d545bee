"""Dates with the day or the month first: only in the order that is named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from market.files import read, refused, stamps


def parsed(folder: Path, cell: str, order: str | None) -> str:
    return stamps(read(folder, f"time;close\n{cell};1\n", timezone="UTC", date_order=order))[0]


@pytest.mark.parametrize(
    ("order", "cell", "expected"),
    [
        ("day_first", "03/04/2024", "2024-04-03 00:00:00"),
        ("month_first", "03/04/2024", "2024-03-04 00:00:00"),
        ("day_first", "03.04.2024 21:30", "2024-04-03 21:30:00"),
        ("day_first", "03-04-2024 21:30:15.250", "2024-04-03 21:30:15.250000"),
        ("month_first", "03/04/2024, 21:30:15", "2024-03-04 21:30:15"),
        ("day_first", "03.04.2024 21:30+02:00", "2024-04-03 19:30:00"),
        ("month_first", "3/4/2024 9:30", "2024-03-04 09:30:00"),
        ("month_first", "3/4/2024 9:30 PM", "2024-03-04 21:30:00"),
        ("month_first", "03/04/2024 12:05:01 am", "2024-03-04 00:05:01"),
        ("day_first", "3.4.24", "2024-04-03 00:00:00"),
        ("year_first", "24/03/04", "2024-03-04 00:00:00"),
        ("year_first", "2024/03/04 21:30", "2024-03-04 21:30:00"),
        ("year_first", "2024/3/4", "2024-03-04 00:00:00"),
    ],
)
def test_dates_in_the_order_that_is_named(tmp_path: Path, order: str, cell: str, expected: str):
    assert parsed(tmp_path, cell, order) == expected


@pytest.mark.parametrize("cell", ["03/04/2024", "03.04.2024 21:30", "3/4/2024 9:30 PM", "03-04-24"])
def test_without_an_order_they_are_refused_by_the_name_of_the_option(tmp_path: Path, cell: str):
    where, what, hint = refused(tmp_path, f"time;close\n{cell};1\n", timezone="UTC")
    assert (where, what) == (":2", f"the date {cell!r} may be day first or month first")
    assert hint.startswith("set data.date_order to day_first or month_first")


@pytest.mark.parametrize(
    ("order", "cells", "line", "what"),
    [
        ("month_first", ["31/01/2024"], 2, "'31/01/2024' is not a time with its date month first"),
        ("month_first", ["01/02/2024", "13/02/2024"], 3, "'13/02/2024' is not a time with its date month first"),
        ("day_first", ["1/2/2024", "1/13/2024"], 3, "'1/13/2024' is not a time with its date day first"),
        ("day_first", ["01/02/2024", "2024-02-02"], 3, "'2024-02-02' is not a time with its date day first"),
        ("day_first", ["01/02/2024", "soon"], 3, "'soon' is not a time with its date day first"),
        ("day_first", ["soon"], 2, "'soon' is not a time with its date day first"),
        ("day_first", ["2024-02-01"], 2, "the date '2024-02-01' is year first, and data.date_order says day_first"),
        ("month_first", ["20240201"], 2, "the date '20240201' is year first, and data.date_order says month_first"),
        ("year_first", ["03/04/2024"], 2, "'03/04/2024' is not a time with its date year first"),
    ],
)
def test_an_order_that_the_file_does_not_have(tmp_path: Path, order: str, cells: list[str], line: int, what: str):
    text = "time;close\n" + "".join(f"{cell};1\n" for cell in cells)
    where, got, _ = refused(tmp_path, text, timezone="UTC", date_order=order)
    assert where == f":{line}"
    assert got.startswith(what)


def test_the_fast_way_and_the_slow_way_agree(tmp_path: Path):
    # every day of a leap year, with two digits (rewritten at once) and with one (by a pattern)
    days = pd.date_range("2024-01-01", "2024-12-31 23:00", freq="7h")
    for order, two, one in (
        ("day_first", "%d/%m/%Y %H:%M", "{d}/{m}/{y} {t}"),
        ("month_first", "%m/%d/%Y %H:%M", "{m}/{d}/{y} {t}"),
    ):
        fast = [day.strftime(two) for day in days]
        slow = [one.format(d=day.day, m=day.month, y=day.year, t=day.strftime("%H:%M")) for day in days]
        for cells in (fast, slow):
            text = "time;close\n" + "".join(f"{cell};1\n" for cell in cells)
            raw = read(tmp_path, text, timezone="UTC", date_order=order)
            assert raw.time_N.tolist() == days.as_unit("ns").asi8.tolist()


def test_unix_and_iso_times_need_no_order(tmp_path: Path):
    assert parsed(tmp_path, "1704142800", "day_first") == "2024-01-01 21:00:00"
    assert parsed(tmp_path, "2024-01-01T21:00Z", None) == "2024-01-01 21:00:00"
