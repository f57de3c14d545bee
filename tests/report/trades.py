"""Trades for tests of what is shown of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fxai.evaluate.trades import Trades

DAY_NS = 86_400 * 10**9


def some_trades(count: int, **columns: Any) -> Trades:
    """Long trades of a day that gain nothing, but for the columns given."""
    entry = np.arange(count, dtype=np.int64) * DAY_NS
    plain: dict[str, Any] = {
        "side_K": np.ones(count, np.int64),
        "entry_time_K": entry,
        "exit_time_K": entry + DAY_NS,
        "entry_price_K": np.ones(count),
        "exit_price_K": np.ones(count),
        "max_units_K": np.ones(count),
        "bars_K": np.ones(count, np.int64),
        "gain_K": np.zeros(count),
        "pnl_K": np.zeros(count),
        "mfe_K": np.zeros(count),
        "mae_K": np.zeros(count),
        "costs_K": np.zeros(count),
        "reason_K": np.zeros(count, np.int64),
    }
    return Trades(**{**plain, **{name: np.asarray(values) for name, values in columns.items()}})
