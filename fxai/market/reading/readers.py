"""From a file of any format to raw bars: numbers and times by role."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fxai.arrays import Array
from fxai.config.data import DataConfig
from fxai.errors import DataError
from fxai.market.reading import delimited, oanda
from fxai.market.reading.columns import Columns, find_columns
from fxai.market.reading.container import Content, look_at
from fxai.market.reading.formats import find_layout, not_of_format
from fxai.market.reading.headed import one_level
from fxai.market.reading.layout import Head, Layout, take_apart
from fxai.market.reading.memory import check_fits
from fxai.market.reading.raw import Origin, RawBars, Source, first_true, shown
from fxai.market.reading.times import TimeRules, to_utc
from fxai.market.reading.units import in_prices, looks_scaled, scaled, spread_of_points
from fxai.market.reading.zones import Zone, find_zone

NO_PRICE = 2.0**63
"""Databento's int64 for no price."""


def read_raw(path: Path, data: DataConfig) -> RawBars:
    """What a file holds, parsed and not yet judged.

    Args:
        path: CSV or another text table, JSON or Parquet; text and JSON also in gzip or zip.
        data: the options: format, timezone, date_order, decimal, sort, price_scale, point_size.

    Raises:
        DataError: whatever cannot be parsed at all, with its first row and what to do.
    """
    zone = None if data.timezone is None else find_zone(data.timezone, "data.timezone")
    try:
        content = look_at(path)
        read = _read_parquet if content.kind == "parquet" else _read_text
        raw = read(content, data, zone)
    except OSError as error:
        raise DataError(f"the file cannot be read: {error.strerror or error}", where=str(path)) from None
    raw = scaled(raw, data.price_scale)
    if not data.sort or bool((np.diff(raw.time_N) > 0).all()):
        return raw
    origin = replace(raw.origin, details=(*raw.origin.details, "rows sorted by time"))
    return replace(raw.sorted(), origin=origin)


def raw_from_frame(frame: pd.DataFrame, *, zone: Zone, name: str) -> RawBars:
    """Raw bars of a data frame, its time in a column or in the index."""
    if isinstance(frame.index, pd.DatetimeIndex):
        frame = frame.reset_index(names=str(frame.index.name or "time"))
    columns = find_columns([str(column) for column in frame.columns], name)
    labelled = frame.set_axis(range(frame.shape[1]), axis=1)
    return _to_raw(labelled, columns, TimeRules(zone=zone), Source(name=name), "data frame")


def _read_text(content: Content, data: DataConfig, zone: Zone | None) -> RawBars:
    """JSON or a table."""
    sample = content.head()
    text = delimited.decode(sample, content.name)
    if oanda.is_json(text):
        return _read_json(content, data, zone)
    if data.format == "oanda":
        raise not_of_format("oanda", "it is not JSON", f"{content.name}:1")
    head = take_apart(content.name, text, whole=len(sample) >= content.size)
    layout = find_layout(head, data.format)
    return _read_table(content, head, layout, data, zone)


def _read_json(content: Content, data: DataConfig, zone: Zone | None) -> RawBars:
    if data.format not in ("auto", "oanda"):
        raise not_of_format(data.format, "it is JSON", f"{content.name}:1")
    _refuse_point_size(data, content.name)
    parsed = oanda.read_candles(content)
    stamps = to_utc(parsed.time, TimeRules(zone=zone), parsed.source)
    return RawBars(
        source=parsed.source,
        time_N=stamps.time_N,
        numbers=parsed.numbers,
        quoted=parsed.quoted,
        notes=parsed.notes,
        origin=Origin(format=parsed.label, timezone=stamps.told_by),
    )


def _read_table(content: Content, head: Head, layout: Layout, data: DataConfig, zone: Zone | None) -> RawBars:
    delimited.check_shape(content, head, layout)
    source = Source(name=content.name, first_line=layout.first_line)
    rules, zone_notes = _time_rules(layout, data, zone, source)
    frame = delimited.read_rows(content, head, layout, data.decimal, source)
    raw = _to_raw(frame, layout.columns, rules, source, layout.label)
    raw = replace(raw, notes=(*zone_notes, *raw.notes))
    written = _written_prices(head, layout)
    if layout.billionths:
        raw = _without_billionths(raw, written)
    if layout.points:
        raw = spread_of_points(raw, data.point_size, written, data.decimal)
    else:
        _refuse_point_size(data, source.name)
    if data.price_scale is None and not layout.billionths:
        raw = looks_scaled(raw, [cell for cell in written if data.decimal in cell] == [])
    return raw


def _time_rules(
    layout: Layout, data: DataConfig, zone: Zone | None, source: Source
) -> tuple[TimeRules, tuple[str, ...]]:
    """Zone and date order of a text file: the format's own, the config's, or an error where they differ."""
    notes: tuple[str, ...] = ()
    own = None if layout.zone is None else find_zone(layout.zone, layout.label)
    if zone is not None and own is not None and not zone.like(own):
        if data.format == "auto":
            raise DataError(
                f"this is {layout.label}, whose times are in {own.name}, and data.timezone is {zone.name}",
                where=source.name,
                hint=f"leave out data.timezone; if somebody converted the times, set data.format: "
                f"{NAMES.get(layout.label, 'table')} beside it",
            )
        notes = (f"{source.name}: times read in {zone.name} as told, although {layout.label} is in {own.name}",)
    if layout.date_order is not None and data.date_order not in (None, layout.date_order):
        raise DataError(
            f"dates of {layout.label} are {layout.date_order}, and data.date_order says {data.date_order}",
            where=source.name,
            hint="leave out data.date_order",
        )
    return (
        TimeRules(
            zone=zone or own,
            zone_hint=layout.zone_hint,
            date_order=layout.date_order or data.date_order,
            order_given_by="data.date_order" if layout.date_order is None else layout.label,
        ),
        notes,
    )


NAMES = {"HistData M1 ASCII": "histdata_ascii", "Dukascopy CSV": "dukascopy"}
"""Formats that define a zone → their name in `data.format`."""


def _written_prices(head: Head, layout: Layout) -> list[str]:
    """Price cells of the first lines, as they are written."""
    places = [place for role, place in layout.columns.numbers.items() if in_prices(role)]
    rows = (head.cells(line) for line in range(layout.first_line - 1, len(head.lines)))
    return [row[place].strip() for row in rows for place in places if place < len(row)]


def _without_billionths(raw: RawBars, written: Sequence[str]) -> RawBars:
    """Databento's whole numbers of 1e-9 as prices; decimals as they are."""
    whole = [cell for cell in written if cell]
    if any("." in cell for cell in whole):
        return raw
    numbers = dict(raw.numbers)
    for role in filter(in_prices, raw.numbers):
        values_N = raw.numbers[role]
        numbers[role] = np.where(values_N >= NO_PRICE, np.nan, values_N / 1e9)
    origin = replace(raw.origin, details=(*raw.origin.details, "whole-number prices × 1e-9, as Databento writes them"))
    return replace(raw, numbers=numbers, origin=origin)


def _refuse_point_size(data: DataConfig, name: str) -> None:
    if data.point_size is not None:
        raise DataError(
            "data.point_size is set, and the file has no <SPREAD> in points",
            where=name,
            hint="leave out data.point_size: a column named spread is read in units of the price",
        )


def _read_parquet(content: Content, data: DataConfig, zone: Zone | None) -> RawBars:
    import pyarrow
    import pyarrow.parquet

    where = content.name
    if data.format not in ("auto", "table"):
        raise not_of_format(data.format, "it is a Parquet file", where)
    _refuse_point_size(data, where)
    try:
        with pyarrow.parquet.ParquetFile(content.path) as file:
            names = [str(name) for name in file.schema_arrow.names]
            columns = find_columns(one_level(names, where), where)
            places = [*columns.time, *columns.numbers.values(), *columns.same]
            check_fits(file.metadata.num_rows, len(places), "parquet", where)
            table = file.read(columns=[names[place] for place in places])
        frame = table.to_pandas(ignore_metadata=True)
    except pyarrow.ArrowException as error:
        raise DataError(
            f"this is not a Parquet file that can be read: {error}",
            where=where,
            hint="download it again, or save it again: a Parquet file that is cut short has lost its table of contents",
        ) from None
    labelled = frame.rename(columns=dict(zip([names[place] for place in places], places, strict=True)))
    rules = TimeRules(zone=zone, date_order=data.date_order)
    raw = _to_raw(labelled, columns, rules, Source(name=where), "Parquet")
    whole = all(labelled[place].dtype.kind in "iu" for role, place in columns.numbers.items() if in_prices(role))
    return looks_scaled(raw, whole) if data.price_scale is None else raw


def _to_raw(frame: pd.DataFrame, columns: Columns, rules: TimeRules, source: Source, label: str) -> RawBars:
    """Numbers and times of a frame whose columns are labelled by position."""
    if not len(frame):
        raise DataError("there are no bars", where=source.name, hint="is the download complete?")
    for place in columns.same:
        _check_same(frame[place], source)
    numbers = {role: _as_floats(frame[place], role, source) for role, place in columns.numbers.items()}
    stamps = to_utc(_time_column(frame, columns.time), rules, source)
    return RawBars(
        source=source,
        time_N=stamps.time_N,
        numbers=numbers,
        quoted=columns.quoted,
        notes=tuple(f"{source.name}: {note}" for note in columns.notes),
        origin=Origin(format=label, timezone=stamps.told_by),
    )


def _check_same(column: pd.Series[Any], source: Source) -> None:
    """Refuse bars of several instruments, or of several lengths, in one file."""
    row = first_true((column.notna() & (column != column.iloc[0])).to_numpy(dtype=np.bool_))
    if row is None:
        return
    raise DataError(
        f"the file holds bars of {shown(column.iloc[0])} and of {shown(column.iloc[row])}",
        where=source.at(row),
        hint="write one file for each instrument and timeframe; data.path may hold {instrument}",
    )


def _as_floats(column: pd.Series[Any], name: str, source: Source) -> Array:
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(
            f"{name} is of type {column.dtype}, not numbers",
            where=source.name,
            hint="convert the column to floats before saving",
        ) from None


def _time_column(frame: pd.DataFrame, places: tuple[int, ...]) -> pd.Series[Any]:
    """The timestamps; a date and a time are joined."""
    if len(places) == 1:
        return frame[places[0]]
    date, clock = (frame[place] for place in places)
    if date.dtype.kind == "M":
        date = date.dt.strftime("%Y-%m-%d")
    known = date.notna() & clock.notna()
    whole: pd.Series[Any] = (date.astype(str) + " " + clock.astype(str)).where(known)
    return whole
