"""`train` and `backtest`: one config outside a study, trained, walked and shown."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from fxai.agent.checkpoint import load_weights, save_weights
from fxai.agent.process import prepare_process
from fxai.agent.seeding import member_seeds
from fxai.agent.train import Progress, resolve_device, train
from fxai.config import TrialConfig
from fxai.config.load import load_trial_config
from fxai.config.metrics import METRIC_NAMES
from fxai.errors import InputError
from fxai.evaluate.backtest import AGENT, Backtest, backtest
from fxai.evaluate.validation import Evaluator
from fxai.files import ensure_writable_dir, write_json_atomic, write_text_atomic
from fxai.market.data import load_market
from fxai.report.equity import equity_curve_html
from fxai.report.results import RULER
from fxai.report.text import clean, metric
from fxai.study.ppo import bars_for_an_episode, device_name
from fxai.yaml_strict import dump

TRAIN_FOLDER = Path("optuna_results") / "train"

_SHOWN = ("mean_reward", "total_return", "sharpe", "max_drawdown", "n_trades", "turnover")


def train_command(args: argparse.Namespace) -> int:
    """Train the config's members, score them on validation, save weights, metrics and the config."""
    prepare_process()
    config = load_trial_config(args.config)
    ruler = ruler_of(args.config, config)
    out: Path = args.out or TRAIN_FOLDER / args.config.stem
    ensure_writable_dir(out)
    market = load_market(config.data, min_bars=bars_for_an_episode(config))
    assert market.train is not None
    assert market.validation is not None
    for note in market.notes:
        print(clean(note))
    members = [config] * config.training.n_seeds
    evaluate = Evaluator(ruler, market.validation, market.bars_per_year, shaped=members)
    seeds = member_seeds(config.training.seed, config.training.n_seeds)
    print(f"training on {device_name(config.training.device)}, scores are of validation data")
    began = time.monotonic()
    last: Progress | None = None
    for progress in train(members, seeds, market.train, evaluate):
        last = progress
        if progress.scores is not None:
            print(_progress_line(progress, time.monotonic() - began), flush=True)
    assert last is not None
    write_text_atomic(out / RULER, dump(ruler.model_dump(mode="json")))
    return _save(out, config, last, market.train.feature_names)


def _progress_line(progress: Progress, seconds: float) -> str:
    scores = progress.scores or []
    shown = [f"{name} {metric(name, float(np.mean([s[name] for s in scores])))}" for name in _SHOWN[:4]]
    rate = progress.env_steps / seconds
    return (
        f"update {progress.update}/{progress.total_updates}  {progress.env_steps:,} steps  {rate:,.0f}/s  "
        + "  ".join(shown)
    )


def _save(out: Path, config: TrialConfig, last: Progress, feature_names: tuple[str, ...]) -> int:
    """One weights file per member that did not stop; the number of failures decides the exit code."""
    assert last.scores is not None
    single = len(last.stopped) == 1
    paths = []
    for member, reason in enumerate(last.stopped):
        if reason is not None:
            print(f"member {member} stopped: {reason}; its weights are not saved", file=sys.stderr)
            continue
        name = "weights.safetensors" if single else f"weights_{member}.safetensors"
        save_weights(out / name, last.policy, member, feature_names)
        paths.append(out / name)
    write_text_atomic(out / "config.yaml", dump(config.model_dump(mode="json")))
    write_json_atomic(
        out / "metrics.json", [{"stopped": w, **s} for w, s in zip(last.stopped, last.scores, strict=True)]
    )
    for path in paths:
        print(f"wrote {path}")
    if paths:
        print(f"next: poe backtest --config {out / 'config.yaml'} --weights {paths[0]}")
    return 0 if paths else 1


def ruler_of(path: Path, config: TrialConfig) -> TrialConfig:
    """What to score with: the study's base config where it lies beside the file, else the config itself."""
    beside = path.parent / RULER
    if not beside.is_file():
        return config
    print(f"scored with the account rules and reward of {beside}")
    return load_trial_config(beside)


def backtest_command(args: argparse.Namespace) -> int:
    """Walk a trained agent over all validation bars, beside the baselines."""
    prepare_process()
    config = load_trial_config(args.config)
    ruler = ruler_of(args.config, config)
    if ruler.env.position_levels != config.env.position_levels:
        raise InputError("the ruler has other env.position_levels than the config", where=str(args.config))
    market = load_market(config.data, parts=("validation",), min_bars=config.model.window + 1)
    part = market.validation
    assert part is not None
    device = resolve_device(config.training.device)
    policy = load_weights(
        args.weights, feature_names=part.feature_names, n_actions=len(config.env.position_levels), device=device
    )
    out: Path = args.out or args.weights.parent / "backtest.html"
    ensure_writable_dir(out.parent)
    run = backtest(policy, part, ruler, market.bars_per_year)
    metrics = {name: run.metrics(name) for name in run.paths}
    console = Console()
    console.print(_comparison(metrics))
    if len(run.instruments) > 1:
        console.print(_by_instrument(run))
    _write_page(out, run, metrics)
    print(f"wrote {out}")
    print("validation data chose this agent, so this is no evidence of an edge; the test bars stay sealed")
    return 0


def _comparison(metrics: dict[str, dict[str, float]]) -> Table:
    table = Table("metric", *metrics, title="validation, all instruments")
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
            f"Equal-weight mean of {', '.join(run.instruments)}; equity starts at 1.",
            "Validation data chose this agent, so this is no evidence of an edge. The test bars stay sealed.",
        ],
    )
