"""Small market parts for tests, whose prices and features are easy to tell apart by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fxai.market.data import MarketPart

HOUR = 3_600 * 1_000_000_000


def make_part(
    lengths: Sequence[int],
    *,
    seed: int = 0,
    volatility: float = 0.01,
    has_open: bool = True,
    own_spreads: bool = False,
) -> MarketPart:
    """Random hourly bars of some instruments with 49 hours at each weekend; features are [row, noise, noise]."""
    rng = np.random.default_rng(seed)
    n = sum(lengths)
    gap, move = np.exp(rng.normal(0, volatility / 3, n)), np.exp(rng.normal(0, volatility, n))
    close = np.concatenate([np.cumprod(part) for part in np.split(gap * move, np.cumsum(lengths)[:-1])])
    hours = [np.cumsum(np.where(np.arange(length) % 120 == 119, 49, 1)) for length in lengths]
    features = np.column_stack([np.arange(n), rng.normal(size=(n, 2))]).astype(np.float32)
    return MarketPart(
        name="train",
        instruments=tuple(f"PAIR{i}" for i in range(len(lengths))),
        offsets_I=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        time_N=np.concatenate(hours).astype(np.int64) * HOUR,
        open_N=close / move if has_open else None,
        close_N=close,
        spread_open_bp_N=rng.gamma(1.0, 4.0, n) if own_spreads and has_open else None,
        spread_close_bp_N=rng.gamma(1.0, 4.0, n) if own_spreads else None,
        features_NF=features,
        feature_names=("row", "noise_a", "noise_b"),
    )
