"""The market that agents trade in: bars, features and fill prices, cut into parts.

N bars of all instruments of a part, laid end to end; I instruments, F features.  Times are UTC nanoseconds,
spreads are basis points of the mid price.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fxai.arrays import Array
from fxai.config.data import DataConfig, SplitConfig
from fxai.errors import DataError
from fxai.market import ecb
from fxai.market.bars import Bars, read_bars
from fxai.market.clock import DAY_NS, bars_per_year, day_start_ns, stamp, time_apart
from fxai.market.content import contents, digest_of, join
from fxai.market.feature_cache import cached_features
from fxai.market.features import LOOKBACK, FeatureSet, compute_features, timeframe_s
from fxai.market.notes import market_notes, no_volume
from fxai.market.splits import PART_NAMES, WHOLE, Cuts, cut_times, part_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPart:
    """One time range of all instruments."""

    name: str
    """`train`, `validation`, `test` or `whole`."""

    instruments: tuple[str, ...]

    offsets_I: NDArray[np.int64]
    """[I + 1]; instrument i has rows offsets[i] … offsets[i + 1] − 1."""

    time_N: NDArray[np.int64]
    """The source's stamp of each bar, at whose close the agent decides."""

    open_N: Array | None
    """None where the source has one price per bar."""

    close_N: Array

    spread_open_bp_N: Array | None
    """Real spread at the open, None where the source does not tell."""

    spread_close_bp_N: Array | None
    """Real spread at the close, None where the source does not tell."""

    features_NF: NDArray[np.float32]
    """Known at the bar's close; finite and bounded (`fxai.market.features`)."""

    feature_names: tuple[str, ...]

    bars_per_year_I: tuple[float, ...] = ()
    """Of each instrument over its whole range, to annualise it alone; calendars may differ. () where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The parts that were asked for; the others are None and not in memory."""

    train: MarketPart | None
    validation: MarketPart | None
    test: MarketPart | None
    whole: MarketPart | None
    """All bars, of a file that is no part of a study (`fxai.market.other`)."""

    bars_per_year: float
    """Bars of one instrument in a year, the mean over instruments and the whole range; for annualising what is pooled.
    An approximation where calendars differ: instruments may not have equal shares in what is pooled."""

    data_hash: str
    """SHA-256 of the settings and of all bars of the range, test included, whichever parts are loaded."""

    contents: dict[str, str]
    """Instrument → what its bars are, in a line (`fxai.market.content`), whichever parts are loaded."""

    spans: dict[str, dict[str, tuple[int, int]]]
    """Instrument → train, validation, test → times of its first and last bar, whichever parts are loaded; a part
    without bars is left out."""

    derived: tuple[str, ...]
    """Instruments whose rate is a cross of two quoted rates."""

    timeframe_s: float
    """Usual seconds from bar to bar."""

    notes: tuple[str, ...]
    """What a person should know of the data, one line each: ranges, gaps, jumps, columns not read."""

    @property
    def parts(self) -> tuple[MarketPart, ...]:
        """The parts that are loaded, in order of time."""
        return tuple(part for part in (self.train, self.validation, self.test, self.whole) if part is not None)

    @property
    def has_open(self) -> bool:
        """Whether orders can be filled at the next open; without opens `env.execution` must be next_close."""
        return all(part.open_N is not None for part in self.parts)

    def check_execution(self, execution: str) -> None:
        """Refuse `next_open` where bars have no open.

        Raises:
            DataError: naming the remedy.
        """
        if execution == "next_open" and not self.has_open:
            raise DataError(
                "next_open needs bars with an open, and these have one price each",
                where="env.execution",
                hint="write next_close, or use data with an open column",
            )


def load_market(
    data: DataConfig,
    *,
    parts: tuple[str, ...] = ("train", "validation"),
    min_bars: int = 0,
    where: str = "data",
) -> Market:
    """Read, check and cut the bars of a config.

    Args:
        data: source, instruments, range and split.
        parts: what to load. Unless test is among them, its bars are dropped before features are computed.
        min_bars: bars that each part needs of each instrument: window + episode.
        where: name of the data section in errors about settings.

    Raises:
        DataError: bars that are missing, wrong (file, first row, remedy) or too few.
    """
    bars, derived = read_all(data, where=where)
    return build_market(bars, data, parts=parts, min_bars=min_bars, where=where, derived=derived)


def read_all(data: DataConfig, *, where: str = "data") -> tuple[dict[str, Bars], tuple[str, ...]]:
    """All bars of a config's instruments, and those instruments that are crosses of two quoted rates.

    Raises:
        DataError: as `load_market`.
    """
    if data.source == "ecb":
        return ecb.read_pairs(data.instruments, where=f"{where}.instruments"), ecb.crosses(data.instruments)
    path = data.path or ""
    read = {name: read_bars(Path(path.replace("{instrument}", name)).expanduser(), data) for name in data.instruments}
    return read, ()


def build_market(
    bars: Mapping[str, Bars],
    data: DataConfig,
    *,
    parts: tuple[str, ...] = ("train", "validation"),
    min_bars: int = 0,
    where: str = "data",
    derived: tuple[str, ...] = (),
) -> Market:
    """Cut checked bars into parts with features; the arguments are those of `load_market`."""
    plan = plan_parts(bars, data, parts=parts, min_bars=min_bars, where=where)
    bars, timeframes = plan.bars, plan.timeframes
    which = feature_set(bars, plan.timeframe_s)
    made = {part: _make_part(part, bars, plan.rows, which, timeframes) for part in parts}
    digests = {name: digest_of(each) for name, each in bars.items()}
    return Market(
        train=made.get("train"),
        validation=made.get("validation"),
        test=made.get("test"),
        whole=made.get(WHOLE),
        bars_per_year=float(np.mean([bars_per_year(each.time_N, timeframes[name]) for name, each in bars.items()])),
        data_hash=join(digests, data),
        contents=contents(bars, digests),
        spans={name: _spans(each.time_N, plan.rows[name]) for name, each in bars.items()},
        derived=derived,
        timeframe_s=plan.timeframe_s,
        notes=market_notes(bars, timeframes, _unsealed(bars, plan.rows, parts)),
    )


def _unsealed(
    bars: Mapping[str, Bars], rows: Mapping[str, Mapping[str, tuple[int, int]]], parts: tuple[str, ...]
) -> dict[str, int]:
    """Bars of each instrument before the sealed test; all where that is what was asked for."""
    opened = "test" in parts or WHOLE in parts
    return {name: len(each) if opened else rows[name]["test"][0] for name, each in bars.items()}


def _spans(time_N: NDArray[np.int64], rows: Mapping[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """Times of the first and the last bar of each part that has any."""
    parts = {name: range_ for name, range_ in rows.items() if name != WHOLE}
    return {name: (int(time_N[start]), int(time_N[stop - 1])) for name, (start, stop) in parts.items() if stop > start}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the bars of a study are cut; nothing is computed of them yet."""

    bars: dict[str, Bars]
    """Instrument → its bars from `data.start` to `data.end`."""

    timeframes: dict[str, float]
    """Instrument → seconds from bar to bar."""

    timeframe_s: float
    """Of all of them."""

    rows: dict[str, dict[str, tuple[int, int]]]
    """Instrument → part → rows start … stop − 1."""


def plan_parts(
    bars: Mapping[str, Bars],
    data: DataConfig,
    *,
    parts: tuple[str, ...],
    min_bars: int = 0,
    where: str = "data",
) -> Plan:
    """Where the parts of each instrument lie; the arguments are those of `load_market`.

    Raises:
        DataError: instruments that differ in columns or timeframe, or too few bars in one of `parts`.
    """
    if not parts or not set(parts) <= set(PART_NAMES):
        raise ValueError(f"parts are among {PART_NAMES}, got {parts}")
    used = {name: in_range(name, each, data, where) for name, each in bars.items()}
    _check_alike(used, where)
    for name, each in used.items():
        if len(each) < LOOKBACK + 2:
            raise DataError(
                f"{name} has {len(each):,} bars, and features alone look back {LOOKBACK}",
                where=where,
                hint="use a longer history",
            )
    timeframes = {name: timeframe_s(each.time_N) for name, each in used.items()}
    return Plan(
        bars=used,
        timeframes=timeframes,
        timeframe_s=_common_timeframe(timeframes, where),
        rows=_rows_of_parts(used, data, parts, min_bars, where),
    )


def in_range(name: str, bars: Bars, data: DataConfig, where: str) -> Bars:
    """Bars from the first moment of day `start` to the last of day `end`, UTC."""
    first_ns, after_ns = int(bars.time_N[0]), int(bars.time_N[-1]) + 1
    if data.start is not None:
        first_ns = _day_ns(data.start, f"{where}.start")
    if data.end is not None:
        after_ns = _day_ns(data.end, f"{where}.end") + DAY_NS
    low, high = (int(row) for row in np.searchsorted(bars.time_N, [first_ns, after_ns]))
    if low >= high:
        raise DataError(
            f"{name} has no bars from {data.start or 'its start'} to {data.end or 'its end'}",
            where=f"{where}.start" if data.start else f"{where}.end",
            hint=f"there are bars from {stamp(int(bars.time_N[0]))} to {stamp(int(bars.time_N[-1]))}",
        )
    return bars.rows(low, high)


def _day_ns(day: str, where: str) -> int:
    try:
        return day_start_ns(day)
    except ValueError:
        raise DataError(f"{day!r} is not a day of the calendar", where=where, hint="YYYY-MM-DD") from None


def _check_alike(bars: Mapping[str, Bars], where: str) -> None:
    """All instruments must have the same columns, since they share features and rules of execution.

    Volume alone may be missing: nothing is filled by it, so the feature is left out, with a note.
    """
    (first, reference), *others = ((name, each.arrays().keys() - {"volume"}) for name, each in bars.items())
    for name, columns in others:
        if difference := sorted(columns ^ reference):
            having = name if difference[0] in columns else first
            raise DataError(
                f"{first} and {name} differ: only {having} has {difference[0]}",
                where=f"{where}.instruments",
                hint="give all files the same columns",
            )


def _common_timeframe(timeframes: Mapping[str, float], where: str) -> float:
    """The median of the instruments' timeframes, which may differ by less than half."""
    shortest = min(timeframes, key=timeframes.__getitem__)
    longest = max(timeframes, key=timeframes.__getitem__)
    if timeframes[longest] > 1.5 * timeframes[shortest]:
        raise DataError(
            f"bars of {shortest} are {time_apart(timeframes[shortest])} apart, those of {longest} "
            f"{time_apart(timeframes[longest])}",
            where=f"{where}.instruments",
            hint="one study needs one timeframe: resample the files to the longer one",
        )
    return float(np.median(list(timeframes.values())))


def common_cuts(bars: Collection[Bars], split: SplitConfig) -> Cuts:
    """Where validation and test begin: shares of the time from the first bar of any instrument to the last of any."""
    first_ns = min(int(each.time_N[0]) for each in bars)
    last_ns = max(int(each.time_N[-1]) for each in bars)
    return cut_times(first_ns, last_ns, split)


def _rows_of_parts(
    bars: Mapping[str, Bars], data: DataConfig, parts: Iterable[str], min_bars: int, where: str
) -> dict[str, dict[str, tuple[int, int]]]:
    """Instrument → part → rows, each part long enough (F58)."""
    cuts = common_cuts(bars.values(), data.split)
    need = max(min_bars, 1)
    rows: dict[str, dict[str, tuple[int, int]]] = {}
    for name, each in bars.items():
        rows[name] = part_rows(each.time_N, cuts, purge_bars=data.split.purge_bars, lookback=LOOKBACK)
        rows[name][WHOLE] = (LOOKBACK, len(each))
        for part in parts:
            start, stop = rows[name][part]
            if stop - start < need:
                raise _too_few(name, each, part, (stop - start, need), cuts, len(bars) > 1, where)
    return rows


def _too_few(
    name: str, bars: Bars, part: str, has_needs: tuple[int, int], cuts: Cuts, several: bool, where: str
) -> DataError:
    """The error of a part that is too short; of several instruments, one may not reach into it."""
    has, needs = has_needs
    first, last = stamp(int(bars.time_N[0])), stamp(int(bars.time_N[-1]))
    what = (
        f"{name} has {has:,} bars in {part}, and window + episode need {needs:,} "
        f"(of {len(bars):,} bars in all, after lookback and purge)"
    )
    smaller = "or a smaller model.window or env.max_episode_steps"
    if not several:
        # what train lacks it cannot take from itself: the larger part of a split is train's already
        share = "smaller shares for validation and test" if part == "train" else "a larger share for this part"
        return DataError(what, where=f"{where}.split", hint=f"use a longer history, {share}, {smaller}")
    validation, test = stamp(cuts.validation_ns)[:16], stamp(cuts.test_ns)[:16]
    begin = {"train": "", "validation": f"from {validation} ", "test": f"from {test} "}
    end = {"train": f"until {validation}", "validation": f"until {test}", "test": "on"}
    what += (
        f"; the split is at the same dates for all instruments, {part} {begin[part]}{end[part]}, "
        f"and {name} has bars from {first} to {last}"
    )
    hint = f"set data.start and data.end to a range that all instruments cover, leave {name} out, {smaller}"
    return DataError(what, where=f"{where}.split", hint=hint)


def feature_set(bars: Mapping[str, Bars], bar_s: float) -> FeatureSet:
    """Optional features that every instrument has; a volume that starts as nothing but 0 is none."""
    each = list(bars.values())
    return FeatureSet(
        time_of_day=bar_s < 86_400,
        high_low=all(one.high_N is not None for one in each),
        spread=all(one.spread_close_bp_N is not None for one in each),
        volume=not any(no_volume(one) for one in each),
    )


def _make_part(
    part: str,
    bars: Mapping[str, Bars],
    rows: Mapping[str, Mapping[str, tuple[int, int]]],
    which: FeatureSet,
    timeframes: Mapping[str, float],
) -> MarketPart:
    """Copy the rows of one part, so that nothing of the other parts stays in memory."""
    cuts: dict[str, Bars] = {}
    features: list[NDArray[np.float32]] = []
    # what is sealed is never written elsewhere
    make = compute_features if part in ("test", WHOLE) else cached_features
    for name, each in bars.items():
        start, stop = rows[name][part]
        cuts[name] = each.rows(start, stop)
        features.append(make(each.rows(start - LOOKBACK, stop), which, timeframes[name]))
    return MarketPart(
        name=part,
        instruments=tuple(cuts),
        offsets_I=np.cumsum([0, *(len(cut) for cut in cuts.values())], dtype=np.int64),
        time_N=np.concatenate([cut.time_N for cut in cuts.values()]),
        open_N=_joined(cut.open_N for cut in cuts.values()),
        close_N=np.concatenate([cut.close_N for cut in cuts.values()]),
        spread_open_bp_N=_joined(cut.spread_open_bp_N for cut in cuts.values()),
        spread_close_bp_N=_joined(cut.spread_close_bp_N for cut in cuts.values()),
        features_NF=np.concatenate(features),
        feature_names=which.names,
        bars_per_year_I=tuple(bars_per_year(each.time_N, timeframes[name]) for name, each in bars.items()),
    )


def _joined(arrays: Iterable[Array | None]) -> Array | None:
    """End to end, as a copy; None where there are none."""
    present = [values_N for values_N in arrays if values_N is not None]
    return np.concatenate(present) if present else None
