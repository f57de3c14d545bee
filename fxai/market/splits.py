"""Time cut into train | purge | validation | purge | test, at the same moments for all instruments.

Shares are of the time from the first bar of any instrument to the last. `purge_bars` are dropped from the end
of train and from the end of validation, so that no window of bars straddles a cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fxai.config.data import SplitConfig

WHOLE = "whole"
"""All bars, uncut: of a file that is no part of a study (`fxai.market.other`)."""

PART_NAMES = ("train", "validation", "test", WHOLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """UTC nanoseconds at which validation and test begin."""

    validation_ns: int
    test_ns: int


def cut_times(first_ns: int, last_ns: int, split: SplitConfig) -> Cuts:
    """The two cuts of a time range."""
    span_ns = last_ns - first_ns
    return Cuts(
        validation_ns=first_ns + round(span_ns * (1.0 - split.validation - split.test)),
        test_ns=first_ns + round(span_ns * (1.0 - split.test)),
    )


def part_rows(time_N: NDArray[np.int64], cuts: Cuts, *, purge_bars: int, lookback: int) -> dict[str, tuple[int, int]]:
    """Rows start … stop − 1 of each part of one instrument; stop = start where nothing is left.

    Args:
        time_N: ascending times of the instrument's bars.
        cuts: where validation and test begin.
        purge_bars: bars dropped before each cut.
        lookback: first bars of the series that belong to no part, for they have no features.
    """
    validation, test = (int(row) for row in np.searchsorted(time_N, [cuts.validation_ns, cuts.test_ns]))
    ranges = {
        "train": (0, validation - purge_bars),
        "validation": (validation, test - purge_bars),
        "test": (test, len(time_N)),
    }
    return {name: (max(start, lookback), max(stop, start, lookback)) for name, (start, stop) in ranges.items()}
