"""Minibatches cut into micro-batches: the same training up to rounding, in less memory."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from fxai.agent import update as updating
from fxai.agent.optimizer import PopulationAdam
from fxai.agent.policy import Policy
from fxai.agent.train import rows_at_once, train
from fxai.agent.update import LossWeights, accumulated, ppo_loss


def no_scores(policy: Policy) -> list[dict[str, float]]:
    return [{}] * policy.population


def trained(config, market, steps, **sections):
    """Weights after four updates of minibatches of six segments; losses of each."""
    sizes = {"n_segments": 6, "batch_size": 6 * 96, "n_epochs": 2, "total_updates": 4}
    own = config(training={**sizes, "gradient_accumulation_steps": steps}, **sections)
    seen = [(p.losses, p.policy.weights_PN.detach().clone()) for p in train([own] * 2, [1, 2], market.train, no_scores)]
    return seen[-1][1], [row for losses, _ in seen for row in losses]


def sizes_seen(monkeypatch) -> list[int]:
    """Segments of every micro-batch from now on."""
    seen, real = [], updating.ppo_loss

    def spy(policy, batch, weights):
        seen.append(batch.action.shape[1])
        return real(policy, batch, weights)

    monkeypatch.setattr(updating, "ppo_loss", spy)
    return seen


@pytest.mark.parametrize(("steps", "cut"), [(2, [3, 3]), (4, [1, 2, 1, 2]), (5, [1, 1, 1, 1, 2]), (9, [1] * 6)])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_several_updates_end_the_same_up_to_rounding(config, market, monkeypatch, steps, cut, dropout):
    whole, losses = trained(config, market, 1, model={"dropout": dropout})
    sizes = sizes_seen(monkeypatch)
    parts, same = trained(config, market, steps, model={"dropout": dropout})
    # four updates of two epochs of one minibatch
    assert sizes == cut * 8
    # float32 sums in another order: Adam's steps are 3e-4 each, so that 1e-5 is a thirtieth of one
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=0)
    for one, other in zip(losses, same, strict=True):
        assert one == pytest.approx(other, abs=2e-5)


def parts_of(config, market):
    """A policy and a batch of five segments, of which one has advantages a hundred times as large."""
    from fxai.agent import train as training
    from fxai.agent.seeding import MemberStreams
    from fxai.agent.update import as_batch

    own = config(training={"n_segments": 5, "batch_size": 5 * 96})
    streams = [MemberStreams.from_seed(3)]
    walker = training.new_walker([own], market.train, streams, torch.device("cpu"))
    policy = walker.policy(own.model, torch.device("cpu"))
    rollout = walker.rollout(policy, [0.0])
    advantage = torch.randn(rollout.reward_TPSK.shape, generator=torch.Generator().manual_seed(0))
    advantage[:, :, 4] *= 100.0
    return (
        policy,
        as_batch(rollout, advantage, advantage),
        LossWeights(
            clip_epsilon_P=torch.tensor([0.2]), value_coef_P=torch.tensor([0.5]), entropy_coef_P=torch.tensor([0.01])
        ),
    )


def test_one_micro_batch_is_the_minibatch_bit_by_bit(config, market):
    policy, batch, weights = parts_of(config, market)
    loss_P, parts = ppo_loss(policy, batch, weights)
    gradient = policy.gradients(loss_P.sum())
    for a, b in zip(accumulated(policy, batch, weights, 1), (loss_P.detach(), parts, gradient), strict=True):
        assert torch.equal(a, b)


def test_uneven_micro_batches_count_by_their_segments(config, market):
    policy, batch, weights = parts_of(config, market)
    loss_P, parts = ppo_loss(policy, batch, weights)
    gradient = policy.gradients(loss_P.sum())
    # 5 segments in two: 2 and 3. Their plain mean would weigh the large segment 1/6 instead of 1/5
    both = [ppo_loss(policy, batch.slice(a, b), weights)[0].item() for a, b in pairwise([0, 2, 5])]
    assert abs(sum(both) / 2 - loss_P.item()) > 0.01 * abs(loss_P.item())
    for a, b in zip(accumulated(policy, batch, weights, 2), (loss_P.detach(), parts, gradient), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_loss_that_is_not_finite_in_one_micro_batch_stops_the_member(config, market):
    policy, batch, weights = parts_of(config, market)
    batch.advantage[:, 4] = float("nan")
    loss_P, _, gradient = accumulated(policy, batch, weights, 5)
    assert not torch.isfinite(loss_P).any()
    _, alive = PopulationAdam(policy.weights_PN).step(gradient, torch.ones(1), torch.ones(1), torch.tensor([True]))
    assert alive.tolist() == [False]


def test_the_encoder_takes_no_more_rows_at_once_than_a_micro_batch_has(config, market, monkeypatch):
    own = config(training={"n_segments": 6, "batch_size": 6 * 96, "gradient_accumulation_steps": 3})
    rows, real = [], Policy.encode

    def spy(self, features, dropout=None):
        rows.append(features.shape[1] * features.shape[2])
        return real(self, features, dropout)

    monkeypatch.setattr(Policy, "encode", spy)
    next(train([own], [0], market.train, no_scores))
    # two segments of 11 + 32 + 1 rows
    assert rows_at_once(own) == 2 * 44
    assert max(rows) == 2 * 44
    # the rollout in three parts, and two epochs of three micro-batches of one row less
    assert rows == [88] * 3 + [86] * 6


def test_a_micro_batch_has_at_least_one_segment(config):
    def segments(steps: int) -> int:
        own = config(training={"n_segments": 6, "batch_size": 6 * 96, "gradient_accumulation_steps": steps})
        return own.training.segments_per_micro_batch

    # six segments in 1, 2, 4 and 100: the largest part
    assert [segments(n) for n in (1, 2, 4, 100)] == [6, 3, 2, 1]
