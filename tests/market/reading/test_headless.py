"""Files without a header: HistData, MetaTrader 4, Lean, Binance; each with the vendor's own lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from market.files import printed, read, refused, stamps, values

# HistData's own example, DAT_ASCII_EURUSD_M1_201202.csv
HISTDATA_ASCII = (
    "20120201 000000;1.306600;1.306600;1.306560;1.306560;0\n"
    "20120201 000100;1.306570;1.306570;1.306470;1.306560;0\n"
    "20120201 000200;1.306520;1.306560;1.306520;1.306560;0\n"
)
# and DAT_MT_EURUSD_M1_201202.csv, the same bars
HISTDATA_MT = (
    "2012.02.01,00:00,1.306600,1.306600,1.306560,1.306560,0\n"
    "2012.02.01,00:01,1.306570,1.306570,1.306470,1.306560,0\n"
    "2012.02.01,00:02,1.306520,1.306560,1.306520,1.306560,0\n"
)
METATRADER4 = (
    "2024.01.02,00:00,1.10432,1.10500,1.10300,1.10450,1234\n"
    "2024.01.02,01:00,1.10450,1.10460,1.10400,1.10410,987\n"
    "2024.07.02,01:00,1.10410,1.10490,1.10400,1.10480,55\n"
)
LEAN = (
    "20140507 11:00,1.39255,1.3927,1.3922,1.3923,0,1.3927,1.39285,1.39235,1.39245,0\n"
    "20140507 12:00,1.3923,1.39255,1.39205,1.3921,0,1.39245,1.3927,1.3922,1.39225,0\n"
)
BINANCE = (
    "1609459200000,28923.63000000,28961.66000000,28913.12000000,28961.66000000,27.45703200,1609459259999,"
    "794382.04411298,1292,16.77719500,485390.82682540,0\n"
    "1609459260000,28961.67000000,29017.50000000,28961.01000000,29009.91000000,58.47750100,1609459319999,"
    "1695802.89991450,1651,33.73385000,978176.46820170,0\n"
)
BINANCE_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore\n"
)


@pytest.mark.parametrize(
    ("text", "options", "label"),
    [(HISTDATA_ASCII, {}, "HistData M1 ASCII"), (HISTDATA_MT, {"format": "histdata_mt"}, "HistData MT")],
)
def test_histdata_is_five_hours_behind_utc_all_year(tmp_path: Path, text: str, options: dict[str, str], label: str):
    raw = read(tmp_path, text, **options)
    assert stamps(raw) == ["2012-02-01 05:00:00", "2012-02-01 05:01:00", "2012-02-01 05:02:00"]
    assert values(raw) == {
        "open": [1.3066, 1.30657, 1.30652],
        "high": [1.3066, 1.30657, 1.30656],
        "low": [1.30656, 1.30647, 1.30652],
        "close": [1.30656, 1.30656, 1.30656],
        "volume": [0, 0, 0],
    }
    assert printed(raw) == (
        f"{label}, 1-minute bars, times in Etc/GMT+5: "
        "3 bars from 2012-02-01 05:00:00 to 2012-02-01 05:02:00 UTC, no gaps"
    )
    # in July New York is at UTC−4, HistData stays at UTC−5
    summer = text.replace("20120201", "20120702").replace("2012.02.01", "2012.07.02")
    assert stamps(read(tmp_path, summer, **options))[0] == "2012-07-02 05:00:00"


def test_a_zone_that_contradicts_histdata_is_refused_unless_the_format_is_named_too(tmp_path: Path):
    where, what, hint = refused(tmp_path, HISTDATA_ASCII, timezone="UTC")
    assert where == ""
    assert what == "this is HistData M1 ASCII, whose times are in Etc/GMT+5, and data.timezone is UTC"
    assert hint == "leave out data.timezone; if somebody converted the times, set data.format: histdata_ascii beside it"
    converted = read(tmp_path, HISTDATA_ASCII, timezone="UTC", format="histdata_ascii")
    assert stamps(converted)[0] == "2012-02-01 00:00:00"
    assert converted.notes == (
        f"{tmp_path / 'data'}: times read in UTC as told, although HistData M1 ASCII is in Etc/GMT+5",
    )
    for same in ("Etc/GMT+5", "UTC-05:00", "America/Panama"):
        assert stamps(read(tmp_path, HISTDATA_ASCII, timezone=same)) == stamps(read(tmp_path, HISTDATA_ASCII))


def test_histdata_ticks_are_told_from_bars(tmp_path: Path):
    where, what, hint = refused(tmp_path, "20120201 000003660,1.306600,1.306770,0\n")
    assert (where, what) == (":1", "these are HistData's ticks, not bars")
    assert "1 minute bar quotes" in hint


def test_histdata_mt_and_metatrader_4_look_the_same_and_are_never_guessed(tmp_path: Path):
    for text in (HISTDATA_MT, METATRADER4):
        where, what, hint = refused(tmp_path, text)
        assert (where, what) == (":1", "the times carry no offset from UTC")
        assert "data.format: histdata_mt" in hint
        assert "data.timezone" in hint
        assert "America/New_York+07:00" in hint


def test_metatrader_4_in_the_zone_of_its_broker(tmp_path: Path):
    # New York's clock + 7 hours: UTC+2 in January, UTC+3 in July
    raw = read(tmp_path, METATRADER4, timezone="America/New_York+07:00")
    assert stamps(raw) == ["2024-01-01 22:00:00", "2024-01-01 23:00:00", "2024-07-01 22:00:00"]
    assert values(raw)["close"] == [1.1045, 1.1041, 1.1048]
    assert values(raw)["volume"] == [1234, 987, 55]
    assert printed(raw).startswith("MetaTrader 4 CSV, 1-hour bars, times in America/New_York+07:00: 3 bars from ")
    assert stamps(read(tmp_path, METATRADER4, timezone="Etc/GMT-2"))[2] == "2024-07-01 23:00:00"
    daily = "2024.01.02,00:00,1.1,1.2,1.0,1.1,5\n2024.01.03,00:00,1.1,1.2,1.0,1.1,5\n"
    raw = read(tmp_path, daily, timezone="UTC", format="metatrader")
    assert stamps(raw) == [
        "2024-01-02 00:00:00",
        "2024-01-03 00:00:00",
    ]


def test_lean_quotes_hold_bid_and_ask(tmp_path: Path):
    raw = read(tmp_path, LEAN, timezone="UTC")
    assert stamps(raw) == ["2014-05-07 11:00:00", "2014-05-07 12:00:00"]
    assert raw.quoted
    assert values(raw) == {
        "bid_open": [1.39255, 1.3923],
        "bid_high": [1.3927, 1.39255],
        "bid_low": [1.3922, 1.39205],
        "bid_close": [1.3923, 1.3921],
        "ask_open": [1.3927, 1.39245],
        "ask_high": [1.39285, 1.3927],
        "ask_low": [1.39235, 1.3922],
        "ask_close": [1.39245, 1.39225],
    }
    assert printed(raw) == (
        "Lean quote bars, 1-hour bars, times in UTC: "
        "2 bars from 2014-05-07 11:00:00 to 2014-05-07 12:00:00 UTC, no gaps"
    )
    assert "Lean does not write the zone" in refused(tmp_path, LEAN)[2]


def test_lean_bars_of_one_day_have_no_date(tmp_path: Path):
    where, what, _ = refused(tmp_path, LEAN.replace("20140507 11:00", "39600000"), timezone="UTC")
    assert (where, what) == (":1", "these are Lean's bars of one day, whose date stands in the name of the file only")


@pytest.mark.parametrize("header", ["", BINANCE_HEADER], ids=["bare", "header"])
@pytest.mark.parametrize(("zeros", "unit"), [("", "milliseconds"), ("000", "microseconds")])
def test_binance_klines_with_and_without_header_in_both_units(tmp_path: Path, header: str, zeros: str, unit: str):
    text = BINANCE
    for stamp in ("1609459200000", "1609459260000", "1609459259999", "1609459319999"):
        text = text.replace(stamp, stamp + zeros)
    raw = read(tmp_path, header + text)
    assert stamps(raw) == ["2021-01-01 00:00:00", "2021-01-01 00:01:00"]
    assert values(raw) == {
        "open": [28923.63, 28961.67],
        "high": [28961.66, 29017.5],
        "low": [28913.12, 28961.01],
        "close": [28961.66, 29009.91],
        "volume": [27.457032, 58.477501],
    }
    assert printed(raw) == (
        f"Binance klines, 1-minute bars, times in unix {unit}: "
        "2 bars from 2021-01-01 to 2021-01-01 00:01:00 UTC, no gaps"
    )


def test_binance_files_of_both_units_joined_are_refused_at_the_seam(tmp_path: Path):
    # milliseconds until the end of 2024, microseconds since
    seam = BINANCE + BINANCE.replace("16094592", "17356896").replace("00000,", "00000000,", 1)
    where, what, hint = refused(tmp_path, seam.splitlines()[0] + "\n" + seam.splitlines()[2] + "\n")
    assert where == ":2"
    assert what == "1735689600000000 is no unix time in milliseconds, as the first row is"
    assert hint == "one unit in the whole column"


@pytest.mark.parametrize(
    ("named", "text"),
    [
        ("histdata_ascii", HISTDATA_MT),
        ("histdata_mt", HISTDATA_ASCII),
        ("metatrader", HISTDATA_ASCII),
        ("lean", HISTDATA_MT),
        ("binance", LEAN),
        ("dukascopy", HISTDATA_ASCII),
        ("yfinance", LEAN),
        ("databento", BINANCE),
        ("oanda", BINANCE),
    ],
)
def test_a_format_that_the_file_does_not_have(tmp_path: Path, named: str, text: str):
    where, what, hint = refused(tmp_path, text, format=named, timezone="UTC")
    assert where == ":1"
    assert what.startswith(f"this is not what data.format: {named} says: ")
    assert hint == "leave out data.format to let the content tell; docs/data.md shows a line of each format"
