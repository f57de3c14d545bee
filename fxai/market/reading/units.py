"""Units of what a file holds: prices as whole numbers, spreads in points. Converted only where an option says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from fxai.errors import DataError
from fxai.market.reading.raw import RawBars

SCALED_FROM = 10_000
"""Whole-number prices from here on are worth a note: a price of 0.1 × 1e5, of 10 × 1e3."""

SCALES = (1e-5, 1e-3)
"""What such prices are mostly multiplied by: with five decimals, and with three as against the yen."""


def in_prices(role: str) -> bool:
    """Whether a column is in units of the price."""
    return role != "volume"


def scaled(raw: RawBars, scale: float | None) -> RawBars:
    """Prices and spreads multiplied by `data.price_scale`."""
    if scale is None or scale == 1.0:
        return raw
    inverse = round(1.0 / scale)
    exact = abs(1.0 / scale - inverse) < 1e-6 * inverse  # 109550 / 100000 is 1.0955, 109550 * 1e-5 is not
    numbers = {
        role: (values_N / inverse if exact else values_N * scale) if in_prices(role) else values_N
        for role, values_N in raw.numbers.items()
    }
    origin = replace(raw.origin, details=(*raw.origin.details, f"prices × {scale:g}"))
    return replace(raw, numbers=numbers, origin=origin)


def looks_scaled(raw: RawBars, whole: bool) -> RawBars:
    """Add a note where prices are large whole numbers, which may be prices × 1e5 or × 1e3.

    A note and no more: an index or a coin may stand at 39,000, and returns do not depend on the scale.

    Args:
        raw: the bars.
        whole: whether prices are written without decimals, as far as was looked.
    """
    prices = [values_N for role, values_N in raw.numbers.items() if in_prices(role) and role != "spread"]
    if not whole or not all(bool((values_N == np.round(values_N)).all()) for values_N in prices):
        return raw
    low, high = min(float(v.min()) for v in prices), max(float(v.max()) for v in prices)
    if low < SCALED_FROM or low == high:
        return raw
    first = float(prices[0][0])  # the range of all prices would tell of those in the sealed test
    ways = " or ".join(f"data.price_scale: {scale:.5f}".rstrip("0") + f" ({first * scale:g})" for scale in SCALES)
    note = (
        f"{raw.source.name}: prices are whole numbers, the first {first:.0f}, and read as they are; "
        f"if they are scaled, set {ways}; 1 says that they are right"
    )
    return replace(raw, notes=(*raw.notes, note))


def spread_of_points(
    raw: RawBars, size: float | Literal["last_digit"] | None, written: Sequence[str], decimal: str
) -> RawBars:
    """The spread of a MetaTrader file in units of the price, or left out where nobody told the size of a point.

    MetaTrader writes prices with all their digits, and a point is one of the last.

    Raises:
        DataError: a size that the prices contradict, as one of another instrument would.
    """
    digits = max((len(cell.partition(decimal)[2]) for cell in written), default=0)
    if size is None:
        note = (
            f"{raw.source.name}: <SPREAD> is in points and not read; data.point_size: last_digit makes it the real "
            f"spread (prices have {digits} decimals, so a point is {10.0**-digits:g})"
        )
        numbers = {role: values_N for role, values_N in raw.numbers.items() if role != "spread"}
        return replace(raw, numbers=numbers, notes=(*raw.notes, note))
    point = 10.0**-digits
    if size != "last_digit" and abs(size / point - 1.0) > 1e-9:
        raise DataError(
            f"prices have {digits} decimals, so a point is {point:g}, and data.point_size is {size:g}",
            where=raw.source.name,
            hint="data.point_size: last_digit takes the size from the prices of each file",
        )
    numbers = {**raw.numbers, "spread": raw.numbers["spread"] / 10**digits}
    origin = replace(raw.origin, details=(*raw.origin.details, f"spread in points of {point:g}"))
    return replace(raw, numbers=numbers, origin=origin)
