"""The ruler of a Gymnasium environment: fixed episodes, each member's likeliest actions, undiscounted returns.

Axes: P population, E episodes, played at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fxai.agent.policy import Policy
from fxai.env.external import WHERE, Copies
from fxai.errors import InputError

LONGEST = 100_000
"""Steps after which an episode is taken for one that never ends."""

FIRST_SEED = 1_000_000
"""Episode e of every evaluation begins with seed FIRST_SEED + e."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What one member did in E episodes."""

    return_E: NDArray[np.float64]
    """Undiscounted sum of rewards."""
    length_E: NDArray[np.int64]

    @property
    def metrics(self) -> dict[str, float]:
        """`mean_reward` is the mean return of an episode; there is no shaping, and nothing else is measured."""
        mean = float(self.return_E.mean())
        return {
            "mean_reward": mean,
            "mean_shaped_reward": mean,
            "mean_episode_length": float(self.length_E.mean()),
        }


class GymEvaluator:
    """Scores every member of a population on the same episodes.

    Args:
        gym_id: the environment; it must end its episodes, by itself or by a time limit.
        episodes: how many.
        longest: steps that an episode may take.

    Raises:
        InputError: an episode did not end.
    """

    def __init__(self, gym_id: str, episodes: int, *, longest: int = LONGEST) -> None:
        self.gym_id, self.episodes, self.longest = gym_id, episodes, longest

    def __call__(self, policy: Policy) -> list[dict[str, float]]:
        """Each member's metrics."""
        return [played.metrics for played in self.play(policy)]

    def by_instrument(self) -> None:
        """There are none."""

    def equity(self, sound: Sequence[bool]) -> None:
        """There is none."""

    @torch.no_grad()
    def play(self, policy: Policy) -> list[Played]:
        """What each member did; it sees nothing of the others."""
        seeds = range(FIRST_SEED, FIRST_SEED + self.episodes)
        with ExitStack() as opened:
            copies = [opened.enter_context(closing(Copies(self.gym_id, seeds))) for _ in range(policy.population)]
            return self._play(policy, copies)

    def _play(self, policy: Policy, copies: list[Copies]) -> list[Played]:
        return_PE = np.zeros((policy.population, self.episodes))
        length_PE = np.zeros((policy.population, self.episodes), dtype=np.int64)
        playing_PE = np.ones((policy.population, self.episodes), dtype=np.bool_)
        bars = policy.bars(torch.empty(0, device=policy.device))[:, :, 0]
        for _ in range(self.longest):
            seen = torch.from_numpy(np.stack([c.observation_NO for c in copies]))[:, :, None].to(policy.device)
            logits, _ = policy.head(bars, seen)
            action_PE = logits.argmax(-1)[..., 0].cpu().numpy()
            moves = [own.step(row) for own, row in zip(copies, action_PE, strict=True)]
            return_PE += np.stack([m.reward_N for m in moves]) * playing_PE
            length_PE += playing_PE
            playing_PE &= ~np.stack([m.terminated_N | m.truncated_N for m in moves])
            if not playing_PE.any():
                return [Played(return_E=r, length_E=n) for r, n in zip(return_PE, length_PE, strict=True)]
        raise InputError(
            f"an episode of {self.gym_id} had not ended after {self.longest:,} steps",
            where=WHERE,
            hint="register it with max_episode_steps: gymnasium.register(..., max_episode_steps=1000)",
        )
