"""`backtest`: a trained agent over the validation bars, or over a file of bars, as a page and as a list of trades."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from rich import box
from rich.table import Table

from fxai import yaml_strict
from fxai.agent.checkpoint import load_weights
from fxai.agent.policy import Policy
from fxai.agent.process import prepare_process
from fxai.agent.train import resolve_device
from fxai.commands.train import find_ruler, ruler_of
from fxai.config import TrialConfig
from fxai.config.data import DataConfig
from fxai.config.load import load_trial_config, parse
from fxai.env.rewards import check_terms
from fxai.errors import ConfigError, DataError, InputError
from fxai.evaluate.backtest import AGENT, Backtest, backtest
from fxai.files import ensure_writable_dir
from fxai.market.checks import stamp
from fxai.market.data import Market, load_market
from fxai.market.other import Own, check_alike, load_other, look_at_own
from fxai.report.backtest import SHOWN, write_backtest_page
from fxai.report.terminal import make_console
from fxai.report.text import clean, count, metric
from fxai.report.trade_list import write_trades

_INSTRUMENT = ("mean_reward", "total_return", "sharpe", "max_drawdown", "n_trades", "turnover")
"""Metrics of each instrument in the terminal; the page has all."""

_ONLY_WITH_BARS = {
    "--instrument": "instrument",
    "--from": "first_day",
    "--to": "last_day",
    "--include-sealed": "include_sealed",
    "--set": "set",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is walked, and what a reader must know of it."""

    market: Market
    title: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def backtest_command(args: argparse.Namespace) -> int:
    """Walk a trained agent, beside the baselines, and write what it did."""
    prepare_process()
    console = make_console()
    say = partial(console.print, soft_wrap=True)  # a command or path that is broken over lines cannot be copied
    config = load_trial_config(args.config)
    if config.env.gym_id is not None:
        raise InputError(
            f"env.gym_id {config.env.gym_id} has no bars, trades or costs to backtest",
            where=str(args.config),
            hint="poe train prints what its episodes return",
        )
    ruler = ruler_of(args.config, config, args.ruler, say)
    for scored in (config, ruler):
        check_terms(scored.env)
    out: Path = args.out or args.weights.parent / "backtest.html"
    _check_options(args, out)
    scene = _own_bars(ruler) if args.bars is None else _other_bars(args, ruler)
    part = scene.market.parts[0]
    policy, default = (_policy(file, part.feature_names, ruler, config) for file in (args.weights, args.default))
    assert policy is not None
    for line in (*scene.market.notes, *scene.warnings):
        say(clean(line, 1000))
    run = backtest(policy, part, ruler, scene.market.bars_per_year, default=default)
    _report(args, out, run, scene)
    console.print(_comparison(run, scene.title))
    if len(run.instruments) > 1:
        console.print(_by_instrument(run))
    say(f"wrote {out}")
    if args.csv is not None:
        say(f"wrote {args.csv}: {count(sum(map(len, run.trades(AGENT))), 'trade')}")
    for line in scene.notes:
        say(clean(line, 1000))
    return 0


def _report(args: argparse.Namespace, out: Path, run: Backtest, scene: Scene) -> None:
    """Write the page and the list of trades."""
    for file in (out, args.csv):
        if file is not None:
            ensure_writable_dir(file.parent)
    notes = [*scene.notes, _default_note(args)]
    write_backtest_page(out, run, title=scene.title, notes=notes, warnings=scene.warnings)
    if args.csv is not None:
        write_trades(args.csv, run.instruments, run.trades(AGENT))


def _check_options(args: argparse.Namespace, out: Path) -> None:
    """Refuse options that say nothing, and outputs that would replace what is read or each other."""
    taken = [file.resolve() for file in (args.config, args.weights, args.default, args.ruler, args.bars) if file]
    for file in (out, args.csv):
        if file is None:
            continue
        if file.is_dir():
            raise InputError("is a folder; name the file to write", where=str(file))
        if file.resolve() in taken:
            raise InputError(
                "is read or written already; it is not replaced", where=str(file), hint="name another file"
            )
        taken.append(file.resolve())
    given = [option for option, name in _ONLY_WITH_BARS.items() if getattr(args, name)]
    if args.bars is None and given:
        raise InputError(f"{given[0]} says how a file of bars is walked, and there is none", hint="add --bars FILE")


def _own_bars(ruler: TrialConfig) -> Scene:
    """The validation bars of the config."""
    market = load_market(ruler.bars, parts=("validation",), min_bars=ruler.evaluation.warmup_bars + 2)
    market.check_execution(ruler.env.execution)
    return Scene(
        market=market,
        title="Backtest on validation bars",
        notes=("Validation data chose this agent, so this is no evidence of an edge. The test bars stay sealed.",),
        warnings=(),
    )


def _other_bars(args: argparse.Namespace, ruler: TrialConfig) -> Scene:
    """All bars of a file after the warm-up, or those of some days."""
    name, known = _instrument(args, ruler)
    market = load_other(
        args.bars,
        _reading(args, ruler.bars),
        name=name,
        warmup_bars=ruler.evaluation.warmup_bars,
        first_day=args.first_day,
        last_day=args.last_day,
    )
    market.check_execution(ruler.env.execution)
    scene = Scene(market=market, title=f"Backtest on {args.bars.name}", notes=(), warnings=())
    try:
        own = look_at_own(ruler.bars)
    except DataError as error:
        unknown = (
            f"The config's own bars cannot be read ({error.what}), so it is unknown whether these bars lie in the time "
            "that the agent was trained and chosen in, or in that of its sealed test."
        )
        return replace(scene, warnings=(unknown,))
    check_alike(market, own, args.bars)
    return _placed(scene, own, args, known, ruler.evaluation.warmup_bars)


def _instrument(args: argparse.Namespace, ruler: TrialConfig) -> tuple[str, bool]:
    """What the file holds, and whether that is among the instruments of the config."""
    mine = ruler.bars.instruments
    if args.instrument is None and len(mine) > 1:
        raise InputError(
            f"which instrument does it hold? the config has {', '.join(mine)}",
            where=str(args.bars),
            hint="say it with --instrument NAME",
        )
    name = args.instrument or mine[0]
    return name, name in mine


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


def _placed(scene: Scene, own: Own, args: argparse.Namespace, known: bool, warmup_bars: int) -> Scene:
    """What these bars are to the agent: seen in training, in its choice, sealed, or new.

    Raises:
        InputError: they lie in the sealed test, and --include-sealed is missing.
    """
    time_N = scene.market.parts[0].time_N[warmup_bars:]
    counts = own.count(time_N)
    total = f"of {len(time_N):,} bars"
    sealed = f"{stamp(own.test_ns)} to {stamp(own.last_ns)}"
    if counts["test"] and known and not args.include_sealed:
        newer = f"--from {_day_after(own.last_ns)} walks the newer bars only; " if counts["after"] else ""
        raise InputError(
            f"{counts['test']:,} {total} lie in the time of the sealed test, {sealed}",
            where=str(args.bars),
            hint=f"{newer}--include-sealed opens it: what is then changed after looking is no longer tested by it",
        )
    warnings, notes = [], []
    if counts["train"]:
        warnings.append(f"{counts['train']:,} {total} lie in the time that the agent was trained in.")
    if counts["test"] and known:
        warnings.append(
            f"{counts['test']:,} {total} lie in the time of the sealed test, {sealed}, which is open now: an agent "
            "that is changed or chosen after looking at this is no longer tested by it."
        )
    if counts["validation"]:
        notes.append(f"{counts['validation']:,} {total} lie in the time of validation, which chose this agent.")
    if not known and len(time_N) > counts["before"] + counts["after"]:
        notes.append(
            "It is another instrument than the config's, in their time: prices that move together are not new."
        )
    if counts["after"] == len(time_N):
        notes.append("All of these bars are newer than everything that the agent was trained, chosen and tested with.")
    return replace(scene, notes=tuple(notes), warnings=tuple(warnings))


def _day_after(time_ns: int) -> str:
    day_ns = 86_400 * 10**9
    return stamp((time_ns // day_ns + 1) * day_ns)[:10]


def _policy(file: Path | None, features: tuple[str, ...], ruler: TrialConfig, config: TrialConfig) -> Policy | None:
    """The agent of a weights file."""
    if file is None:
        return None
    device: torch.device = resolve_device(config.training.device)
    policy = load_weights(file, feature_names=features, levels=ruler.env.position_levels, device=device)
    if policy.config.window > ruler.evaluation.warmup_bars:
        raise InputError(
            f"the agent looks at {policy.config.window} bars; evaluation.warmup_bars is {ruler.evaluation.warmup_bars}",
            where=str(file),
            hint="use the config that the weights were trained with",
        )
    return policy


def _default_note(args: argparse.Namespace) -> str:
    """Who the default is, or how to see it."""
    if args.default is not None:
        return f"The agent is {args.weights}, the default {args.default}."
    ruler = find_ruler(args.config, args.ruler) or "optuna_results/STUDY/ruler.yaml"
    return (
        f"The agent is {args.weights}. For the default config's agent as one more curve: "
        f"poe train --config {ruler} --out DIR, then --default DIR/weights.safetensors here."
    )


def _comparison(run: Backtest, title: str) -> Table:
    metrics = {name: run.metrics(name) for name in run.paths}
    pooled = ", instruments pooled" if len(run.instruments) > 1 else ""
    table = _table(clean(title) + pooled, ["metric", *metrics])
    for name in SHOWN:
        table.add_row(name, *(metric(name, own.get(name)) for own in metrics.values()))
    return table


def _by_instrument(run: Backtest) -> Table:
    table = _table(AGENT, ["instrument", *(name.replace("_", " ") for name in _INSTRUMENT)])
    for instrument, own in run.instrument_metrics(AGENT).items():
        table.add_row(clean(instrument), *(metric(name, own.get(name)) for name in _INSTRUMENT))
    return table


def _table(title: str, header: list[str]) -> Table:
    """Numbers beside a column of names; without lines between columns, so that seven fit into 80 characters."""
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, padding=0)
    table.add_column(header[0], no_wrap=True)
    for name in header[1:]:
        table.add_column(name, justify="right")
    return table
