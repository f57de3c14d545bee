"""Bars as a file holds them: parsed, not yet judged.

N bars.  `read_raw` makes them, `fxai.market.checks` finds what is wrong with them, `to_bars` turns them into bars.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fxai.arrays import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where bars came from, so that a message can say where to look."""

    name: str
    """The file as a person knows it."""

    first_line: int | None = None
    """Line of the first bar in a text file; None where rows are counted from 1."""

    order_N: NDArray[np.int64] | None = field(default=None, compare=False)
    """Row of the file for each bar, where bars are not in the file's order; None where they are."""

    def at(self, row: int) -> str:
        """`file:line` in a text file, `file, row n` elsewhere; `row` counts bars from 0."""
        place = row if self.order_N is None else int(self.order_N[row])
        if self.first_line is None:
            return f"{self.name}, row {place + 1}"
        return f"{self.name}:{place + self.first_line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """How a file was read, for the line that confirms it."""

    format: str
    """The vendor's layout as a person knows it, for example `HistData M1 ASCII`."""

    timezone: str
    """What the times in the file are in: a zone, `unix milliseconds`, or `UTC by their offsets`."""

    details: tuple[str, ...] = ()
    """What was done to the numbers because an option or the format says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawBars:
    """Numbers and times of a file by role, in the order of its rows unless `data.sort`; nothing is checked."""

    source: Source
    time_N: NDArray[np.int64]
    """UTC nanoseconds."""

    numbers: dict[str, Array]
    """Role → values: open high low close volume spread, or bid_open … ask_close volume; blanks are NaN."""

    quoted: bool
    """Whether prices come from bid and ask."""

    notes: tuple[str, ...] = ()
    """Oddities that are no errors, one line each."""

    origin: Origin

    def __len__(self) -> int:
        return len(self.time_N)

    def sorted(self) -> RawBars:
        """Oldest first; rows of one time stay in their order."""
        order_N = np.argsort(self.time_N, kind="stable")
        file_N = order_N if self.source.order_N is None else self.source.order_N[order_N]
        return replace(
            self,
            source=replace(self.source, order_N=file_N),
            time_N=self.time_N[order_N],
            numbers={role: values_N[order_N] for role, values_N in self.numbers.items()},
        )


def first_true(flag_N: NDArray[np.bool_]) -> int | None:
    """Row of the first True, None if there is none."""
    row = int(np.argmax(flag_N)) if len(flag_N) else 0
    return row if len(flag_N) and flag_N[row] else None


def shown(cell: object) -> str:
    """A cell of a file, quoted, short, and with control characters escaped."""
    text = str(cell)
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
