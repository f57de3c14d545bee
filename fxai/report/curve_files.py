"""What the files of a trial hold: learning_curve.csv and equity.csv, read back without torch or pandas."""

from __future__ import annotations

import csv
import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path

MAX_READ = 1_000_000
"""Bytes of a curve that are read; a trial's own files are a tenth of that."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A file of numbers, column by column; NaN where a cell is empty."""

    names: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    def of(self, name: str) -> tuple[float, ...] | None:
        """A column by its name."""
        return self.values[self.names.index(name)] if name in self.names else None

    def points(self, x: str, y: str) -> list[tuple[float, float]]:
        """The rows that have both numbers."""
        both = zip(self.of(x) or (), self.of(y) or (), strict=False)
        return [(a, b) for a, b in both if math.isfinite(a) and math.isfinite(b)]


def read_columns(path: Path) -> Columns | None:
    """The file's columns; None where it is missing, a link, or no such file."""
    text = read_plain(path)
    return None if text is None else _parsed(text.decode("utf-8", errors="replace"))


def read_plain(path: Path, limit: int = MAX_READ) -> bytes | None:
    """The bytes of a regular file of at most `limit` bytes, never through a link; None otherwise."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        data = file.read(limit + 1)
    return data if len(data) <= limit else None


def _parsed(text: str) -> Columns | None:
    try:
        header, *rows = list(csv.reader(text.splitlines()))
        table = [[_number(cell) for cell in row] for row in rows]
    except (ValueError, csv.Error):
        return None
    if not header or any(len(row) != len(header) for row in table):
        return None
    columns = tuple(zip(*table, strict=True)) if table else tuple(() for _ in header)
    return Columns(tuple(header), columns)


def _number(cell: str) -> float:
    return float(cell) if cell else math.nan
