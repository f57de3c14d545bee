"""Returns by calendar month (UTC): years down, months across, each year's total at the end."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fxai.report.html import escape, raw_table
from fxai.report.text import NOTHING

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_GAIN, _LOSS = "0, 114, 178", "213, 94, 0"
"""Blue and orange, for eyes that do not tell green from red; the sign stands in the cell as well."""


def monthly_returns(times_ns: NDArray[np.int64], equity_N: NDArray[np.float64]) -> dict[int, dict[int, float]]:
    """Year → month (1 … 12) → return of that month, fraction; month 0 is the whole year.

    A month runs from the last value before it, or from the first of all, to its last. Months without a value are left
    out; what moved meanwhile is in the next.
    """
    months_N = np.asarray(times_ns).astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)  # since 1970
    last = np.append(np.flatnonzero(np.diff(months_N)), len(months_N) - 1)
    value = dict(zip(months_N[last].tolist(), equity_N[last].tolist(), strict=True))
    found: dict[int, dict[int, float]] = {}
    before = float(equity_N[0])
    for year, each in groupby(value.items(), key=lambda item: 1970 + item[0] // 12):
        start, found[year] = before, {}
        for month, after in each:
            found[year][month % 12 + 1] = _change(before, after)
            before = after
        found[year][0] = _change(start, before)
    return found


def _change(before: float, after: float) -> float:
    return after / before - 1.0 if before > 0 else 0.0


def monthly_table(returns: dict[int, dict[int, float]]) -> str:
    """The table, in per cent."""
    largest = max((abs(r) for months in returns.values() for month, r in months.items() if month), default=0.0)
    rows = []
    for year, months in returns.items():
        cells = [_cell(months.get(month), largest) for month in range(1, 13)]
        rows.append([f"<td>{year}</td>", *cells, f"<td><b>{_text(months[0])}</b></td>"])
    return raw_table(["%", *MONTHS, "year"], rows)


def _cell(value: float | None, largest: float) -> str:
    if value is None:
        return f"<td>{NOTHING}</td>"
    colour, depth = _GAIN if value > 0 else _LOSS, 0.6 * abs(value) / largest if largest else 0.0
    return f'<td style="background: rgba({colour}, {depth:.2f})">{_text(value)}</td>'


def _text(value: float) -> str:
    """Per cent with its sign; two digits after the point, none of them for large ones."""
    text = f"{100 * value:+.2f}" if abs(value) < 1 else f"{100 * value:+,.0f}"
    return escape("0.00" if float(text.replace(",", "")) == 0 else text)
