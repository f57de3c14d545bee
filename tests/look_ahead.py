"""The look-ahead probe: does anything at or before bar t depend on a bar after t?

A feature that is not causal makes any backtest a fraud, and nothing else in a result shows it. The probe changes every
column of the bars after t, in many ways, and compares what was made of the bars up to t. It knows nothing of how that
is made, so it can be held against features, against a market or against the tape of a policy alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from fxai.market.bars import Bars

Made = Callable[[Bars], np.ndarray]
"""What is made of bars: rows [N − k, …], the last of which belongs to the last bar."""


def look_ahead(made: Made, bars: Bars, moments: list[int], seed: int = 0) -> tuple[int, int] | None:
    """The first moment t at which changing later bars changes something earlier, and the row of the bar where it did.

    Args:
        made: of any bars.
        bars: to start from.
        moments: the rows t after which bars are changed, each in all ways of `futures`.
        seed: of the changes.
    """
    before = made(bars)
    offset = len(bars) - len(before)
    for t in moments:
        for future in futures(bars, t, seed):
            known = max(t + 1 - offset, 0)
            after = made(future)
            kept = len(future) - len(after)
            assert kept == offset, "what is made must not depend on how long the future is"
            changed = np.flatnonzero(
                [not np.array_equal(a, b, equal_nan=True) for a, b in zip(before[:known], after[:known], strict=True)]
            )
            if len(changed):
                return t, int(changed[0]) + offset
    return None


def futures(bars: Bars, t: int, seed: int) -> Iterator[Bars]:
    """Bars that are the same up to row t: other prices, a crash, other times, other volumes and spreads, no future."""
    rng = np.random.default_rng((seed, t))
    after = slice(t + 1, None)
    many = len(bars) - t - 1
    yield _changed(bars, ("open", "high", "low", "close"), after, np.exp(rng.normal(0.0, 0.01, many)))
    yield _changed(bars, ("open", "high", "low", "close"), after, np.full(many, 0.5))
    yield _changed(bars, ("volume", "spread_open_bp", "spread_close_bp"), after, rng.exponential(5.0, many))
    time_N = bars.time_N.copy()
    time_N[after] += 86_400 * 10**9
    yield replace(bars, time_N=time_N)
    yield bars.rows(0, t + 1)


def _changed(bars: Bars, columns: tuple[str, ...], after: slice, factor: np.ndarray) -> Bars:
    changed = {}
    for name, values_N in bars.arrays().items():
        if name in columns:
            changed[f"{name}_N"] = values_N.copy()
            changed[f"{name}_N"][after] *= factor
    return replace(bars, **changed)
