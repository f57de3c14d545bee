"""The equity of one agent over its evaluation episodes, small enough to be kept with every trial.

Axes: E episodes, T steps, R rows kept, I instruments.  Equity is what one unit of capital has become.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxai.arrays import Array
from fxai.evaluate.metrics import Paths

MAX_ROWS = 257
"""Bars kept of longer episodes, evenly spread, the first and the last included."""

LOW, HIGH = 0.1, 0.9
"""Quantiles over the episodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityCurve:
    """Mean equity over episodes, by bars since an episode's begin."""

    bar_R: NDArray[np.int64]
    """0 is the begin, where all equity is 1."""
    mean_R: Array
    low_R: Array
    """A tenth of the episodes lie lower."""
    high_R: Array
    instruments: dict[str, Array]
    """Mean over each instrument's own episodes; empty where there is one instrument."""


def equity_curve(members: Sequence[Paths], instruments: Mapping[str, NDArray[np.int64]] | None = None) -> EquityCurve:
    """The curve of what several members did over the same episodes, all alike.

    Args:
        members: at least one, each with E episodes of T steps.
        instruments: name → indices of its episodes.
    """
    steps = members[0].equity_ET.shape[1] - 1
    bar_R = np.unique(np.linspace(0, steps, min(steps + 1, MAX_ROWS)).round().astype(np.int64))
    equity_MER = np.stack([paths.equity_ET[:, bar_R] / paths.equity_ET[:, :1] for paths in members])
    sorted_NR = np.sort(equity_MER.reshape(-1, len(bar_R)), axis=0)
    told = instruments if instruments is not None and len(instruments) > 1 else {}
    return EquityCurve(
        bar_R=bar_R,
        mean_R=equity_MER.mean(axis=(0, 1)),
        low_R=_quantile(sorted_NR, LOW),
        high_R=_quantile(sorted_NR, HIGH),
        instruments={name: equity_MER[:, own_E].mean(axis=(0, 1)) for name, own_E in told.items() if len(own_E)},
    )


def _quantile(sorted_NR: Array, share: float) -> Array:
    """As numpy's, in a tenth of its time: an evaluation is to cost nothing beside the training."""
    at = share * (len(sorted_NR) - 1)
    below = int(at)
    above = min(below + 1, len(sorted_NR) - 1)
    return np.asarray(sorted_NR[below] + (at - below) * (sorted_NR[above] - sorted_NR[below]))
