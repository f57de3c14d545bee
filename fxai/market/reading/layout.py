"""The first lines of a text file, and what a format makes of them."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fxai.errors import DataError
from fxai.market.reading.columns import Columns
from fxai.market.reading.raw import shown
from fxai.market.reading.times import ASK_ZONE_HINT

DELIMITERS = (",", ";", "\t")

OHLC = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first lines of a text file, taken apart at its delimiter."""

    name: str
    """The file as a person knows it."""

    lines: tuple[str, ...]

    delimiter: str

    def cells(self, line: int) -> list[str]:
        """Fields of a line, counted from 0; none beyond the end."""
        if line >= len(self.lines):
            return []
        return next(csv.reader([self.lines[line]], delimiter=self.delimiter), [])

    @property
    def names(self) -> list[str]:
        """The first line's fields without the spaces around them."""
        return [cell.strip() for cell in self.cells(0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the rows of a text file are read."""

    label: str
    """The format as a person knows it."""

    columns: Columns

    names: tuple[str, ...]
    """One for each column; made up where the file has none."""

    first_line: int
    """Line of the first bar; those above it are headers."""

    zone: str | None = None
    """What the format says of its times; None where it says nothing."""

    zone_hint: str = ASK_ZONE_HINT
    """What to do where the zone is needed and nobody told."""

    date_order: str | None = None
    """Of the format's own dates."""

    points: bool = False
    """Whether the column `spread` counts points."""

    billionths: bool = False
    """Whether prices may be whole numbers of 1e-9, as the format defines."""


def take_apart(name: str, text: str, *, whole: bool) -> Head:
    """The complete lines of a file's beginning.

    Raises:
        DataError: a blank first line, or one without a delimiter.
    """
    lines = lines_of(text)
    if not whole and len(lines) > 1:
        lines = lines[:-1]
    if not lines or not lines[0].strip():
        raise DataError("the first line is blank", where=name, hint="the first line names the columns")
    delimiter = max(DELIMITERS, key=lines[0].count)
    if delimiter not in lines[0]:
        raise DataError(
            f"the first line holds one column: {shown(lines[0])}",
            where=f"{name}:1",
            hint="columns are separated by commas, semicolons or tabs",
        )
    return Head(name=name, lines=tuple(lines), delimiter=delimiter)


def lines_of(text: str) -> list[str]:
    """Lines that end as files have them: str.splitlines also splits at control characters and at U+2028."""
    lines = re.split(r"\r\n|\n|\r", text)
    return lines if lines[-1] else lines[:-1]


def bare(label: str, width: int, time: tuple[int, ...], numbers: Mapping[str, int], **more: object) -> Layout:
    """Layout of a file without a header."""
    columns = Columns(time=time, numbers=dict(numbers), notes=())
    names = tuple(f"column {place + 1}" for place in range(width))
    return Layout(label=label, columns=columns, names=names, first_line=1, **more)  # type: ignore[arg-type]


def numeric(cells: list[str]) -> bool:
    """Whether there are only numbers and times, so that a line is no header."""
    return bool(cells) and all(re.fullmatch(r"[\s\d.,:+\-]*", cell) for cell in cells)
