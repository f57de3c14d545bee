"""Markets with a known best answer, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fxai.config.data import DataConfig, SplitConfig
from fxai.market.bars import bars_from_frame
from fxai.market.data import Market, build_market
from fxai.market.reading.zones import find_zone


def ar1_bars(
    n: int,
    phi: float,
    sigma: float = 1e-3,
    seed: int = 0,
    *,
    start: str = "2000-01-03",
    timeframe_s: int = 3600,
    start_price: float = 1.0,
) -> pd.DataFrame:
    """Bars whose log returns follow r_t = φ r_{t−1} + ε_t, stationary from the first bar.

    The best forecast of the next return is φ r_t. Without costs, holding sign(φ r_t) earns
    |φ| E|r| = |φ| σ √(2/π) of log return a bar, and no position within ±1 earns more.

    Args:
        n: bars.
        phi: autocorrelation of returns, within (−1, 1).
        sigma: standard deviation of one bar's log return (not of ε).
        seed: of the draws.
        start: time of the first bar, UTC.
        timeframe_s: seconds from bar to bar, without gaps.
        start_price: the first open.

    Returns:
        Columns open, high, low, close, indexed by UTC time. Each open is the close before it, so that a
        fill at the next open is a fill at the price of the decision.
    """
    if not -1.0 < phi < 1.0:
        raise ValueError(f"phi must lie within (-1, 1), got {phi}")
    shock_N = np.random.default_rng(seed).normal(0.0, sigma * np.sqrt(1.0 - phi**2), n)
    shock_N[:1] /= np.sqrt(1.0 - phi**2)  # the first return has the stationary variance
    return_N = shock_N
    lag = 1
    while lag < n and abs(phi) ** lag > 1e-18:  # sums of 2, 4, 8 … terms of Σ φ^k ε_{t−k}
        return_N = return_N + phi**lag * np.concatenate([np.zeros(lag), return_N[:-lag]])
        lag *= 2
    close_N = start_price * np.exp(np.cumsum(return_N))
    open_N = np.concatenate([[start_price], close_N[:-1]])[:n]
    time = pd.date_range(start, periods=n, freq=pd.Timedelta(seconds=timeframe_s), tz="UTC", name="time")
    high_N, low_N = np.maximum(open_N, close_N), np.minimum(open_N, close_N)
    bars: pd.DataFrame = pd.DataFrame({"open": open_N, "high": high_N, "low": low_N, "close": close_N}, index=time)
    return bars


def white_noise_bars(n: int, sigma: float = 1e-3, seed: int = 0, *, timeframe_s: int = 3600) -> pd.DataFrame:
    """Bars of a random walk: nothing predicts the next return, and with costs the best is to stay flat."""
    return ar1_bars(n, 0.0, sigma, seed, timeframe_s=timeframe_s)


def market_from_bars(
    bars: Mapping[str, pd.DataFrame],
    *,
    split: SplitConfig | None = None,
    parts: tuple[str, ...] = ("train", "validation"),
    min_bars: int = 0,
    start: str | None = None,
    end: str | None = None,
    timezone: str = "UTC",
) -> Market:
    """A market of data frames, through the same checks, features and cuts as files.

    Args:
        bars: instrument → frame with columns named as in files, and its time in the index or a column.
        split: shares of validation and test, and the purge; the config's defaults when None.
        parts: as in `load_market`.
        min_bars: as in `load_market`.
        start: first day used.
        end: last day used.
        timezone: zone of times that carry no offset.

    Raises:
        DataError: as `load_market`.
    """
    data = DataConfig(
        source="file",
        path="{instrument}",
        instruments=tuple(bars),
        timezone=timezone,
        start=start,
        end=end,
        split=split or SplitConfig(),
    )
    zone = find_zone(timezone, "timezone")
    read = {name: bars_from_frame(frame, zone=zone, name=name) for name, frame in bars.items()}
    return build_market(read, data, parts=parts, min_bars=min_bars)
