"""What a file is, by its first bytes; packed files and those that are not read."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from market.files import read, refused, stamps, values

from fxai.errors import DataError
from fxai.market.reading import memory
from fxai.market.reading.container import look_at

TEXT = "time,open,high,low,close\n2024-01-01 00:00,1,3,0.5,2\n2024-01-01 01:00,2,4,1,3\n"
CANDLES = '{"candles":[{"time":"2024-01-01T00:00:00Z","mid":{"o":1,"h":3,"l":0.5,"c":2}}]}'


def zipped(members: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("packed", "inside"),
    [
        (gzip.compress(TEXT.encode()), ""),
        (zipped({"bars.csv": TEXT}), "/bars.csv"),
        (zipped({"bars": TEXT}), "/bars"),
        (zipped({"bars.csv": TEXT, "bars.txt": "a report on gaps"}), "/bars.csv"),
        (zipped({"readme.md": "not bars", "bars.txt": TEXT}), "/bars.txt"),
        (zipped({"__MACOSX/._bars.csv": "x", "bars.csv": TEXT}), "/bars.csv"),
    ],
    ids=["gzip", "zip", "no suffix", "csv beside a report", "txt beside a readme", "folder of a Mac"],
)
def test_packed_text_is_read_whatever_its_name(tmp_path: Path, packed: bytes, inside: str):
    raw, plain = read(tmp_path, packed, timezone="UTC"), read(tmp_path, TEXT, name="plain", timezone="UTC")
    assert (stamps(raw), values(raw)) == (stamps(plain), values(plain))
    assert raw.source.at(0) == f"{tmp_path / 'data'}{inside}:2"
    assert look_at(tmp_path / "data").size == len(TEXT)


def test_packed_json_and_errors_inside_of_archives(tmp_path: Path):
    assert values(read(tmp_path, gzip.compress(CANDLES.encode())))["close"] == [2.0]
    assert values(read(tmp_path, zipped({"candles.json": CANDLES})))["close"] == [2.0]
    bad = TEXT.replace("2,4,1,3", "2,4,1,x")
    assert refused(tmp_path, zipped({"bars.csv": bad}), timezone="UTC")[:2] == (
        "/bars.csv:3",
        "close 'x' is not a number",
    )


def test_parquet_whatever_its_name(tmp_path: Path):
    frame = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=2, freq="h"), "close": [1.5, 2.5]})
    frame.to_parquet(path := tmp_path / "bars.bin")
    raw = read(tmp_path, path.read_bytes(), timezone="UTC")
    assert (values(raw), raw.origin.format) == ({"close": [1.5, 2.5]}, "Parquet")
    where, what, _ = refused(tmp_path, path.read_bytes(), timezone="UTC", format="binance")
    assert (where, what) == ("", "this is not what data.format: binance says: it is a Parquet file")
    assert refused(tmp_path, path.read_bytes())[1] == "the times carry no offset from UTC"


@pytest.mark.parametrize(
    ("raw", "what", "hint"),
    [
        (b"\x28\xb5\x2f\xfd....", "this is packed with zstd", "unzstd"),
        (b"\xfd7zXZ\x00..", "this is packed with xz", "unxz"),
        (b"BZh91AY", "this is packed with bzip2", "bunzip2"),
        (b"7z\xbc\xaf\x27\x1c", "this is a 7z archive", "unpack"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "this is an old Excel workbook", "save it as CSV"),
        (zipped({"[Content_Types].xml": "<x/>", "xl/workbook.xml": "<x/>"}), "this is an Excel workbook", "as CSV"),
        (zipped({"a.csv": TEXT, "b.csv": TEXT}), "the archive holds 2 files, and bars are read from one", "unpack it"),
        (zipped({}), "the archive holds 0 files, and bars are read from one", "unpack it"),
        (zipped({"bars.csv": TEXT})[:60], "the archive is damaged: ", "download it again"),
        (gzip.compress(TEXT.encode())[:-20], "the archive is damaged: ", "download it again"),
        (b"\x1f\x8b\x08\x00" + b"x" * 40, "the archive is damaged: ", "download it again"),
    ],
    ids=["zstd", "xz", "bzip2", "7z", "xls", "xlsx", "two", "empty", "cut zip", "cut gzip", "broken gzip"],
)
def test_what_is_not_read(tmp_path: Path, raw: bytes, what: str, hint: str):
    where, got, remedy = refused(tmp_path, raw, timezone="UTC")
    assert where == ""
    assert got.startswith(what)
    assert hint in remedy


def test_a_zip_whose_bytes_were_changed(tmp_path: Path):
    packed = bytearray(zipped({"bars.csv": TEXT}))
    packed[50] ^= 0xFF  # within the member's data: its checksum no longer fits
    where, what, _ = refused(tmp_path, bytes(packed), timezone="UTC")
    assert where == ""
    assert what.startswith("the archive is damaged: ")


@pytest.mark.parametrize("pack", ["gzip", "zip"])
def test_an_archive_that_unpacks_to_more_than_memory_is_refused(
    tmp_path: Path, pack: str, monkeypatch: pytest.MonkeyPatch
):
    # 8 MiB of one letter are packed into some 8 KiB; 4 MiB are free, of which 0.8 may be taken
    bomb = "x" * 2**23
    packed = gzip.compress(bomb.encode()) if pack == "gzip" else zipped({"bars.csv": bomb})
    assert len(packed) < 20_000
    monkeypatch.setattr(memory, "available_bytes", lambda: 2**22)
    where, what, hint = refused(tmp_path, packed, timezone="UTC")
    assert where == ""
    assert what.startswith("unpacked, the file is over ")
    assert "unpack it yourself" in hint


@pytest.mark.parametrize("place", [b"PK\x03\x04", b"PK\x01\x02"])
def test_a_zip_whose_names_are_no_text(tmp_path: Path, place: bytes):
    # the flag that says UTF-8, 0x800, and the name: 6 and 30 bytes into a member's header, 8 and 46 in the directory
    flag, name = (7, 30) if place == b"PK\x03\x04" else (9, 46)
    packed = bytearray(zipped({"bars.csv": TEXT}))
    start = packed.index(place)
    packed[start + flag] |= 8
    packed[start + name] = 0xFF
    where, what, hint = refused(tmp_path, bytes(packed), timezone="UTC")
    assert (where, hint) == ("", "download it again")
    assert what.startswith("the archive is damaged: ")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED])
def test_a_zip_with_any_changed_byte_is_read_or_refused(tmp_path: Path, method: int):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("bars.csv", TEXT)
    whole, refusals = buffer.getvalue(), 0
    path = tmp_path / "data"
    for place in range(len(whole)):
        for flip in (0x01, 0x08, 0xFF):
            broken = bytearray(whole)
            broken[place] ^= flip
            path.write_bytes(broken)
            try:
                with look_at(path).open() as file:
                    file.read()
            except (DataError, OSError):  # `read_raw` turns the latter, as of bzip2, into the former
                refusals += 1
    assert refusals > len(whole) // 3


def test_an_lzma_member_that_is_damaged(tmp_path: Path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("bars.csv", TEXT)
    packed = bytearray(buffer.getvalue())
    packed[30 + len("bars.csv") + 4] = 0xFF  # the member begins with a version, a length and the settings of LZMA
    where, what, hint = refused(tmp_path, bytes(packed), timezone="UTC")
    assert (where, hint) == ("", "download it again")
    assert what.startswith("the archive is damaged: ")


def test_an_encrypted_zip(tmp_path: Path):
    packed = bytearray(zipped({"bars.csv": TEXT}))
    packed[6] |= 1  # the flag in the member's header, and in the directory, 46 bytes before its name
    packed[packed.rindex(b"PK\x01\x02") + 8] |= 1
    assert refused(tmp_path, bytes(packed), timezone="UTC")[1] == "the archive is encrypted"
