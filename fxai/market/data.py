"""The market that agents trade in: bars, features and fill prices, cut into parts.

N bars of all instruments of a part, laid end to end; I instruments, F features.  Times are UTC nanoseconds,
spreads are basis points of the mid price.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fxai.config.data import FILE_OPTIONS, DataConfig
from fxai.errors import DataError
from fxai.market import ecb
from fxai.market.bars import Bars, read_bars
from fxai.market.checks import SECOND_NS, bars_note, duration, stamp
from fxai.market.feature_cache import cached_features
from fxai.market.features import LOOKBACK, FeatureSet, compute_features, timeframe_s
from fxai.market.reading.raw import Array
from fxai.market.splits import PART_NAMES, WHOLE, cut_times, part_rows

YEAR_S = 365.25 * 86_400


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
    return Market(
        train=made.get("train"),
        validation=made.get("validation"),
        test=made.get("test"),
        whole=made.get(WHOLE),
        bars_per_year=float(np.mean([bars_per_year(each.time_N) for each in bars.values()])),
        data_hash=_hash(bars, data),
        derived=derived,
        timeframe_s=plan.timeframe_s,
        notes=_notes(bars, timeframes),
    )


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
        after_ns = _day_ns(data.end, f"{where}.end") + 86_400 * SECOND_NS
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
        return int(pd.Timestamp(day).as_unit("ns").value)
    except ValueError:
        raise DataError(f"{day!r} is not a day of the calendar", where=where, hint="YYYY-MM-DD") from None


def _check_alike(bars: Mapping[str, Bars], where: str) -> None:
    """All instruments must have the same columns, since they share features and rules of execution."""
    (first, reference), *others = ((name, each.arrays().keys()) for name, each in bars.items())
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
            f"bars of {shortest} are {duration(timeframes[shortest])} apart, those of {longest} "
            f"{duration(timeframes[longest])}",
            where=f"{where}.instruments",
            hint="one study needs one timeframe: resample the files to the longer one",
        )
    return float(np.median(list(timeframes.values())))


def _rows_of_parts(
    bars: Mapping[str, Bars], data: DataConfig, parts: Iterable[str], min_bars: int, where: str
) -> dict[str, dict[str, tuple[int, int]]]:
    """Instrument → part → rows, each part long enough (F58)."""
    first_ns = min(int(each.time_N[0]) for each in bars.values())
    last_ns = max(int(each.time_N[-1]) for each in bars.values())
    cuts = cut_times(first_ns, last_ns, data.split)
    need = max(min_bars, 1)
    rows: dict[str, dict[str, tuple[int, int]]] = {}
    for name, each in bars.items():
        rows[name] = part_rows(each.time_N, cuts, purge_bars=data.split.purge_bars, lookback=LOOKBACK)
        rows[name][WHOLE] = (LOOKBACK, len(each))
        for part in parts:
            start, stop = rows[name][part]
            if stop - start < need:
                raise DataError(
                    f"{name} has {stop - start:,} bars in {part}, and window + episode need {need:,} "
                    f"(of {len(each):,} bars in all, after lookback and purge)",
                    where=f"{where}.split",
                    hint="use a longer history, a larger share for this part, or a smaller model.window "
                    "or env.max_episode_steps",
                )
    return rows


def feature_set(bars: Mapping[str, Bars], bar_s: float) -> FeatureSet:
    """Optional features that every instrument has; a volume that starts as nothing but 0 is none."""
    each = list(bars.values())
    return FeatureSet(
        time_of_day=bar_s < 86_400,
        high_low=all(one.high_N is not None for one in each),
        spread=all(one.spread_close_bp_N is not None for one in each),
        volume=all(one.volume_N is not None and bool(one.volume_N[: LOOKBACK + 1].any()) for one in each),
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
        bars_per_year_I=tuple(bars_per_year(each.time_N) for each in bars.values()),
    )


def _joined(arrays: Iterable[Array | None]) -> Array | None:
    """End to end, as a copy; None where there are none."""
    present = [values_N for values_N in arrays if values_N is not None]
    return np.concatenate(present) if present else None


def bars_per_year(time_N: NDArray[np.int64]) -> float:
    """How many of these bars a year has."""
    return (len(time_N) - 1) / (float(time_N[-1] - time_N[0]) / 1e9 / YEAR_S)


def _hash(bars: Mapping[str, Bars], data: DataConfig) -> str:
    """Where the files lie and how they are read is left out: bars that come out alike are the same data."""
    settings = data.model_dump(mode="json", exclude=set(FILE_OPTIONS))
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, each in bars.items():
        for column, values_N in {"time": each.time_N, **each.arrays()}.items():
            digest.update(f"\n{name} {column} {len(values_N)}\n".encode())
            digest.update(np.ascontiguousarray(values_N, dtype=values_N.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def _notes(bars: Mapping[str, Bars], timeframes: Mapping[str, float]) -> tuple[str, ...]:
    """How bars were read, ranges and gaps, one line for all that share them, then the oddities of each file."""
    instruments: dict[str, list[str]] = {}
    for name, each in bars.items():
        instruments.setdefault(bars_note(each.time_N, timeframes[name], each.origin), []).append(name)
    lines = [f"{', '.join(names)}: {note}" for note, names in instruments.items()]
    for name, each in bars.items():
        if each.volume_N is not None and not each.volume_N[: LOOKBACK + 1].any():
            lines.append(f"{name}: the volume starts with zeros and is no feature")
        usual_s = float(np.median(np.diff(each.time_N))) / 1e9
        if not timeframes[name] / 1.5 < usual_s < timeframes[name] * 1.5:
            lines.append(
                f"{name}: the first bars are {duration(timeframes[name])} apart, later ones "
                f"{duration(usual_s)}; move data.start to where the timeframe changes"
            )
        lines += each.notes
    return tuple(lines)
