"""Files that are refused: where, what and the remedy of each."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from market.files import data_config

from fxai.config.data import DataConfig
from fxai.errors import DataError
from fxai.market.bars import bars_from_frame, read_bars
from fxai.market.data import load_market
from fxai.market.reading import memory
from fxai.market.reading.zones import find_zone

UTC = data_config(timezone="UTC")
HEAD = "time,open,high,low,close\n"
GOOD = "2024-01-01 00:00,1,3,0.5,2\n2024-01-01 01:00,2,4,1,3\n"

BAD = {
    # name: (text, where after the folder, what, words of the hint)
    "blank price": (HEAD + GOOD + "2024-01-01 02:00,2,4,1,\n", ":4", "close is blank or NaN", "delete the row"),
    "first of two": (HEAD + "2024-01-01,1,3,1,\n2024-01-02,,3,1,2\n", ":2", "close is blank or NaN", "delete"),
    "NaN": (HEAD + GOOD + "2024-01-01 02:00,NaN,4,1,3\n", ":4", "open is blank or NaN", "never filled"),
    "infinite": (HEAD + GOOD + "2024-01-01 02:00,2,inf,1,3\n", ":4", "high is infinite", "delete the row"),
    "short row": (HEAD + GOOD + "2024-01-01 02:00,2,4\n", ":4", "low is blank or NaN", "delete the row"),
    "blank line": (HEAD + "2024-01-01,1,3,1,2\n\n2024-01-02,1,3,1,2\n", ":3", "the line is blank", "delete the line"),
    "blank time": (HEAD + GOOD + ",2,4,1,3\n", ":4", "the time is blank", "delete the row"),
    "text": (HEAD + GOOD + "2024-01-01 02:00,2,4,1,abc\n", ":4", "close 'abc' is not a number", "delete the row"),
    "repeated": (
        HEAD + GOOD + "2024-01-01 01:00,2,4,1,3\n",
        ":4",
        "the time 2024-01-01 01:00:00 UTC repeats that of the row before",
        "one bar for each time",
    ),
    "unsorted": (
        HEAD + GOOD + "2023-12-31 23:00,2,4,1,3\n",
        ":4",
        "the time 2023-12-31 23:00:00 UTC is before that of the row before, 2024-01-01 01:00:00 UTC",
        "oldest first",
    ),
    "price 0": (
        HEAD + GOOD + "2024-01-01 02:00,0,4,0,3\n",
        ":4",
        "open is 0, a price must be above 0",
        "at its source",
    ),
    "negative": (HEAD + "2024-01-01,1,3,1,-2\n", ":2", "close is -2, a price must be above 0", "at its source"),
    "high below low": (HEAD + GOOD + "2024-01-01 02:00,2,1,4,3\n", ":4", "high 1 is below low 4", "not exchanged"),
    "negative spread": ("time,close,spread\n2024-01-01,1,-1\n", ":2", "spread is -1", "0 or more"),
    "points": ("time,close,spread\n2024-01-01,1,12\n", ":2", "spread 12 is over 10% of the price 1", "points"),
    "ask below bid": (
        "time,bid_close,ask_close\n2024-01-01,1,1.1\n2024-01-02,1.1,1\n",
        ":3",
        "ask_close 1 is below bid_close 1.1",
        "not exchanged",
    ),
    "negative volume": ("time,close,volume\n2024-01-01,1,-5\n", ":2", "volume is -5", "0 or more"),
    "decimal comma": (
        (HEAD + "2024-01-01,1,5;2;0,5;2,5\n")
        .replace("2024-01-01,", "2024-01-01;")
        .replace("time,open,high,low,", "time;open;high;low;"),
        ":2",
        "open '1,5' has a decimal comma",
        "set data.decimal: ','",
    ),
    "decimal comma in commas": (
        "time,close\n2024-01-01,1,5\n",
        ":2",
        "there are 3 fields, and 2 columns",
        "decimal commas",
    ),
    "a wide row later": (
        "time,close\n2024-01-01,1\n2024-01-02,1,5\n",
        ":3",
        "there are 3 fields, and 2 columns",
        "decimal commas",
    ),
    "day first": (
        HEAD + "31/01/2024,1,3,1,2\n",
        ":2",
        "the date '31/01/2024' may be day first or month first",
        "2024-01-31 21:00:00, year first",
    ),
    "day first with dots": (
        "time,close\n01.02.2024 00:00:00.000,2\n",
        ":2",
        "the date '01.02.2024 00:00:00.000' may be day first or month first",
        "year first",
    ),
    "day first later": (
        "time,close\n2024-01-01,2\n05-02-2024,2\n",
        ":3",
        "the date '05-02-2024' may be day first or month first",
        "year first",
    ),
    "no time": ("time,close\n2024-01-01,2\nyesterday,2\n", ":3", "'yesterday' is not a time", "year first"),
    "month 13": ("time,close\n2024-13-01,2\n", ":2", "'2024-13-01' is not a time", "year first"),
    "year 9999": ("time,close\n2024-01-01,2\n9999-01-01,2\n", ":3", "the year 9999 cannot be right", "year first"),
    "offset on some": (
        "time,close\n2024-01-01 00:00,2\n2024-01-01 01:00+00:00,2\n",
        ":3",
        "'2024-01-01 01:00+00:00' has an offset from UTC, unlike the first row",
        "all times with their offset, or none",
    ),
    "offset not on all": (
        "time,close\n2024-01-01 00:00Z,2\n2024-01-01 01:00,2\n",
        ":3",
        "'2024-01-01 01:00' has no offset from UTC, unlike the first row",
        "all times with their offset, or none",
    ),
    "row numbers as times": (
        ",close\n0,2\n1,3\n",
        ":2",
        "0 is no unix time in s, ms, µs or ns between 1980 and 2100",
        "2024",
    ),
    "two units": (
        "time,close\n1704067200,2\n1704067260000,3\n",
        ":3",
        "1704067260000 is no unix time in seconds, as the first row is",
        "one unit",
    ),
    "unix, then text": (
        "time,close\n1704067200,2\n2024-01-02,3\n",
        ":3",
        "'2024-01-02' is not a unix time, as the first row is",
        "one format",
    ),
    "no header": (
        "2024-01-01 00:00;1.1;1.2;1.0;1.1;0\n2024-01-01 00:01;1.1;1.2;1.0;1.1;0\n",
        ":1",
        "the first line holds numbers: '2024-01-01 00:00;1.1;1.2;1.0;1.1;0'",
        "add a first line that names the columns",
    ),
    "no close": ("time,open\n2024-01-01,1\n", "", "no column is named close; there are time, open", "name the columns"),
    "no times": ("open,close\n1,1\n", "", "no column is named time; there are open, close", "name the columns"),
    "bid alone": ("time,bid_close\n2024-01-01,1\n", "", "there is a column bid_close but no ask_close", "pairs"),
    "two closes": (
        "time,close,Close\n2024-01-01,1,1\n",
        "",
        "two columns are named close: close, Close",
        "rename",
    ),
    "one column": ("time close\n2024-01-01 1\n", ":1", "the first line holds one column: 'time close'", "commas"),
    "empty": ("", "", "the file is empty", "is the download complete?"),
    "header alone": ("time,close\n", "", "there are no bars", "complete"),
    "header and blanks": ("time,close\n\n\n", "", "there are no bars", "complete"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_refused_with_row_and_remedy(tmp_path: Path, case: tuple[str, str, str, str]):
    text, line, what, hint = case
    path = tmp_path / "bars.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_bars(path, UTC)
    assert error.value.where == f"{path}{line}"
    assert error.value.what == what
    assert error.value.hint is not None
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("time,close\n2024-01-01,1\n".encode("utf-16"), "the text is UTF-16"),
        (b"time,close\n2024-01-01\x00,1\n", "this is not a text file"),
    ],
)
def test_files_that_are_not_utf8_text(tmp_path: Path, raw: bytes, what: str):
    path = tmp_path / "bars.csv"
    path.write_bytes(raw)
    with pytest.raises(DataError) as error:
        read_bars(path, UTC)
    assert (error.value.what, error.value.where) == (what, str(path))


def test_cells_are_shown_short_and_without_control_characters(tmp_path: Path):
    (path := tmp_path / "bars.csv").write_text(f"time,close\n2024-01-01,\x1b[31m{'x' * 500}\n", encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_bars(path, UTC)
    assert error.value.what == rf"close '\x1b[31m{'x' * 55}…' is not a number"  # the first 60 characters
    path.write_text("time,\x1b[31mprice2\n2024-01-01,1\n", encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_bars(path, UTC)
    assert error.value.what == r"no column is named close; there are time, \x1b[31mprice2"


def test_a_bad_cell_far_down_is_found_on_its_line(tmp_path: Path):
    # the header is line 1, so bar n (from 0) is on line n + 2: bar 3,000 on 3,002
    times = pd.date_range("2024-01-01", periods=5000, freq="h").strftime("%Y-%m-%d %H:%M")
    rows = [f"{time},1.5" for time in times]
    rows[3000] = rows[3000].replace("1.5", "1.5x")
    path = tmp_path / "bars.csv"
    path.write_text("\n".join(["time,close", *rows]), encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_bars(path, UTC)
    assert error.value.where == f"{path}:3002"


def test_parquet_names_the_row(tmp_path: Path):
    frame = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=3), "close": [1.0, float("nan"), 1.0]})
    frame.to_parquet(path := tmp_path / "bars.parquet")
    with pytest.raises(DataError) as error:
        read_bars(path, UTC)
    assert (error.value.where, error.value.what) == (f"{path}, row 2", "close is blank or NaN")


def test_parquet_that_is_none_and_columns_of_text(tmp_path: Path):
    (broken := tmp_path / "broken.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(DataError, match="this is not a Parquet file that can be read"):
        read_bars(broken, UTC)
    frame = pd.DataFrame({"time": ["2024-01-01"], "close": ["1.5 USD"]})
    frame.to_parquet(text := tmp_path / "text.parquet")
    with pytest.raises(DataError, match=r"close is of type .*, not numbers"):
        read_bars(text, UTC)


def test_frames_name_the_instrument():
    with pytest.raises(DataError) as error:
        bars_from_frame(
            pd.DataFrame({"time": ["2024-01-01"], "close": [0.0]}), zone=find_zone("UTC", "timezone"), name="EURUSD"
        )
    assert error.value.where == "EURUSD, row 1"
    with pytest.raises(DataError, match="there are no bars"):
        bars_from_frame(pd.DataFrame({"time": [], "close": []}), zone=find_zone("UTC", "timezone"), name="EURUSD")


def test_missing_files_and_folders(tmp_path: Path):
    with pytest.raises(DataError) as error:
        read_bars(tmp_path / "none.csv", UTC)
    assert (error.value.what, error.value.where) == ("there is no such file", str(tmp_path / "none.csv"))
    with pytest.raises(DataError, match="this is a folder, not a file") as error:
        read_bars(tmp_path, UTC)
    assert error.value.hint == "name the file of bars in it"


@pytest.mark.parametrize("name", ["{symbol}.csv", "EUR*.csv"])
def test_a_path_with_other_patterns_than_instrument(tmp_path: Path, name: str):
    with pytest.raises(DataError, match="there is no such file") as error:
        read_bars(tmp_path / name, UTC)
    assert (error.value.hint or "").startswith("of data.path only {instrument} is replaced")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", "America"])
def test_unknown_zones(tmp_path: Path, zone: str):
    data = DataConfig(source="file", path=str(tmp_path / "a.csv"), instruments=("A",), timezone=zone)
    with pytest.raises(DataError) as error:
        load_market(data)
    assert (error.value.what, error.value.where) == (f"{zone!r} is not a time zone", "data.timezone")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_that_would_not_fit_is_refused_before_it_is_read(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
):
    frame = pd.DataFrame({"time": pd.date_range("2000-01-01", periods=20_000, freq="h"), "close": 1.5})
    path = tmp_path / f"bars.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**20)  # a mebibyte is less than 50 bytes a bar
    with pytest.raises(DataError) as error:
        read_bars(path, UTC)
    assert "bars need about" in error.value.what
    assert error.value.what.startswith("20,000" if suffix == "parquet" else "")
    assert error.value.hint is not None
    assert "n_jobs" in error.value.hint
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**30)
    assert len(read_bars(path, UTC)) == 20_000
