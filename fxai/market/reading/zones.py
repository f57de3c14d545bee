"""Time zones of files: IANA names, also moved by a fixed time, and local times to UTC.

A zone moved by a fixed time is what brokers run: `America/New_York+07:00` is UTC+2 in winter and UTC+3 in summer,
changing with New York's clocks, so that the trading week's days end at New York's 17:00.
"""

from __future__ import annotations

import contextlib
import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from fxai.errors import DataError
from fxai.market.reading.raw import Source, first_true

MOVED = re.compile(r"(.+?)([+-])(\d{2}):(\d{2})")
"""An IANA name and the time it is moved by; Etc/GMT+5 has no minutes and is a name."""

ZONE_HINT = (
    "an IANA name such as UTC, America/New_York or Etc/GMT+5 (New York's winter time all year), "
    "or one moved by a fixed time as in America/New_York+07:00"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A zone, and what its clocks are ahead of it."""

    name: str
    """As the config writes it."""

    zone: ZoneInfo

    ahead: timedelta = timedelta(0)

    @property
    def fixed(self) -> timedelta | None:
        """Offset from UTC where it is always the same."""
        if self.zone.key != "UTC" and not self.zone.key.startswith("Etc/"):
            return None
        return (self.zone.utcoffset(datetime(2020, 1, 1)) or timedelta(0)) + self.ahead

    def like(self, other: Zone) -> bool:
        """Whether clocks show the same in both, looked at four times a year."""
        moments = [
            datetime(year, month, 1, tzinfo=timezone.utc) for year in range(1990, 2041) for month in (1, 4, 7, 11)
        ]
        return all(self._offset(moment) == other._offset(moment) for moment in moments)

    def _offset(self, moment: datetime) -> timedelta:
        return (moment.astimezone(self.zone).utcoffset() or timedelta(0)) + self.ahead


def find_zone(name: str, where: str) -> Zone:
    """The zone of a name.

    Raises:
        DataError: there is none; `where` names the setting.
    """
    moved = MOVED.fullmatch(name)
    try:
        if moved is None:
            return Zone(name=name, zone=ZoneInfo(name))
        key, sign, hours, minutes = moved.groups()
        ahead = timedelta(hours=int(hours), minutes=int(minutes))
        if ahead >= timedelta(days=1) or int(minutes) > 59:
            raise ValueError(name)
        return Zone(name=name, zone=ZoneInfo(key), ahead=ahead if sign == "+" else -ahead)
    except (KeyError, ValueError, OSError):
        raise DataError(f"{name!r} is not a time zone", where=where, hint=ZONE_HINT) from None


def clock_rules(key: str) -> bytes:
    """The file that says how a zone's clocks change, from where `ZoneInfo` has it; empty where it is not found.

    Governments change the rules, and systems and the package tzdata follow at different times.
    """
    for folder in zoneinfo.TZPATH:
        with contextlib.suppress(OSError):
            return Path(folder, key).read_bytes()
    with contextlib.suppress(OSError, ModuleNotFoundError):
        return resources.files("tzdata").joinpath("zoneinfo", *key.split("/")).read_bytes()
    return b""


def localise(local: pd.DatetimeIndex, zone: Zone, source: Source) -> pd.DatetimeIndex:
    """Local times to UTC; the hour that clocks repeat in autumn is read in order of the rows.

    Rows may run from the newest to the oldest.

    Raises:
        DataError: a time that never was, or that came twice and stands once.
    """
    if zone.fixed is not None:
        fixed: pd.DatetimeIndex = (local - zone.fixed).tz_localize("UTC")
        return fixed
    if len(local) < 2 or local[0] <= local[-1]:
        return _oldest_first(local, zone, source.at)
    backwards = _oldest_first(local[::-1], zone, lambda row: source.at(len(local) - 1 - row))
    utc: pd.DatetimeIndex = backwards[::-1]
    return utc


def _oldest_first(local: pd.DatetimeIndex, zone: Zone, at: Callable[[int], str]) -> pd.DatetimeIndex:
    """`localise` of rows that run forward; `at` says where each stands in the file."""
    own = local - zone.ahead
    earlier_N = np.ones(len(local), dtype=np.bool_)
    times = own.tz_localize(zone.zone, ambiguous=earlier_N, nonexistent="NaT")
    row = first_true(np.asarray(times.isna()))
    if row is not None:
        raise DataError(
            f"{local[row]} did not exist in {zone.name}, where clocks went forward",
            where=at(row),
            hint="is data.timezone the zone of the file? For daily bars UTC is right",
        )
    repeated = np.flatnonzero(own.tz_localize(zone.zone, ambiguous="NaT", nonexistent="NaT").isna())
    for rows in np.split(repeated, np.flatnonzero(np.diff(repeated) > 1) + 1) if len(repeated) else ():
        back = np.flatnonzero(np.diff(local.asi8[rows]) <= 0)
        if len(back) != 1:
            raise DataError(
                f"{local[rows[0]]} came twice in {zone.name}, where clocks went back: which is meant?",
                where=at(int(rows[0])),
                hint="write times with their offset or in UTC, or delete the row",
            )
        earlier_N[rows[back[0] + 1 :]] = False
    if len(repeated):
        times = own.tz_localize(zone.zone, ambiguous=earlier_N, nonexistent="NaT")
    utc: pd.DatetimeIndex = times.tz_convert("UTC")
    return utc
