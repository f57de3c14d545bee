"""The default objective: train PPO under a trial's config and report validation scores on the study's ruler."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from fxai.agent.process import prepare_process
from fxai.agent.seeding import member_seeds
from fxai.agent.snapshot import BadSnapshot, meaning_of
from fxai.agent.train import Progress, resolve_device, train
from fxai.config import DataConfig, TrialConfig
from fxai.config.metrics import FLOOR
from fxai.evaluate.gym_episodes import GymEvaluator
from fxai.evaluate.validation import Evaluator
from fxai.market.data import Market, MarketPart, load_market
from fxai.study.checkpoints import Checkpoints
from fxai.study.failures import named_failures
from fxai.study.objective import Report, TrialRequest


def objective(request: TrialRequest) -> Iterator[Report]:
    """One trial: `n_seeds` members trained as one population, their mean score reported.

    It goes on from the checkpoint in the trial's folder where there is one, after telling once more what was told
    before it; a Gymnasium environment cannot be saved, and begins anew.

    Raises:
        OutOfMemory, DeviceLost: of the device.
    """
    prepare_process()
    device = resolve_device(request.config.training.device)
    with named_failures(device, request.config.training):
        yield from _train(request, device)


def _train(request: TrialRequest, device: torch.device) -> Iterator[Report]:
    config = request.config
    arena = arena_of(config, request.ruler)
    seeds = member_seeds(request.seed, config.training.n_seeds)
    data_hash = None if arena.market is None else arena.market.data_hash
    meaning = meaning_of(arena.members, seeds, ruler=request.ruler, data_hash=data_hash, device=device)
    checkpoints = Checkpoints(request, meaning)
    name = device_name(config.training.device)
    with closing(_begin(checkpoints, arena, seeds)) as training:
        yield from checkpoints.told_again()
        for progress in training:
            try:
                yield checkpoints.note(_report(progress, name, arena))
            except GeneratorExit:
                if request.stopping():
                    checkpoints.save(progress)
                raise
            if checkpoints.due and progress.update < progress.total_updates:
                checkpoints.save(progress)


def _begin(checkpoints: Checkpoints, arena: Arena, seeds: list[int]) -> Generator[Progress, None, None]:
    """The training, from its checkpoint if there is one that fits."""
    try:
        return train(arena.members, seeds, arena.train, arena.evaluate, resume=checkpoints.load())
    except BadSnapshot as error:
        checkpoints.refuse(error)
        return train(arena.members, seeds, arena.train, arena.evaluate)


def _report(progress: Progress, device: str, arena: Arena) -> Report:
    last = progress.update == progress.total_updates
    report = as_report(progress, device, arena.evaluate.by_instrument() if last else None)
    if report.metrics is None:
        return report
    return replace(report, equity=arena.evaluate.equity([why is None for why in progress.stopped]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """What the members of a training walk, and what scores them."""

    members: list[TrialConfig]
    market: Market | None
    """None where `env.gym_id` takes its place."""
    evaluate: Evaluator | GymEvaluator

    @property
    def train(self) -> MarketPart | None:
        """The training part of the market."""
        return None if self.market is None else self.market.train


def arena_of(config: TrialConfig, ruler: TrialConfig) -> Arena:
    """The market of a config, or its Gymnasium environment.

    Args:
        config: of every member, `training.n_seeds` of them.
        ruler: how they are scored.
    """
    members = [config] * config.training.n_seeds
    if ruler.env.gym_id is not None:
        return Arena(
            members=members, market=None, evaluate=GymEvaluator(ruler.env.gym_id, ruler.training.eval_episodes)
        )
    market = _market(config.bars, bars_for_an_episode(ruler))
    assert market.validation is not None
    evaluate = Evaluator(ruler, market.validation, market.bars_per_year, shaped=members)
    return Arena(members=members, market=market, evaluate=evaluate)


def bars_for_an_episode(config: TrialConfig) -> int:
    """Bars that a market part needs per instrument: warm-up, one episode, and the bar that ends it."""
    return config.evaluation.warmup_bars + config.env.max_episode_steps


def device_name(setting: str) -> str:
    """The device that a setting resolves to, with the GPU's name."""
    device = resolve_device(setting)
    return str(device) if device.type == "cpu" else f"{device} {torch.cuda.get_device_name(device)}"


def as_report(
    progress: Progress, device: str, instruments: Sequence[dict[str, dict[str, float]]] | None = None
) -> Report:
    """Means over members; one that stopped counts with the floor of every metric.

    Args:
        progress: what is known after an update.
        device: where it runs.
        instruments: per member, the metrics of each instrument; left out of the report where there is one alone.
    """
    scores = member_scores(progress)
    names = list(instruments[0]) if instruments else []
    sound = [own for why, own in zip(progress.stopped, instruments or (), strict=False) if not why]
    return Report(
        step=progress.update,
        total_steps=progress.total_updates,
        env_steps=progress.env_steps,
        metrics=None if scores is None else mean(scores),
        train=mean(progress.losses),
        device=device,
        instruments={name: mean([own[name] for own in sound]) for name in names} if sound and len(names) > 1 else None,
        failure=progress.stopped[0] if all(progress.stopped) else None,
    )


def member_scores(progress: Progress) -> list[dict[str, float]] | None:
    """Each member's metrics, the floor of one that diverged; None where this update was not evaluated."""
    if progress.scores is None:
        return None
    return [_floor(own) if why else own for why, own in zip(progress.stopped, progress.scores, strict=True)]


def _floor(own: dict[str, float]) -> dict[str, float]:
    """What a member that diverged counts with; in a Gymnasium environment, whose returns may lie anywhere, surely less
    than its last finite weights return."""
    if own.keys() == FLOOR.keys():
        return FLOOR
    return {name: min(FLOOR.get(name, 0.0), 2.0 * value) for name, value in own.items()}


def mean(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each column."""
    return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}


@lru_cache(maxsize=1)
def _market(data: DataConfig, min_bars: int) -> Market:
    """Bars of a study are the same for all its trials: `data.*` cannot be searched."""
    return load_market(data, min_bars=min_bars)
