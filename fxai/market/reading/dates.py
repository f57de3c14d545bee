"""Dates that are not year first: read only in the order that an option or a vendor's format names."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute

from fxai.errors import DataError
from fxai.market.reading.raw import Source, first_true, shown

DAY_OR_MONTH_FIRST = r"^\s*\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b"

YEAR_FIRST = r"\s*(?:\d{4}[./-]\d{1,2}[./-]\d{1,2}|\d{8})(?:\D|$)"

ORDER_HINT = "set data.date_order to day_first or month_first"

EXAMPLES = {"day_first": "31/01/2024", "month_first": "01/31/2024", "year_first": "2024/01/31"}

REWRITTEN = {"day_first": r"\3-\2-\1 \4\5", "month_first": r"\3-\1-\2 \4\5"}
"""Order → year first, of the groups of PADDED."""

PADDED = (
    r"^\s*(\d{2})[./-](\d{2})[./-](\d{4})"
    r"(?:[ T,]+(\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(?: ?(?:GMT)?(Z|[+-]\d{2}:?\d{2}))?)?\s*$"
)
"""Two digits everywhere, 24 hours, maybe an offset or `GMT+0100`: what is rewritten at once, in C."""

LOOSE = re.compile(
    r"\d{1,4}(?P<mark>[./-])\d{1,2}[./-](?P<last>\d{1,4})"
    r"(?:(?P<gap>[ T,]+)\d{1,2}:\d{2}(?P<second>:\d{2})?(?P<fraction>\.\d+)?(?P<half> ?[AaPp][Mm])?)?"
)


def to_iso(text: pd.Series[Any], order: str, given_by: str, source: Source) -> pd.Series[Any]:
    """Timestamps with the date year first; cells that are not as the others stay as they are.

    Args:
        text: the column.
        order: `day_first`, `month_first` or `year_first`.
        given_by: who says so, for an error.
        source: to name the row in an error.

    Raises:
        DataError: a date that does not exist in this order, or is written in another one.
    """
    first = str(text.iloc[0])
    if re.match(YEAR_FIRST, first):
        if order == "year_first":
            return text
        raise DataError(
            f"the date {shown(first)} is year first, and {given_by} says {order}",
            where=source.at(0),
            hint="remove data.date_order: dates that are year first need none",
        )
    if order in REWRITTEN:
        array = pa.array(text, type=pa.large_string())
        padded = pyarrow.compute.match_substring_regex(array, PADDED)
        if pyarrow.compute.all(padded).as_py():
            year_first = pyarrow.compute.replace_substring_regex(array, PADDED, REWRITTEN[order])
            whole: pd.Series[Any] = pd.Series(
                pyarrow.compute.utf8_rtrim_whitespace(year_first).to_pandas(), index=text.index
            )
            return whole
    return _by_pattern(text, order, given_by, source)


def wrong_date(cell: object, order: str, given_by: str, where: str) -> DataError:
    """The error of a cell that is no date in this order."""
    return DataError(
        f"{shown(cell)} is not a time with its date {order.replace('_', ' ')}, as {given_by} says",
        where=where,
        hint=f"{order} is {EXAMPLES[order]}; is that the order of the file, in all rows?",
    )


def _by_pattern(text: pd.Series[Any], order: str, given_by: str, source: Source) -> pd.Series[Any]:
    """Single digits, two-digit years and am/pm: slower, by a pattern that the first cell shows."""
    found = LOOSE.fullmatch(str(text.iloc[0]).strip())
    if found is None:
        raise wrong_date(text.iloc[0], order, given_by, source.at(0))
    year = "%y" if order == "year_first" or len(found["last"]) <= 2 else "%Y"
    places = {"day_first": ("%d", "%m", year), "month_first": ("%m", "%d", year), "year_first": (year, "%m", "%d")}
    pattern = found["mark"].join(places[order])
    if found["gap"]:
        hour = "%I" if found["half"] else "%H"
        pattern += (
            f"{found['gap']}{hour}:%M" + (":%S" if found["second"] else "") + (".%f" if found["fraction"] else "")
        )
        pattern += (found["half"][:-2] + "%p") if found["half"] else ""
    parsed = pd.to_datetime(text.str.strip(), format=pattern, errors="coerce")
    row = first_true(np.asarray(parsed.isna(), dtype=np.bool_))
    if row is not None:
        raise wrong_date(text.iloc[row], order, given_by, source.at(row))
    iso: pd.Series[Any] = parsed.dt.strftime("%Y-%m-%dT%H:%M:%S.%f")
    return iso
