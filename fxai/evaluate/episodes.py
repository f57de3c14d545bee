"""Walk fixed episodes with a policy, or with a tape of levels, and keep what metrics need.

Axes: P population, E episodes (one account each), T steps, A actions.
Deterministic: the policy takes its likeliest level, and nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fxai.agent.policy import Policy
from fxai.agent.rollout import stack_steps
from fxai.env.account import AccountState, Outcome, Step, fresh, outcome, renew, step
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.metrics import Paths

Choose = Callable[[int, AccountState, Tensor], Tensor]
"""(step, accounts, close) → action [P, E, 1]."""

CHUNK = 1024
"""Steps encoded at once; an embedding does not depend on the cut, so this only bounds memory."""

STRETCH = 2048
"""Steps walked between two times that their outcome is worked out; it only bounds memory, some 20 KB a step."""


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
            chunk[begin] = policy.embed(features).unsqueeze(3)
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
    unused = fresh(env.rules, rows_PE.shape[1], 1)
    state, pieces = unused, []
    for begin in range(0, steps, STRETCH):
        stacked_bars, bars = env.bars(rows_PE + begin, min(STRETCH, steps - begin))
        walked = []
        for t, bar in enumerate(bars, start=begin):
            walked.append(step(state, choose(t, state, bar.close_before), bar, env.rules))
            state = renew(walked[-1], unused)
        stacked = stack_steps(walked)
        happened = outcome(stacked, stacked_bars)
        pieces.append(_columns(happened, stacked, ruler(happened), shaped(happened)))
    columns_PET = {name: np.concatenate([piece[name] for piece in pieces], axis=-1) for name in pieces[0]}
    return _paths(columns_PET, _by_member(unused.equity[None]))


def _by_member(x: Tensor) -> NDArray[np.float64]:
    """[T, P, E, 1] as [P, E, T]."""
    return x[..., 0].permute(1, 2, 0).double().cpu().numpy()


def _columns(o: Outcome, walked: Step, reward: Tensor, shaped: Tensor) -> dict[str, NDArray[np.float64]]:
    """What metrics need of a stretch of steps, [P, E, T]."""
    kept = {
        "equity": o.equity,
        "terminated": o.terminated,
        "reward_ET": reward,
        "shaped_reward_ET": shaped,
        "traded_ET": o.traded,
        "cost_ET": o.cost,
        "exposure_ET": o.exposure,
        "units_ET": walked.after.units,
        "closed_gain_ET": o.exit_gain,
        "closed_bars_ET": walked.before.bars_held * o.exited,
        "opened_ET": o.opened,
        "closed_ET": o.exited,
        "gain": o.gain,
        "bars_held": o.bars_held,
    }
    return {name: _by_member(tensor) for name, tensor in kept.items()}


def _paths(columns: dict[str, NDArray[np.float64]], first_PE1: NDArray[np.float64]) -> list[Paths]:
    """Cut every episode at its termination; [P, E, T] arrays become [E, T] arrays of each member."""
    terminated = columns.pop("terminated") > 0
    equity = np.concatenate([first_PE1, columns.pop("equity")], axis=-1)
    steps = terminated.shape[-1]
    length_PE = np.where(terminated.any(-1), terminated.argmax(-1) + 1, steps)
    live = np.arange(steps) < length_PE[..., None]
    final = np.take_along_axis(equity, length_PE[..., None], axis=-1)
    equity[..., 1:] = np.where(live, equity[..., 1:], final)
    gain_PE, bars_PE = (
        np.take_along_axis(columns.pop(name), length_PE[..., None] - 1, axis=-1)[..., 0]
        for name in ("gain", "bars_held")
    )
    cut: dict[str, Any] = {
        name: (values > 0) & live if name in ("opened_ET", "closed_ET") else values * live
        for name, values in columns.items()
    }
    return [
        Paths(
            equity_ET=equity[p],
            **{name: values[p] for name, values in cut.items()},
            last_gain_E=gain_PE[p],
            last_bars_E=bars_PE[p],
            last_E=bars_PE[p] > 0,
            length_E=length_PE[p].astype(np.int64),
            steps_E=np.full(length_PE.shape[1], steps),
            stopped_E=terminated[p].any(-1),
        )
        for p in range(len(equity))
    ]
