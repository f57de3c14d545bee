"""Timestamps of files to UTC nanoseconds, never guessing.

Dates are read year first (ISO 8601; `2024.01.31` and `20240131` too) and numbers as unix time. What could be day first
or month first needs `data.date_order`; times without an offset need a zone.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from fxai.errors import DataError
from fxai.market.reading.dates import DAY_OR_MONTH_FIRST, ORDER_HINT, to_iso, wrong_date
from fxai.market.reading.raw import Source, first_true, shown
from fxai.market.reading.zones import Zone, localise

UNIX_FROM, UNIX_TO = 315_532_800, 4_102_444_800
"""1980 and 2100 in unix seconds: between them seconds, ms, µs and ns cannot be confused."""

UNIX_UNITS_NS = {"seconds": 10**9, "milliseconds": 10**6, "microseconds": 10**3, "nanoseconds": 1}

AWARE = r"\d[T ]\s*\d.*(?:Z|[+-]\d{2}(?::?\d{2})?)\s*$"
"""A time of day that ends in an offset from UTC; a date's own `-31` is none."""

UNIX_DECIMAL = r"\d{9,10}\.\d{1,9}"
"""Unix seconds with a fraction, as OANDA writes them."""

FIRST_YEAR, LAST_YEAR = 1900, 2200

YEAR_FIRST_HINT = "write times as 2024-01-31 21:00:00, year first"

ASK_ZONE_HINT = "set data.timezone to the zone of the file's times; for daily bars UTC is right"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRules:
    """What a reader knows of times beside the text itself."""

    zone: Zone | None = None
    """Of times that carry no offset; None where nobody told."""

    zone_hint: str = ASK_ZONE_HINT
    """What to do where it is missing."""

    date_order: str | None = None
    """`day_first`, `month_first`, `year_first`, or None: not told."""

    order_given_by: str = "data.date_order"
    """Who says so, for an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """Times, and what told their zone."""

    time_N: NDArray[np.int64]
    """UTC nanoseconds."""

    told_by: str
    """A zone, `unix milliseconds` or `UTC by their offsets`: what the times in the file are in."""


def to_utc(values: pd.Series[Any], rules: TimeRules, source: Source) -> Stamps:
    """UTC nanoseconds of a column of timestamps: text, unix numbers or datetimes.

    Raises:
        DataError: a time that is blank, unreadable, ambiguous or does not exist, or a zone that nobody told.
    """
    row = first_true(values.isna().to_numpy(dtype=np.bool_))
    if row is not None:
        raise DataError("the time is blank", where=source.at(row), hint="delete the row")
    if len(values) and not isinstance(values.dtype, pd.DatetimeTZDtype) and values.dtype.kind != "M":
        if values.dtype.kind in "iuf":
            return _from_unix(values.to_numpy(), source)
        text = values.astype(str)
        first = str(text.iloc[0]).strip()
        if first.isdigit() and len(first) != 8:
            return _from_unix(_as_integers(text, source), source)
        if re.fullmatch(UNIX_DECIMAL, first):
            return _from_decimals(text, source)
        values = _parse(text, rules, source)
    times = pd.DatetimeIndex(values)
    _check_years(times, source)
    told_by = "UTC by their offsets"
    if times.tz is None:
        if rules.zone is None:
            raise DataError("the times carry no offset from UTC", where=source.at(0), hint=rules.zone_hint)
        times, told_by = localise(times, rules.zone, source), rules.zone.name
    time_N = np.asarray(times.tz_convert("UTC").as_unit("ns").asi8, dtype=np.int64)
    return Stamps(time_N=time_N, told_by=told_by)


def matches(text: pd.Series[Any], pattern: str) -> NDArray[np.bool_]:
    """Which cells hold the pattern."""
    flags = pyarrow.compute.match_substring_regex(pa.array(text, type=pa.large_string()), pattern)
    return np.asarray(flags.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _as_integers(text: pd.Series[Any], source: Source) -> NDArray[np.int64]:
    try:
        return text.astype("int64").to_numpy()
    except (ValueError, OverflowError):
        row = first_true(~matches(text, r"^\s*\d{1,18}\s*$")) or 0
        raise _other_format(text, row, source) from None


def _other_format(text: pd.Series[Any], row: int, source: Source) -> DataError:
    return DataError(
        f"{shown(text.iloc[row])} is not a unix time, as the first row is",
        where=source.at(row),
        hint="one format in the whole column",
    )


def _from_decimals(text: pd.Series[Any], source: Source) -> Stamps:
    """Unix seconds with a fraction, exact to the nanosecond."""
    row = first_true(~matches(text, rf"^\s*{UNIX_DECIMAL}\s*$"))
    if row is not None:
        raise _other_format(text, row, source)
    parts = text.str.strip().str.split(".", n=1, expand=True)
    second_N = parts[0].astype("int64").to_numpy()
    stamps = _from_unix(second_N, source)
    fraction_N = parts[1].str.ljust(9, "0").astype("int64").to_numpy()
    return Stamps(time_N=stamps.time_N + fraction_N, told_by=stamps.told_by)


def _from_unix(values_N: NDArray[np.int64] | NDArray[np.float64], source: Source) -> Stamps:
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
    told_by = f"unix {unit}"
    if values_N.dtype.kind == "f":  # 53 bits hold today's microseconds, not nanoseconds
        return Stamps(time_N=np.round(values_N * (scale / 1000)).astype(np.int64) * 1000, told_by=told_by)
    return Stamps(time_N=values_N.astype(np.int64) * scale, told_by=told_by)


def _parse(text: pd.Series[Any], rules: TimeRules, source: Source) -> pd.Series[Any]:
    """Text to times: naive, or UTC where all carry an offset."""
    written = text
    if rules.date_order is not None:
        text = to_iso(text, rules.date_order, rules.order_given_by, source)
    aware = re.search(AWARE, str(text.iloc[0])) is not None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # pandas 2, where pandas 3 raises
            parsed = pd.to_datetime(text, format="ISO8601", utc=aware)
        alike = parsed.dtype.kind == "M" and isinstance(parsed.dtype, pd.DatetimeTZDtype) == aware
        if alike and (not aware or bool(matches(text, AWARE).all())):
            return parsed
    except ValueError:
        pass  # find out below which row it is
    raise _unreadable(text, written, aware, rules, source)


def _unreadable(
    text: pd.Series[Any], written: pd.Series[Any], aware: bool, rules: TimeRules, source: Source
) -> DataError:
    """The first row that is not as the others; `written` is how the file has it."""
    row = first_true(matches(text, DAY_OR_MONTH_FIRST))
    if row is not None:
        return DataError(
            f"the date {shown(text.iloc[row])} may be day first or month first",
            where=source.at(row),
            hint=f"{ORDER_HINT}, or {YEAR_FIRST_HINT}",
        )
    year_N = text.str.extract(r"^\s*(\d{4})\D", expand=False).astype("float64").to_numpy()
    row = first_true((year_N < FIRST_YEAR) | (year_N > LAST_YEAR))
    if row is not None:  # pandas 2 cannot hold it, pandas 3 can: see _check_years
        return _wrong_year(int(year_N[row]), source.at(row))
    parsed = pd.to_datetime(text, format="ISO8601", utc=True, errors="coerce")
    row = first_true(parsed.isna().to_numpy(dtype=np.bool_))
    if row is not None and rules.date_order is not None:
        return wrong_date(written.iloc[row], rules.date_order, rules.order_given_by, source.at(row))
    if row is not None:
        return DataError(f"{shown(text.iloc[row])} is not a time", where=source.at(row), hint=YEAR_FIRST_HINT)
    row = first_true(matches(text, AWARE) != aware) or 0
    return DataError(
        f"{shown(written.iloc[row])} {'has no' if aware else 'has an'} offset from UTC, unlike the first row",
        where=source.at(row),
        hint="write all times with their offset, or none",
    )


def _check_years(times: pd.DatetimeIndex, source: Source) -> None:
    year_N = np.asarray(times.year)
    row = first_true((year_N < FIRST_YEAR) | (year_N > LAST_YEAR))
    if row is not None:
        raise _wrong_year(int(year_N[row]), source.at(row))


def _wrong_year(year: int, where: str) -> DataError:
    return DataError(f"the year {year} cannot be right", where=where, hint=YEAR_FIRST_HINT)
