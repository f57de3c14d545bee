"""What bars must be before anything is trained on them, and what is merely worth a note.

Each check raises a DataError that names the file, the first offending row and the remedy. It repairs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fxai.errors import DataError

JUMP = 100.0
"""Prices that change by more than this factor from one bar to the next are noted."""

WIDEST_SPREAD = 0.1
"""A spread column above this share of the price is taken for points or pips and refused."""

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where bars came from, so that a message can say where to look."""

    name: str
    """The file as a person knows it."""

    first_line: int | None = None
    """Line of the first bar in a text file; None where rows are counted from 1."""

    def at(self, row: int) -> str:
        """`file:line` in a text file, `file, row n` elsewhere; `row` counts from 0."""
        if self.first_line is None:
            return f"{self.name}, row {row + 1}"
        return f"{self.name}:{row + self.first_line}"


def first_true(flag_N: NDArray[np.bool_]) -> int | None:
    """Row of the first True, None if there is none."""
    row = int(np.argmax(flag_N)) if len(flag_N) else 0
    return row if len(flag_N) and flag_N[row] else None


def shown(cell: object) -> str:
    """A cell of a file, quoted, short, and with control characters escaped."""
    text = str(cell)
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def stamp(time_ns: int) -> str:
    """UTC nanoseconds as a person writes them; midnight without the hours."""
    text = str(pd.Timestamp(time_ns, unit="ns"))
    return text.removesuffix(" 00:00:00")


def check_finite(columns: Mapping[str, NDArray[np.float64]], source: Source) -> None:
    """Refuse blanks, NaN and infinities (F55)."""
    worst: tuple[int, str] | None = None
    for name, values_N in columns.items():
        row = first_true(~np.isfinite(values_N))
        if row is not None and (worst is None or row < worst[0]):
            worst = (row, name)
    if worst is None:
        return
    row, name = worst
    what = "infinite" if np.isinf(columns[name][row]) else "blank or NaN"
    raise DataError(f"{name} is {what}", where=source.at(row), hint="delete the row; bars are never filled in")


def check_times(time_N: NDArray[np.int64], source: Source) -> None:
    """Refuse timestamps that repeat or go back (F56)."""
    step_N = np.diff(time_N)
    row = first_true(step_N <= 0)
    if row is None:
        return
    now, before = stamp(int(time_N[row + 1])), stamp(int(time_N[row]))
    if step_N[row] == 0:
        raise DataError(
            f"the time {now} UTC repeats that of the row before",
            where=source.at(row + 1),
            hint="keep one bar for each time",
        )
    raise DataError(
        f"the time {now} UTC is before that of the row before, {before} UTC",
        where=source.at(row + 1),
        hint="sort the file by time, oldest first",
    )


def check_positive(columns: Mapping[str, NDArray[np.float64]], source: Source) -> None:
    """Refuse prices of 0 or less (F57)."""
    for name, values_N in columns.items():
        row = first_true(values_N <= 0.0)
        if row is not None:
            raise DataError(
                f"{name} is {values_N[row]:g}, a price must be above 0",
                where=source.at(row),
                hint="delete the row, or correct it at its source",
            )


def check_order(columns: Mapping[str, NDArray[np.float64]], lower: str, upper: str, source: Source) -> None:
    """Refuse rows where one column is below another: high below low, ask below bid (F57)."""
    row = first_true(columns[upper] < columns[lower])
    if row is not None:
        raise DataError(
            f"{upper} {columns[upper][row]:g} is below {lower} {columns[lower][row]:g}",
            where=source.at(row),
            hint=f"delete the row, or check that the columns {lower} and {upper} are not exchanged",
        )


def check_spread(spread_N: NDArray[np.float64], close_N: NDArray[np.float64], source: Source) -> None:
    """Refuse a spread column that is negative or cannot be in units of the price."""
    row = first_true(spread_N < 0.0)
    if row is not None:
        raise DataError(f"spread is {spread_N[row]:g}", where=source.at(row), hint="a spread is 0 or more")
    row = first_true(spread_N > WIDEST_SPREAD * close_N)
    if row is not None:
        raise DataError(
            f"spread {spread_N[row]:g} is over {WIDEST_SPREAD:.0%} of the price {close_N[row]:g}",
            where=source.at(row),
            hint="write it in units of the price (points × their size), or rename the column to leave it out",
        )


def check_volume(volume_N: NDArray[np.float64], source: Source) -> None:
    """Refuse negative volumes."""
    row = first_true(volume_N < 0.0)
    if row is not None:
        raise DataError(
            f"volume is {volume_N[row]:g}",
            where=source.at(row),
            hint="a volume is 0 or more; rename the column to leave it out",
        )


def jump_note(close_N: NDArray[np.float64], source: Source) -> str | None:
    """The first change of price by more than a factor of 100, mostly a wrong decimal point (F58)."""
    row = first_true(np.abs(np.diff(np.log(close_N))) > np.log(JUMP))
    if row is None:
        return None
    before, after = close_N[row], close_N[row + 1]
    return f"{source.at(row + 1)}: the price jumps from {before:g} to {after:g}; a wrong decimal point?"


def outside_note(
    prices: Mapping[str, NDArray[np.float64] | None],
    high_N: NDArray[np.float64],
    low_N: NDArray[np.float64],
    source: Source,
) -> str | None:
    """Bars whose open or close lies outside low … high by more than rounding."""
    slack_N = 1e-9 * high_N
    outside_N = np.zeros(len(high_N), dtype=np.bool_)
    for values_N in prices.values():
        if values_N is not None:
            outside_N |= (values_N > high_N + slack_N) | (values_N < low_N - slack_N)
    row = first_true(outside_N)
    if row is None:
        return None
    names = " or ".join(name for name, values_N in prices.items() if values_N is not None)
    return f"{source.at(row)}: {names} lies outside low … high, so in {int(outside_N.sum()):,} bars"


def gap_note(time_N: NDArray[np.int64], timeframe_s: float) -> str:
    """Range, number of bars and gaps of one instrument; gaps are reported, never filled."""
    head = f"{len(time_N):,} bars from {stamp(int(time_N[0]))} to {stamp(int(time_N[-1]))} UTC"
    step_N = np.diff(time_N)
    gaps = int(np.count_nonzero(step_N > 1.5 * timeframe_s * SECOND_NS))
    if not gaps:
        return f"{head}, no gaps"
    row = int(np.argmax(step_N))
    longest = duration(float(step_N[row]) / SECOND_NS)
    return f"{head}, {gaps:,} gaps, the longest {longest} after {stamp(int(time_N[row]))}"


def duration(seconds: float) -> str:
    """Seconds in the largest unit that fits, as `3 days`."""
    for unit, size in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
