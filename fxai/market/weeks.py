"""When trading weeks begin and end: where a file's zone is wrong, its weeks begin at the wrong time.

N bars.  Times are UTC nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fxai.market.clock import SECOND_NS, over_a_weekend

NEW_YORK = ZoneInfo("America/New_York")
"""Currencies open and close by its clock: Sunday 17:00 to Friday 17:00."""

COARSEST_S = 4 * 3600.0
"""Longer bars say too little of the hour."""

FEWEST = 3
"""Weekends that say something."""

OPENS_S, LATEST_S = 17 * 3600.0, 18 * 3600.0
"""Sunday's first bar in New York: at 17:00, within the bar before where bars are cut at other hours, and at 18:00 where
stamps are of closes or a venue opens late."""

SUNDAY = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Weeks:
    """The commonest first and last bar of the weeks."""

    begin: tuple[tuple[str, str], ...]
    """Season of New York's clocks (`winter`, `summer`) → `Sunday 22:00`, UTC; a season without weekends is left out."""

    end: tuple[tuple[str, str], ...]

    opens: str
    """The commonest begin by New York's clock."""

    usual: bool
    """Whether that is when currencies begin."""


def weeks_of(time_N: NDArray[np.int64], timeframe_s: float) -> Weeks | None:
    """When weeks begin and end; None of coarse bars and where hardly any weekend is left out."""
    last = np.flatnonzero(over_a_weekend(time_N) & (np.diff(time_N) > 1.5 * timeframe_s * SECOND_NS))
    if timeframe_s > COARSEST_S or len(last) < FEWEST:
        return None
    first_W, last_W = (pd.DatetimeIndex(time_N[rows], tz="UTC") for rows in (last + 1, last))
    local_W = first_W.tz_convert(NEW_YORK)
    opens, day, second = _commonest(local_W)
    return Weeks(
        begin=_seasons(first_W),
        end=_seasons(last_W),
        opens=opens,
        usual=day == SUNDAY and OPENS_S - timeframe_s <= second <= LATEST_S,
    )


def weeks_note(time_N: NDArray[np.int64], timeframe_s: float) -> str | None:
    """That weeks begin elsewhere than those of currencies; None where they do not, or nobody can tell."""
    weeks = weeks_of(time_N, timeframe_s)
    if weeks is None or weeks.usual:
        return None
    return (
        f"weeks begin {weeks.opens} in New York, and those of currencies Sunday 17:00: is data.timezone the zone "
        "of the file's times?"
    )


def _commonest(times_W: pd.DatetimeIndex) -> tuple[str, int, int]:
    """`Sunday 22:00`, its day of the week from Monday's 0, and its second of the day."""
    minute_W = np.asarray(times_W.day_of_week * 1440 + times_W.hour * 60 + times_W.minute)
    values, counts = np.unique(minute_W, return_counts=True)
    minute = int(values[np.argmax(counts)])
    place = int(np.argmax(minute_W == minute))
    return f"{times_W[place].day_name()} {times_W[place]:%H:%M}", minute // 1440, minute % 1440 * 60


def _seasons(times_W: pd.DatetimeIndex) -> tuple[tuple[str, str], ...]:
    """Winter and summer by New York's clocks, each with its commonest time."""
    summer_W = np.array([bool(time.dst()) for time in times_W.tz_convert(NEW_YORK)])
    both = (("winter", times_W[~summer_W]), ("summer", times_W[summer_W]))
    return tuple((season, _commonest(own)[0]) for season, own in both if len(own))
