"""`backtest`: a trained agent over the validation bars, or over a file of bars, as a page and as a list of trades."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch
from rich import box
from rich.table import Table

from fxai.agent.checkpoint import load_weights
from fxai.agent.policy import Policy
from fxai.agent.process import prepare_process
from fxai.agent.train import resolve_device
from fxai.commands.scene import Scene, other_scene, own_scene
from fxai.commands.train import find_ruler, ruler_of
from fxai.config import TrialConfig
from fxai.config.load import load_trial_config
from fxai.env.rewards import check_terms
from fxai.errors import InputError
from fxai.evaluate.backtest import AGENT, Backtest, backtest
from fxai.files import ensure_writable_dir
from fxai.report.backtest import SHOWN, write_backtest_page
from fxai.report.beside import headings, meanings, stop_sentences, stopped_cells
from fxai.report.terminal import make_console
from fxai.report.text import clean, count, metric
from fxai.report.trade_list import write_trades

_INSTRUMENT = ("mean_reward", "total_return", "sharpe", "max_drawdown", "n_trades", "turnover")
"""Metrics of each instrument in the terminal; the page has all."""

_ONLY_WITH_BARS = {
    "--instrument": "instrument",
    "--from": "first_day",
    "--to": "last_day",
    "--set": "set",
}


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
    of = f"_{args.bars.name.partition('.')[0]}" if args.bars is not None else ""
    out: Path = args.out or args.weights.parent / f"backtest{of}.html"
    _check_options(args, out)
    scene = own_scene(args, ruler) if args.bars is None else other_scene(args, ruler)
    part = scene.market.parts[0]
    policy = _policy(args.weights, part.feature_names, ruler, config)
    default = None if args.default is None else _policy(args.default, part.feature_names, ruler, ruler)
    for line in (*scene.market.notes, *scene.warnings):
        console.print(clean(line, 1000), soft_wrap=not console.is_terminal)  # a terminal breaks inside words
    run = backtest(policy, part, ruler, scene.market.bars_per_year, default=default)
    _report(args, out, run, scene)
    console.print(_comparison(run, scene.title))
    if len(run.instruments) > 1:
        console.print(_by_instrument(run))
    say(f"wrote {out}")
    if args.csv is not None:
        say(f"wrote {args.csv}: {count(sum(map(len, run.trades(AGENT))), 'trade')}")
    for line in (*stop_sentences(run), *meanings(run), *scene.notes):
        console.print(clean(line, 1000), soft_wrap=not console.is_terminal)
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


def _policy(file: Path, features: tuple[str, ...], ruler: TrialConfig, config: TrialConfig) -> Policy:
    """The agent of a weights file, which was trained with the model of `config`."""
    device: torch.device = resolve_device(config.training.device)
    policy = load_weights(file, feature_names=features, levels=ruler.env.position_levels, device=device)
    if policy.config.window > ruler.evaluation.warmup_bars:
        raise InputError(
            f"the agent looks at {policy.config.window} bars; evaluation.warmup_bars is {ruler.evaluation.warmup_bars}",
            where=str(file),
            hint="use the config that the weights were trained with",
        )
    for name in type(policy.config).model_fields:
        trained, here = getattr(policy.config, name), getattr(config.model, name)
        if trained != here and name != "dropout":
            raise InputError(
                f"trained with model.{name} {trained}; the config has {here}",
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
    table, stopped = _table(clean(title) + pooled, ["metric", *headings(run).values()]), stopped_cells(run)
    for name in SHOWN:
        cells = [stopped[who] if name == "stopped" else metric(name, own.get(name)) for who, own in metrics.items()]
        table.add_row(name, *cells)
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
