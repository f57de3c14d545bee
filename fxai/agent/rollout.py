"""Walk the market with the present policy and remember what the update needs.

Axes: P population, S segments, K accounts, T steps, L rows of a stretch, F features, A actions.
Nothing here waits for the device: all random numbers of a rollout are drawn before its first step, each member's
from its own generators, so a member's luck does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from fxai.agent.policy import DropoutMasks, Policy
from fxai.agent.seeding import MemberStreams
from fxai.config import ModelConfig
from fxai.env.account import AccountState, Step, fresh, outcome, renew, step
from fxai.env.rewards import RewardFunction
from fxai.env.trading import ACCOUNT_FEATURES, TradingEnv


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """T steps of S × K accounts for each member."""

    features_PSLF: Tensor
    """Rows of bars; none (F = 0) where the policy has no encoder."""
    account_PSTKO: Tensor
    """What the head saw of each account, or of each copy of a Gymnasium environment."""
    action_PSTK: Tensor
    log_prob_PSTK: Tensor
    value_TPSK: Tensor
    """T + 1 values, the last to bootstrap from."""
    reward_TPSK: Tensor
    """float32, not scaled."""
    ended_TPSK: Tensor
    """bool: an episode ended with this step, so what follows belongs to another one."""
    final_value_TPSK: Tensor | None
    """Value of the state in which a time limit cut an episode off, 0 elsewhere: what the step bootstraps from in place
    of the next one (Pardo et al. 2018). None where episodes only end by termination."""
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
        reward: RewardFunction,
        streams: Sequence[MemberStreams],
    ) -> None:
        self.env, self.steps, self.window, self.streams = env, steps, window, streams
        self._reward = reward
        self.accounts = accounts
        self._rollouts_per_episode = episode_steps // steps
        self._starts = _StartDraw(env.starts(episode_steps, window))
        self._rows_PS = torch.zeros(len(streams), segments, dtype=torch.int64)
        self._fresh = fresh(env.rules, segments, accounts)
        self._state = self._fresh
        self._count = 0

    def policy(self, config: ModelConfig, device: torch.device) -> Policy:
        """Fresh weights that fit the market, each member's from its own stream."""
        return Policy(
            config,
            n_features=self.env.features_NF.shape[1],
            n_account=len(ACCOUNT_FEATURES),
            n_actions=self.env.n_actions,
            generators=[m.weights for m in self.streams],
            device=device,
        )

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

    def close(self) -> None:
        """There is nothing to release but memory."""

    def state(self) -> dict[str, Tensor]:
        """Where the segments are in the market, their accounts, and how many rollouts there were."""
        accounts = {f"accounts.{f.name}": getattr(self._state, f.name) for f in fields(AccountState)}
        return {"rows": self._rows_PS, "count": torch.tensor(self._count), **accounts}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: the rows lie outside of the market, or a level does not exist.
        """
        rows_PS, action = state["rows"], state["accounts.action"]
        if int(rows_PS.min()) < 0 or int(rows_PS.max()) >= len(self.env.features_NF):
            raise ValueError("the rows lie outside of the market")
        if int(action.min()) < 0 or int(action.max()) >= self.env.n_actions:
            raise ValueError("there is no such level")
        self._rows_PS, self._count = rows_PS.clone(), int(state["count"])
        accounts = {f.name: state[f"accounts.{f.name}"].to(self.env.device) for f in fields(AccountState)}
        self._state = AccountState(**accounts)

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
        projected_TPS1H = policy.embed(features, masks).permute(2, 0, 1, 3).unsqueeze(3)
        noise = action_noise(self.streams, (steps, segments, self.accounts, policy.n_actions), env.device)
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
        happened = outcome(stack_steps(walked), stacked_bars)
        return Rollout(
            features_PSLF=features,
            account_PSTKO=torch.stack(observed, dim=2),
            action_PSTK=action_PSTK,
            log_prob_PSTK=log_prob(logits_all, action_PSTK),
            value_TPSK=torch.stack(values),
            reward_TPSK=self._reward(happened).float(),
            ended_TPSK=happened.terminated,
            final_value_TPSK=None,
            dropout=masks,
            renewed_S=renewed,
        )


def action_noise(streams: Sequence[MemberStreams], shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Gumbel noise [T, P, S, K, A] of a rollout, each member's from its own generator; `shape` is without the P."""
    uniform = torch.stack([torch.rand(shape, generator=m.actions) for m in streams], dim=1)
    return gumbel(uniform).to(device)


def log_prob(logits_T: Sequence[Tensor], action_PSTK: Tensor) -> Tensor:
    """Log-probability of the actions taken, from the logits of each step [P, S, K, A]."""
    # over the axis that the head laid first, where a CPU is several times as fast
    log_all = torch.log_softmax(torch.stack([x.movedim(-1, 1) for x in logits_T], dim=3), dim=1).movedim(1, -1)
    return log_all.gather(-1, action_PSTK[..., None])[..., 0]


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
