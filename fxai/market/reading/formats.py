"""Which format a text file has: told by its content, or by `data.format`."""

from __future__ import annotations

from collections.abc import Callable

from fxai.errors import DataError
from fxai.market.reading import headed, headless
from fxai.market.reading.layout import Head, Layout
from fxai.market.reading.raw import shown

Look = Callable[[Head], Layout | None]

AUTO: tuple[Look, ...] = (
    headless.histdata_ascii,
    headless.metatrader4,
    headless.lean,
    headless.binance,
    headed.dukascopy,
    headed.metatrader5,
    headed.yfinance,
    headed.databento,
    headed.table,
)
"""In the order in which they are tried; the last one takes every header or says what is missing."""

BY_NAME: dict[str, tuple[Look, ...]] = {
    "histdata_ascii": (headless.histdata_ascii,),
    "histdata_mt": (headless.histdata_mt,),
    "dukascopy": (headed.dukascopy,),
    "metatrader": (headed.metatrader5, headless.metatrader4),
    "lean": (headless.lean,),
    "yfinance": (headed.yfinance,),
    "databento": (headed.databento,),
    "binance": (headless.binance,),
    "table": (headed.table,),
}
"""What `data.format` names."""

OTHER_HINT = "leave out data.format to let the content tell; docs/data.md shows a line of each format"


def find_layout(head: Head, named: str) -> Layout:
    """The layout of a text file.

    Raises:
        DataError: the file is not of the format `named`, or of none that is known.
    """
    for look in AUTO if named == "auto" else BY_NAME.get(named, ()):
        if (layout := look(head)) is not None:
            return layout
    raise not_of_format(named, shown(head.lines[0]), f"{head.name}:1")


def not_of_format(named: str, what: str, where: str) -> DataError:
    """The error of a file that is not what `data.format` says."""
    return DataError(f"this is not what data.format: {named} says: {what}", where=where, hint=OTHER_HINT)
