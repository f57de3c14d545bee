"""Formats without a header, told by the shape of their first line: HistData, MetaTrader 4, Lean, Binance."""

from __future__ import annotations

import re

from fxai.errors import DataError
from fxai.market.reading.layout import OHLC, Head, Layout, bare

EST = "Etc/GMT+5"
"""HistData's zone: New York's winter time, all year."""

BROKER_HINT = (
    "MetaTrader writes its broker's server time: set data.timezone, for most brokers America/New_York+07:00 "
    "(UTC+2, in New York's summer UTC+3); ask yours"
)

HISTDATA_OR_BROKER_HINT = (
    f"HistData's files look the same: for one of those set data.format: histdata_mt. {BROKER_HINT}"
)

LEAN_HINT = "Lean does not write the zone: set data.timezone, UTC for its OANDA files, America/New_York for FXCM's"


def _shaped(cells: list[str], *shapes: str) -> bool:
    """Whether the first cells have these shapes, one for each."""
    return len(cells) >= len(shapes) and all(
        re.fullmatch(shape, cell.strip()) for shape, cell in zip(shapes, cells, strict=False)
    )


def histdata_ascii(head: Head) -> Layout | None:
    """`20120201 000000;1.306600;1.306600;1.306560;1.306560;0`, EST without daylight saving."""
    cells = head.cells(0)
    if _shaped(cells, r"\d{8} \d{9}") and len(cells) == 4:
        raise DataError(
            "these are HistData's ticks, not bars",
            where=f"{head.name}:1",
            hint="download the 1 minute bar quotes of the same month",
        )
    if head.delimiter != ";" or len(cells) != 6 or not _shaped(cells, r"\d{8} \d{6}"):
        return None
    numbers = {**{role: place for place, role in enumerate(OHLC, start=1)}, "volume": 5}
    return bare("HistData M1 ASCII", 6, (0,), numbers, zone=EST)


def metatrader4(head: Head) -> Layout | None:
    """`2012.02.01,00:00,1.306600,1.306600,1.306560,1.306560,0`, in a zone that the file does not tell."""
    cells = head.cells(0)
    if len(cells) != 7 or not _shaped(cells, r"\d{4}\.\d{2}\.\d{2}", r"\d{2}:\d{2}(:\d{2})?"):
        return None
    numbers = {**{role: place for place, role in enumerate(OHLC, start=2)}, "volume": 6}
    return bare("MetaTrader 4 CSV", 7, (0, 1), numbers, zone_hint=HISTDATA_OR_BROKER_HINT)


def histdata_mt(head: Head) -> Layout | None:
    """The same shape as MetaTrader 4's, EST without daylight saving; only where the config says so."""
    layout = metatrader4(head)
    if layout is None:
        return None
    return bare("HistData MT", 7, layout.columns.time, layout.columns.numbers, zone=EST)


def lean(head: Head) -> Layout | None:
    """`20140507 11:00,1.39255,1.3927,1.3922,1.3923,0,1.3927,1.3929,1.3924,1.3925,0`: bid, size, ask, size."""
    cells = head.cells(0)
    if len(cells) != 11:
        return None
    if _shaped(cells, r"\d{1,8}", r"[\d.]*", r"[\d.]*"):
        raise DataError(
            "these are Lean's bars of one day, whose date stands in the name of the file only",
            where=f"{head.name}:1",
            hint="take hourly or daily bars, or write the bars of all days to one CSV with whole timestamps",
        )
    if not _shaped(cells, r"\d{8} \d{2}:\d{2}(:\d{2})?"):
        return None
    bids = {f"bid_{role}": place for place, role in enumerate(OHLC, start=1)}
    asks = {f"ask_{role}": place for place, role in enumerate(OHLC, start=6)}
    return bare("Lean quote bars", 11, (0,), {**bids, **asks}, zone_hint=LEAN_HINT)


def binance(head: Head) -> Layout | None:
    """Klines, 12 columns: `1609459200000,28923.63,28961.66,28913.12,28961.66,27.45,1609459259999,…`, with or
    without a header; milliseconds, microseconds since 2025."""
    names = [re.sub(r"[\s_]", "", name).lower() for name in head.names]
    header = len(names) == 12 and names[:6] == ["opentime", *OHLC, "volume"]
    first = head.cells(1 if header else 0)
    if len(first) != 12 or not _shaped(first, *[r"\d{13}|\d{16}", *[r"[\d.]+"] * 5, r"\d{13}|\d{16}"]):
        return None
    numbers = {**{role: place for place, role in enumerate(OHLC, start=1)}, "volume": 5}
    layout = bare("Binance klines", 12, (0,), numbers)
    if not header:
        return layout
    return Layout(label=layout.label, columns=layout.columns, names=tuple(head.names), first_line=2)
