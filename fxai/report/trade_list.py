"""The list of trades as CSV, for spreadsheets and other backtests.

Times are the stamps of the bars in UTC, prices are mid prices, money is in the quote currency, gain, mfe and mae are
fractions of the equity at entry.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from fxai.evaluate.trades import REASONS, Trades
from fxai.files import write_text_atomic
from fxai.report.text import clean

HEADER = (
    "instrument",
    "side",
    "entry_time",
    "exit_time",
    "entry_price",
    "exit_price",
    "max_units",
    "bars_held",
    "gain",
    "pnl",
    "mfe",
    "mae",
    "costs",
    "exit_reason",
)

_FORMULA = "=+-@＝＋－＠"
"""What a spreadsheet takes for the begin of a formula, in full width too."""


def write_trades(path: Path, instruments: tuple[str, ...], trades: list[Trades]) -> None:
    """Replace `path` by all trades, instrument by instrument, each in order of entry.

    Raises:
        InputError, StorageError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for name, each in zip(instruments, trades, strict=True):
        columns = (
            ["long" if side > 0 else "short" for side in each.side_K],
            _stamps(each.entry_time_K),
            _stamps(each.exit_time_K),
            *(_numbers(values) for values in (each.entry_price_K, each.exit_price_K, each.max_units_K)),
            [str(bars) for bars in each.bars_K],
            *(_numbers(values) for values in (each.gain_K, each.pnl_K, each.mfe_K, each.mae_K, each.costs_K)),
            [REASONS[reason] for reason in each.reason_K],
        )
        writer.writerows([safe(name), *row] for row in zip(*columns, strict=True))
    write_text_atomic(path, text.getvalue())


def safe(text: str) -> str:
    """A text that a spreadsheet shows and never computes: an apostrophe stands before what looks like a formula."""
    text = clean(text)
    return f"'{text}" if text.lstrip()[:1] in tuple(_FORMULA) else text


def _numbers(values: np.ndarray) -> list[str]:
    return [repr(float(value)) for value in values]


def _stamps(times_ns: np.ndarray) -> list[str]:
    """ISO 8601 in UTC, with as many digits as the stamp has."""
    whole = bool((times_ns % 10**9 == 0).all())
    texts = np.datetime_as_string(times_ns.astype("datetime64[ns]"), unit="s" if whole else "ns")
    return [f"{text}Z" for text in texts]
