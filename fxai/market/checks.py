"""What bars must be before anything is trained on them, and what is merely worth a note.

Each finder looks for one kind of defect and returns all rows that have it; `check` raises for the first one, with
file, row and remedy.  Nothing is repaired.  N bars; a defect holds row numbers, counted from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fxai.errors import DataError
from fxai.market.reading.raw import Array, Origin, RawBars, Source, first_true

JUMP = 100.0
"""Prices that change by more than this factor from one bar to the next are noted."""

WIDEST_SPREAD = 0.1
"""A spread column above this share of the price is taken for points or pips and refused."""

SECOND_NS = 1_000_000_000


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


def stamp(time_ns: int) -> str:
    """UTC nanoseconds as a person writes them; midnight without the hours."""
    text = str(pd.Timestamp(time_ns, unit="ns"))
    return text.removesuffix(" 00:00:00")


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
    longest = duration(float(step_N[row]) / SECOND_NS)
    return f"{head}, {gaps:,} gaps, the longest {longest} after {stamp(int(time_N[row]))}"


def bar_length(seconds: float) -> str:
    """A timeframe as `15-minute`, in the largest unit that it is a whole number of."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}-{unit}"
    return f"{seconds:g}-second"


def duration(seconds: float) -> str:
    """Seconds in the largest unit that fits, as `3 days`."""
    for unit, size in (("days", 86_400.0), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
