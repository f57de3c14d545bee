"""`data-check`: what price files hold and what is wrong with them, before anything is trained on them."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Mapping
from dataclasses import replace
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
from fxai.market.checks import jumps
from fxai.market.clock import stamp
from fxai.market.data import common_cuts, in_range, plan_parts
from fxai.market.notes import oddities
from fxai.market.raw_cache import cached_raw
from fxai.market.reading.raw import Source
from fxai.report.data_check import PARTS, FileCheck, Measured, SplitCheck, print_check, print_split, print_total
from fxai.report.terminal import make_console

FEWEST = 3
"""Bars that figures can be made of."""

OPTIONS = ("format", "timezone", "date_order", "decimal", "sort", "price_scale", "point_size")
"""Settings of `data` that are options of the command too."""

SETTING = re.compile(rf"\bdata\.({'|'.join(OPTIONS)})\b(: )?")
"""One of them in a message, and what parts it from its value."""


def data_check_command(args: argparse.Namespace) -> int:
    """Print a report of each file, or of each instrument of a config; 2 if a study could not use them."""
    console = make_console()
    checks: list[FileCheck] = []
    usable = True
    for data, need, where in _studies(args):
        read: dict[str, Bars] = {}
        whose = "the default split" if args.config is None else "this config"
        for name, check, bars in _checked(data, args.max_rows_shown, whose):
            check = check if args.config is not None else _with_options(check)
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
    options = {name: value for name in OPTIONS if (value := getattr(args, name)) is not None}
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


def _checked(data: DataConfig, shown: int, whose: str) -> list[tuple[str, FileCheck, Bars | None]]:
    """Each instrument's check, and its bars if they can be used.

    All are read before one is measured, for the sealed test begins at the same time for all of them.
    """
    found = _from_ecb(data) if data.source == "ecb" else [(name, *_file(name, data)) for name in data.instruments]
    sealed_ns = _sealed_from([bars for _, _, bars, _ in found if bars is not None], data)
    checked = []
    for name, check, bars, source in found:
        if bars is not None and len(bars) >= FEWEST and sealed_ns is not None:
            figures = measure(bars, shown, sealed_ns)
            sealed = f"{stamp(sealed_ns)[:16]}, where the sealed test of {whose} begins"
            measured = Measured(figures=figures, sealed=sealed, bars=bars, source=source)
            unsealed = figures.prices.rows if figures.prices is not None else 0
            check = replace(
                check,
                measured=measured,
                jumps=jumps(bars.close_N[:unsealed]).count,
                notes=(*check.notes, *oddities(bars, figures.timeframe_s, unsealed, measured.when)),
            )
        checked.append((name, check, bars if check.clean else None))
    return checked


def _from_ecb(data: DataConfig) -> list[tuple[str, FileCheck, Bars | None, Source]]:
    found: list[tuple[str, FileCheck, Bars | None, Source]] = []
    for name, bars in ecb.read_pairs(data.instruments).items():
        title = f"{name} · bundled ECB reference rates" + (", a cross" if ecb.crosses((name,)) else "")
        source = Source(name=name)
        found.append((name, FileCheck(title=title, source=source, rows=len(bars)), bars, source))
    return found


def _file(name: str, data: DataConfig) -> tuple[FileCheck, Bars | None, Source]:
    """What is wrong with a file, its rows without defects, and where they stand in it."""
    path = Path((data.path or "").replace("{instrument}", name)).expanduser()
    title = f"{name} · {path}"
    try:
        raw = cached_raw(path, data)
    except DataError as error:
        source = Source(name=str(path))
        return FileCheck(title=title, source=source, error=error), None, source
    sound = sound_rows(raw)
    bars = to_bars(sound.raw) if len(sound.raw) else None
    check = FileCheck(
        title=title,
        source=raw.source,
        origin=raw.origin,
        rows=len(raw),
        defects=sound.defects,
        notes=raw.notes if bars is None else bars.notes,
    )
    return check, bars, sound.raw.source


def _with_options(check: FileCheck) -> FileCheck:
    """What to do in words of the command line, where a person wrote no config."""
    error = check.error
    if error is not None:
        error = DataError(_as_options(error.what), where=error.where, hint=_as_options(error.hint or ""))
    defects = tuple(replace(defect, hint=_as_options(defect.hint)) for defect in check.defects)
    return replace(check, error=error, defects=defects, notes=tuple(map(_as_options, check.notes)))


def _as_options(text: str) -> str:
    """`data.timezone: UTC` as `--timezone UTC`."""
    text = text.replace("data.sort: true", "--sort")
    return SETTING.sub(lambda found: f"--{found[1].replace('_', '-')}{' ' if found[2] else ''}", text)


def _sealed_from(bars: list[Bars], data: DataConfig) -> int | None:
    """When the sealed test begins of what could be read, within the config's range; None where nothing could."""
    used = []
    for each in bars:
        with contextlib.suppress(DataError):  # none of its bars are in the range, as the split says below
            used.append(in_range("", each, data, "data"))
    return common_cuts(used or bars, data.split).test_ns if bars else None


def _split(bars: Mapping[str, Bars], data: DataConfig, need: int, where: str) -> SplitCheck:
    try:
        plan = plan_parts(bars, data, parts=PARTS, min_bars=need, where=where)
    except DataError as error:
        return SplitCheck(plan=None, purge_bars=data.split.purge_bars, need=need, error=error)
    return SplitCheck(plan=plan, purge_bars=data.split.purge_bars, need=need)
