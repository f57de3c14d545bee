"""What an agent has to beat: do nothing, buy and hold, and trade at random."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fxai.config import EnvConfig
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.episodes import run_tape
from fxai.evaluate.metrics import Paths
from fxai.market.data import MarketPart

RANDOM_SEED = 20_260_101
"""The random baseline is the same in every report."""


def baselines(
    part: MarketPart, config: EnvConfig, rows_E: Tensor, steps: int, *, switch_rate: float = 0.1
) -> dict[str, Paths]:
    """Paths of the baselines over the same episodes and under the same rules.

    Args:
        part: market part that `rows_E` point into.
        config: account rules and reward.
        rows_E: first decision rows.
        steps: bars per episode.
        switch_rate: chance per bar with which the random trader draws a new level.
    """
    cpu = torch.device("cpu")
    env, reward = TradingEnv(part, [config], cpu), RewardFunction([config.reward], cpu)
    levels = np.asarray(config.position_levels)
    shape = (len(rows_E), steps)
    tapes = {
        "do nothing": np.full(shape, int(np.flatnonzero(levels == 0)[0])),
        "buy and hold": np.full(shape, int(levels.argmax())),
        "random": random_tape(shape, len(levels), switch_rate),
    }
    return {
        name: run_tape(env, rows_E, torch.as_tensor(tape, dtype=torch.int64), reward) for name, tape in tapes.items()
    }


def random_tape(shape: tuple[int, int], n_actions: int, switch_rate: float) -> np.ndarray:
    """Levels that are kept, and drawn anew with probability `switch_rate` at each bar, int64 [E, T]."""
    rng = np.random.default_rng(RANDOM_SEED)
    drawn = rng.integers(n_actions, size=shape)
    switch = rng.random(shape) < switch_rate
    switch[:, 0] = True
    latest = np.maximum.accumulate(np.where(switch, np.arange(shape[1]), 0), axis=1)
    return np.asarray(np.take_along_axis(drawn, latest, axis=1))
