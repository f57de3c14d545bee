"""The default objective: train PPO under a trial's config and report validation scores on the study's ruler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache

import torch

from fxai.agent.process import prepare_process
from fxai.agent.seeding import member_seeds
from fxai.agent.train import Progress, resolve_device, train
from fxai.config import DataConfig, TrialConfig
from fxai.config.metrics import FLOOR
from fxai.evaluate.validation import Evaluator
from fxai.market.data import Market, load_market
from fxai.study.objective import Report, TrialRequest


def objective(request: TrialRequest) -> Iterator[Report]:
    """One trial: `n_seeds` members trained as one population, their mean score reported."""
    prepare_process()
    config = request.config
    market = _market(config.data, bars_for_an_episode(config))
    assert market.train is not None
    assert market.validation is not None
    members = [config] * config.training.n_seeds
    evaluate = Evaluator(request.ruler, market.validation, market.bars_per_year, shaped=members)
    seeds = member_seeds(request.seed, config.training.n_seeds)
    device = device_name(config.training.device)
    with closing(train(members, seeds, market.train, evaluate)) as training:
        for progress in training:
            yield as_report(progress, device)


def bars_for_an_episode(config: TrialConfig) -> int:
    """Bars that a market part needs per instrument: warm-up, one episode, and the bar that ends it."""
    return config.evaluation.warmup_bars + config.env.max_episode_steps


def device_name(setting: str) -> str:
    """The device that a setting resolves to, with the GPU's name."""
    device = resolve_device(setting)
    return str(device) if device.type == "cpu" else f"{device} {torch.cuda.get_device_name(device)}"


def as_report(progress: Progress, device: str) -> Report:
    """Means over members; one that stopped counts with the floor of every metric."""
    scores = progress.scores
    if scores is not None:
        scores = [FLOOR if why else own for why, own in zip(progress.stopped, scores, strict=True)]
    return Report(
        step=progress.update,
        total_steps=progress.total_updates,
        env_steps=progress.env_steps,
        metrics=None if scores is None else mean(scores),
        train=mean(progress.losses),
        device=device,
        failure=progress.stopped[0] if all(progress.stopped) else None,
    )


def mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each column."""
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


@lru_cache(maxsize=1)
def _market(data: DataConfig, min_bars: int) -> Market:
    """Bars of a study are the same for all its trials: `data.*` cannot be searched."""
    return load_market(data, min_bars=min_bars)
