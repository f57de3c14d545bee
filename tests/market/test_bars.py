"""Files and frames that are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market.files import data_config

from fxai.market.bars import Bars, bars_from_frame, read_bars
from fxai.market.reading.zones import find_zone

UTC = find_zone("UTC", "timezone")


def read(folder: Path, text: str | bytes, zone: str = "UTC", name: str = "bars.csv") -> Bars:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_bars(path, data_config(timezone=zone))


def stamps(bars: Bars) -> list[str]:
    return [str(pd.Timestamp(time_ns)) for time_ns in bars.time_N]


THREE = "time,open,high,low,close\n2024-01-01 00:00,1,3,0.5,2\n2024-01-01 01:00,2,4,1,3\n"


def test_a_plain_file(tmp_path: Path):
    bars = read(tmp_path, THREE)
    assert stamps(bars) == ["2024-01-01 00:00:00", "2024-01-01 01:00:00"]
    assert bars.time_N.dtype == np.int64
    assert {name: list(values_N) for name, values_N in bars.arrays().items()} == {
        "open": [1, 2],
        "high": [3, 4],
        "low": [0.5, 1],
        "close": [2, 3],
    }
    assert bars.notes == ()


@pytest.mark.parametrize(
    "text",
    [
        THREE.replace("\n", "\r\n"),
        "\ufeff" + THREE,
        THREE.replace(",", ";"),
        THREE.replace(",", "\t"),
        THREE + "\n\n",
        THREE.rstrip("\n"),
        THREE.replace("\n", ",\n"),
        THREE.replace("5,2\n", "5,2,\n").replace("1,3\n", "1,3,\n"),
        THREE.replace("time,open,high,low,close", '"Time","Open","High","Low","Close"'),
    ],
    ids=["crlf", "bom", "semicolon", "tab", "blank end", "no last newline", "ends in ,", "rows end in ,", "quoted"],
)
def test_the_same_bars_however_they_are_written(tmp_path: Path, text: str):
    plain, other = read(tmp_path, THREE), read(tmp_path, text, name="other.csv")
    np.testing.assert_array_equal(other.time_N, plain.time_N)
    for name, values_N in plain.arrays().items():
        np.testing.assert_array_equal(other.arrays()[name], values_N)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("timestamp,close", "2024-01-01 21:00:00,1.5"),
        ("Gmt time,Close", "2024-01-01T21:00:00.000,1.5"),
        ("DateTime,C", "2024-01-01T21:00Z,1.5"),
        ("Date,Time,Close", "2024-01-01,21:00,1.5"),
        ("<DATE>\t<TIME>\t<CLOSE>", "2024.01.01\t21:00:00\t1.5"),
        ("close,date", "1.5,20240101 21:00"),
        (",Close", "2024-01-01 21:00:00+00:00,1.5"),
        ("time,price", "1704142800,1.5"),
    ],
)
def test_names_of_columns(tmp_path: Path, header: str, row: str):
    bars = read(tmp_path, f"{header}\n{row}\n")
    assert stamps(bars) == ["2024-01-01 21:00:00"]
    assert bars.close_N[0] == 1.5
    assert bars.open_N is None


def test_bid_and_ask_make_mid_prices_and_the_real_spread(tmp_path: Path):
    # close 1.0 / 1.0002: mid 1.0001, spread 0.0002 / 1.0001 = 1.9998 bp. Open 0.9996 / 1: mid 0.9998, 4.0008 bp
    names = "bid_open,bid_high,bid_low,bid_close,ask_open,ask_high,ask_low,ask_close"
    bars = read(tmp_path, f"time,{names},vol\n2024-01-01,0.9996,1.1,0.9,1.0,1.0,1.3,0.92,1.0002,5\n")
    assert bars.close_N[0] == pytest.approx(1.0001, rel=1e-15)
    assert bars.spread_close_bp_N is not None
    assert bars.spread_close_bp_N[0] == pytest.approx(0.0002 / 1.0001 * 1e4)
    assert bars.open_N is not None
    assert bars.open_N[0] == pytest.approx(0.9998, rel=1e-15)
    assert bars.spread_open_bp_N is not None
    assert bars.spread_open_bp_N[0] == pytest.approx(0.0004 / 0.9998 * 1e4)
    assert bars.high_N is not None
    assert bars.high_N[0] == pytest.approx(1.2)  # (1.1 + 1.3) / 2
    assert bars.volume_N is not None
    assert bars.volume_N[0] == 5.0


def test_a_spread_column_is_in_units_of_the_price(tmp_path: Path):
    # 0.03 / 100 = 3 bp of the open, 0.03 / 150 = 2 bp of the close
    bars = read(tmp_path, "time,open,close,spread\n2024-01-01,100,150,0.03\n")
    assert bars.spread_open_bp_N is not None
    assert bars.spread_open_bp_N[0] == pytest.approx(3.0)
    assert bars.spread_close_bp_N is not None
    assert bars.spread_close_bp_N[0] == pytest.approx(2.0)


def test_a_metatrader_export_leaves_out_the_spread_in_points(tmp_path: Path):
    header = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"
    bars = read(tmp_path, f"{header}\n2024.01.01\t00:00:00\t1.1\t1.2\t1.0\t1.15\t500\t0\t12\n")
    assert bars.spread_close_bp_N is None
    assert bars.volume_N is not None
    assert bars.volume_N[0] == 500.0
    assert bars.notes[0].endswith("columns not read: <VOL>")
    assert "<SPREAD> is in points and not read; data.point_size: last_digit makes it the real spread" in bars.notes[1]


def test_a_high_without_a_low_is_not_read(tmp_path: Path):
    bars = read(tmp_path, "time,high,close\n2024-01-01,2,1\n")
    assert list(bars.arrays()) == ["close"]
    assert bars.notes[0].endswith("columns not read: high")


def test_letters_of_another_encoding_in_a_column_that_is_not_read(tmp_path: Path):
    bars = read(tmp_path, "time,close,Währung\n2024-01-01,1,é\n".encode("latin-1"))
    assert list(bars.arrays()) == ["close"]


def test_a_close_outside_of_low_and_high_is_a_note(tmp_path: Path):
    bars = read(tmp_path, THREE.replace("1,3,0.5,2", "1,3,0.5,3.5"))
    assert bars.notes[0].endswith("bars.csv:2: open or close lies outside low … high, so in 1 bars")


def hourly_frame(n: int = 50) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    close_N = 1.1 * np.exp(np.cumsum(rng.normal(0, 1e-3, n)))
    return pd.DataFrame(
        {"open": close_N * 1.0001, "high": close_N * 1.01, "low": close_N * 0.99, "close": close_N, "volume": 5},
        index=pd.date_range("2024-03-30", periods=n, freq="h", name="time"),
    )


@pytest.mark.parametrize("index", [True, False], ids=["index", "column"])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
def test_parquet_equals_csv(tmp_path: Path, index: bool, zone: str | None):
    frame = hourly_frame()
    if zone is not None:
        frame.index = frame.index.tz_localize(zone)
    frame.to_csv(tmp_path / "a.csv")
    (frame if index else frame.reset_index()).to_parquet(tmp_path / "a.parquet")
    kolkata = find_zone("Asia/Kolkata", "timezone")  # for times without an offset, as in the first case
    csv, parquet = (
        read_bars(tmp_path / f"a.{suffix}", data_config(timezone="Asia/Kolkata")) for suffix in ("csv", "parquet")
    )
    direct = bars_from_frame(frame, zone=kolkata)
    for other in (parquet, direct):
        np.testing.assert_array_equal(csv.time_N, other.time_N)
        for name, values_N in csv.arrays().items():
            # pandas 2 reads decimals to within one unit in the last place, pandas 3 exactly
            np.testing.assert_allclose(other.arrays()[name], values_N, rtol=3e-16, atol=0)
    # midnight of 30 March is 18:30 the day before in UTC for Kolkata (+5:30), 15:00 for Tokyo (+9)
    first = {None: "2024-03-29 18:30:00", "UTC": "2024-03-30 00:00:00", "Asia/Tokyo": "2024-03-29 15:00:00"}
    assert stamps(csv)[0] == first[zone]


def test_parquet_with_an_unnamed_index_and_unix_times(tmp_path: Path):
    frame = hourly_frame().rename_axis(None)
    frame.to_parquet(tmp_path / "unnamed.parquet")
    bars = read_bars(tmp_path / "unnamed.parquet", data_config(timezone="UTC"))
    assert stamps(bars)[0] == "2024-03-30 00:00:00"
    unix = frame.assign(time=frame.index.as_unit("ms").asi8).reset_index(drop=True)
    unix.to_parquet(tmp_path / "unix.parquet")
    np.testing.assert_array_equal(read_bars(tmp_path / "unix.parquet", data_config(timezone="UTC")).time_N, bars.time_N)


def test_rows_are_views_of_all_columns():
    bars = bars_from_frame(hourly_frame(), zone=UTC)
    cut = bars.rows(10, 20)
    assert len(cut) == 10
    assert list(cut.arrays()) == list(bars.arrays()) == ["open", "high", "low", "close", "volume"]
    assert cut.close_N[0] == bars.close_N[10]
