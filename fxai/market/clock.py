"""Time as bars have it: its units, how it is written, and how many bars a year has.

N bars.  Times are UTC nanoseconds in ascending order, lengths are seconds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SECOND_NS = 1_000_000_000
DAY_S = 86_400
DAY_NS = DAY_S * SECOND_NS
YEAR_S = 365.25 * DAY_S

HOLE_S = 14.0 * DAY_S
"""A longer step between two bars is a hole, unless bars are coarse: no market that was open rested for so long."""

HOLE_BARS = 20.0
"""A hole is also longer than so many timeframes."""

WEEKEND_S = 80 * 3600.0
"""A gap over a Saturday noon, UTC, is a weekend up to this length: Friday's last daily bar to Monday's is 72 hours."""

SATURDAY_NOON_NS = int(2.5 * DAY_NS)
"""Into a week that begins, as unix time does, with a Thursday."""


def over_a_weekend(time_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Steps [N − 1] over a Saturday noon and not much longer than a weekend."""
    before_N, step_N = time_N[:-1], np.diff(time_N)
    until_noon_N = (SATURDAY_NOON_NS - before_N) % (7 * DAY_NS)
    over_N: NDArray[np.bool_] = (until_noon_N < step_N) & (step_N <= WEEKEND_S * SECOND_NS)
    return over_N


def on_saturday(time_N: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which times [N] lie on a Saturday, UTC."""
    on_N: NDArray[np.bool_] = (time_N // DAY_NS) % 7 == SATURDAY_NOON_NS // DAY_NS
    return on_N


def holes(time_N: NDArray[np.int64], timeframe_s: float) -> NDArray[np.int64]:
    """Rows before each step in which the data are missing, rather than the market closed."""
    return np.flatnonzero(np.diff(time_N) > max(HOLE_S, HOLE_BARS * timeframe_s) * SECOND_NS)


def bars_per_year(time_N: NDArray[np.int64], timeframe_s: float) -> float:
    """How many of these bars a year has where none are missing; a hole counts as one timeframe."""
    before = holes(time_N, timeframe_s)
    missing_ns = float((time_N[before + 1] - time_N[before]).sum()) - len(before) * timeframe_s * SECOND_NS
    return (len(time_N) - 1) / ((float(time_N[-1] - time_N[0]) - missing_ns) / SECOND_NS / YEAR_S)


def day_start_ns(day: str) -> int:
    """First moment of a day, `YYYY-MM-DD`, UTC.

    Raises:
        ValueError: there is no such day, or none that nanoseconds reach.
    """
    return int(pd.Timestamp(day).as_unit("ns").value)


def stamp(time_ns: int) -> str:
    """UTC nanoseconds as a person writes them; midnight without the hours."""
    text = str(pd.Timestamp(time_ns, unit="ns"))
    return text.removesuffix(" 00:00:00")


def bar_length(seconds: float) -> str:
    """A timeframe before a noun, as `15-minute`."""
    number, unit = _whole(seconds)
    return f"{number}-{unit}"


def timeframe_name(seconds: float) -> str:
    """A timeframe alone, as `15 minutes`."""
    number, unit = _whole(seconds)
    return f"{number} {unit}" + "s" * (number != "1")


def time_apart(seconds: float) -> str:
    """A length of time to three digits, in the largest unit of which there are two: `3.04 days`, `90 minutes`."""
    for unit, size in (("days", float(DAY_S)), ("hours", 3_600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{_written(float(f'{seconds / size:.3g}'))} {unit}"
    return f"{seconds:.3g} s"


def _whole(seconds: float) -> tuple[str, str]:
    """In the largest unit that it is a whole number of."""
    for unit, size in (("day", DAY_S), ("hour", 3_600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            return _written(seconds / size), unit
    return _written(seconds), "second"


def _written(value: float) -> str:
    """A number with all its digits: 1,830 and not 1.83e+03."""
    return f"{value:,.15g}"
