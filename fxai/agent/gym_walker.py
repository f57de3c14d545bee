"""Walk copies of a Gymnasium environment, whose observation takes the place of the account.

Axes: P population, S segments, K copies that share a segment, T steps, O numbers observed.
There is no market: the policy has no encoder, and a segment is only a part of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fxai.agent.policy import Policy, RunningScale
from fxai.agent.rollout import Rollout, action_noise, log_prob
from fxai.agent.seeding import MemberStreams
from fxai.config import ModelConfig
from fxai.env.external import Copies, Moved

SEEDS = 2**31
"""Gymnasium takes seeds below this."""


class GymWalker:
    """S × K copies for each member, carried from rollout to rollout."""

    def __init__(
        self, gym_id: str, *, segments: int, accounts: int, steps: int, streams: Sequence[MemberStreams]
    ) -> None:
        self.steps, self.streams = steps, streams
        self._shape = (segments, accounts)
        self._copies = [
            Copies(gym_id, torch.randint(SEEDS, (segments * accounts,), generator=m.starts).tolist()) for m in streams
        ]
        self._first = True

    def policy(self, config: ModelConfig, device: torch.device) -> Policy:
        """Fresh weights that fit the environment, each member's from its own stream."""
        one = self._copies[0]
        observed = one.observation_NO.shape[1]
        policy = Policy(
            config,
            n_features=0,
            n_account=observed,
            n_actions=one.n_actions,
            generators=[m.weights for m in self.streams],
            device=device,
        )
        policy.observed = RunningScale.fresh(len(self.streams), observed, device)
        return policy

    @torch.no_grad()
    def rollout(self, policy: Policy, dropout_rates: Sequence[float]) -> Rollout:
        """Walk `steps` steps with actions drawn from the policy."""
        steps, device = self.steps, policy.device
        noise = action_noise(self.streams, (steps, *self._shape, policy.n_actions), device)
        bars = policy.bars(torch.empty(0, device=device))[:, :, 0]
        seen = self._tensor([c.observation_NO for c in self._copies], device)
        observed, actions, logits_all, values, moves = [], [], [], [], []
        for t in range(steps):
            logits, value = policy.head(bars, seen)
            action = (noise[t] + logits).argmax(-1)
            moves.append(self._step(action))
            observed.append(seen)
            actions.append(action)
            logits_all.append(logits)
            values.append(value)
            seen = self._tensor([m.observation_NO for m in moves[-1]], device)
        values.append(policy.head(bars, seen)[1])
        action_PSTK = torch.stack(actions, dim=2)
        terminated, truncated, reward = (
            self._column(moves, name, device) for name in ("terminated_N", "truncated_N", "reward_N")
        )
        rollout = Rollout(
            features_PSLF=torch.empty(len(self.streams), self._shape[0], steps + 1, 0, device=device),
            account_PSTKO=torch.stack(observed, dim=2),
            action_PSTK=action_PSTK,
            log_prob_PSTK=log_prob(logits_all, action_PSTK),
            value_TPSK=torch.stack(values),
            reward_TPSK=reward.float(),
            ended_TPSK=terminated | truncated,
            final_value_TPSK=self._final_values(policy, bars, moves, truncated),
            dropout=None,
            renewed_S=(self._first,) * self._shape[0],
        )
        self._first = False
        return rollout

    def close(self) -> None:
        """Release what the environments hold."""
        for copies in self._copies:
            copies.close()

    def _step(self, action_PSK: Tensor) -> list[Moved]:
        """The one wait for the device per step: Gymnasium environments live on the CPU."""
        rows_PN = action_PSK.flatten(1).cpu().numpy()
        return [copies.step(row_N) for copies, row_N in zip(self._copies, rows_PN, strict=True)]

    def _final_values(
        self, policy: Policy, bars: Tensor, moves: list[list[Moved]], truncated_TPSK: Tensor
    ) -> Tensor | None:
        if not bool(truncated_TPSK.any()):
            return None
        final = torch.stack([self._tensor([m.final_NO for m in at], policy.device) for at in moves], dim=2)
        _, value_PSTK = policy.head(bars.unsqueeze(2), final)
        return value_PSTK.permute(2, 0, 1, 3) * truncated_TPSK

    def _tensor(self, rows: Sequence[NDArray[np.float32]], device: torch.device) -> Tensor:
        """Observations of each member, [N, O] each, as [P, S, K, O]."""
        return torch.from_numpy(np.stack(rows)).view(len(rows), *self._shape, -1).to(device)

    def _column(self, moves: list[list[Moved]], name: str, device: torch.device) -> Tensor:
        rows_TPN = np.stack([[getattr(member, name) for member in at] for at in moves])
        return torch.from_numpy(rows_TPN).view(len(moves), len(self.streams), *self._shape).to(device)
