"""`data-check`: what price files hold and what is wrong with them, before anything is trained on them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fxai.config import TrialConfig
from fxai.config.data import DataConfig
from fxai.config.env import EnvConfig
from fxai.config.evaluation import EvaluationConfig
from fxai.config.load import load_trial_config, parse
from fxai.errors import DataError, InputError
from fxai.market import ecb
from fxai.market.audit import measure, sound_rows
from fxai.market.bars import Bars, to_bars
from fxai.market.data import plan_parts
from fxai.market.raw_cache import cached_raw
from fxai.market.reading.raw import Source
from fxai.report.data_check import PARTS, FileCheck, Measured, SplitCheck, print_check, print_split, print_total
from fxai.report.terminal import make_console

FEWEST = 3
"""Bars that figures can be made of."""


def data_check_command(args: argparse.Namespace) -> int:
    """Print a report of each file, or of each instrument of a config; 2 if a study could not use them."""
    console = make_console()
    checks: list[FileCheck] = []
    usable = True
    for data, need, where in _studies(args):
        read: dict[str, Bars] = {}
        for name, check, bars in _instruments(data, args.max_rows_shown):
            print_check(console, check, args.max_rows_shown)
            console.print()
            checks.append(check)
            if bars is not None:
                read[name] = bars
        if len(read) == len(data.instruments):
            split = _split(read, data, need, where)
            # the defaults are nobody's settings: that they do not fit is worth a note only
            print_split(console, split, required=args.config is not None)
            console.print()
            usable &= split.error is None or args.config is None
    print_total(console, checks, usable, "file" if args.config is None else "instrument")
    return 0 if usable and all(check.clean for check in checks) else 2


def _studies(args: argparse.Namespace) -> list[tuple[DataConfig, int, str]]:
    """What is read together, the bars that window and episode need in each part, and what errors name."""
    names = ("format", "timezone", "date_order", "decimal", "sort", "price_scale", "point_size")
    options = {name: value for name in names if (value := getattr(args, name)) is not None}
    if args.config is None:
        if not args.files:
            raise InputError("there is no file to check", hint="name files of bars, or a config with --config FILE")
        return [(_options(path, options), _need(None), "the default split") for path in args.files]
    if args.files or options:
        given = "FILE" if args.files else "--" + next(iter(options)).replace("_", "-")
        raise InputError(f"{given} cannot be given beside --config", hint="the config names files and options itself")
    config = load_trial_config(args.config)
    if config.data is None:
        raise InputError("this config has no data section", where=str(args.config), hint="env.gym_id trades no bars")
    return [(config.data, _need(config), f"{args.config}: data")]


def _options(path: Path, options: Mapping[str, Any]) -> DataConfig:
    data = {"source": "file", "path": str(path), "instruments": [path.name.partition(".")[0] or path.name], **options}
    return parse(DataConfig, data, where=lambda place: f"--{str(place[-1]).replace('_', '-')}" if place else "options")


def _need(config: TrialConfig | None) -> int:
    """Bars of the warm-up and one episode; of the default settings where there is no config."""
    evaluation, env = (config.evaluation, config.env) if config else (EvaluationConfig(), EnvConfig())
    return evaluation.warmup_bars + env.max_episode_steps


def _instruments(data: DataConfig, shown: int) -> Iterator[tuple[str, FileCheck, Bars | None]]:
    """Each instrument's check, and its bars if they can be used."""
    if data.source == "ecb":
        for name, bars in ecb.read_pairs(data.instruments).items():
            title = f"{name} · bundled ECB reference rates" + (", a cross" if ecb.crosses((name,)) else "")
            source = Source(name=name)
            measured = Measured(figures=measure(bars, shown), bars=bars, source=source)
            yield name, FileCheck(title=title, source=source, rows=len(bars), measured=measured), bars
        return
    for name in data.instruments:
        path = Path((data.path or "").replace("{instrument}", name)).expanduser()
        yield name, *_file(name, path, data, shown)


def _file(name: str, path: Path, data: DataConfig, shown: int) -> tuple[FileCheck, Bars | None]:
    title = f"{name} · {path}"
    try:
        raw = cached_raw(path, data)
    except DataError as error:
        return FileCheck(title=title, source=Source(name=str(path)), error=error), None
    sound = sound_rows(raw)
    bars = to_bars(sound.raw) if len(sound.raw) else None
    measured = None
    if bars is not None and len(bars) >= FEWEST:
        measured = Measured(figures=measure(bars, shown), bars=bars, source=sound.raw.source)
    check = FileCheck(
        title=title,
        source=raw.source,
        origin=raw.origin,
        rows=len(raw),
        defects=sound.defects,
        measured=measured,
        notes=raw.notes if bars is None else bars.notes,
    )
    return check, bars if check.clean else None


def _split(bars: Mapping[str, Bars], data: DataConfig, need: int, where: str) -> SplitCheck:
    try:
        plan = plan_parts(bars, data, parts=PARTS, min_bars=need, where=where)
    except DataError as error:
        return SplitCheck(plan=None, purge_bars=data.split.purge_bars, need=need, error=error)
    return SplitCheck(plan=plan, purge_bars=data.split.purge_bars, need=need)
