"""From files to a market: what is printed, and what makes the same data."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from market.files import data_config, read, refused, stamps

from fxai.config.data import DataConfig
from fxai.errors import DataError
from fxai.market.data import Market, load_market
from fxai.market.synthetic import ar1_bars

BARS = ar1_bars(1200, 0.1, seed=5, timeframe_s=60, start="2012-02-01 05:00")


def histdata() -> str:
    """The bars as HistData writes them: five hours behind UTC."""
    times = (BARS.index - pd.Timedelta(hours=5)).strftime("%Y%m%d %H%M%S")
    rows = zip(times, BARS["open"], BARS["high"], BARS["low"], BARS["close"], strict=True)
    return "".join(f"{t};{o:.6f};{h:.6f};{lo:.6f};{c:.6f};0\n" for t, o, h, lo, c in rows)


def market(folder: Path, content: str | bytes, **options: object) -> Market:
    path = folder / "EURUSD"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_market(DataConfig(source="file", path=str(path), instruments=("EURUSD",), **options))  # type: ignore[arg-type]


def test_the_first_note_confirms_how_the_file_was_read(tmp_path: Path):
    # 1,200 minutes from 05:00: the last bar is at 00:59 of the next day
    assert market(tmp_path, histdata()).notes[0] == (
        "EURUSD: HistData M1 ASCII, 1-minute bars, times in Etc/GMT+5: "
        "1,200 bars from 2012-02-01 05:00:00 to 2012-02-02 00:59:00 UTC, no gaps"
    )


def test_the_same_bars_read_in_other_ways_are_the_same_data(tmp_path: Path):
    text = histdata()
    plain = market(tmp_path, text)
    backwards = "\n".join(text.splitlines()[::-1])
    for content, options in (
        (gzip.compress(text.encode()), {}),
        (text, {"format": "histdata_ascii", "timezone": "Etc/GMT+5"}),
        (backwards, {"sort": True}),
        (text.replace(".", ","), {"decimal": ","}),
    ):
        other = market(tmp_path, content, **options)
        assert other.data_hash == plain.data_hash
        assert other.train is not None
        assert plain.train is not None
        np.testing.assert_array_equal(other.train.features_NF, plain.train.features_NF)
    # another instrument's bars, or a part of them, are not
    assert market(tmp_path, text.rstrip("\n").rpartition("\n")[0]).data_hash != plain.data_hash


def test_a_zone_is_only_needed_where_times_carry_no_offset(tmp_path: Path):
    assert stamps(read(tmp_path, "time,close\n2024-01-01T00:00Z,1\n")) == ["2024-01-01 00:00:00"]
    assert stamps(read(tmp_path, "time,close\n1704067200,1\n")) == ["2024-01-01 00:00:00"]
    assert stamps(read(tmp_path, "Gmt time,close\n2024-01-01,1\n")) == ["2024-01-01 00:00:00"]
    assert refused(tmp_path, "time,close\n2024-01-01,1\n") == (
        ":2",
        "the times carry no offset from UTC",
        "set data.timezone to the zone of the file's times; for daily bars UTC is right",
    )


def test_unix_seconds_with_a_fraction(tmp_path: Path):
    text = "time,close\n1704067200.000000001,1\n1704067200.5,2\n"
    assert stamps(read(tmp_path, text)) == ["2024-01-01 00:00:00.000000001", "2024-01-01 00:00:00.500000"]
    assert refused(tmp_path, text.replace("1704067200.5", "2024-01-01"))[:2] == (
        ":3",
        "'2024-01-01' is not a unix time, as the first row is",
    )


def test_columns_that_are_not_read_may_hold_anything(tmp_path: Path):
    text = 'time,close,comment\n2024-01-01,1,"a, b"\n2024-01-02,2,\n2024-01-03,3,1;2\n'
    raw = read(tmp_path, text, timezone="UTC")
    assert raw.numbers["close"].tolist() == [1, 2, 3]
    assert raw.notes == (f"{tmp_path / 'data'}: columns not read: comment",)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"price_scale": 100_000.0}, "price_scale is what prices are multiplied by: for prices × 100000 write 0.00001"),
        ({"point_size": 5.0}, "point_size is the size of a point, such as 0.00001, or last_digit"),
        ({"point_size": "points"}, "point_size is the size of a point, such as 0.00001, or last_digit"),
        ({"format": "excel"}, "Input should be 'auto'"),
        ({"date_order": "dmy"}, "Input should be 'day_first'"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], what: str):
    with pytest.raises(ValueError, match="validation error") as error:
        data_config(**options)
    assert what in str(error.value)


@pytest.mark.parametrize("option", ["format", "timezone", "date_order", "sort", "price_scale", "point_size", "decimal"])
def test_the_bundled_source_takes_no_option_of_files(option: str):
    values = {"format": "table", "timezone": "UTC", "date_order": "day_first", "sort": True, "decimal": ","}
    with pytest.raises(ValueError, match=f"source: ecb takes no {option}"):
        DataConfig(**{option: values.get(option, 0.5)})  # type: ignore[arg-type]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (path := tmp_path / "bars").write_text("time,close\n2024-01-01,1\n", encoding="utf-8")
    monkeypatch.setattr("fxai.market.reading.readers.look_at", refuse)
    with pytest.raises(DataError, match="the file cannot be read: Permission denied"):
        load_market(DataConfig(source="file", path=str(path), instruments=("A",), timezone="UTC"))
