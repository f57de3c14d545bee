"""Walk fixed episodes with a policy, or with a tape of levels, and keep what metrics need.

Axes: P population, E episodes (one account each), T steps, A actions.
Deterministic: the policy takes its likeliest level, and nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fxai.agent.policy import Policy
from fxai.agent.rollout import stack_steps
from fxai.env.account import AccountState, Outcome, fresh, outcome, renew, step
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.metrics import Paths

Choose = Callable[[int, AccountState, Tensor], Tensor]
"""(step, accounts, close) → action [P, E, 1]."""

CHUNK = 1024
"""Steps encoded at once; an embedding does not depend on the cut, so this only bounds memory."""


@torch.no_grad()
def run_policy(
    policy: Policy, env: TradingEnv, rows_E: Tensor, steps: int, ruler: RewardFunction, shaped: RewardFunction
) -> list[Paths]:
    """Episodes of `steps` bars from the first decision rows `rows_E`, one result per member."""
    rows_PE = rows_E.to(env.device).expand(policy.population, -1)
    window = policy.config.window
    chunk: dict[int, Tensor] = {}

    def choose(t: int, state: AccountState, close: Tensor) -> Tensor:
        begin = t - t % CHUNK
        if begin not in chunk:
            chunk.clear()
            features = env.windows(rows_PE + begin, window - 1, min(CHUNK, steps - begin))
            chunk[begin] = policy.project(policy.encode(features)).unsqueeze(3)
        logits, _ = policy.head(chunk[begin][:, :, t - begin], env.observe(state, close))
        return logits.argmax(-1)

    return _walk(env, rows_PE, steps, choose, ruler, shaped)


@torch.no_grad()
def run_tape(env: TradingEnv, rows_E: Tensor, actions_ET: Tensor, ruler: RewardFunction) -> Paths:
    """Episodes with given actions, int64 [E, T]; the environment has a population of 1."""
    rows_PE = rows_E.to(env.device).expand(1, -1)
    actions = actions_ET.to(env.device)
    return _walk(env, rows_PE, actions.shape[1], lambda t, state, close: actions[None, :, t, None], ruler, ruler)[0]


def _walk(
    env: TradingEnv,
    rows_PE: Tensor,
    steps: int,
    choose: Choose,
    ruler: RewardFunction,
    shaped: RewardFunction,
) -> list[Paths]:
    stacked_bars, bars = env.bars(rows_PE, steps)
    unused = fresh(env.rules, rows_PE.shape[1], 1)
    state, walked = unused, []
    for t, bar in enumerate(bars):
        walked.append(step(state, choose(t, state, bar.close_before), bar, env.rules))
        state = renew(walked[-1], unused)
    happened = outcome(stack_steps(walked), stacked_bars)
    return _paths(happened, walked[-1].after, ruler(happened), shaped(happened))


def _paths(o: Outcome, last: AccountState, reward: Tensor, shaped: Tensor) -> list[Paths]:
    """Cut every episode at its termination; [T, P, E, 1] tensors become [E, T] arrays of each member."""

    def by_member(x: Tensor) -> NDArray[np.float64]:
        return x[..., 0].permute(1, 2, 0).double().cpu().numpy()

    terminated = by_member(o.terminated) > 0
    steps = terminated.shape[-1]
    length_PE = np.where(terminated.any(-1), terminated.argmax(-1) + 1, steps)
    live = np.arange(steps) < length_PE[..., None]
    first = o.equity_before[:1]
    equity = by_member(torch.cat([first, o.equity]))
    final = np.take_along_axis(equity, length_PE[..., None], axis=-1)
    equity[..., 1:] = np.where(live, equity[..., 1:], final)
    columns = {
        "reward_ET": by_member(reward) * live,
        "shaped_reward_ET": by_member(shaped) * live,
        "traded_ET": by_member(o.traded) * live,
        "cost_ET": by_member(o.cost) * live,
        "exposure_ET": by_member(o.exposure) * live,
        "closed_gain_ET": by_member(o.closed_gain) * live,
        "opened_ET": (by_member(o.opened) > 0) & live,
        "closed_ET": (by_member(o.closed) > 0) & live,
    }
    gain_PE = last.gain[..., 0].cpu().numpy()
    open_PE = (last.bars_held[..., 0] > 0).cpu().numpy() & (length_PE == steps) & ~terminated[..., -1]
    return [
        Paths(
            equity_ET=equity[p],
            **{name: column[p] for name, column in columns.items()},
            open_gain_E=np.where(open_PE[p], gain_PE[p], 0.0),
            open_E=open_PE[p],
            length_E=length_PE[p].astype(np.int64),
        )
        for p in range(len(equity))
    ]
