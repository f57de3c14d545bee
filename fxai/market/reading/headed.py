"""Formats whose header tells them: Dukascopy, MetaTrader 5, yfinance, Databento, and plain tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fxai.errors import DataError
from fxai.market.reading.columns import find_columns
from fxai.market.reading.headless import BROKER_HINT
from fxai.market.reading.layout import Head, Layout, numeric
from fxai.market.reading.raw import shown
from fxai.market.reading.times import ASK_ZONE_HINT

NAMED_HINT = (
    "the column is named {}, and such letters are no zone for sure: set data.timezone to the one that is meant; "
    "EET with Europe's summer time is Europe/Athens, without it Etc/GMT-2"
)

DUKASCOPY_TIME = r"\s*\d{2}\.\d{2}\.\d{4} \d{2}:\d{2}:\d{2}(?:\.\d+)?( GMT[+-]\d{4})?\s*"

TIME_OF_ZONE = re.compile(r"time \((\w+)\)", re.IGNORECASE)
"""JForex's first column: `Time (UTC)`, `Time (EET)`."""

TWO_LEVELS = re.compile(r"""\(['"]([^'"]*)['"], ['"]([^'"]*)['"]\)""")

ALONE = 'download each alone: yf.download("EURUSD=X")'

LOCAL_HINT = (
    "the column is in the local time of who downloaded it: set data.timezone to that zone, "
    "or download again with GMT chosen"
)


def dukascopy(head: Head) -> Layout | None:
    """`Gmt time,Open,High,Low,Close,Volume` or `Local time,…`; `01.02.2012 00:00:00.000`, maybe ` GMT+0100`."""
    first = head.names[0].lower() if head.names else ""
    row = head.cells(1)
    if first not in ("gmt time", "local time") or not row or not re.fullmatch(DUKASCOPY_TIME, row[0]):
        return None
    if {"ask", "bid"} <= {name.lower() for name in head.names}:
        raise DataError("these are Dukascopy's ticks, not bars", where=f"{head.name}:1", hint="download candlesticks")
    return Layout(
        label="Dukascopy CSV",
        columns=find_columns(["time", *head.names[1:]], head.name),
        names=tuple(head.names),
        first_line=2,
        zone="UTC" if first == "gmt time" else None,
        zone_hint=LOCAL_HINT,
        date_order="day_first",
    )


def metatrader5(head: Head) -> Layout | None:
    """`<DATE>\\t<TIME>\\t<OPEN>\\t<HIGH>\\t<LOW>\\t<CLOSE>\\t<TICKVOL>\\t<VOL>\\t<SPREAD>`, server time."""
    names = head.names
    if not names or not all(re.fullmatch(r"<\w+>", name) for name in names if name) or "<DATE>" not in names:
        return None
    if "<BID>" in names and "<CLOSE>" not in names:
        raise DataError(
            "these are MetaTrader's ticks, not bars", where=f"{head.name}:1", hint="export the tab Bars, not Ticks"
        )
    return Layout(
        label="MetaTrader 5 export",
        columns=find_columns(names, head.name),
        names=tuple(names),
        first_line=2,
        zone_hint=BROKER_HINT,
        points="<SPREAD>" in names,
    )


def yfinance(head: Head) -> Layout | None:
    """`Date,Open,High,Low,Close,Adj Close,Volume`, or three lines of header: Price, Ticker, Date."""
    corner = head.names[0] if head.names else ""
    if corner in ("Price", "Ticker"):
        return _three_lines(head)
    if corner not in ("Date", "Datetime") or not {"Adj Close", "Stock Splits"} & set(head.names):
        return None
    return Layout(
        label="yfinance CSV", columns=find_columns(head.names, head.name), names=tuple(head.names), first_line=2
    )


def _three_lines(head: Head) -> Layout | None:
    """Names of the prices and of the ticker in either order, then the name of the index alone."""
    lines = {cells[0].strip(): cells[1:] for cells in (head.cells(0), head.cells(1)) if cells}
    index = head.cells(2)
    if lines.keys() != {"Price", "Ticker"} or not index or any(cell.strip() for cell in index[1:]):
        return None
    tickers = list(dict.fromkeys(cell.strip() for cell in lines["Ticker"]))
    if len(tickers) != 1:
        raise several(tickers, head.name, ALONE)
    names = [index[0].strip(), *(cell.strip() for cell in lines["Price"])]
    return Layout(
        label=f"yfinance CSV of {shown(tickers[0])[1:-1]}",
        columns=find_columns(names, head.name),
        names=tuple(names),
        first_line=4,
    )


def one_level(names: Sequence[str], where: str) -> list[str]:
    """Names of a Parquet file, of which yfinance's hold a price and a ticker each: `('Close', 'EURUSD=X')`.

    Raises:
        DataError: there are several tickers.
    """
    pairs = [TWO_LEVELS.fullmatch(name) for name in names]
    tickers = list(dict.fromkeys(pair[2] for pair in pairs if pair is not None and pair[2]))
    if len(tickers) > 1:
        raise several(tickers, where, ALONE)
    return [name if pair is None else pair[1] for name, pair in zip(names, pairs, strict=True)]


def several(names: list[str], where: str, hint: str) -> DataError:
    """The error of a file that holds more than one instrument."""
    some = ", ".join(shown(name)[1:-1] for name in names[:5]) + (", …" if len(names) > 5 else "")
    return DataError(f"the file holds {len(names)} instruments: {some}", where=where, hint=hint)


def databento(head: Head) -> Layout | None:
    """`ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol`; prices in 1e-9 or decimals."""
    if not {"ts_event", "open", "high", "low", "close"} <= set(head.names):
        return None
    return Layout(
        label="Databento OHLCV",
        columns=find_columns(head.names, head.name),
        names=tuple(head.names),
        first_line=2,
        billionths=True,
    )


def table(head: Head) -> Layout | None:
    """Any header that names a time and a close.

    Raises:
        DataError: there is no header, or the names are not those of bars.
    """
    if numeric(head.cells(0)):
        raise DataError(
            f"the first line holds numbers: {shown(head.lines[0])}",
            where=f"{head.name}:1",
            hint="this is none of the formats without a header (docs/data.md): add a first line that names the "
            "columns, such as time,open,high,low,close",
        )
    names = head.names
    named = TIME_OF_ZONE.fullmatch(names[0])
    zone = named[1].upper() if named is not None else ""
    first = "time" if named is not None else names[0]
    return Layout(
        label="CSV with named columns",
        columns=find_columns([first, *names[1:]], head.name),
        names=tuple(names),
        first_line=2,
        zone="UTC" if first.lower() in ("gmt time", "utc time") or zone in ("UTC", "GMT") else None,
        zone_hint=NAMED_HINT.format(shown(names[0])) if zone else ASK_ZONE_HINT,
    )
