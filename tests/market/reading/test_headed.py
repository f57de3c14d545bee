"""Files with a header: Dukascopy, MetaTrader 5, yfinance, Databento, and plain tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from market.files import printed, read, refused, stamps, values

DUKASCOPY = (
    "Gmt time,Open,High,Low,Close,Volume\n"
    "26.03.2025 00:00:00.000,1.07894,1.07899,1.07888,1.07889,9899.999999999998\n"
    "26.03.2025 00:15:00.000,1.07889,1.07891,1.07886,1.0789,8100\n"
)
DUKASCOPY_LOCAL = (
    "Local time,Open,High,Low,Close,Volume\n"
    "30.03.2025 01:00:00.000 GMT+0100,1.07894,1.07899,1.07888,1.07889,99.5\n"
    "30.03.2025 03:00:00.000 GMT+0200,1.07889,1.07891,1.07886,1.0789,81\n"
)
METATRADER5 = (
    "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\r\n"
    "2024.01.02\t00:00:00\t1.10432\t1.10500\t1.10300\t1.10450\t1234\t0\t5\r\n"
    "2024.01.02\t01:00:00\t1.10450\t1.10460\t1.10400\t1.10410\t987\t0\t12\r\n"
)
YFINANCE_OLD = (
    "Date,Open,High,Low,Close,Adj Close,Volume\n"
    "2024-01-02,1.1038,1.1045,1.0939,1.1040,1.1040,0\n"
    "2024-01-03,1.0945,1.0967,1.0893,1.0943,1.0943,0\n"
)
YFINANCE_NEW = (
    "Price,Close,High,Low,Open,Volume\n"
    "Ticker,EURUSD=X,EURUSD=X,EURUSD=X,EURUSD=X,EURUSD=X\n"
    "Datetime,,,,,\n"
    "2024-01-02 00:00:00+00:00,1.1040,1.1045,1.0939,1.1038,0\n"
    "2024-01-02 01:00:00+00:00,1.0943,1.0967,1.0893,1.0945,0\n"
)
DATABENTO = (
    "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
    "1704067200000000000,33,1,5602,4820250000000,4821000000000,4820000000000,4820500000000,120,ESH4\n"
    "1704067260000000000,33,1,5602,4820500000000,4820750000000,4819250000000,4819500000000,98,ESH4\n"
)
DATABENTO_PRETTY = (
    "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
    "2024-01-01T00:00:00.000000000Z,33,1,5602,4820.250000000,4821.000000000,4820.000000000,4820.500000000,120,ESH4\n"
    "2024-01-01T00:01:00.000000000Z,33,1,5602,4820.500000000,4820.750000000,4819.250000000,4819.500000000,98,ESH4\n"
)


def test_dukascopy_in_gmt_needs_no_option(tmp_path: Path):
    raw = read(tmp_path, DUKASCOPY)
    assert stamps(raw) == ["2025-03-26 00:00:00", "2025-03-26 00:15:00"]
    assert values(raw) == {
        "open": [1.07894, 1.07889],
        "high": [1.07899, 1.07891],
        "low": [1.07888, 1.07886],
        "close": [1.07889, 1.0789],
        "volume": [9899.999999999998, 8100],
    }
    assert printed(raw) == (
        "Dukascopy CSV, 15-minute bars, times in UTC: 2 bars from 2025-03-26 to 2025-03-26 00:15:00 UTC, no gaps"
    )
    # the day comes first even where it could be a month: 4 March
    assert stamps(read(tmp_path, DUKASCOPY.replace("26.03.", "04.03.")))[0] == "2025-03-04 00:00:00"


def test_dukascopy_local_time_with_its_offsets(tmp_path: Path):
    # clocks went forward between the rows: 01:00 at UTC+1 is 00:00, 03:00 at UTC+2 is 01:00
    raw = read(tmp_path, DUKASCOPY_LOCAL)
    assert stamps(raw) == ["2025-03-30 00:00:00", "2025-03-30 01:00:00"]
    assert printed(raw).startswith("Dukascopy CSV, 1-hour bars, times in UTC by their offsets: 2 bars")
    assert stamps(read(tmp_path, DUKASCOPY_LOCAL, timezone="Asia/Tokyo")) == stamps(raw)


def test_dukascopy_local_time_without_offsets_asks_for_the_zone(tmp_path: Path):
    text = DUKASCOPY_LOCAL.replace(" GMT+0100", "").replace(" GMT+0200", "")
    where, what, hint = refused(tmp_path, text)
    assert (where, what) == (":2", "the times carry no offset from UTC")
    assert hint.startswith("the column is in the local time of who downloaded it: set data.timezone")
    assert stamps(read(tmp_path, text, timezone="Europe/Zurich")) == ["2025-03-30 00:00:00", "2025-03-30 01:00:00"]


def test_dukascopy_against_options_that_contradict_it(tmp_path: Path):
    _, what, hint = refused(tmp_path, DUKASCOPY, date_order="month_first")
    assert what == "dates of Dukascopy CSV are day_first, and data.date_order says month_first"
    assert hint == "leave out data.date_order"
    _, what, _ = refused(tmp_path, DUKASCOPY, timezone="Europe/Zurich")
    assert what == "this is Dukascopy CSV, whose times are in UTC, and data.timezone is Europe/Zurich"
    assert stamps(read(tmp_path, DUKASCOPY, date_order="day_first", timezone="Etc/UTC"))[0] == "2025-03-26 00:00:00"


@pytest.mark.parametrize(
    ("row", "line", "what"),
    [
        ("26.03.2025 00:30:00.000 GMT+0100", ":4", "'26.03.2025 00:30:00.000 GMT+0100' has an offset from UTC, "),
        (
            "31.02.2025 00:30:00.000",
            ":4",
            "'31.02.2025 00:30:00.000' is not a time with its date day first, as Dukascopy",
        ),
        (
            "2025-03-26 00:30:00",
            ":4",
            "'2025-03-26 00:30:00' is not a time with its date day first, as Dukascopy CSV says",
        ),
    ],
)
def test_dukascopy_rows_that_are_not_as_the_first(tmp_path: Path, row: str, line: str, what: str):
    where, got, _ = refused(tmp_path, f"{DUKASCOPY}{row},1,1,1,1,1\n")
    assert where == line
    assert got.startswith(what)


def test_ticks_are_told_from_bars(tmp_path: Path):
    ticks = "Gmt time,Ask,Bid,AskVolume,BidVolume\n26.03.2025 00:00:00.123,1.2,1.1,1,1\n"
    assert refused(tmp_path, ticks)[1] == "these are Dukascopy's ticks, not bars"
    ticks = "<DATE>\t<TIME>\t<BID>\t<ASK>\t<LAST>\t<VOLUME>\t<FLAGS>\n2024.01.02\t00:00:00.123\t1.1\t1.2\t0\t0\t6\n"
    assert refused(tmp_path, ticks)[1] == "these are MetaTrader's ticks, not bars"


def test_metatrader_5_asks_for_the_zone_of_the_server(tmp_path: Path):
    where, what, hint = refused(tmp_path, METATRADER5)
    assert (where, what) == (":2", "the times carry no offset from UTC")
    assert hint.startswith("MetaTrader writes its broker's server time: set data.timezone")


def test_metatrader_5_with_its_spread_in_points(tmp_path: Path):
    # prices have 5 decimals, a point is 0.00001: 5 points are 0.00005, 12 are 0.00012
    raw = read(tmp_path, METATRADER5, timezone="Europe/Athens", point_size="last_digit")
    assert stamps(raw) == ["2024-01-01 22:00:00", "2024-01-01 23:00:00"]
    assert values(raw) == {
        "open": [1.10432, 1.1045],
        "high": [1.105, 1.1046],
        "low": [1.103, 1.104],
        "close": [1.1045, 1.1041],
        "volume": [1234, 987],
        "spread": [0.00005, 0.00012],
    }
    assert printed(raw) == (
        "MetaTrader 5 export, 1-hour bars, times in Europe/Athens, spread in points of 1e-05: "
        "2 bars from 2024-01-01 22:00:00 to 2024-01-01 23:00:00 UTC, no gaps"
    )
    assert raw.notes == (f"{tmp_path / 'data'}: columns not read: <VOL>",)


def test_metatrader_5_daily_export_has_no_time_of_day(tmp_path: Path):
    text = (
        "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
        "2024.01.02\t1.10432\t1.10500\t1.10300\t1.10450\t1234\t0\t5\n"
        "2024.01.03\t1.10450\t1.10460\t1.10400\t1.10410\t987\t0\t12\n"
    )
    raw = read(tmp_path, text, timezone="UTC")
    assert stamps(raw) == ["2024-01-02 00:00:00", "2024-01-03 00:00:00"]
    assert printed(raw).startswith("MetaTrader 5 export, 1-day bars, times in UTC: 2 bars")


def test_yfinance_before_its_three_lines(tmp_path: Path):
    raw = read(tmp_path, YFINANCE_OLD, timezone="UTC")
    assert stamps(raw) == ["2024-01-02 00:00:00", "2024-01-03 00:00:00"]
    assert values(raw) == {
        "open": [1.1038, 1.0945],
        "high": [1.1045, 1.0967],
        "low": [1.0939, 1.0893],
        "close": [1.104, 1.0943],
        "volume": [0, 0],
    }
    assert printed(raw) == "yfinance CSV, 1-day bars, times in UTC: 2 bars from 2024-01-02 to 2024-01-03 UTC, no gaps"
    assert raw.notes == (f"{tmp_path / 'data'}: columns not read: Adj Close",)
    where, what, hint = refused(tmp_path, YFINANCE_OLD)
    assert (where, what) == (":2", "the times carry no offset from UTC")
    assert hint == "set data.timezone to the zone of the file's times; for daily bars UTC is right"


def test_yfinance_history_of_one_ticker(tmp_path: Path):
    text = (
        "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"
        "2024-01-02 00:00:00-05:00,187.1,188.4,183.9,185.6,82488700,0.0,0.0\n"
    )
    raw = read(tmp_path, text)
    assert (stamps(raw), values(raw)["close"]) == (["2024-01-02 05:00:00"], [185.6])
    assert raw.origin.format == "yfinance CSV"


@pytest.mark.parametrize("by", ["column", "ticker"])
def test_yfinance_with_three_lines_of_header(tmp_path: Path, by: str):
    lines = YFINANCE_NEW.splitlines(keepends=True)
    text = YFINANCE_NEW if by == "column" else "".join([lines[1], lines[0], *lines[2:]])
    raw = read(tmp_path, text)
    assert stamps(raw) == ["2024-01-02 00:00:00", "2024-01-02 01:00:00"]
    assert values(raw) == {
        "open": [1.1038, 1.0945],
        "high": [1.1045, 1.0967],
        "low": [1.0939, 1.0893],
        "close": [1.104, 1.0943],
        "volume": [0, 0],
    }
    assert printed(raw) == (
        "yfinance CSV of EURUSD=X, 1-hour bars, times in UTC by their offsets: "
        "2 bars from 2024-01-02 to 2024-01-02 01:00:00 UTC, no gaps"
    )
    # the first bar is on line 4
    assert refused(tmp_path, text.replace(",1.0939,", ",x,"))[:2] == (":4", "low 'x' is not a number")


def test_yfinance_of_several_tickers(tmp_path: Path):
    text = "Price,Close,Close\nTicker,EURUSD=X,GBPUSD=X\nDate,,\n2024-01-02,1.1,1.3\n"
    _, what, hint = refused(tmp_path, text, timezone="UTC")
    assert what == "the file holds 2 instruments: EURUSD=X, GBPUSD=X"
    assert hint == 'download each alone: yf.download("EURUSD=X")'


@pytest.mark.parametrize(
    ("text", "zone", "detail"),
    [
        (DATABENTO, "unix nanoseconds", ", whole-number prices × 1e-9, as Databento writes them"),
        (DATABENTO_PRETTY, "UTC by their offsets", ""),
    ],
    ids=["fixed point", "pretty"],
)
def test_databento_in_both_of_its_notations(tmp_path: Path, text: str, zone: str, detail: str):
    raw = read(tmp_path, text)
    assert stamps(raw) == ["2024-01-01 00:00:00", "2024-01-01 00:01:00"]
    assert values(raw) == {
        "open": [4820.25, 4820.5],
        "high": [4821, 4820.75],
        "low": [4820, 4819.25],
        "close": [4820.5, 4819.5],
        "volume": [120, 98],
    }
    assert printed(raw) == (
        f"Databento OHLCV, 1-minute bars, times in {zone}{detail}: "
        "2 bars from 2024-01-01 to 2024-01-01 00:01:00 UTC, no gaps"
    )


def test_databento_without_a_price(tmp_path: Path):
    # the largest int64 stands for no price
    where, what, _ = refused(tmp_path, DATABENTO.replace("4819500000000", "9223372036854775807"))
    assert (where, what) == (":3", "close is blank or NaN")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("98,ESH4", "98,ESM4", "the file holds bars of 'ESH4' and of 'ESM4'"),
        ("1704067260000000000,33", "1704067260000000000,34", "the file holds bars of '33' and of '34'"),
    ],
)
def test_databento_of_several_instruments_or_lengths(tmp_path: Path, old: str, new: str, what: str):
    where, got, hint = refused(tmp_path, DATABENTO.replace(old, new))
    assert (where, got) == (":3", what)
    assert hint == "write one file for each instrument and timeframe; data.path may hold {instrument}"
    # a contract that rolls keeps its symbol and changes its number, which is no defect
    rolled = DATABENTO.replace("ESH4", "ES.c.0").replace("60000000000,33,1,5602", "60000000000,33,1,9999")
    assert len(read(tmp_path, rolled)) == 2
    without = rolled.replace(",symbol", "").replace(",ES.c.0", "")
    assert refused(tmp_path, without)[1] == "the file holds bars of '5602' and of '9999'"


def test_a_plain_table_of_several_instruments(tmp_path: Path):
    text = "time,symbol,close\n2024-01-01 00:00,EURUSD,1.1\n2024-01-01 01:00,GBPUSD,1.3\n"
    where, what, _ = refused(tmp_path, text, timezone="UTC")
    assert (where, what) == (":3", "the file holds bars of 'EURUSD' and of 'GBPUSD'")


def test_a_plain_table_says_so(tmp_path: Path):
    raw = read(tmp_path, "time,close\n2024-01-01 00:00,1.1\n2024-01-01 00:30,1.3\n", timezone="Asia/Tokyo")
    assert printed(raw) == (
        "CSV with named columns, 30-minute bars, times in Asia/Tokyo: "
        "2 bars from 2023-12-31 15:00:00 to 2023-12-31 15:30:00 UTC, no gaps"
    )


@pytest.mark.parametrize("zone", ["UTC", "GMT"])
def test_a_time_named_with_its_zone(tmp_path: Path, zone: str):
    raw = read(tmp_path, f"Time ({zone}),Open,High,Low,Close,Volume \n2024.01.02 03:00:00,1,2,0.5,1.5,7\n")
    assert stamps(raw) == ["2024-01-02 03:00:00"]


def test_a_time_named_with_letters_that_are_no_zone(tmp_path: Path):
    text = "Time (EET),Open,High,Low,Close,Volume \n2024.01.02 03:00:00,1,2,0.5,1.5,7\n"
    where, what, hint = refused(tmp_path, text)
    assert (where, what) == (":2", "the times carry no offset from UTC")
    assert hint.startswith("the column is named 'Time (EET)'")
    assert "Europe/Athens" in hint
    assert stamps(read(tmp_path, text, timezone="Europe/Athens")) == ["2024-01-02 01:00:00"]  # two hours ahead


def test_ticks_are_named(tmp_path: Path):
    where, what, _ = refused(tmp_path, "time,bid,ask\n2024-01-02,1,2\n")
    assert (where, what) == ("", "these are ticks, not bars: time, bid, ask")


def test_a_header_that_stands_again_and_separators_of_thousands(tmp_path: Path):
    head = "time,close\n2024-01-02,1\n"
    assert refused(tmp_path, head * 2, timezone="UTC")[:2] == (":3", "the header stands here again")
    thousands = 'time,close\n2024-01-02,"13,614.30"\n'
    assert refused(tmp_path, thousands, timezone="UTC")[:2] == (":2", "close '13,614.30' has separators of thousands")


def test_parquet_with_prices_and_tickers_in_its_names(tmp_path: Path):
    index = pd.date_range("2024-01-02", periods=2, name="Date")
    names = [("Close", "EURUSD=X"), ("Open", "EURUSD=X")]
    frame = pd.DataFrame([[1.5, 1.25], [1.75, 1.5]], index=index)
    frame.set_axis([str(name) for name in names], axis=1).to_parquet(path := tmp_path / "data")
    raw = read(tmp_path, path.read_bytes(), timezone="UTC")
    assert values(raw) == {"open": [1.25, 1.5], "close": [1.5, 1.75]}
    names[1] = ("Open", "JPY=X")
    frame.set_axis([str(name) for name in names], axis=1).to_parquet(path)
    assert refused(tmp_path, path.read_bytes())[1] == "the file holds 2 instruments: EURUSD=X, JPY=X"
    assert "download it again" in refused(tmp_path, path.read_bytes()[:-100])[2]
