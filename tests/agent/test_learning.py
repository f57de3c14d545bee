"""The agent against markets whose best policy is known; `benchmarks/learning.py` prints the figures."""

from __future__ import annotations

import numpy as np
import torch
from learning import ar1_shares, white_noise

SEEDS = 5


def test_ar1_without_costs_reaches_90_per_cent_of_the_optimum():
    torch.set_num_threads(1)
    # 24 updates × 16,384 = 393,216 env steps
    shares, steps = ar1_shares(SEEDS)
    assert steps <= 400_000
    assert np.median(shares) >= 0.9, shares


def test_white_noise_with_costs_is_left_alone():
    # nothing predicts the next return and every trade costs 1 bp: the best is to hold still
    torch.set_num_threads(1)
    turnover, gain = white_noise(SEEDS)
    # a policy that picks levels at random trades 0.8 of its equity per bar
    assert max(turnover) < 0.02, turnover
    # holding a level over 256 bars of 10 bp noise: standard deviation 1.6%, of the mean over 12 episodes 0.46%
    assert max(gain) < 3 * 0.0046, gain
