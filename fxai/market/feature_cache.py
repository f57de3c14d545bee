"""Features that were computed before are read (`fxai.market.cache`); the same numbers either way, bit for bit."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from fxai.market import cache
from fxai.market.bars import Bars
from fxai.market.features import BOUND, LOOKBACK, FeatureSet, compute_features

WORTH_BARS = 100_000
"""Features of fewer bars take less than a twentieth of a second."""


def cached_features(bars: Bars, which: FeatureSet, bar_s: float) -> NDArray[np.float32]:
    """`compute_features`, or what it returned before for the same bars."""
    if len(bars) < WORTH_BARS or cache.folder() is None:
        return compute_features(bars, which, bar_s)
    seen = {name: v for name, v in bars.arrays().items() if name not in ("open", "spread_open_bp")}
    name = cache.entry_name("features", {**asdict(which), "bar_s": bar_s}, {"time": bars.time_N, **seen})
    if name is None:
        return compute_features(bars, which, bar_s)
    shape = (len(bars) - LOOKBACK, len(which.names))
    if (entry := cache.load(name)) is not None:
        known_NF = entry.arrays.get("features")
        if known_NF is not None and known_NF.shape == shape and known_NF.dtype == np.float32 and _bounded(known_NF):
            return known_NF
    features_NF = compute_features(bars, which, bar_s)
    cache.store(name, cache.Entry(arrays={"features": features_NF}))
    return features_NF


def _bounded(features_NF: NDArray[np.float32]) -> bool:
    """NaN fails every comparison, so it is not bounded either."""
    return bool(features_NF.min() >= -BOUND and features_NF.max() <= BOUND)
