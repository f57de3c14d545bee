"""Walk the market with the present policy and remember what the update needs.

Axes: P population, S segments, K accounts, T steps, L rows of a stretch, F features, A actions.
Nothing here waits for the device: all random numbers of a rollout are drawn before its first step, each member's
from its own generators, so a member's luck does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from fxai.agent.policy import DropoutMasks, Policy
from fxai.agent.seeding import MemberStreams
from fxai.env.account import AccountState, Outcome, Step, fresh, outcome, renew, step
from fxai.env.trading import TradingEnv


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """T steps of S × K accounts for each member."""

    features_PSLF: Tensor
    account_PSTKO: Tensor
    """What the head saw of each account."""
    action_PSTK: Tensor
    log_prob_PSTK: Tensor
    value_TPSK: Tensor
    """T + 1 values, the last to bootstrap from."""
    outcome: Outcome
    """Stacked over T: [T, P, S, K]."""
    dropout: DropoutMasks | None
    renewed_S: tuple[bool, ...]
    """Segments that began a new episode with this rollout."""


class Walker:
    """The accounts of a population and where in the market they are; carried from rollout to rollout.

    Segment s begins a new episode (a start drawn anew, fresh accounts) every `episode_steps / steps` rollouts, and the
    segments take turns, so that each rollout sees all ages of account.
    """

    def __init__(
        self,
        env: TradingEnv,
        *,
        segments: int,
        accounts: int,
        steps: int,
        episode_steps: int,
        window: int,
        streams: Sequence[MemberStreams],
    ) -> None:
        self.env, self.steps, self.window, self.streams = env, steps, window, streams
        self.accounts = accounts
        self._rollouts_per_episode = episode_steps // steps
        self._starts = _StartDraw(env.starts(episode_steps, window))
        self._rows_PS = torch.zeros(len(streams), segments, dtype=torch.int64)
        self._fresh = fresh(env.rules, segments, accounts)
        self._state = self._fresh
        self._count = 0

    def _begin(self) -> tuple[bool, ...]:
        """Advance all segments by one rollout, or move those whose episode is over to a new start."""
        segments = self._rows_PS.shape[1]
        turn = [self._count == 0 or (self._count + s) % self._rollouts_per_episode == 0 for s in range(segments)]
        mask = torch.tensor(turn)
        drawn = torch.stack([self._starts(segments, m.starts) for m in self.streams])
        self._rows_PS = torch.where(mask, drawn, self._rows_PS + self.steps)
        self._count += 1
        again = mask.to(self.env.device)[None, :, None]
        self._state = self._state.where(again, self._fresh)
        return tuple(turn)

    @torch.no_grad()
    def rollout(self, policy: Policy, dropout_rates: Sequence[float]) -> Rollout:
        """Walk `steps` bars with actions drawn from the policy."""
        env, steps = self.env, self.steps
        renewed = self._begin()
        rows_PS = self._rows_PS.to(env.device)
        # one more row than decisions: its embedding gives the value to bootstrap from
        features = env.windows(rows_PS, self.window - 1, steps + 1)
        segments = rows_PS.shape[1]
        masks = policy.dropout_masks(dropout_rates, [m.dropout for m in self.streams], segments, features.shape[2])
        projected_TPS1H = policy.project(policy.encode(features, masks)).permute(2, 0, 1, 3).unsqueeze(3)
        shape = (steps, segments, self.accounts, policy.n_actions)
        uniform = torch.stack([torch.rand(shape, generator=m.actions) for m in self.streams], dim=1)
        noise = gumbel(uniform).to(env.device)
        stacked_bars, bars = env.bars(rows_PS, steps)

        state = self._state
        observed, actions, logits_all, values, walked = [], [], [], [], []
        # inference tensors cost less for each of the loop's many small operations; what is stacked of them is ordinary
        with torch.inference_mode():
            for t in range(steps):
                account = env.observe(state, bars[t].close_before)
                logits, value = policy.head(projected_TPS1H[t], account)
                action = (noise[t] + logits).argmax(-1)
                walked.append(step(state, action, bars[t], env.rules))
                state = renew(walked[-1], self._fresh)
                observed.append(account)
                actions.append(action)
                logits_all.append(logits)
                values.append(value)
            values.append(policy.head(projected_TPS1H[steps], env.observe(state, bars[-1].close))[1])
        self._state = state

        action_PSTK = torch.stack(actions, dim=2)
        log_probs = torch.log_softmax(torch.stack([x.movedim(-1, 1) for x in logits_all], dim=3), dim=1).movedim(1, -1)
        return Rollout(
            features_PSLF=features,
            account_PSTKO=torch.stack(observed, dim=2),
            action_PSTK=action_PSTK,
            log_prob_PSTK=log_probs.gather(-1, action_PSTK[..., None])[..., 0],
            value_TPSK=torch.stack(values),
            outcome=outcome(stack_steps(walked), stacked_bars),
            dropout=masks,
            renewed_S=renewed,
        )


def gumbel(uniform: Tensor) -> Tensor:
    """Standard Gumbel noise; argmax(logits + noise) is a draw from softmax(logits) (Gumbel-max)."""
    tiny = torch.finfo(uniform.dtype).tiny
    return -(-uniform.clamp(min=tiny).log()).clamp(min=tiny).log()


def stack_steps(steps: Sequence[Step]) -> Step:
    """One step with a leading time axis."""

    def states(which: str) -> AccountState:
        columns = {f.name: [getattr(getattr(s, which), f.name) for s in steps] for f in fields(AccountState)}
        return AccountState(**{name: torch.stack(column) for name, column in columns.items()})

    return Step(
        before=states("before"),
        after=states("after"),
        at_fill=torch.stack([s.at_fill for s in steps]),
        terminated=torch.stack([s.terminated for s in steps]),
    )


class _StartDraw:
    """Uniform over all rows at which an episode fits, instruments weighted by how many they have."""

    def __init__(self, ranges: list[tuple[int, int]]) -> None:
        lengths = torch.tensor([max(high - low, 0) for low, high in ranges])
        self._low = torch.tensor([low for low, _ in ranges])
        self._ends = lengths.cumsum(0)
        self._total = int(self._ends[-1])
        if self._total == 0:
            raise ValueError("no instrument has room for an episode")
        self._begins = self._ends - lengths

    def __call__(self, count: int, generator: torch.Generator) -> Tensor:
        drawn = torch.randint(self._total, (count,), generator=generator)
        instrument = torch.searchsorted(self._ends, drawn, right=True)
        return self._low[instrument] + drawn - self._begins[instrument]
