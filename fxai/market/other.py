"""Bars of another file, for an agent that was trained on a config's own: read alike, walked whole, and told by prices.

Two files may hold one instrument under two names, so that only their closes tell whether its sealed test is in both.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fxai.config.data import DataConfig
from fxai.errors import DataError
from fxai.market.bars import Bars, read_bars
from fxai.market.clock import DAY_NS, day_start_ns, stamp, time_apart
from fxai.market.content import hash_bars
from fxai.market.data import Market, build_market, in_range, read_all
from fxai.market.features import LOOKBACK
from fxai.market.splits import WHOLE

MIN_COMMON = 50
"""Bars of a common time that two series must have to be compared."""

SAME_BP, SAME_SHARE = 5.0, 0.95
"""Two series are of one instrument where so many common closes differ by at most so much: by a broker's quotes."""


def own_bars(data: DataConfig) -> tuple[dict[str, Bars], str]:
    """The bars of a config as its trainings see them, all parts, and their `Market.data_hash`.

    Raises:
        DataError: they cannot be read.
    """
    bars = {name: in_range(name, each, data, "data") for name, each in read_all(data)[0].items()}
    return bars, hash_bars(bars, data)


def same_prices(one: Bars, other: Bars) -> bool | None:
    """Whether two series are of one instrument, by their closes at common times; None where too few are common."""
    _, row, other_row = np.intersect1d(one.time_N, other.time_N, assume_unique=True, return_indices=True)
    if len(row) < MIN_COMMON:
        return None
    apart_bp = np.abs(np.asarray(one.close_N)[row] / np.asarray(other.close_N)[other_row] - 1.0) * 1e4
    return bool((apart_bp <= SAME_BP).mean() >= SAME_SHARE)


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
    bars = _cut(_read(path, data), path, warmup_bars, first_day, last_day)
    return build_market({name: bars}, data, parts=(WHOLE,), min_bars=1, where=str(path))


def _read(path: Path, data: DataConfig) -> Bars:
    """The file's bars; a setting that is missing is given beside it, for the config tells of other files."""
    try:
        return read_bars(path, data)
    except DataError as error:
        hint = error.hint or ""
        if "data." in hint:
            hint += "; beside --bars write --set data.NAME=VALUE, for example --set data.timezone=UTC"
        raise DataError(error.what, where=error.where, hint=hint or None) from None


def _cut(bars: Bars, path: Path, warmup_bars: int, first_day: str | None, last_day: str | None) -> Bars:
    """The rows walked, and before them those that the features and the warm-up need."""
    before = LOOKBACK + warmup_bars - 1
    first = before if first_day is None else int(np.searchsorted(bars.time_N, day_start_ns(first_day)))
    stop = len(bars) if last_day is None else int(np.searchsorted(bars.time_N, day_start_ns(last_day) + DAY_NS))
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


def check_alike(market: Market, timeframe_s: float, feature_names: tuple[str, ...], where: str) -> None:
    """Refuse bars that the agent was not trained for.

    Raises:
        DataError: another timeframe than `timeframe_s`, or other features.
    """
    if not timeframe_s / 1.5 < market.timeframe_s < timeframe_s * 1.5:
        raise DataError(
            f"its bars are {time_apart(market.timeframe_s)} apart; the agent was trained on bars "
            f"{time_apart(timeframe_s)} apart",
            where=where,
            hint="resample the file to the agent's timeframe",
        )
    here, trained = market.parts[0].feature_names, feature_names
    missing, more = (", ".join(n for n in a if n not in b) for a, b in ((trained, here), (here, trained)))
    if missing or more:
        told = [f"{verb} {names}" for verb, names in (("lacks", missing), ("has also", more)) if names]
        raise DataError(
            f"the agent was trained with other features: this file {' and '.join(told)}",
            where=where,
            hint="give it the columns of the agent's own data: high and low for bar_range, bid and ask or a spread for "
            "spread, a volume that is not all 0 for volume",
        )
