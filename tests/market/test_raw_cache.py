"""A file that was parsed before gives the same raw bars, and another file or other options never its bars."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fxai.config.data import DataConfig
from fxai.errors import DataError
from fxai.market import raw_cache
from fxai.market.bars import read_bars
from fxai.market.raw_cache import cached_raw
from fxai.market.reading.raw import Origin, RawBars, Source
from fxai.market.reading.readers import read_raw


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, for files of any size."""
    monkeypatch.setattr(raw_cache, "WORTH_BYTES", 1)
    monkeypatch.setenv("FXAI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that is parsed from now on."""
    calls: list[Path] = []

    def read(path: Path, data: DataConfig) -> RawBars:
        calls.append(path)
        return read_raw(path, data)

    monkeypatch.setattr(raw_cache, "read_raw", read)
    return calls


def options(path: Path, **changes: object) -> DataConfig:
    return DataConfig.model_validate(
        {"source": "file", "path": str(path), "instruments": ["A"], "timezone": "UTC", **changes}
    )


def write(path: Path, *, newest_first: bool = False, close: float = 1.5) -> Path:
    """Three quoted bars with a volume, a blank and a column that is not read."""
    frame = pd.DataFrame(
        {
            "time": ["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 02:00"],
            "bid_close": [close, 1.25, 1.75],
            "ask_close": [close, 1.5, 2.0],
            "volume": [1.0, np.nan, 3.0],
            "remark": ["a", "b", "c"],
        }
    )
    (frame[::-1] if newest_first else frame).to_csv(path, index=False)
    return path


def assert_same(one: object, other: object) -> None:
    """Equal in every field, so that a field that is added and not kept is noticed."""
    assert type(one) is type(other)
    if isinstance(one, (RawBars, Source, Origin)):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("newest_first", [False, True])
def test_parsed_once_and_the_same_ever_after(tmp_path: Path, parsed: list[Path], newest_first: bool):
    path = write(tmp_path / "bars.csv", newest_first=newest_first)
    data = options(path, sort=newest_first)
    plain = read_raw(path, data)
    first, second = cached_raw(path, data), cached_raw(path, data)
    assert parsed == [path]
    assert plain.notes  # the column that is not read
    assert plain.origin.format
    assert (plain.source.order_N is not None) == newest_first
    assert_same(first, plain)
    assert_same(second, plain)
    assert second.source.at(0) == plain.source.at(0)


def test_other_content_of_the_same_size_and_time_is_parsed_anew(tmp_path: Path, parsed: list[Path]):
    path = write(tmp_path / "bars.csv", close=1.5)
    before = path.stat()
    assert cached_raw(path, options(path)).numbers["bid_close"][0] == 1.5
    write(path, close=1.6)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert cached_raw(path, options(path)).numbers["bid_close"][0] == 1.6
    assert len(parsed) == 2


def test_other_options_and_other_places_are_parsed_anew(tmp_path: Path, parsed: list[Path]):
    path = write(tmp_path / "bars.csv")
    moved = write(tmp_path / "moved.csv")
    utc = cached_raw(path, options(path))
    tokyo = cached_raw(path, options(path, timezone="Asia/Tokyo"))
    np.testing.assert_array_equal(utc.time_N - tokyo.time_N, 9 * 3600 * 10**9)  # Tokyo is nine hours ahead
    assert cached_raw(moved, options(moved)).source.at(0) == f"{moved}:2"  # an error must not name the other file
    assert len(parsed) == 3
    # instruments and split have no part in how a file is read
    cached_raw(path, options(path, instruments=["B"], split={"validation": 0.2}))
    assert len(parsed) == 3


def test_other_rules_of_the_zone_are_parsed_anew(tmp_path: Path, parsed: list[Path], monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "bars.csv")
    for timezone in ("Europe/Athens", "Europe/Athens+01:00"):
        cached_raw(path, options(path, timezone=timezone))
    assert len(parsed) == 2
    monkeypatch.setattr(raw_cache, "clock_rules", lambda key: b"a later edition of " + key.encode())
    for timezone in ("Europe/Athens", "Europe/Athens+01:00"):
        cached_raw(path, options(path, timezone=timezone))
    assert len(parsed) == 4


def test_what_is_kept_is_judged_again(tmp_path: Path, parsed: list[Path]):
    path = write(tmp_path / "bars.csv")
    errors = []
    for _ in range(2):
        with pytest.raises(DataError) as error:
            read_bars(path, options(path))
        errors.append((error.value.where, error.value.what))
    assert errors == [(f"{path}:3", "volume is blank or NaN")] * 2
    assert len(parsed) == 1


def test_a_file_that_cannot_be_parsed_says_so_each_time(tmp_path: Path, home: Path):
    (path := tmp_path / "bars.csv").write_text("time,close\n2024-01-01,x\n")
    for _ in range(2):
        with pytest.raises(DataError, match="close 'x' is not a number"):
            cached_raw(path, options(path))
    with pytest.raises(DataError, match="no such file"):
        cached_raw(tmp_path / "none.csv", options(path))
    with pytest.raises(DataError):
        cached_raw(tmp_path, options(path))
    assert not home.exists()


def test_a_file_that_is_written_meanwhile_is_not_kept(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "bars.csv", close=1.5)

    def read(path: Path, data: DataConfig) -> RawBars:
        write(path, close=1.6)
        return read_raw(path, data)

    monkeypatch.setattr(raw_cache, "read_raw", read)
    os.utime(path, ns=(0, 0))
    assert cached_raw(path, options(path)).numbers["bid_close"][0] == 1.6
    assert not home.exists()


def test_small_files_are_not_kept(tmp_path: Path, home: Path, parsed: list[Path], monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "bars.csv")
    monkeypatch.setattr(raw_cache, "WORTH_BYTES", path.stat().st_size + 1)
    cached_raw(path, options(path))
    cached_raw(path, options(path))
    assert len(parsed) == 2
    assert not home.exists()


def test_an_entry_of_another_shape_is_parsed_anew(tmp_path: Path, parsed: list[Path], monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "bars.csv")
    empty = raw_cache.cache.Entry(arrays={"time": np.zeros(3, dtype=np.int64)})
    monkeypatch.setattr(raw_cache.cache, "load", lambda name: empty)
    assert_same(cached_raw(path, options(path)), read_raw(path, options(path)))
    assert parsed == [path]
