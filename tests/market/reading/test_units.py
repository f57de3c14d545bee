"""Prices as whole numbers, spreads in points, decimal commas, and rows that run backwards."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from market.files import printed, read, refused, stamps, values

SCALED = (
    "time,open,high,low,close,spread,volume\n2024-01-01,109550,109800,109500,109700,12,50000\n"
    "2024-01-02,109700,109900,109600,109650,15,60000\n"
)
POINTS = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"


def test_whole_number_prices_are_noted_and_converted_only_where_told(tmp_path: Path):
    raw = read(tmp_path, SCALED, timezone="UTC")
    assert values(raw)["open"] == [109550, 109700]
    assert raw.notes == (
        f"{tmp_path / 'data'}: prices are whole numbers, the first 109550, and read as they are; "
        "if they are scaled, set data.price_scale: 0.00001 (1.0955) or data.price_scale: 0.001 (109.55); "
        "1 says that they are right",
    )
    told = read(tmp_path, SCALED, timezone="UTC", price_scale=0.00001)
    assert values(told) == {
        "open": [1.0955, 1.097],
        "high": [1.098, 1.099],
        "low": [1.095, 1.096],
        "close": [1.097, 1.0965],
        "volume": [50000, 60000],
        "spread": [0.00012, 0.00015],
    }
    assert printed(told).startswith("CSV with named columns, 1-day bars, times in UTC, prices × 1e-05: 2 bars")
    assert told.notes == ()
    assert values(read(tmp_path, SCALED, timezone="UTC", price_scale=0.001))["open"] == [109.55, 109.7]
    right = read(tmp_path, SCALED, timezone="UTC", price_scale=1.0)
    assert (values(right), right.notes) == (values(raw), ())


@pytest.mark.parametrize(
    "text",
    [
        "time,close\n2024-01-01,39000.0\n2024-01-02,39100.0\n",  # with a decimal point: not scaled
        "time,close\n2024-01-01,1325\n2024-01-02,1330\n",  # won for a dollar
        "time,close\n2024-01-01,39000\n2024-01-02,39100.5\n",
    ],
)
def test_prices_that_are_no_scaled_ones(tmp_path: Path, text: str):
    assert read(tmp_path, text, timezone="UTC").notes == ()


def test_whole_number_prices_of_other_sources(tmp_path: Path):
    frame = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=2), "close": [109550, 109700]})
    frame.to_parquet(path := tmp_path / "bars")
    assert "data.price_scale: 0.00001 (1.0955)" in read(tmp_path, path.read_bytes(), timezone="UTC").notes[0]
    frame.astype({"close": float}).to_parquet(path)
    assert read(tmp_path, path.read_bytes(), timezone="UTC").notes == ()
    assert values(read(tmp_path, path.read_bytes(), timezone="UTC", price_scale=1e-5))["close"] == [1.0955, 1.097]


@pytest.mark.parametrize(("last", "point"), [("1.10450", 0.00001), ("149.123", 0.001), ("2034.5", 0.1), ("39000", 1.0)])
def test_a_point_is_the_last_digit_of_the_prices(tmp_path: Path, last: str, point: float):
    text = f"{POINTS}2024.01.02\t00:00:00\t{last}\t{last}\t{last}\t{last}\t12\t0\t7\n"
    raw = read(tmp_path, text, timezone="UTC", point_size="last_digit")
    assert values(raw)["spread"] == pytest.approx([7 * point], rel=1e-15)
    assert values(read(tmp_path, text, timezone="UTC", point_size=point)) == values(raw)
    # the size of another instrument's point would make costs wrong by a factor of 10 or more
    _, what, hint = refused(tmp_path, text, timezone="UTC", point_size=0.01)
    assert what.endswith("and data.point_size is 0.01")
    assert hint == "data.point_size: last_digit takes the size from the prices of each file"


def test_a_spread_in_points_is_left_out_where_nobody_tells_their_size(tmp_path: Path):
    text = f"{POINTS}2024.01.02\t00:00:00\t1.1\t1.10450\t1.1\t1.1\t12\t0\t7\n"
    raw = read(tmp_path, text, timezone="UTC")
    assert "spread" not in raw.numbers
    assert raw.notes[1].endswith("(prices have 5 decimals, so a point is 1e-05)")


def test_a_point_size_without_points(tmp_path: Path):
    _, what, hint = refused(tmp_path, "time,close,spread\n2024-01-01,1.1,0.1\n", timezone="UTC", point_size=0.001)
    assert what == "data.point_size is set, and the file has no <SPREAD> in points"
    assert "read in units of the price" in hint


def test_decimal_commas_where_the_config_says_so(tmp_path: Path):
    text = "time;close;volume\n2024-01-01;1,25;1,5\n2024-01-02;1,5;2\n"
    assert refused(tmp_path, text, timezone="UTC") == (
        ":2",
        "close '1,25' has a decimal comma",
        "set data.decimal: ',' (with columns separated by semicolons or tabs)",
    )
    assert values(read(tmp_path, text, timezone="UTC", decimal=",")) == {"close": [1.25, 1.5], "volume": [1.5, 2]}
    assert values(read(tmp_path, 'time,close\n2024-01-01,"1,25"\n', timezone="UTC", decimal=","))["close"] == [1.25]
    assert refused(tmp_path, text.replace("1,5;2", "1.5;2"), timezone="UTC", decimal=",") == (
        ":3",
        "close '1.5' has a decimal point, and data.decimal is ','",
        "leave out data.decimal",
    )
    assert (
        refused(tmp_path, text.replace("1,5;2", "x;2"), timezone="UTC", decimal=",")[1] == "close 'x' is not a number"
    )


NEWEST_FIRST = "time,close\n2024-01-03,3\n2024-01-02,2\n2024-01-01,1\n"


def test_newest_first_is_refused_with_the_option_that_sorts(tmp_path: Path):
    where, what, hint = refused(tmp_path, NEWEST_FIRST, timezone="UTC")
    assert where == ":3"
    assert what == (
        "the time 2024-01-02 UTC is before that of the row before, 2024-01-03 UTC; "
        "the rows run from the newest to the oldest"
    )
    assert hint.startswith("data.sort: true")
    raw = read(tmp_path, NEWEST_FIRST, timezone="UTC", sort=True)
    assert stamps(raw) == ["2024-01-01 00:00:00", "2024-01-02 00:00:00", "2024-01-03 00:00:00"]
    assert values(raw)["close"] == [1, 2, 3]
    assert raw.origin.details == ("rows sorted by time",)
    assert [raw.source.at(row)[-1] for row in range(3)] == ["4", "3", "2"]  # lines of the file


def test_sorting_changes_nothing_in_a_file_that_is_sorted(tmp_path: Path):
    text = "time,close\n2024-01-01,1\n2024-01-02,2\n"
    raw = read(tmp_path, text, timezone="UTC", sort=True)
    assert raw.origin.details == ()
    assert raw.source.order_N is None


def test_sorted_rows_name_their_lines_and_duplicates_stay_defects(tmp_path: Path):
    # lines 2 to 5; sorted: 4, 3, 5, 2, of which 3 and 5 are of one time
    text = "time,close\n2024-01-03,3\n2024-01-02,2\n2024-01-01,1\n2024-01-02,9\n"
    where, what, hint = refused(tmp_path, text, timezone="UTC", sort=True)
    assert where == ":5"
    assert what == f"the time 2024-01-02 UTC repeats that of {tmp_path / 'data'}:3"
    assert hint == "keep one bar for each time"
    where, what, _ = refused(tmp_path, NEWEST_FIRST.replace(",1\n", ",-1\n"), timezone="UTC", sort=True)
    assert (where, what) == (":4", "close is -1, a price must be above 0")


def test_newest_first_through_a_change_of_clocks(tmp_path: Path):
    # Berlin's clocks went back on 27 October 2024 at 03:00: 02:00 came twice, at UTC+2 (00:00 UTC) and UTC+1
    text = "time,close\n2024-10-27 03:00,4\n2024-10-27 02:00,3\n2024-10-27 02:00,2\n2024-10-27 01:00,1\n"
    raw = read(tmp_path, text, timezone="Europe/Berlin", sort=True)
    assert [stamp[8:13] for stamp in stamps(raw)] == ["26 23", "27 00", "27 01", "27 02"]
    assert values(raw)["close"] == [1, 2, 3, 4]
