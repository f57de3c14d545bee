"""Bars of another file, for an agent that was trained on a config's own: read alike, walked whole, and placed in time.

The config's own bars are train | purge | validation | purge | sealed test; another file of the same time may hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fxai.config.data import DataConfig
from fxai.errors import DataError
from fxai.market.bars import Bars, read_bars
from fxai.market.checks import SECOND_NS, duration, stamp
from fxai.market.data import Market, build_market, feature_set, in_range, read_all
from fxai.market.features import LOOKBACK, timeframe_s
from fxai.market.splits import WHOLE, cut_times

DAY_NS = 86_400 * SECOND_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """When a config's own bars lie, UTC nanoseconds, and what they look like."""

    first_ns: int
    validation_ns: int
    test_ns: int
    last_ns: int
    timeframe_s: float
    feature_names: tuple[str, ...]

    def count(self, time_N: NDArray[np.int64]) -> dict[str, int]:
        """How many bars lie in the time of each part, before the first of all, and after the last."""
        cuts = [self.first_ns, self.validation_ns, self.test_ns, self.last_ns + 1]
        borders = np.concatenate([[0], np.searchsorted(time_N, cuts), [len(time_N)]])
        names = ("before", "train", "validation", "test", "after")
        return dict(zip(names, np.diff(borders).tolist(), strict=True))


def look_at_own(data: DataConfig) -> Own:
    """Time, timeframe and features of a config's own bars, which are read for it and dropped.

    Raises:
        DataError: they cannot be read.
    """
    bars = {name: in_range(name, each, data, "data") for name, each in read_all(data)[0].items()}
    first_ns = min(int(each.time_N[0]) for each in bars.values())
    last_ns = max(int(each.time_N[-1]) for each in bars.values())
    cuts = cut_times(first_ns, last_ns, data.split)
    apart = float(np.median([timeframe_s(each.time_N) for each in bars.values()]))
    return Own(
        first_ns=first_ns,
        validation_ns=cuts.validation_ns,
        test_ns=cuts.test_ns,
        last_ns=last_ns,
        timeframe_s=apart,
        feature_names=feature_set(bars, apart).names,
    )


def load_other(
    path: Path, data: DataConfig, *, name: str, warmup_bars: int, first_day: str | None, last_day: str | None
) -> Market:
    """A market whose only part is `whole`: a file's bars from the warm-up before the first decision on.

    Args:
        path: the file.
        data: how it is read; its path, instruments, start, end and split do not count.
        name: what the file holds.
        warmup_bars: bars up to and including the one of the first decision.
        first_day: the first decision is at its first bar, `YYYY-MM-DD`; the bars before it are warm-up. None: as early
            as the warm-up allows.
        last_day: the last day walked.

    Raises:
        DataError: the file cannot be used, or is too short.
    """
    settings = {"source": "file", "path": str(path), "instruments": (name,), "start": None, "end": None}
    data = data.model_copy(update=settings)
    bars = _cut(read_bars(path, data), path, warmup_bars, first_day, last_day)
    return build_market({name: bars}, data, parts=(WHOLE,), min_bars=1, where=str(path))


def _cut(bars: Bars, path: Path, warmup_bars: int, first_day: str | None, last_day: str | None) -> Bars:
    """The rows walked, and before them those that the features and the warm-up need."""
    before = LOOKBACK + warmup_bars - 1
    first = before if first_day is None else int(np.searchsorted(bars.time_N, _day_ns(first_day)))
    stop = len(bars) if last_day is None else int(np.searchsorted(bars.time_N, _day_ns(last_day) + DAY_NS))
    if first < before:
        raise DataError(
            f"there are {first:,} bars before {first_day}, and the features and the agent's warm-up need {before:,}",
            where=str(path),
            hint="start later with --from, or use a file that begins earlier",
        )
    if stop - first < 2:
        raise DataError(
            f"of {len(bars):,} bars {max(stop - first, 0):,} are left to walk, after {before:,} for the features and "
            "the warm-up; at least 2 are needed",
            where=str(path),
            hint=f"the bars are from {stamp(int(bars.time_N[0]))} to {stamp(int(bars.time_N[-1]))}",
        )
    return bars.rows(first - before, stop)


def _day_ns(day: str) -> int:
    """First moment of a day, UTC."""
    return int(np.datetime64(day, "D").astype("datetime64[ns]").astype(np.int64))


def check_alike(other: Market, own: Own, path: Path) -> None:
    """Refuse bars that the agent was not trained for.

    Raises:
        DataError: another timeframe, or other features.
    """
    if not own.timeframe_s / 1.5 < other.timeframe_s < own.timeframe_s * 1.5:
        raise DataError(
            f"its bars are {duration(other.timeframe_s)} apart; the agent was trained on bars "
            f"{duration(own.timeframe_s)} apart",
            where=str(path),
            hint="resample the file to the agent's timeframe",
        )
    here, trained = other.parts[0].feature_names, own.feature_names
    missing, more = (", ".join(n for n in a if n not in b) for a, b in ((trained, here), (here, trained)))
    if missing or more:
        told = [f"{verb} {names}" for verb, names in (("lacks", missing), ("has also", more)) if names]
        raise DataError(
            f"the agent was trained with other features: this file {' and '.join(told)}",
            where=str(path),
            hint="give it the columns of the agent's own data: high and low for bar_range, bid and ask or a spread for "
            "spread, a volume that is not all 0 for volume",
        )
