"""What a file is, by its first bytes: text, Parquet, or one of them in gzip or zip.

Sizes are known before anything is unpacked into memory, so that an archive that unpacks to terabytes is refused.
"""

from __future__ import annotations

import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from fxai.errors import DataError
from fxai.market.reading.memory import check_unpacked, unpacked_limit
from fxai.market.reading.raw import shown

SAMPLE_BYTES = 65_536
"""Bytes read to see what a file holds."""

BLOCK = 2**20

BARS_SUFFIXES = (".csv", ".txt", ".tsv", ".json", ".jsonl")
"""Members of an archive that may hold bars; of several, a .csv beside a .txt report is the one."""

OTHER_TYPES = {
    b"\x28\xb5\x2f\xfd": ("packed with zstd", "unpack it first: unzstd FILE"),
    b"\xfd7zXZ\x00": ("packed with xz", "unpack it first: unxz FILE"),
    b"BZh": ("packed with bzip2", "unpack it first: bunzip2 FILE"),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", "unpack it first"),
    b"Rar!": ("a RAR archive", "unpack it first"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save it as CSV"),
    b"\x89HDF": ("an HDF5 file", "save the table as Parquet or CSV"),
}
"""First bytes of what is not read → what it is, and what to do."""

UNPACK_ERRORS = (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
"""What reading a packed file raises where it is damaged."""

OPEN_ERRORS = (*UNPACK_ERRORS, ValueError, OverflowError, RuntimeError)
"""What opening an archive raises besides: for names that are no text, places beyond any file, methods not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The bytes of one file of bars, wherever they are packed."""

    path: Path
    kind: str
    """`plain`, `gzip`, `zip` or `parquet`."""

    size: int
    """Bytes once unpacked."""

    member: str | None = None
    """Name inside a zip archive."""

    @property
    def name(self) -> str:
        """The file as a person knows it, and the member of an archive."""
        return str(self.path) if self.member is None else f"{self.path}/{shown(self.member)[1:-1]}"

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The unpacked bytes.

        Raises:
            DataError: the archive is damaged.
        """
        with ExitStack() as opened:
            try:
                file = self._opened(opened)
            except OPEN_ERRORS as error:
                raise damaged(self.path, error) from None
            try:
                yield file
            except UNPACK_ERRORS as error:
                raise damaged(self.path, error) from None

    def _opened(self, stack: ExitStack) -> IO[bytes]:
        if self.kind == "gzip":
            return cast("IO[bytes]", stack.enter_context(gzip.open(self.path)))
        if self.member is not None:
            return stack.enter_context(stack.enter_context(zipfile.ZipFile(self.path)).open(self.member))
        return stack.enter_context(self.path.open("rb"))

    def head(self) -> bytes:
        """The first SAMPLE_BYTES."""
        with self.open() as file:
            return file.read(SAMPLE_BYTES)


def look_at(path: Path) -> Content:
    """Find out what a file is.

    Raises:
        DataError: no file, a type that is not read, a damaged archive, or one whose content would not fit.
    """
    if not path.is_file():
        raise _no_file(path)
    if not path.stat().st_size:
        raise DataError("the file is empty", where=str(path), hint="is the download complete?")
    with path.open("rb") as file:
        first = file.read(8)
    for magic, (what, hint) in OTHER_TYPES.items():
        if first.startswith(magic):
            raise DataError(f"this is {what}", where=str(path), hint=hint)
    if first.startswith(b"\x1f\x8b"):
        return Content(path=path, kind="gzip", size=_gzip_size(path))
    if first.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip_member(path)
    return Content(path=path, kind="parquet" if first.startswith(b"PAR1") else "plain", size=path.stat().st_size)


def _no_file(path: Path) -> DataError:
    """The error of a path that is no file."""
    if path.is_dir():
        return DataError("this is a folder, not a file", where=str(path), hint="name the file of bars in it")
    hint = f"data.path starts at {Path.cwd()} unless absolute"
    if "*" in path.name or re.search(r"\{\w*\}", str(path)):
        hint = "of data.path only {instrument} is replaced, by each of data.instruments; there are no other patterns"
    return DataError("there is no such file", where=str(path), hint=hint)


def damaged(path: Path, error: Exception) -> DataError:
    """The error of an archive that cannot be unpacked."""
    return DataError(f"the archive is damaged: {error}", where=str(path), hint="download it again")


def _gzip_size(path: Path) -> int:
    """Unpacked once without keeping it: what the file itself says of its size need not be true."""
    size, limit = 0, unpacked_limit()
    try:
        with gzip.open(path) as file:
            while block := file.read(BLOCK):
                size += len(block)
                if limit is not None and size > limit:
                    check_unpacked(size, str(path))
    except UNPACK_ERRORS as error:
        raise damaged(path, error) from None
    return size


def _zip_member(path: Path) -> Content:
    """The one file of bars in an archive; reading stops at the size that it declares."""
    try:
        with zipfile.ZipFile(path) as archive:
            files = [info for info in archive.infolist() if not info.is_dir() and "__MACOSX" not in info.filename]
    except OPEN_ERRORS as error:
        raise damaged(path, error) from None
    if any(info.filename == "[Content_Types].xml" for info in files):
        raise DataError("this is an Excel workbook", where=str(path), hint="save it as CSV")
    bars = [info for info in files if info.filename.lower().endswith(BARS_SUFFIXES)]
    tables = [info for info in bars if not info.filename.lower().endswith(".txt")]
    chosen = tables if len(tables) == 1 else bars if len(bars) == 1 else files
    if len(chosen) != 1:
        raise DataError(
            f"the archive holds {len(chosen)} files, and bars are read from one",
            where=str(path),
            hint="unpack it, and join or name the file of the instrument",
        )
    (info,) = chosen
    if info.flag_bits & 1:
        raise DataError("the archive is encrypted", where=str(path), hint="unpack it first")
    check_unpacked(info.file_size, str(path))
    return Content(path=path, kind="zip", size=info.file_size, member=info.filename)
