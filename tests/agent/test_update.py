"""The clipped loss and advantage normalisation against hand-worked numbers."""

import math

import pytest
import torch

from fxai.agent.update import Batch, LossWeights, _clipped_loss, normalise


def batch(advantage: list[float], target: list[float]) -> Batch:
    shape = (1, 1, len(advantage), 1)
    empty = torch.empty(0)
    return Batch(
        features_PMLF=empty,
        account_PMTKO=empty,
        action=torch.zeros(shape, dtype=torch.int64),
        log_prob=torch.zeros(shape),
        advantage=torch.tensor(advantage).reshape(shape),
        target=torch.tensor(target).reshape(shape),
        dropout=None,
    )


def weights(clip: float, value: float = 0.0, entropy: float = 0.0) -> LossWeights:
    return LossWeights(
        clip_epsilon_P=torch.tensor([clip]),
        value_coef_P=torch.tensor([value]),
        entropy_coef_P=torch.tensor([entropy]),
    )


def test_clipped_surrogate_by_hand():
    # epsilon 0.2; ratio, advantage → min(ratio·A, clip(ratio)·A):
    #   1.5, +1 → min(1.5, 1.2) = 1.2      1.5, −1 → min(−1.5, −1.2) = −1.5
    #   0.5, +1 → min(0.5, 0.8) = 0.5      0.5, −1 → min(−0.5, −0.8) = −0.8
    # mean = (1.2 − 1.5 + 0.5 − 0.8) / 4 = −0.15, loss = 0.15
    ratio = torch.tensor([1.5, 1.5, 0.5, 0.5]).reshape(1, 1, 4, 1)
    value = torch.zeros(1, 1, 4, 1)
    uniform = torch.full((1, 1, 4, 1, 2), math.log(0.5))
    loss, parts = _clipped_loss(
        uniform, ratio.log(), value, batch([1.0, -1.0, 1.0, -1.0], [0.0] * 4), weights(clip=0.2)
    )
    assert loss.item() == pytest.approx(0.15)
    # all four ratios lie outside 1 ± 0.2
    assert parts[0, 4].item() == 1.0


def test_value_and_entropy_terms_by_hand():
    # values 1, 3 against targets 0, 1: ½·mean(1, 4) = 1.25; entropy of a fair coin = ln 2
    # loss = 0 + 0.5·1.25 − 0.1·ln 2
    one = torch.zeros(1, 1, 2, 1)
    uniform = torch.full((1, 1, 2, 1, 2), math.log(0.5))
    value = torch.tensor([1.0, 3.0]).reshape(1, 1, 2, 1)
    loss, _ = _clipped_loss(uniform, one, value, batch([0.0, 0.0], [0.0, 1.0]), weights(0.2, 0.5, 0.1))
    assert loss.item() == pytest.approx(0.625 - 0.1 * math.log(2), rel=1e-6)


def test_advantages_are_normalised_per_member():
    # 1 2 3: mean 2, std (n − 1) 1 → −1 0 1;  10 20 30 gives the same, whatever its neighbour holds
    advantages = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]).reshape(2, 1, 3, 1)
    got = normalise(advantages).reshape(2, 3)
    torch.testing.assert_close(got, torch.tensor([[-1.0, 0.0, 1.0]] * 2))
