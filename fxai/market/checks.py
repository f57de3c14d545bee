"""What bars must be before anything is trained on them, and what is merely worth a note.

Each finder looks for one kind of defect and returns all rows that have it; `check` raises for the first one, with
file, row and remedy.  Nothing is repaired.  N bars; a defect holds row numbers, counted from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxai.arrays import Array
from fxai.errors import DataError
from fxai.market.clock import SECOND_NS, bar_length, holes, stamp, time_apart
from fxai.market.reading.raw import Origin, RawBars, Source, first_true

JUMP = 2.0
"""Closes that change by more than this factor from one bar to the next are noted: a wrong decimal point is 10, yen
among dollars about 100, and no currency of the bundled rates comes near it."""

WIDEST_SPREAD = 0.1
"""A spread column above this share of the price is taken for points or pips and refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One kind of fault and every row that has it."""

    kind: str
    """What it is called in a table, for example `repeated time`."""

    rows: NDArray[np.int64]
    """Rows that have it, in order; at least one."""

    describe: Callable[[int], str]
    """What is wrong with such a row, in one sentence."""

    hint: str
    """What to do about it."""

    def error(self, source: Source) -> DataError:
        """The error of the first row."""
        row = int(self.rows[0])
        return DataError(self.describe(row), where=source.at(row), hint=self.hint)


def check(raw: RawBars) -> None:
    """Refuse bars that cannot be used.

    Raises:
        DataError: the first defect of the first kind, with its row and what to do.
    """
    for defect in defects(raw):
        raise defect.error(raw.source)


def defects(raw: RawBars) -> Iterator[Defect]:
    """Every kind of defect that the bars have, gravest first."""
    finders = (not_finite, back_in_time, repeated_time, not_positive, high_below_low, ask_below_bid)
    for find in (*finders, negative_volume, negative_spread, wide_spread):
        if (defect := find(raw)) is not None:
            yield defect


def not_finite(raw: RawBars) -> Defect | None:
    """Blanks, NaN and infinities (F55)."""

    def describe(row: int) -> str:
        name, value = next((name, v[row]) for name, v in raw.numbers.items() if not np.isfinite(v[row]))
        return f"{name} is {'infinite' if np.isinf(value) else 'blank or NaN'}"

    flag_N = _any(raw, {name: ~np.isfinite(values_N) for name, values_N in raw.numbers.items()})
    return _defect("blank or infinite", flag_N, describe, "delete the row; bars are never filled in")


def back_in_time(raw: RawBars) -> Defect | None:
    """Times before that of the row above (F56)."""
    step_N = np.diff(raw.time_N)
    newest_first = len(step_N) > 0 and bool((step_N <= 0).all())

    def describe(row: int) -> str:
        now, before = stamp(int(raw.time_N[row])), stamp(int(raw.time_N[row - 1]))
        order = "; the rows run from the newest to the oldest" if newest_first else ""
        return f"the time {now} UTC is before that of the row before, {before} UTC{order}"

    hint = "data.sort: true sorts the rows by time, or sort the file, oldest first"
    return _defect("time goes back", _below(step_N < 0), describe, hint)


def repeated_time(raw: RawBars) -> Defect | None:
    """Times equal to that of the row above (F56)."""

    def describe(row: int) -> str:
        other = "the row before" if raw.source.order_N is None else raw.source.at(row - 1)
        return f"the time {stamp(int(raw.time_N[row]))} UTC repeats that of {other}"

    return _defect("repeated time", _below(np.diff(raw.time_N) == 0), describe, "keep one bar for each time")


def not_positive(raw: RawBars) -> Defect | None:
    """Prices of 0 or less (F57)."""
    prices = _prices(raw)

    def describe(row: int) -> str:
        name, value = next((name, v[row]) for name, v in prices.items() if v[row] <= 0.0)
        return f"{name} is {value:g}, a price must be above 0"

    flag_N = _any(raw, {name: values_N <= 0.0 for name, values_N in prices.items()})
    return _defect("price not above 0", flag_N, describe, "delete the row, or correct it at its source")


def high_below_low(raw: RawBars) -> Defect | None:
    """Bars whose high is below their low (F57)."""
    return _exchanged(raw, "high below low", [(f"{side}low", f"{side}high") for side in ("", "bid_", "ask_")])


def ask_below_bid(raw: RawBars) -> Defect | None:
    """Quotes whose ask is below their bid: a negative spread (F57)."""
    return _exchanged(raw, "ask below bid", [(f"bid_{price}", f"ask_{price}") for price in ("open", "close")])


def negative_volume(raw: RawBars) -> Defect | None:
    """Volumes below 0."""
    return _below_zero(raw, "volume", "a volume is 0 or more; rename the column to leave it out")


def negative_spread(raw: RawBars) -> Defect | None:
    """Spreads below 0."""
    return _below_zero(raw, "spread", "a spread is 0 or more")


def wide_spread(raw: RawBars) -> Defect | None:
    """Spreads that cannot be in units of the price."""
    if "spread" not in raw.numbers:
        return None
    spread_N, close_N = raw.numbers["spread"], raw.numbers["close"]

    def describe(row: int) -> str:
        return f"spread {spread_N[row]:g} is over {WIDEST_SPREAD:.0%} of the price {close_N[row]:g}"

    hint = "write it in units of the price (points × their size), or rename the column to leave it out"
    wide_N = (spread_N > WIDEST_SPREAD * close_N) & (close_N > 0.0)  # a price of 0 is a defect of its own
    return _defect("spread too wide", wide_N, describe, hint)


def _defect(kind: str, flag_N: NDArray[np.bool_], describe: Callable[[int], str], hint: str) -> Defect | None:
    rows = np.flatnonzero(flag_N)
    return Defect(kind=kind, rows=rows, describe=describe, hint=hint) if len(rows) else None


def _any(raw: RawBars, flags: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Rows where any column is flagged."""
    any_N = np.zeros(len(raw), dtype=np.bool_)
    for flag_N in flags.values():
        any_N |= flag_N
    return any_N


def _below(flag_N: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Flags of steps as flags of the rows that they lead to."""
    return np.concatenate([[False], flag_N])


def _prices(raw: RawBars) -> dict[str, Array]:
    return {name: values_N for name, values_N in raw.numbers.items() if name not in ("volume", "spread")}


def _exchanged(raw: RawBars, kind: str, pairs: list[tuple[str, str]]) -> Defect | None:
    """Rows where what must be the upper of two columns is the lower."""
    numbers = raw.numbers
    pairs = [(lower, upper) for lower, upper in pairs if lower in numbers and upper in numbers]

    def describe(row: int) -> str:
        lower, upper = next(pair for pair in pairs if numbers[pair[1]][row] < numbers[pair[0]][row])
        return f"{upper} {numbers[upper][row]:g} is below {lower} {numbers[lower][row]:g}"

    flag_N = _any(raw, {upper: numbers[upper] < numbers[lower] for lower, upper in pairs})
    hint = "delete the row, or check that the columns {} and {} are not exchanged"
    rows = np.flatnonzero(flag_N)
    if not len(rows):
        return None
    lower, upper = next(pair for pair in pairs if numbers[pair[1]][rows[0]] < numbers[pair[0]][rows[0]])
    return Defect(kind=kind, rows=rows, describe=describe, hint=hint.format(lower, upper))


def _below_zero(raw: RawBars, name: str, hint: str) -> Defect | None:
    if name not in raw.numbers:
        return None
    values_N = raw.numbers[name]
    return _defect(f"negative {name}", values_N < 0.0, lambda row: f"{name} is {values_N[row]:g}", hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jumps:
    """Changes of the close by more than a factor of JUMP."""

    count: int
    first: int
    """Row that the first of them leads to; −1 where there is none."""


def jumps(close_N: NDArray[np.float64]) -> Jumps:
    """How many there are, and where."""
    jump_N = np.abs(np.diff(np.log(close_N))) > np.log(JUMP)
    row = first_true(jump_N)
    return Jumps(count=0, first=-1) if row is None else Jumps(count=int(jump_N.sum()), first=row + 1)


def jump_note(close_N: NDArray[np.float64], place: Callable[[int], str]) -> str | None:
    """The first jump and how many there are, mostly a wrong decimal point or another instrument (F58).

    Args:
        close_N: what is looked at.
        place: what a person knows a row as.
    """
    found = jumps(close_N)
    if not found.count:
        return None
    before, after = close_N[found.first - 1], close_N[found.first]
    more = "" if found.count == 1 else f", the first of {found.count:,} jumps by more than {JUMP:g} times"
    return (
        f"the price jumps from {before:g} to {after:g} at {place(found.first)}{more}; "
        "a wrong decimal point, or another instrument?"
    )


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


def bars_note(time_N: NDArray[np.int64], timeframe_s: float, origin: Origin | None) -> str:
    """How the bars of one instrument were read, their number, range and gaps; gaps are reported, never filled."""
    head = f"{len(time_N):,} bars from {stamp(int(time_N[0]))} to {stamp(int(time_N[-1]))} UTC"
    if origin is not None:
        read = [origin.format, f"{bar_length(timeframe_s)} bars", f"times in {origin.timezone}", *origin.details]
        head = f"{', '.join(read)}: {head}"
    step_N = np.diff(time_N)
    gaps = int(np.count_nonzero(step_N > 1.5 * timeframe_s * SECOND_NS))
    if not gaps:
        return f"{head}, no gaps"
    row = int(np.argmax(step_N))
    longest = time_apart(float(step_N[row]) / SECOND_NS)
    return f"{head}, {gaps:,} {'gap' if gaps == 1 else 'gaps'}, the longest {longest} after {stamp(int(time_N[row]))}"


def holes_note(time_N: NDArray[np.int64], timeframe_s: float, listed: int = 3) -> str | None:
    """Where data are missing, the longest first, and what that means for figures of a year; None where none are."""
    before = holes(time_N, timeframe_s)
    if not len(before):
        return None
    before = before[np.argsort(time_N[before] - time_N[before + 1], kind="stable")]
    each = [
        f"{time_apart(float(time_N[row + 1] - time_N[row]) / SECOND_NS)} from {stamp(int(time_N[row]))} "
        f"to {stamp(int(time_N[row + 1]))} UTC"
        for row in before[:listed]
    ]
    if len(before) > listed:
        more = len(before) - listed
        each.append(f"and in {more:,} more {'hole' if more == 1 else 'holes'}")
    return (
        f"data are missing: no bars for {', '.join(each)}; bars per year, by which metrics are annualised, "
        "leave that time out"
    )
