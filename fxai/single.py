"""`train` and `backtest`: one config outside a study, trained, walked and shown."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from rich.table import Table

from fxai import defaults
from fxai.agent.checkpoint import load_weights, save_weights
from fxai.agent.process import prepare_process
from fxai.agent.seeding import member_seeds
from fxai.agent.train import Progress, resolve_device, train
from fxai.config import TrialConfig
from fxai.config.load import get_dotted, load_trial_config
from fxai.config.metrics import METRIC_NAMES
from fxai.errors import ConfigError, InputError
from fxai.evaluate.backtest import AGENT, Backtest, backtest
from fxai.evaluate.validation import Evaluator
from fxai.files import ensure_writable_dir, write_json_atomic, write_text_atomic
from fxai.market.data import load_market
from fxai.report.equity import equity_curve_html
from fxai.report.results import RULER
from fxai.report.terminal import make_console
from fxai.report.text import clean, metric
from fxai.study.ppo import bars_for_an_episode, device_name
from fxai.yaml_strict import dump

TRAIN_FOLDER = Path(defaults.RESULTS) / "_trained"
"""A study's name begins with a letter or digit, so no study can have this folder."""

Say = Callable[[str], None]
"""Prints a line."""

_SHOWN = ("mean_reward", "total_return", "sharpe", "max_drawdown", "n_trades", "turnover")


def train_command(args: argparse.Namespace) -> int:
    """Train the config's members, score them on validation, save weights, metrics and the config.

    Weights are saved at every evaluation, so that a training that is cut short leaves its last ones.
    """
    prepare_process()
    console = make_console()
    say = partial(console.print, soft_wrap=True)  # a command or path that is broken over lines cannot be copied
    config = load_trial_config(args.config)
    ruler = ruler_of(args.config, config, args.ruler, say)
    device = device_name(config.training.device)
    out: Path = args.out or TRAIN_FOLDER / _label(args.config)
    ensure_writable_dir(out)
    market = load_market(config.data, min_bars=bars_for_an_episode(ruler))
    market.check_execution(config.env.execution)
    assert market.train is not None
    assert market.validation is not None
    for note in market.notes:
        say(clean(note))
    members = [config] * config.training.n_seeds
    evaluate = Evaluator(ruler, market.validation, market.bars_per_year, shaped=members)
    seeds = member_seeds(config.training.seed, config.training.n_seeds)
    write_text_atomic(out / "config.yaml", dump(config.model_dump(mode="json")))
    write_text_atomic(out / RULER, dump(ruler.model_dump(mode="json")))
    say(f"training on {device}; scores are of validation data")
    began = time.monotonic()
    saved: list[Path] = []
    for progress in train(members, seeds, market.train, evaluate):
        if progress.scores is not None:
            say(_progress_line(progress, time.monotonic() - began))
            saved = _save(out, config, progress, market.train.feature_names)
            stopped = progress.stopped
    for member, reason in enumerate(stopped):
        if reason is not None:
            say(f"member {member} stopped: {reason}")
    for path in saved:
        say(f"wrote {path}")
    if saved:
        say(f"next: poe backtest --config {out / 'config.yaml'} --weights {saved[0]}")
    return 0 if saved else 1


def _label(config: Path) -> str:
    """A folder name for what is trained from a file; a trial's config is told by study and number."""
    folder = config.absolute().parent
    return f"{folder.parents[1].name}_{folder.name}" if folder.parent.name == "trials" else config.stem


def _progress_line(progress: Progress, seconds: float) -> str:
    scores = progress.scores or []
    shown = [f"{name} {metric(name, float(np.mean([s[name] for s in scores])))}" for name in _SHOWN[:4]]
    rate = progress.env_steps / seconds
    return (
        f"update {progress.update}/{progress.total_updates}  {progress.env_steps:,} steps  {rate:,.0f}/s  "
        + "  ".join(shown)
    )


def _save(out: Path, config: TrialConfig, progress: Progress, feature_names: tuple[str, ...]) -> list[Path]:
    """One weights file per member that has not stopped, and everybody's metrics."""
    assert progress.scores is not None
    single = len(progress.stopped) == 1
    paths = []
    for member, reason in enumerate(progress.stopped):
        if reason is None:
            path = out / ("weights.safetensors" if single else f"weights_{member}.safetensors")
            levels = config.env.position_levels
            save_weights(path, progress.policy, member, feature_names=feature_names, levels=levels)
            paths.append(path)
    table = [{"stopped": w, **s} for w, s in zip(progress.stopped, progress.scores, strict=True)]
    write_json_atomic(out / "metrics.json", table)
    return paths


def ruler_of(path: Path, config: TrialConfig, given: Path | None, say: Say) -> TrialConfig:
    """What to score with: the file given, else the study's ruler where it lies beside the config, else the config.

    Raises:
        ConfigError: the ruler has other data, levels or execution, so that it cannot score this config.
    """
    places = [path.parent / RULER]
    if path.absolute().parent.parent.name == "trials":
        places.append(path.absolute().parents[2] / RULER)
    found = given or next((place for place in places if place.is_file()), None)
    if found is None:
        return config
    ruler = load_trial_config(found)
    for name in ("data", "env.position_levels", "env.execution"):
        if get_dotted(ruler, name) != get_dotted(config, name):
            raise ConfigError(
                f"{name} differs from that of {found}, which scores it",
                where=str(path),
                hint="give another one with --ruler; --ruler THE_CONFIG_ITSELF scores it by its own rules",
            )
    say(f"scored with the account rules and reward of {found}")
    return ruler


def backtest_command(args: argparse.Namespace) -> int:
    """Walk a trained agent over all validation bars, beside the baselines."""
    prepare_process()
    console = make_console()
    say = partial(console.print, soft_wrap=True)  # a command or path that is broken over lines cannot be copied
    config = load_trial_config(args.config)
    ruler = ruler_of(args.config, config, args.ruler, say)
    out: Path = args.out or args.weights.parent / "backtest.html"
    if out.is_dir():
        raise InputError("is a folder; name the HTML file to write", where=str(out))
    market = load_market(config.data, parts=("validation",), min_bars=ruler.evaluation.warmup_bars + 1)
    market.check_execution(ruler.env.execution)
    part = market.validation
    assert part is not None
    policy = load_weights(
        args.weights,
        feature_names=part.feature_names,
        levels=ruler.env.position_levels,
        device=resolve_device(config.training.device),
    )
    if policy.config.window > ruler.evaluation.warmup_bars:
        raise InputError(
            f"the agent looks at {policy.config.window} bars; evaluation.warmup_bars is {ruler.evaluation.warmup_bars}",
            where=str(args.weights),
            hint="use the config that the weights were trained with",
        )
    ensure_writable_dir(out.parent)
    run = backtest(policy, part, ruler, market.bars_per_year)
    metrics = {name: run.metrics(name) for name in run.paths}
    _write_page(out, run, metrics)
    console.print(_comparison(metrics))
    if len(run.instruments) > 1:
        console.print(_by_instrument(run))
    say(f"wrote {out}")
    say("validation data chose this agent, so this is no evidence of an edge; the test bars stay sealed")
    return 0


def _comparison(metrics: dict[str, dict[str, float]]) -> Table:
    table = Table("metric", *metrics, title="validation bars, instruments pooled")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in METRIC_NAMES:
        if name != "mean_shaped_reward":
            table.add_row(name, *(metric(name, own[name]) for own in metrics.values()))
    return table


def _by_instrument(run: Backtest) -> Table:
    table = Table("instrument", *_SHOWN, title=AGENT)
    for column in table.columns[1:]:
        column.justify = "right"
    for instrument, own in run.instrument_metrics(AGENT).items():
        table.add_row(clean(instrument), *(metric(name, own[name]) for name in _SHOWN))
    return table


def _write_page(out: Path, run: Backtest, metrics: dict[str, dict[str, float]]) -> None:
    times, _ = run.portfolio(AGENT)
    equity_curve_html(
        out,
        title="Backtest on validation bars",
        times_ns=times,
        curves={name: run.portfolio(name)[1] for name in run.paths},
        metrics={name: {m: own[m] for m in METRIC_NAMES if m != "mean_shaped_reward"} for name, own in metrics.items()},
        notes=[
            f"The curves are the equal-weight mean of {', '.join(run.instruments)}, from 1.",
            "The table pools the instruments' bars and trades; its max_drawdown is the worst of any instrument.",
            "Validation data chose this agent, so this is no evidence of an edge. The test bars stay sealed.",
        ],
    )
