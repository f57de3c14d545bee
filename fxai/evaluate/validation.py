"""The ruler: fixed validation episodes under the base config's account rules and reward.

A trial's own `env.*` shapes its training only; what it is worth is measured the same way for every trial of a study.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fxai.agent.policy import Policy
from fxai.config import TrialConfig
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.errors import DataError
from fxai.evaluate.episodes import run_policy
from fxai.evaluate.metrics import Paths, measure
from fxai.market.data import MarketPart


def episode_rows(starts: Sequence[tuple[int, int]], episodes: int) -> Tensor:
    """First decision rows of fixed episodes, dealt evenly to instruments and spread evenly over each one's time.

    Args:
        starts: per instrument, the half-open range of rows at which an episode fits.
        episodes: how many in all; the first instruments get one more where it does not divide.

    Returns:
        int64 [episodes], instrument by instrument.
    """
    base, extra = divmod(episodes, len(starts))
    rows: list[int] = []
    for i, (low, high) in enumerate(starts):
        count = base + (i < extra)
        if count:
            rows.extend(np.linspace(low, high - 1, count).round().astype(int).tolist())
    return torch.tensor(rows, dtype=torch.int64)


class Evaluator:
    """Scores every member of a population on the same episodes.

    Args:
        ruler: the study's base config; its `env`, `evaluation` and `training.eval_episodes` count.
        part: usually validation.
        bars_per_year: annualises sharpe, sortino and calmar.
        shaped: the members' own reward configs for `mean_shaped_reward`; the ruler's when left out.

    Raises:
        DataError: an instrument is too short for one episode.
    """

    def __init__(
        self,
        ruler: TrialConfig,
        part: MarketPart,
        bars_per_year: float,
        shaped: Sequence[TrialConfig] | None = None,
    ) -> None:
        self.ruler, self.part, self.bars_per_year = ruler, part, bars_per_year
        self._shaped = shaped
        self._env: TradingEnv | None = None
        self.steps = ruler.env.max_episode_steps

    def paths(self, policy: Policy) -> list[Paths]:
        """What each member did."""
        if self._env is None or self._env.rules.leverage_P11.shape[0] != policy.population:
            self._env = TradingEnv(self.part, [self.ruler.env] * policy.population, policy.device)
        # the same first decisions for every window, or a trial could choose its own exam
        starts = self._env.starts(self.steps, self.ruler.evaluation.warmup_bars)
        self._check(starts)
        rows_E = episode_rows(starts, self.ruler.training.eval_episodes)
        ruler = RewardFunction([self.ruler.env.reward] * policy.population, policy.device)
        own = self._shaped
        shaped = ruler if own is None else RewardFunction([c.env.reward for c in own], policy.device)
        return run_policy(policy, self._env, rows_E, self.steps, ruler, shaped)

    def __call__(self, policy: Policy) -> list[dict[str, float]]:
        """Each member's metrics."""
        return [measure(paths, self.bars_per_year) for paths in self.paths(policy)]

    def _check(self, starts: Sequence[tuple[int, int]]) -> None:
        warmup = self.ruler.evaluation.warmup_bars
        for name, (low, high) in zip(self.part.instruments, starts, strict=True):
            if low >= high:
                have = high - low + warmup + self.steps - 1
                raise DataError(
                    f"{name} has {have} {self.part.name} bars; one episode needs {warmup + self.steps} "
                    f"(evaluation.warmup_bars {warmup} + env.max_episode_steps {self.steps})",
                    hint="use more bars, a larger data.split share, or shorter episodes",
                )
