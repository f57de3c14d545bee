"""The bars that a backtest walks, placed by what the agent was trained, chosen and sealed on.

What counts are the times that the weights keep (`fxai.market.trained_on`): the config's file may have grown since, or
be another one.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fxai import yaml_strict
from fxai.agent.checkpoint import read_trained_on
from fxai.config import TrialConfig
from fxai.config.data import DataConfig
from fxai.config.load import parse
from fxai.errors import ConfigError, DataError, InputError
from fxai.market.bars import Bars, read_bars
from fxai.market.clock import DAY_NS, stamp
from fxai.market.data import Market, load_market
from fxai.market.other import MIN_COMMON, SAME_BP, check_alike, load_other, own_bars, same_prices
from fxai.market.trained_on import PLACES, TrainedOn


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is walked, and what a reader must know of it."""

    market: Market
    title: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The bars walked of one instrument."""

    time_N: NDArray[np.int64]
    """Of those traded in, UTC nanoseconds."""
    trained: str | None
    """Under which name the agent was trained on it; None where it was not."""
    sealed: bool
    """Its bars in the time of the sealed test are those of the test."""


def own_scene(args: argparse.Namespace, ruler: TrialConfig) -> Scene:
    """The validation bars of the config as its file is today.

    Raises:
        InputError: they lie in the time of the agent's sealed test, and --include-sealed is missing.
    """
    trained, features = read_trained_on(args.weights)
    market = load_market(ruler.bars, parts=("validation",), min_bars=ruler.evaluation.warmup_bars + 2)
    market.check_execution(ruler.env.execution)
    check_alike(market, trained.timeframe_s, features, str(args.config))
    part = market.parts[0]
    walked = [
        Series(
            time_N=part.time_N[start + ruler.evaluation.warmup_bars : stop],
            trained=name if name in trained.spans else None,
            sealed=True,  # a name that the weights do not know may be a new name of what they know
        )
        for name, start, stop in zip(part.instruments, part.offsets_I[:-1], part.offsets_I[1:], strict=True)
    ]
    notes, warnings = _place(args, trained, walked, changed=market.data_hash != trained.data_hash)
    counts = _counts(trained, walked)
    title = (
        "validation bars" if counts["validation"] == sum(counts.values()) else "the bars of the config as it is today"
    )
    return Scene(market=market, title=f"Backtest on {title}", notes=notes, warnings=warnings)


def other_scene(args: argparse.Namespace, ruler: TrialConfig) -> Scene:
    """All bars of a file after the warm-up, or those of some days.

    Raises:
        InputError: they lie in the time of the agent's sealed test, and --include-sealed is missing.
    """
    trained, features = read_trained_on(args.weights)
    name, reading = _instrument(args, ruler), _reading(args, ruler.bars)
    market = load_other(
        args.bars,
        reading,
        name=name,
        warmup_bars=ruler.evaluation.warmup_bars,
        first_day=args.first_day,
        last_day=args.last_day,
    )
    market.check_execution(ruler.env.execution)
    check_alike(market, trained.timeframe_s, features, str(args.bars))
    time_N = market.parts[0].time_N[ruler.evaluation.warmup_bars :]
    own: dict[str, Bars] = {}
    changed, told = False, ""
    try:
        own, data_hash = own_bars(ruler.bars)
        changed = data_hash != trained.data_hash
    except DataError as error:
        told = f"The config's own bars cannot be read ({error.what})"
    same = name if name in trained.spans or name in ruler.bars.instruments else None
    notes: list[str] = []
    warnings: list[str] = []
    if same is None:
        same, unknown = _same(read_bars(args.bars, reading), own)
        if same is not None:
            warnings.append(
                f"{name} is the config's {same}: their closes at common times differ by at most {SAME_BP:g} bp."
            )
        elif unknown and _within(trained, time_N):
            told = told or f"Fewer than {MIN_COMMON} bars have the time of one of the config's own"
            warnings.append(f"{told}, so it is unknown whether {name} is one of its instruments by another name.")
    series = Series(time_N=time_N, trained=same if same in trained.spans else None, sealed=same is not None)
    if same is None and _within(trained, time_N):
        notes.append(
            "It is another instrument than the config's, in their time: prices that move together are not new."
        )
    placed_notes, placed = _place(args, trained, [series], changed=changed)
    return Scene(
        market=market,
        title=f"Backtest on {args.bars.name}",
        notes=(*notes, *placed_notes),
        warnings=(*warnings, *placed),
    )


def _within(trained: TrainedOn, time_N: NDArray[np.int64]) -> bool:
    """Whether any bar lies in the time of the agent's parts."""
    counts = trained.count(time_N)
    return counts["before"] + counts["after"] < len(time_N)


def _same(bars: Bars, own: Mapping[str, Bars]) -> tuple[str | None, bool]:
    """Which of a config's instruments a series is, by its prices, and whether some of them cannot tell."""
    found = {name: same_prices(bars, each) for name, each in own.items()}
    return next((name for name, same in found.items() if same), None), not found or None in found.values()


def _instrument(args: argparse.Namespace, ruler: TrialConfig) -> str:
    """What the file is said to hold."""
    mine = ruler.bars.instruments
    if args.instrument is None and len(mine) > 1:
        raise InputError(
            f"which instrument does it hold? the config has {', '.join(mine)}",
            where=str(args.bars),
            hint="say it with --instrument NAME",
        )
    return str(args.instrument or mine[0])


def _reading(args: argparse.Namespace, data: DataConfig) -> DataConfig:
    """The config's data section for reading the file, with --set on top.

    Raises:
        ConfigError: an override that is no setting of `data`.
    """
    plain = data.model_dump() | {"source": "file", "path": str(args.bars), "instruments": ["file"]}
    for assignment in args.set:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip().startswith("data."):
            raise ConfigError(
                f"--set {assignment!r} is no setting of data",
                hint="with --bars it says how the file is read, for example --set data.timezone=UTC",
            )
        plain[key.strip().removeprefix("data.")] = yaml_strict.loads(f"value: {text}", f"--set {key}").data["value"]
    return parse(DataConfig, plain, where=lambda _: "--set", prefix=("data",))


def _place(
    args: argparse.Namespace, trained: TrainedOn, walked: list[Series], *, changed: bool
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What these bars are to the agent: seen in training, in its choice, sealed, or new; notes and warnings.

    Args:
        args: of the command.
        trained: the agent's bars.
        walked: the bars.
        changed: the config's bars today are not those of the training.

    Raises:
        InputError: they lie in the sealed test, and --include-sealed is missing.
    """
    counts = _counts(trained, walked)
    many = sum(counts.values())
    total = f"of {many:,} bars"
    sealed = sum(trained.count(each.time_N, each.trained)["test"] for each in walked if each.sealed)
    if sealed and not args.include_sealed:
        raise _sealed(args, trained, walked, f"{sealed:,} {total}", counts["after"])
    notes: list[str] = []
    warnings: list[str] = []
    if changed:
        warnings.append(
            "The config's bars are not those that this agent was trained with: the file or the data settings have "
            f"changed since. {_where(counts)}"
        )
    if counts["train"]:
        warnings.append(
            f"{counts['train']:,} {total} lie in the time that the agent was trained in: it has seen what they do."
        )
    if sealed:
        warnings.append(
            f"{sealed:,} {total} lie in the time of the sealed test, {_days(trained, walked)}, which is open now: an "
            "agent that is changed or chosen after looking at this is no longer tested by it."
        )
    if counts["validation"] == many and all(each.sealed for each in walked):
        notes.append("Validation data chose this agent, so this is no evidence of an edge. The test bars stay sealed.")
    elif counts["validation"]:
        notes.append(
            f"{counts['validation']:,} {total} lie in the time of validation, which chose this agent: they are no "
            "evidence of an edge."
        )
    if counts["after"] == many:
        notes.append("All of these bars are newer than everything that the agent was trained, chosen and tested with.")
    return tuple(notes), tuple([*warnings, *_default(args, trained, walked)])


def _counts(trained: TrainedOn, walked: list[Series]) -> dict[str, int]:
    each = [trained.count(series.time_N, series.trained) for series in walked]
    return {place: sum(one[place] for one in each) for place in PLACES}


def _where(counts: Mapping[str, int]) -> str:
    return (
        f"Of the {sum(counts.values()):,} bars walked, {counts['train']:,} lie in the time of its training, "
        f"{counts['validation']:,} in that of the validation that chose it, {counts['test']:,} in that of its sealed "
        f"test; {counts['after']:,} are newer and {counts['before']:,} older."
    )


def _default(args: argparse.Namespace, trained: TrainedOn, walked: list[Series]) -> list[str]:
    """Where the default agent's bars were others, what the walked ones are to it."""
    if args.default is None:
        return []
    default, _ = read_trained_on(args.default)
    if default == trained:
        return []
    known = [
        Series(time_N=each.time_N, trained=each.trained if each.trained in default.spans else None, sealed=each.sealed)
        for each in walked
    ]
    return [f"The default was trained with other bars than the agent. {_where(_counts(default, known))}"]


def _days(trained: TrainedOn, walked: list[Series]) -> str:
    """From when to when the sealed test of what is walked lies."""
    spans = [span for each in walked if each.sealed and (span := trained.sealed(each.trained)) is not None]
    return f"{stamp(min(first for first, _ in spans))} to {stamp(max(last for _, last in spans))}"


def _sealed(args: argparse.Namespace, trained: TrainedOn, walked: list[Series], many: str, newer: int) -> InputError:
    """The refusal to walk the sealed test."""
    opens = "--include-sealed opens it: what is then changed after looking is no longer tested by it"
    file: Path = args.config if args.bars is None else args.bars
    if args.bars is None:
        opens = f"the config's bars have changed since the training; train again, or take back the old ones; {opens}"
    elif newer:
        day = stamp((trained.last_ns(walked[0].trained) // DAY_NS + 1) * DAY_NS)[:10]
        opens = f"--from {day} walks the newer bars only; {opens}"
    return InputError(
        f"{many} lie in the time of the sealed test, {_days(trained, walked)}, of {args.weights}",
        where=str(file),
        hint=opens,
    )
