"""Timestamps of files to UTC nanoseconds, never guessing.

Dates are read year first (ISO 8601; `2024.01.31` and `20240131` too) and numbers as unix time. What could be
day first or month first is refused. Times without an offset are in the zone that the config names.
"""

from __future__ import annotations

import warnings
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fxai.errors import DataError
from fxai.market.checks import Source, first_true, shown

UNIX_FROM, UNIX_TO = 315_532_800, 4_102_444_800
"""1980 and 2100 in unix seconds: between them seconds, ms, µs and ns cannot be confused."""

UNIX_UNITS_NS = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3, "nanoseconds": 1}

OFFSET = r"\d(?:Z|[+-]\d{2}(?::?\d{2})?)\s*$"
"""The end of a time that carries its offset from UTC; `_is_aware` tells a date's own `-31` apart."""

DAY_OR_MONTH_FIRST = r"\s*\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b"

YEAR_FIRST_HINT = "write times as 2024-01-31 21:00:00, year first"


def find_zone(name: str, where: str) -> ZoneInfo:
    """The zone of an IANA name.

    Raises:
        DataError: there is none; `where` names the setting.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise DataError(
            f"{name!r} is not a time zone",
            where=where,
            hint="an IANA name such as UTC, America/New_York or Etc/GMT+5 (New York's winter time all year)",
        ) from None


def to_utc(values: pd.Series, zone: ZoneInfo, source: Source) -> NDArray[np.int64]:
    """UTC nanoseconds of a column of timestamps: text, unix numbers or datetimes.

    Args:
        values: the column.
        zone: of times that carry no offset.
        source: to name the row in an error.

    Raises:
        DataError: a time that is blank, unreadable, ambiguous or does not exist.
    """
    row = first_true(values.isna().to_numpy(dtype=np.bool_))
    if row is not None:
        raise DataError("the time is blank", where=source.at(row), hint="delete the row")
    if len(values) and not isinstance(values.dtype, pd.DatetimeTZDtype) and values.dtype.kind != "M":
        if values.dtype.kind in "iuf":
            return _from_unix(values.to_numpy(), source)
        text = values.astype(str)
        if str(text.iloc[0]).strip().isdigit() and len(str(text.iloc[0]).strip()) != 8:
            return _from_unix(_as_integers(text, source), source)
        values = _parse(text, source)
    times = pd.DatetimeIndex(values)
    _check_years(times, source)
    if times.tz is None:
        times = _localise(times, zone, source)
    return np.asarray(times.tz_convert("UTC").as_unit("ns").asi8, dtype=np.int64)


def _as_integers(text: pd.Series, source: Source) -> NDArray[np.int64]:
    try:
        return text.astype("int64").to_numpy()
    except (ValueError, OverflowError):
        row = first_true(~text.str.fullmatch(r"\d{1,19}").to_numpy(dtype=np.bool_)) or 0
        raise DataError(
            f"{shown(text.iloc[row])} is not a unix time, as the first row is",
            where=source.at(row),
            hint="one format in the whole column",
        ) from None


def _from_unix(values_N: NDArray[np.int64] | NDArray[np.float64], source: Source) -> NDArray[np.int64]:
    """Unix time in the unit that puts the first value between 1980 and 2100; all must agree."""
    first = float(values_N[0])
    unit = next((u for u, ns in UNIX_UNITS_NS.items() if UNIX_FROM <= first * ns / 10**9 < UNIX_TO), None)
    if unit is None:
        raise DataError(
            f"{values_N[0]} is no unix time in s, ms, µs or ns between 1980 and 2100",
            where=source.at(0),
            hint=YEAR_FIRST_HINT,
        )
    scale = UNIX_UNITS_NS[unit]
    outside_N = (values_N < UNIX_FROM * (10**9 // scale)) | (values_N >= UNIX_TO * (10**9 // scale))
    row = first_true(outside_N | ~np.isfinite(values_N))
    if row is not None:
        raise DataError(
            f"{values_N[row]} is no unix time in {unit}, as the first row is",
            where=source.at(row),
            hint="one unit in the whole column",
        )
    if values_N.dtype.kind == "f":  # 53 bits hold today's microseconds, not nanoseconds
        return (np.round(values_N * (scale / 1000)).astype(np.int64)) * 1000
    return values_N.astype(np.int64) * scale


def _parse(text: pd.Series, source: Source) -> pd.Series:
    aware = bool(_is_aware(text.iloc[:1])[0])
    if not aware:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # pandas 2, where pandas 3 raises
                parsed = pd.to_datetime(text, format="ISO8601")
            if parsed.dtype.kind == "M" and not isinstance(parsed.dtype, pd.DatetimeTZDtype):
                return parsed
        except ValueError:
            pass  # find out below which row it is
    return _parse_row_by_row(text, aware, source)


def _parse_row_by_row(text: pd.Series, aware: bool, source: Source) -> pd.Series:
    """Parse text that is not plain naive ISO 8601, or name the first row that cannot be read."""
    row = first_true(text.str.match(DAY_OR_MONTH_FIRST).to_numpy(dtype=np.bool_))
    if row is not None:
        raise DataError(
            f"the date {shown(text.iloc[row])} may be day first or month first",
            where=source.at(row),
            hint=YEAR_FIRST_HINT,
        )
    parsed = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    row = first_true(parsed.isna().to_numpy(dtype=np.bool_))
    if row is not None:
        raise DataError(f"{shown(text.iloc[row])} is not a time", where=source.at(row), hint=YEAR_FIRST_HINT)
    row = first_true(_is_aware(text) != aware)
    if row is not None:
        raise DataError(
            f"{shown(text.iloc[row])} {'has no' if aware else 'has an'} offset from UTC, unlike the first row",
            where=source.at(row),
            hint="write all times with their offset, or none",
        )
    return parsed


def _is_aware(text: pd.Series) -> NDArray[np.bool_]:
    """Which timestamps end in an offset; a bare date such as 2024-01-31 does not."""
    has_clock = text.str.contains(r"\d[T ]\s*\d", regex=True)
    return (has_clock & text.str.contains(OFFSET, regex=True)).to_numpy(dtype=np.bool_)


def _check_years(times: pd.DatetimeIndex, source: Source) -> None:
    year_N = np.asarray(times.year)
    row = first_true((year_N < 1900) | (year_N > 2200))
    if row is not None:
        raise DataError(f"the year {year_N[row]} cannot be right", where=source.at(row), hint=YEAR_FIRST_HINT)


def _localise(local: pd.DatetimeIndex, zone: ZoneInfo, source: Source) -> pd.DatetimeIndex:
    """Local times to aware ones; the hour that clocks repeat in autumn is read in order of the rows."""
    if zone.key == "UTC":
        return local.tz_localize("UTC")
    earlier_N = np.ones(len(local), dtype=np.bool_)
    times = local.tz_localize(zone, ambiguous=earlier_N, nonexistent="NaT")
    row = first_true(np.asarray(times.isna()))
    if row is not None:
        raise DataError(
            f"{local[row]} did not exist in {zone.key}, where clocks went forward",
            where=source.at(row),
            hint="is data.timezone the zone of the file? For daily bars UTC is right",
        )
    repeated = np.flatnonzero(local.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").isna())
    if not len(repeated):
        return times
    for rows in np.split(repeated, np.flatnonzero(np.diff(repeated) > 1) + 1):
        back = np.flatnonzero(np.diff(local.asi8[rows]) <= 0)
        if len(back) != 1:
            raise DataError(
                f"{local[rows[0]]} came twice in {zone.key}, where clocks went back: which is meant?",
                where=source.at(int(rows[0])),
                hint="write times with their offset or in UTC, or delete the row",
            )
        earlier_N[rows[back[0] + 1 :]] = False
    return local.tz_localize(zone, ambiguous=earlier_N, nonexistent="NaT")
