"""Text tables (CSV) to columns of numbers and text: UTF-8, a header, one delimiter, decimal points."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fxai.errors import DataError
from fxai.market.checks import Source, first_true, shown

DELIMITERS = (",", ";", "\t")

SAMPLE_BYTES = 65_536
"""Bytes read to see delimiter, header and the length of a line."""

DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")

COMMA_HINT = "write decimal points: in a spreadsheet change the locale, in pandas read with decimal=','"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """What the first lines tell of a text table."""

    path: Path
    delimiter: str
    names: tuple[str, ...]
    rows: int
    """Data rows, estimated from the length of the first lines."""

    @property
    def source(self) -> Source:
        """The first bar is on line 2, under the header."""
        return Source(name=str(self.path), first_line=2)


def look(path: Path) -> TextTable:
    """Delimiter and header of a text table.

    Raises:
        DataError: an empty or binary file, another encoding, no header, or rows wider than the header.
    """
    sample = _sample(path)
    lines = sample.splitlines()
    if not lines or not lines[0].strip():
        raise DataError("the first line is blank", where=str(path), hint="the first line names the columns")
    delimiter = max(DELIMITERS, key=lines[0].count)
    names = next(csv.reader([lines[0]], delimiter=delimiter))
    if delimiter not in lines[0]:
        raise DataError(
            f"the first line holds one column: {shown(lines[0])}",
            where=f"{path}:1",
            hint="columns are separated by commas, semicolons or tabs",
        )
    if all(re.match(r"[\s\d.,:+-]*$", name) for name in names):
        raise DataError(
            f"the first line holds numbers: {shown(lines[0])}",
            where=f"{path}:1",
            hint="add a first line that names the columns, such as time,open,high,low,close",
        )
    if len(lines) < 2:
        raise DataError("there are no bars", where=str(path), hint="is the download complete?")
    fields = next(csv.reader([lines[1]], delimiter=delimiter), [])
    if len(fields) == len(names) + 1 and not fields[-1].strip():
        names = [*names, ""]  # each row ends in a delimiter
    if len(fields) > len(names):
        raise _too_wide(path, 2, len(names), len(fields))
    mean_length = (len(sample.encode()) - len(lines[0])) / (len(lines) - 1)
    rows = int(path.stat().st_size / max(mean_length, 1.0))
    return TextTable(path=path, delimiter=delimiter, names=tuple(names), rows=rows)


def _sample(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(SAMPLE_BYTES)
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError("the text is UTF-16", where=str(path), hint="save it as UTF-8")
    if b"\0" in raw:
        raise DataError("this is not a text file", where=str(path), hint="bars are CSV or Parquet files")
    return raw.decode("utf-8-sig", errors="replace")


def _too_wide(path: Path, line: int, expected: int, got: int) -> DataError:
    return DataError(
        f"there are {got} fields, and {expected} names in the first line",
        where=f"{path}:{line}",
        hint=f"name every column; or are these decimal commas? Then {COMMA_HINT}",
    )


def read(table: TextTable, *, text: tuple[int, ...], numbers: dict[str, int]) -> pd.DataFrame:
    """The columns at the positions `text` and `numbers`, labelled by position; float64 numbers.

    Blank lines at the end are dropped, others refused: so that the line of each row is known.

    Raises:
        DataError: a row wider than the header, a cell that is no number, a blank line.
    """
    places = range(len(table.names))
    number_places = set(numbers.values())
    try:
        frame = _read_csv(table, {place: "float64" if place in number_places else "str" for place in places})
    except pd.errors.ParserError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if found:
            expected, line, got = (int(group) for group in found.groups())
            raise _too_wide(table.path, line, expected, got) from None
        raise DataError(f"the table cannot be read: {error}", where=str(table.path)) from None
    except ValueError as error:
        raise _bad_number(table, numbers, str(error)) from None
    frame = frame[[*text, *sorted(number_places)]]
    filled = np.flatnonzero(frame.notna().any(axis=1).to_numpy())
    rows = int(filled[-1]) + 1 if len(filled) else 0
    if len(filled) < rows:
        row = int(np.flatnonzero(filled != np.arange(len(filled)))[0])
        raise DataError("the line is blank", where=table.source.at(row), hint="delete the line")
    whole: pd.DataFrame = frame.head(rows)
    return whole


def _read_csv(table: TextTable, dtypes: dict[int, str]) -> pd.DataFrame:
    return pd.read_csv(
        table.path,
        sep=table.delimiter,
        header=0,
        names=list(range(len(table.names))),
        dtype=dtypes,
        skip_blank_lines=False,
        encoding="utf-8-sig",
        encoding_errors="replace",
    )


def _bad_number(table: TextTable, numbers: dict[str, int], reason: str) -> DataError:
    """The first cell of a number column that holds something else, read again as text."""
    frame = _read_csv(table, dict.fromkeys(range(len(table.names)), "str"))
    first: tuple[int, str, str] | None = None
    for name, place in numbers.items():
        column = frame[place]
        bad_N = pd.to_numeric(column, errors="coerce").isna() & column.notna()
        row = first_true(bad_N.to_numpy(dtype=np.bool_))
        if row is not None and (first is None or row < first[0]):
            first = (row, name, str(column.iloc[row]))
    if first is None:
        return DataError(f"the numbers cannot be read: {reason}", where=str(table.path))
    row, name, cell = first
    if DECIMAL_COMMA.fullmatch(cell):
        return DataError(f"{name} {shown(cell)} has a decimal comma", where=table.source.at(row), hint=COMMA_HINT)
    return DataError(f"{name} {shown(cell)} is not a number", where=table.source.at(row), hint="delete the row")
