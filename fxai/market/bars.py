"""Price bars of one instrument: checked, with mid prices and the spread in basis points.

N bars.  Times are UTC nanoseconds, prices are mid prices, spreads are basis points (1e-4) of the mid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fxai.arrays import Array
from fxai.config.data import DataConfig
from fxai.market import checks
from fxai.market.raw_cache import cached_raw
from fxai.market.reading.raw import Origin, RawBars
from fxai.market.reading.readers import raw_from_frame
from fxai.market.reading.zones import Zone


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Checked bars of one instrument, oldest first; None where the source has no such column."""

    time_N: NDArray[np.int64]
    """The source's own stamp of each bar."""

    close_N: Array
    open_N: Array | None = None
    high_N: Array | None = None
    low_N: Array | None = None
    volume_N: Array | None = None
    spread_open_bp_N: Array | None = None
    spread_close_bp_N: Array | None = None

    notes: tuple[str, ...] = ()
    """Oddities that are no errors, one line each."""

    origin: Origin | None = None
    """How the file was read; None for bars of another source."""

    def __len__(self) -> int:
        return len(self.time_N)

    def arrays(self) -> dict[str, Array]:
        """The columns there are, by name, in a fixed order, without the time."""
        columns = {
            "open": self.open_N,
            "high": self.high_N,
            "low": self.low_N,
            "close": self.close_N,
            "volume": self.volume_N,
            "spread_open_bp": self.spread_open_bp_N,
            "spread_close_bp": self.spread_close_bp_N,
        }
        return {name: values_N for name, values_N in columns.items() if values_N is not None}

    def rows(self, start: int, stop: int) -> Bars:
        """Bars start … stop − 1, as views."""
        cut: dict[str, Any] = {f"{name}_N": values_N[start:stop] for name, values_N in self.arrays().items()}
        return replace(self, time_N=self.time_N[start:stop], **cut)


def read_bars(path: Path, data: DataConfig) -> Bars:
    """Bars of a file, checked.

    With bid and ask, prices are their mean and the spread is real; a `spread` column is in units of the price.
    A file may have a close alone: then orders can only be filled at the next close.

    Args:
        path: the file.
        data: how it is read: format, timezone, date_order, decimal, sort, price_scale, point_size.

    Raises:
        DataError: whatever makes the file unusable, with the first row where that is so, and what to do.
    """
    return to_bars(cached_raw(path, data))


def bars_from_frame(frame: pd.DataFrame, *, zone: Zone, name: str = "frame") -> Bars:
    """Bars of a data frame, its time in a column or in the index; columns named as in a plain CSV.

    Raises:
        DataError: as `read_bars`.
    """
    return to_bars(raw_from_frame(frame, zone=zone, name=name))


def to_bars(raw: RawBars) -> Bars:
    """Check what a file holds and turn it into mid prices and spreads.

    Raises:
        DataError: the first defect, with its row and what to do.
    """
    checks.check(raw)
    prices = _from_quotes(raw.numbers) if raw.quoted else _from_prices(raw.numbers)
    fields: dict[str, Any] = {**prices, "notes": (*raw.notes, *_notes(prices, raw)), "origin": raw.origin}
    return Bars(time_N=raw.time_N, **fields)


def _from_quotes(numbers: dict[str, Array]) -> dict[str, Array]:
    """Mid prices and real spreads. The mean of two highs is an approximation of the highest mid."""
    prices: dict[str, Array] = {}
    for price in ("open", "high", "low", "close"):
        if f"bid_{price}" in numbers:
            bid_N, ask_N = numbers[f"bid_{price}"], numbers[f"ask_{price}"]
            prices[f"{price}_N"] = (bid_N + ask_N) / 2
            if price in ("open", "close"):
                prices[f"spread_{price}_bp_N"] = (ask_N - bid_N) / prices[f"{price}_N"] * 1e4
    return prices | ({"volume_N": numbers["volume"]} if "volume" in numbers else {})


def _from_prices(numbers: dict[str, Array]) -> dict[str, Array]:
    """Prices as they are; a `spread` in units of the price becomes basis points of open and of close."""
    prices = {f"{name}_N": values_N for name, values_N in numbers.items() if name != "spread"}
    if "spread" in numbers:
        for price in ("open", "close"):
            if price in numbers:
                prices[f"spread_{price}_bp_N"] = numbers["spread"] / numbers[price] * 1e4
    return prices


def _notes(prices: dict[str, Array], raw: RawBars) -> list[str]:
    if "high_N" not in prices:
        return []
    open_close = {"open": prices.get("open_N"), "close": prices["close_N"]}
    note = checks.outside_note(open_close, prices["high_N"], prices["low_N"], raw.source)
    return [] if note is None else [note]
