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
    return decayed_sums(delta, discount * lambda_P11)


def discounted_returns(reward_TPSK: Tensor, terminated_TPSK: Tensor, gamma_P11: Tensor, carried_PSK: Tensor) -> Tensor:
    """Returns discounted forwards in time, R_t = γ R_{t−1} + r_t: what `RewardScale` takes the spread of.

    Args:
        carried_PSK: R of the bar before the first, 0 for fresh accounts.

    Returns:
        [T, P, S, K]; R restarts at 0 after a termination.
    """
    going_on = gamma_P11 * ~terminated_TPSK
    first = reward_TPSK[:1] + gamma_P11 * carried_PSK
    decay = torch.cat([torch.zeros_like(going_on[:1]), going_on[:-1]])
    # forwards in time is backwards in reversed time
    return decayed_sums(torch.cat([first, reward_TPSK[1:]]).flip(0), decay.flip(0)).flip(0)


def decayed_sums(x_T: Tensor, decay_T: Tensor) -> Tensor:
    """y_t = x_t + decay_t · y_{t+1}, with y = 0 beyond the end, in log₂ T rounds over all T at once.

    After the round of stride s each y_t holds its next 2s terms, and decay_t the product of as many decays.
    """
    sums, decay, stride = x_T.clone(), decay_T, 1
    while stride < len(sums):
        sums[:-stride] += decay[: len(sums) - stride] * sums[stride:]
        decay = decay[:-stride] * decay[stride:]
        stride *= 2
    return sums
