"""Rows of a text table to columns of numbers and text, at the speed of pandas' parser."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fxai.errors import DataError
from fxai.market.reading.container import UNPACK_ERRORS, Content, damaged
from fxai.market.reading.layout import Head, Layout
from fxai.market.reading.memory import check_fits
from fxai.market.reading.raw import Source, first_true, shown

DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")

THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}(?:,\d{3})+\.\d+\s*|\s*[+-]?\d{1,3}(?:,\d{3}){2,}\s*")
"""13,614.30 and 1,234,567; 13,614 may be a decimal comma."""

COMMA_HINT = "set data.decimal: ',' (with columns separated by semicolons or tabs)"


def decode(raw: bytes, name: str) -> str:
    """The beginning of a text file.

    Raises:
        DataError: another encoding, or no text.
    """
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError("the text is UTF-16", where=name, hint="save it as UTF-8")
    if b"\0" in raw:
        raise DataError("this is not a text file", where=name, hint="bars are CSV, JSON or Parquet files")
    return raw.decode("utf-8-sig", errors="replace")


def check_shape(content: Content, head: Head, layout: Layout) -> None:
    """Refuse a table without rows, with more fields than names, or too large for memory (F59)."""
    above = layout.first_line - 1
    rows, row = head.lines[above:], head.cells(above)
    if not any(line.strip() for line in rows):
        raise DataError("there are no bars", where=content.name, hint="is the download complete?")
    if len(row) > _width(head, layout):
        raise _too_wide(content.name, layout.first_line, len(layout.names), len(row))
    mean_length = sum(len(line.encode()) + 1 for line in rows) / len(rows)
    check_fits(int(content.size / max(mean_length, 1.0)), len(layout.names), "text", content.name)


def read_rows(content: Content, head: Head, layout: Layout, decimal: str, source: Source) -> pd.DataFrame:
    """The columns that the layout reads, labelled by position: float64 numbers, text, and categories.

    Blank lines at the end are dropped, others refused, so that the line of each row is known.

    Raises:
        DataError: a row wider than the first, a cell that is no number, a blank line, a damaged archive.
    """
    columns = layout.columns
    numbers = set(columns.numbers.values())
    # all columns are read, for pandas does not count the fields of rows where it is asked for some only
    kinds = dict.fromkeys(range(_width(head, layout)), "string[pyarrow]")
    kinds |= dict.fromkeys(columns.time, "str") | dict.fromkeys(columns.same, "category")
    kinds |= dict.fromkeys(numbers, "float64")
    try:
        frame = _read_csv(content, head, layout, decimal, kinds)
    except pd.errors.ParserError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if found:
            expected, line, got = (int(group) for group in found.groups())
            raise _too_wide(content.name, line, expected, got) from None
        raise DataError(f"the table cannot be read: {error}", where=content.name) from None
    except UNPACK_ERRORS as error:
        raise damaged(content.path, error) from None
    except (ValueError, OverflowError) as error:
        raise _bad_number(content, head, layout, decimal, source, str(error)) from None
    used = sorted({*columns.time, *numbers, *columns.same})
    if len(used) < frame.shape[1]:
        frame = frame[used]
    filled = np.flatnonzero(_filled(frame))
    rows = int(filled[-1]) + 1 if len(filled) else 0
    if not rows:
        raise DataError("there are no bars", where=content.name, hint="is the download complete?")
    if len(filled) < rows:
        row = int(np.flatnonzero(filled != np.arange(len(filled)))[0])
        raise DataError("the line is blank", where=source.at(row), hint="delete the line")
    whole: pd.DataFrame = frame if rows == len(frame) else frame.head(rows)  # which copies
    return whole


def _filled(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows with anything in them, column by column: a table of flags of all cells would be as large as the frame."""
    filled_N = np.zeros(len(frame), dtype=np.bool_)
    for _, column in frame.items():
        filled_N |= column.notna().to_numpy(dtype=np.bool_)
        if filled_N.all():
            break
    return filled_N


def _width(head: Head, layout: Layout) -> int:
    """Columns of the rows: one more than names where each row ends in a delimiter."""
    row = head.cells(layout.first_line - 1)
    return len(layout.names) + (len(row) == len(layout.names) + 1 and not row[-1].strip())


def _too_wide(name: str, line: int, expected: int, got: int) -> DataError:
    return DataError(
        f"there are {got} fields, and {expected} columns",
        where=f"{name}:{line}",
        hint=f"name every column; or are these decimal commas? Then write it with semicolons and {COMMA_HINT}",
    )


def _read_csv(content: Content, head: Head, layout: Layout, decimal: str, kinds: dict[int, str]) -> pd.DataFrame:
    options: dict[str, Any] = {
        "sep": head.delimiter,
        "header": None,
        "skiprows": layout.first_line - 1,
        "names": list(kinds),
        "dtype": kinds,
        "decimal": decimal,
        "skip_blank_lines": False,
        "encoding": "utf-8-sig",
        "encoding_errors": "replace",
    }
    frame: pd.DataFrame
    if content.kind == "plain":
        frame = pd.read_csv(content.path, **options)
    else:
        with content.open() as file:
            frame = pd.read_csv(file, **options)
    return frame


def _bad_number(content: Content, head: Head, layout: Layout, decimal: str, source: Source, reason: str) -> DataError:
    """The first cell of a number column that holds something else, read again as text."""
    frame = _read_csv(content, head, layout, ".", dict.fromkeys(range(_width(head, layout)), "str"))
    first: tuple[int, str, str] | None = None
    for name, place in layout.columns.numbers.items():
        column = frame[place]
        plain = column.str.replace(".", " ").str.replace(",", ".") if decimal == "," else column
        bad_N = pd.to_numeric(plain, errors="coerce").isna() & column.notna()
        row = first_true(bad_N.to_numpy(dtype=np.bool_))
        if row is not None and (first is None or row < first[0]):
            first = (row, name, str(column.iloc[row]))
    if first is None:
        return DataError(f"the numbers cannot be read: {reason}", where=content.name)
    row, name, cell = first
    if layout.first_line > 1 and cell.strip() == layout.names[layout.columns.numbers[name]]:
        hint = "delete the line; were files put one behind the other?"
        return DataError("the header stands here again", where=source.at(row), hint=hint)
    if decimal == "." and THOUSANDS.fullmatch(cell):
        hint = "write the numbers without them, 13614.30"
        return DataError(f"{name} {shown(cell)} has separators of thousands", where=source.at(row), hint=hint)
    if decimal == "." and DECIMAL_COMMA.fullmatch(cell):
        return DataError(f"{name} {shown(cell)} has a decimal comma", where=source.at(row), hint=COMMA_HINT)
    if decimal == "," and re.fullmatch(r"\s*[+-]?\d+\.\d+\s*", cell):
        what = f"{name} {shown(cell)} has a decimal point, and data.decimal is ','"
        return DataError(what, where=source.at(row), hint="leave out data.decimal")
    return DataError(f"{name} {shown(cell)} is not a number", where=source.at(row), hint="delete the row")
