"""Generalised advantages against sums worked out by hand."""

import torch

from fxai.agent.gae import discounted_returns, gae


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1, 1)


def p11(value: float) -> torch.Tensor:
    return torch.tensor([[[value]]], dtype=torch.float64)


def test_three_steps_by_hand():
    # gamma 0.5, lambda 0.5, values 1 2 3 | 4 (bootstrap), rewards 1 0 2
    # delta_2 = 2 + 0.5·4 − 3 = 1          A_2 = 1
    # delta_1 = 0 + 0.5·3 − 2 = −0.5       A_1 = −0.5 + 0.25·1 = −0.25
    # delta_0 = 1 + 0.5·2 − 1 = 1          A_0 = 1 + 0.25·(−0.25) = 0.9375
    never = torch.zeros(3, 1, 1, 1, dtype=torch.bool)
    got = gae(column(1, 0, 2), column(1, 2, 3, 4), never, p11(0.5), p11(0.5))
    torch.testing.assert_close(got.flatten(), torch.tensor([0.9375, -0.25, 1.0], dtype=torch.float64))


def test_termination_stops_bootstrap_and_recursion():
    # as above, but the account ends at step 1: what follows belongs to a fresh one
    # delta_2 = 1, A_2 = 1;  delta_1 = 0 − 2 = −2, A_1 = −2;  A_0 = 1 + 0.25·(−2) = 0.5
    ended = column(0, 1, 0).bool()
    got = gae(column(1, 0, 2), column(1, 2, 3, 4), ended, p11(0.5), p11(0.5))
    torch.testing.assert_close(got.flatten(), torch.tensor([0.5, -2.0, 1.0], dtype=torch.float64))


def test_lambda_one_is_the_discounted_return_minus_the_value():
    # A_0 = 1 + 0.5·0 + 0.25·2 + 0.125·4 − 1 = 1
    never = torch.zeros(3, 1, 1, 1, dtype=torch.bool)
    got = gae(column(1, 0, 2), column(1, 2, 3, 4), never, p11(0.5), p11(1.0))
    assert got.flatten()[0].item() == 1.0


def test_members_have_their_own_discounts():
    rewards = column(1, 0, 2).expand(3, 2, 1, 1)
    values = column(1, 2, 3, 4).expand(4, 2, 1, 1)
    never = torch.zeros(3, 2, 1, 1, dtype=torch.bool)
    gamma = torch.tensor([0.5, 0.0], dtype=torch.float64).reshape(2, 1, 1)
    got = gae(rewards, values, never, gamma, torch.full_like(gamma, 0.5))
    # gamma 0: A = r − V = 0, −2, −1
    torch.testing.assert_close(got[:, 0].flatten(), torch.tensor([0.9375, -0.25, 1.0], dtype=torch.float64))
    torch.testing.assert_close(got[:, 1].flatten(), torch.tensor([0.0, -2.0, -1.0], dtype=torch.float64))


def test_forward_returns_restart_after_a_termination():
    # gamma 0.5, carried 2: R_0 = 0.5·2 + 1 = 2, R_1 = 0.5·2 + 0 = 1 (ends), R_2 = 0 + 2 = 2
    got = discounted_returns(column(1, 0, 2), column(0, 1, 0).bool(), p11(0.5), p11(2.0))
    torch.testing.assert_close(got.flatten(), torch.tensor([2.0, 1.0, 2.0], dtype=torch.float64))
