"""`train`: one config outside a study, trained, scored and saved."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fxai import defaults
from fxai.agent.checkpoint import save_weights
from fxai.agent.policy import Policy
from fxai.agent.process import prepare_process
from fxai.agent.seeding import member_seeds
from fxai.agent.train import Progress, train
from fxai.config import TrialConfig
from fxai.config.load import get_dotted, load_trial_config
from fxai.env.external import observed_names
from fxai.env.rewards import check_terms
from fxai.errors import ConfigError
from fxai.files import ensure_writable_dir, write_json_atomic, write_text_atomic
from fxai.market.data import Market
from fxai.market.trained_on import trained_on
from fxai.report.results import RULER
from fxai.report.terminal import make_console
from fxai.report.text import clean, metric
from fxai.study.ppo import arena_of, device_name
from fxai.yaml_strict import dump

TRAIN_FOLDER = Path(defaults.RESULTS) / "_trained"
"""A study's name begins with a letter or digit, so no study can have this folder."""

Say = Callable[[str], None]
"""Prints a line."""

_SHOWN = ("mean_reward", "total_return", "sharpe", "max_drawdown", "mean_episode_length")
"""Metrics of a progress line, where a training has them."""


def train_command(args: argparse.Namespace) -> int:
    """Train the config's members, score them on validation, save weights, metrics and the config.

    Weights are saved at every evaluation, so that a training that is cut short leaves its last ones.
    """
    prepare_process()
    console = make_console()
    say = partial(console.print, soft_wrap=True)  # a command or path that is broken over lines cannot be copied
    config = load_trial_config(args.config)
    ruler = ruler_of(args.config, config, args.ruler, say)
    for scored in (config, ruler):
        check_terms(scored.env)
    device = device_name(config.training.device)
    out: Path = args.out or TRAIN_FOLDER / _label(args.config)
    ensure_writable_dir(out)
    arena = arena_of(config, ruler)
    if arena.market is not None:
        arena.market.check_execution(config.env.execution)
        for note in arena.market.notes:
            console.print(clean(note, 1000), soft_wrap=not console.is_terminal)  # a terminal breaks inside words
    seeds = member_seeds(config.training.seed, config.training.n_seeds)
    write_text_atomic(out / "config.yaml", dump(config.model_dump(mode="json")))
    write_text_atomic(out / RULER, dump(ruler.model_dump(mode="json")))
    of = "validation data" if arena.market is not None else f"{config.training.eval_episodes} fixed episodes"
    say(f"training on {device}; scores are of {of}")
    began = time.monotonic()
    saved: list[Path] = []
    for progress in train(arena.members, seeds, arena.train, arena.evaluate):
        if progress.scores is not None:
            say(_progress_line(progress, time.monotonic() - began))
            saved = _save(out, config, progress, arena.market)
            stopped = progress.stopped
    for member, reason in enumerate(stopped):
        if reason is not None:
            say(f"member {member} stopped: {reason}")
    for path in saved:
        say(f"wrote {path}")
    if saved and arena.market is not None:
        say(f"next: poe backtest --config {out / 'config.yaml'} --weights {saved[0]}")
    return 0 if saved else 1


def _label(config: Path) -> str:
    """A folder name for what is trained from a file; a trial's config is told by study and number."""
    folder = config.absolute().parent
    return f"{folder.parents[1].name}_{folder.name}" if folder.parent.name == "trials" else config.stem


def _progress_line(progress: Progress, seconds: float) -> str:
    scores = progress.scores or []
    names = [name for name in _SHOWN if name in scores[0]] if scores else []
    shown = [f"{name} {metric(name, float(np.mean([s[name] for s in scores])))}" for name in names]
    rate = progress.env_steps / seconds
    return (
        f"update {progress.update}/{progress.total_updates}  {progress.env_steps:,} steps  {rate:,.0f}/s  "
        + "  ".join(shown)
    )


def _save(out: Path, config: TrialConfig, progress: Progress, market: Market | None) -> list[Path]:
    """One weights file per member that has not stopped, and everybody's metrics."""
    assert progress.scores is not None
    single = len(progress.stopped) == 1
    paths = []
    for member, reason in enumerate(progress.stopped):
        if reason is None:
            path = out / ("weights.safetensors" if single else f"weights_{member}.safetensors")
            save_weights(path, progress.policy, member, **_meaning(config, progress.policy, market))
            paths.append(path)
    table = [{"stopped": w, **s} for w, s in zip(progress.stopped, progress.scores, strict=True)]
    write_json_atomic(out / "metrics.json", table)
    return paths


def _meaning(config: TrialConfig, policy: Policy, market: Market | None) -> dict[str, Any]:
    """What the actions and the observations of the weights are, and what they were trained on."""
    if market is None:
        assert config.env.gym_id is not None
        return {
            "feature_names": (),
            "levels": tuple(float(action) for action in range(policy.n_actions)),
            "account": observed_names(config.env.gym_id, policy.n_account),
        }
    return {
        "feature_names": market.parts[0].feature_names,
        "levels": config.env.position_levels,
        "trained_on": trained_on(market),
    }


def find_ruler(path: Path, given: Path | None) -> Path | None:
    """The file given, else the study's ruler where it lies beside a config or above its trial's folder."""
    places = [path.parent / RULER]
    if path.absolute().parent.parent.name == "trials":
        places.append(path.absolute().parents[2] / RULER)
    return given or next((place for place in places if place.is_file()), None)


def ruler_of(path: Path, config: TrialConfig, given: Path | None, say: Say) -> TrialConfig:
    """What to score with: the file given, else the study's ruler where it lies beside the config, else the config.

    Raises:
        ConfigError: the ruler has other data, levels or execution, so that it cannot score this config.
    """
    found = find_ruler(path, given)
    if found is None:
        return config
    ruler = load_trial_config(found)
    for name in ("data", "env.gym_id", "env.position_levels", "env.execution"):
        if get_dotted(ruler, name) != get_dotted(config, name):
            raise ConfigError(
                f"{name} differs from that of {found}, which scores it",
                where=str(path),
                hint="give another one with --ruler; --ruler THE_CONFIG_ITSELF scores it by its own rules",
            )
    say(f"scored with the account rules and reward of {found}")
    return ruler
