"""Price bars of one instrument, read from CSV, Parquet or a data frame.

N bars.  Times are UTC nanoseconds, prices are mid prices, spreads are basis points (1e-4) of the mid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fxai.errors import DataError
from fxai.market import checks, delimited
from fxai.market.checks import Source
from fxai.market.columns import Columns, find_columns
from fxai.market.memory import check_fits
from fxai.market.times import to_utc

Array = NDArray[np.float64]

TEXT_SUFFIXES = (".csv", ".txt", ".tsv")
PARQUET_SUFFIXES = (".parquet", ".pq")


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


def read_bars(path: Path, zone: ZoneInfo) -> Bars:
    """Bars of a CSV (.csv, .txt, .tsv) or Parquet (.parquet, .pq) file.

    Columns go by their names (`fxai.market.columns`). With bid_ and ask_ columns, prices are their mean and
    the spread is real; a `spread` column is in units of the price. A file may have a close alone: then orders
    can only be filled at the next close.

    Args:
        path: the file.
        zone: of times that carry no offset.

    Raises:
        DataError: whatever makes the file unusable, with the first row where that is so, and what to do.
    """
    if not path.is_file():
        raise DataError(
            "there is no such file", where=str(path), hint=f"data.path starts at {Path.cwd()} unless absolute"
        )
    suffix = path.suffix.lower()
    try:
        if suffix in TEXT_SUFFIXES:
            return _read_text(path, zone)
        if suffix in PARQUET_SUFFIXES:
            return _read_parquet(path, zone)
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror or error}", where=str(path)) from None
    raise DataError(
        f"files of type {suffix or '(none)'!r} are not read",
        where=str(path),
        hint=f"bars are {', '.join(TEXT_SUFFIXES + PARQUET_SUFFIXES)} files",
    )


def bars_from_frame(frame: pd.DataFrame, *, zone: ZoneInfo, name: str = "frame") -> Bars:
    """Bars of a data frame, its time in a column or in the index; columns named as in files.

    Raises:
        DataError: as `read_bars`.
    """
    if isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.reset_index(names=str(frame.index.name or "time"))
    columns = find_columns([str(column) for column in frame.columns], name)
    return _to_bars(frame.set_axis(range(frame.shape[1]), axis=1), columns, zone, Source(name=name))


def _read_text(path: Path, zone: ZoneInfo) -> Bars:
    table = delimited.look(path)
    columns = find_columns(table.names, str(path))
    check_fits(table.rows, len(table.names), "text", str(path))
    frame = delimited.read(table, text=columns.time, numbers=columns.numbers)
    return _to_bars(frame, columns, zone, table.source)


def _read_parquet(path: Path, zone: ZoneInfo) -> Bars:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = [str(name) for name in file.schema_arrow.names]
            columns = find_columns(names, str(path))
            places = [*columns.time, *columns.numbers.values()]
            check_fits(file.metadata.num_rows, len(places), "parquet", str(path))
            table = file.read(columns=[names[place] for place in places])
        frame = table.to_pandas(ignore_metadata=True)
    except pyarrow.ArrowException as error:
        raise DataError(f"this is not a Parquet file that can be read: {error}", where=str(path)) from None
    labelled = frame.rename(columns=dict(zip([names[place] for place in places], places, strict=True)))
    return _to_bars(labelled, columns, zone, Source(name=str(path)))


def _to_bars(frame: pd.DataFrame, columns: Columns, zone: ZoneInfo, source: Source) -> Bars:
    """Numbers and times of a frame whose columns are labelled by position, checked."""
    if not len(frame):
        raise DataError("there are no bars", where=source.name, hint="is the download complete?")
    numbers = {role: _as_floats(frame[place], role, source) for role, place in columns.numbers.items()}
    checks.check_finite(numbers, source)
    time_N = to_utc(_time_column(frame, columns.time), zone, source)
    checks.check_times(time_N, source)
    _check_prices(numbers, columns.quoted, source)
    prices = _from_quotes(numbers) if columns.quoted else _from_prices(numbers, source)
    fields: dict[str, Any] = {**prices, "notes": _notes(prices, columns, source)}
    return Bars(time_N=time_N, **fields)


def _as_floats(column: pd.Series, name: str, source: Source) -> Array:
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(
            f"{name} is of type {column.dtype}, not numbers",
            where=source.name,
            hint="convert the column to floats before saving",
        ) from None


def _time_column(frame: pd.DataFrame, places: tuple[int, ...]) -> pd.Series:
    """The timestamps; a date and a time are joined."""
    if len(places) == 1:
        return frame[places[0]]
    date, clock = (frame[place] for place in places)
    if date.dtype.kind == "M":
        date = date.dt.strftime("%Y-%m-%d")
    known = date.notna() & clock.notna()
    whole: pd.Series = (date.astype(str) + " " + clock.astype(str)).where(known)
    return whole


def _check_prices(numbers: dict[str, Array], quoted: bool, source: Source) -> None:
    prices = {name: values_N for name, values_N in numbers.items() if name not in ("volume", "spread")}
    checks.check_positive(prices, source)
    for side in ("bid_", "ask_") if quoted else ("",):
        if f"{side}high" in prices:
            checks.check_order(prices, f"{side}low", f"{side}high", source)
    for price in ("open", "close") if quoted else ():
        if f"bid_{price}" in prices:
            checks.check_order(prices, f"bid_{price}", f"ask_{price}", source)
    if "volume" in numbers:
        checks.check_volume(numbers["volume"], source)


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


def _from_prices(numbers: dict[str, Array], source: Source) -> dict[str, Array]:
    """Prices as they are; a `spread` in units of the price becomes basis points of open and of close."""
    prices = {f"{name}_N": values_N for name, values_N in numbers.items() if name != "spread"}
    if "spread" in numbers:
        checks.check_spread(numbers["spread"], numbers["close"], source)
        for price in ("open", "close"):
            if price in numbers:
                prices[f"spread_{price}_bp_N"] = numbers["spread"] / numbers[price] * 1e4
    return prices


def _notes(prices: dict[str, Array], columns: Columns, source: Source) -> tuple[str, ...]:
    notes = [f"{source.name}: {note}" for note in columns.notes]
    notes += filter(None, [checks.jump_note(prices["close_N"], source)])
    if "high_N" in prices:
        open_close = {"open": prices.get("open_N"), "close": prices["close_N"]}
        notes += filter(None, [checks.outside_note(open_close, prices["high_N"], prices["low_N"], source)])
    return tuple(notes)
