"""Generalised advantage estimation (Schulman et al. 2016, eq. 16)."""

from __future__ import annotations

import torch
from torch import Tensor


def gae(
    reward_TPSK: Tensor, value_TPSK: Tensor, terminated_TPSK: Tensor, gamma_P11: Tensor, lambda_P11: Tensor
) -> Tensor:
    """Advantages of every step.

    δ_t = r_t + γ V_{t+1} (1 − terminated_t) − V_t
    A_t = δ_t + γ λ (1 − terminated_t) A_{t+1}

    Args:
        reward_TPSK: rewards [T, P, S, K].
        value_TPSK: values [T + 1, P, S, K]; the last bootstraps, as the end of a rollout is a truncation.
        terminated_TPSK: bool [T, P, S, K]; beyond it lies a fresh account, whose value does not count.
        gamma_P11, lambda_P11: broadcast over accounts.

    Returns:
        [T, P, S, K].
    """
    discount = gamma_P11 * ~terminated_TPSK
    delta = reward_TPSK + discount * value_TPSK[1:] - value_TPSK[:-1]
    decay = discount * lambda_P11
    advantage = torch.empty_like(delta)
    running = torch.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        running = delta[t] + decay[t] * running
        advantage[t] = running
    return advantage


def discounted_returns(reward_TPSK: Tensor, terminated_TPSK: Tensor, gamma_P11: Tensor, carried_PSK: Tensor) -> Tensor:
    """Returns discounted forwards in time, R_t = γ R_{t−1} + r_t: what `RewardScale` takes the spread of.

    Args:
        carried_PSK: R of the bar before the first, 0 for fresh accounts.

    Returns:
        [T, P, S, K]; R restarts at 0 after a termination.
    """
    returns = torch.empty_like(reward_TPSK)
    running = carried_PSK
    for t in range(len(reward_TPSK)):
        running = running * gamma_P11 + reward_TPSK[t]
        returns[t] = running
        running = running * ~terminated_TPSK[t]
    return returns
