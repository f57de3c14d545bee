"""The ruler: fixed validation episodes under the base config's account rules and reward.

A trial's own `env.*` shapes its training only; what it is worth is measured the same way for every trial of a study.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fxai.agent.policy import Policy
from fxai.config import TrialConfig
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.errors import DataError
from fxai.evaluate.curve import EquityCurve, equity_curve
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


def first_rows(ruler: TrialConfig, part: MarketPart) -> Tensor:
    """First decision rows of the ruler's episodes, int64 [E]: the same for every `model.window`, or a trial could
    choose its own exam.

    Raises:
        DataError: an instrument is too short for one episode.
    """
    warmup, steps = ruler.evaluation.warmup_bars, ruler.env.max_episode_steps
    starts = [(int(a) + warmup - 1, int(b) - steps) for a, b in pairwise(part.offsets_I)]
    for name, (low, high) in zip(part.instruments, starts, strict=True):
        if low >= high:
            raise DataError(
                f"{name} has {high - low + warmup + steps - 1} {part.name} bars; one episode needs {warmup + steps} "
                f"(evaluation.warmup_bars {warmup} + env.max_episode_steps {steps})",
                hint="use more bars, a larger data.split share, or shorter episodes",
            )
    return episode_rows(starts, ruler.training.eval_episodes)


class Evaluator:
    """Scores every member of a population on the same episodes.

    Args:
        ruler: the study's base config; its `env`, `evaluation` and `training.eval_episodes` count.
        part: usually validation.
        bars_per_year: annualises cagr, sharpe, sortino and calmar.
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
        self._latest: list[Paths] = []
        self.steps = ruler.env.max_episode_steps

    def paths(self, policy: Policy) -> list[Paths]:
        """What each member did."""
        if self._env is None or self._env.rules.leverage_P11.shape[0] != policy.population:
            self._env = TradingEnv(self.part, [self.ruler.env] * policy.population, policy.device)
        rows_E = first_rows(self.ruler, self.part)
        ruler = RewardFunction([self.ruler.env.reward] * policy.population, policy.device)
        own = self._shaped
        shaped = ruler if own is None else RewardFunction([c.env.reward for c in own], policy.device)
        return run_policy(policy, self._env, rows_E, self.steps, ruler, shaped)

    def __call__(self, policy: Policy) -> list[dict[str, float]]:
        """Each member's metrics."""
        self._latest = self.paths(policy)
        return [measure(paths, self.bars_per_year) for paths in self._latest]

    def by_instrument(self) -> list[dict[str, dict[str, float]]]:
        """Each member's metrics of the latest call, per instrument: its own episodes alone."""
        rates = self.part.bars_per_year_I or (self.bars_per_year,) * len(self.part.instruments)
        own = self._own_episodes()
        return [
            {name: measure(paths.episodes(own[name]), rate) for name, rate in zip(own, rates, strict=True)}
            for paths in self._latest
        ]

    def equity(self, sound: Sequence[bool]) -> EquityCurve | None:
        """The curve of the latest call over the members that are `sound`; None where there is none."""
        members = [paths for paths, keep in zip(self._latest, sound, strict=True) if keep]
        return equity_curve(members, self._own_episodes()) if members else None

    def _own_episodes(self) -> dict[str, NDArray[np.int64]]:
        """Instrument → indices of its episodes."""
        rows = first_rows(self.ruler, self.part).numpy()
        owner_E = np.searchsorted(self.part.offsets_I, rows, side="right") - 1
        return {name: np.flatnonzero(owner_E == i) for i, name in enumerate(self.part.instruments)}
