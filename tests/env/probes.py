"""Two probes for agents that see the future: one changes later bars, one bets on what is seen.

The first is exact and sees any use of a later bar, but only where it is pointed. The second sees only what can be
earned from, but needs to know nothing of how it got in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from env.walking import CPU
from numpy.typing import NDArray

from fxai.config import EnvConfig
from fxai.env.gym import AccountEnv
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.episodes import run_tape
from fxai.market.data import MarketPart

Told = list[dict[str, Any]]
"""All that an agent was told, by name; entry k is at the close of the bar k after the first decision."""


def scrambled_after(bars: pd.DataFrame, row: int, seed: int) -> pd.DataFrame:
    """Other opens and closes in all rows after `row`, moved by some 5%; times stay, they are known beforehand."""
    other, rng = bars.copy(), np.random.default_rng(seed)
    later = other.index[row + 1 :]
    for column in ("open", "close"):
        other.loc[later, column] *= np.exp(rng.normal(0.0, 0.05, len(later)))
    other.loc[later, "high"] = other.loc[later, ["open", "close"]].max(axis=1)
    other.loc[later, "low"] = other.loc[later, ["open", "close"]].min(axis=1)
    return other


def told(env: AccountEnv, start: int, actions: Sequence[int]) -> Told:
    """Play a tape of actions and keep all that the environment says."""
    observation, info = env.reset(options={"start": start})
    entries = [{"observation": observation, **info}]
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        entries.append(
            {"observation": observation, "reward": reward, "terminated": terminated, "truncated": truncated, **info}
        )
        if terminated or truncated:
            break
    return entries


def differing(one: Told, other: Told, upto: int) -> set[str]:
    """Names of what differs in the first `upto + 1` entries."""
    assert min(len(one), len(other)) > upto
    return {
        name
        for mine, theirs in zip(one[: upto + 1], other[: upto + 1], strict=True)
        for name in mine
        if not np.array_equal(mine[name], theirs[name])
    }


def share_of_hindsight(part: MarketPart, config: EnvConfig, window: int) -> tuple[float, float]:
    """What the best linear bet on observations earns out of sample, through the environment's own accounts.

    The next bar's log return is fitted by least squares on the observed windows of the first half of the part; over the
    second half the account is long or short by the sign of the forecast.

    Returns:
        What it earned as a share of Σ|r|, the most that ±1 can earn without costs; and the same in standard errors:
        bets that know nothing earn Σ ±r with mean 0 and variance Σr².
    """
    env = TradingEnv(part, [config], CPU)
    rows = np.arange(window - 1, len(part.close_N) - 1)
    seen = env.windows(torch.as_tensor(rows)[None], window - 1, 1)[0].flatten(1).double().numpy()
    next_return = np.diff(np.log(part.close_N))[rows]
    half = len(rows) // 2
    design = np.column_stack([np.ones(len(rows)), seen])
    weights, *_ = np.linalg.lstsq(design[:half], next_return[:half], rcond=None)
    long_short = np.where(design[half:] @ weights > 0, len(config.position_levels) - 1, 0)
    tape = torch.as_tensor(long_short, dtype=torch.int64)[None]
    ruler = RewardFunction([config.reward], CPU)
    paths = run_tape(env, torch.as_tensor(rows[half : half + 1]), tape, ruler)
    earned = float(np.log(paths.equity_ET[0, -1] / paths.equity_ET[0, 0]))
    truth = next_return[half:]
    return earned / float(np.abs(truth).sum()), earned / float(np.sqrt((truth**2).sum()))


def rolled(values: NDArray[Any]) -> NDArray[Any]:
    """What belongs to the next row, one row too early."""
    return np.concatenate([values[1:], values[-1:]])


Plant = Callable[[MarketPart], MarketPart]
"""A part with a leak planted in it."""
