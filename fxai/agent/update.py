"""One PPO update: minibatches of whole segments, the clipped loss, a guarded step of every member.

Axes: P population, S segments, M segments of a minibatch, T steps, K accounts, L rows, F features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import pairwise

import torch
from torch import Tensor

from fxai.agent.optimizer import PopulationAdam
from fxai.agent.policy import DropoutMasks, Policy
from fxai.agent.rollout import Rollout
from fxai.agent.seeding import MemberStreams

LOSS_NAMES = ("policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What the loss needs of some segments, accounts in [P, M, T, K]."""

    features_PMLF: Tensor
    account_PMTKO: Tensor
    action: Tensor
    log_prob: Tensor
    advantage: Tensor
    """Normalised over the member's whole rollout."""
    target: Tensor
    """What the value should be."""
    dropout: DropoutMasks | None

    def pick(self, index_PM: Tensor) -> Batch:
        """The segments `index` of each member."""
        member = torch.arange(len(index_PM), device=index_PM.device)[:, None]
        return self._each(lambda x: x[member, index_PM])

    def slice(self, begin: int, end: int) -> Batch:
        """Segments `begin` to `end`, without a copy."""
        return self._each(lambda x: x[:, begin:end])

    def _each(self, function: Callable[[Tensor], Tensor]) -> Batch:
        tensors = {f.name: function(getattr(self, f.name)) for f in fields(self) if f.name != "dropout"}
        masks = None if self.dropout is None else [(function(a), function(b)) for a, b in self.dropout]
        return Batch(**tensors, dropout=masks)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossWeights:
    """Hyperparameters of the loss, one value per member [P]."""

    clip_epsilon_P: Tensor
    value_coef_P: Tensor
    entropy_coef_P: Tensor


def normalise(advantage_PSTK: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 (n − 1) over each member's rollout."""
    flat = advantage_PSTK.flatten(1)
    std, mean = torch.std_mean(flat, dim=1, keepdim=True)
    return ((flat - mean) / (std + 1e-8)).view_as(advantage_PSTK)


def as_batch(rollout: Rollout, advantage_TPSK: Tensor, target_TPSK: Tensor) -> Batch:
    """A rollout as one batch of all its segments."""
    return Batch(
        # the last row only served to bootstrap
        features_PMLF=rollout.features_PSLF[:, :, :-1],
        account_PMTKO=rollout.account_PSTKO,
        action=rollout.action_PSTK,
        log_prob=rollout.log_prob_PSTK,
        advantage=normalise(advantage_TPSK.permute(1, 2, 0, 3)),
        target=target_TPSK.permute(1, 2, 0, 3).contiguous(),
        dropout=_drop_last_row(rollout.dropout),
    )


def _drop_last_row(masks: DropoutMasks | None) -> DropoutMasks | None:
    return None if masks is None else [(a[:, :, :-1], b[:, :, :-1]) for a, b in masks]


def ppo_loss(policy: Policy, batch: Batch, weights: LossWeights) -> tuple[Tensor, Tensor]:
    """The clipped surrogate, value and entropy loss of each member (Schulman et al. 2017, eq. 7 and 9).

    L = −E[min(ρA, clip(ρ, 1 − ε, 1 + ε)A)] + c_v · ½E[(V − target)²] − c_e · E[entropy],  ρ = π/π_old

    Returns:
        The loss [P], and the mean of each of `LOSS_NAMES` [P, 5], detached.
    """
    logits, value = policy.head(policy.bars(batch.features_PMLF, batch.dropout), batch.account_PMTKO)
    # over the axis that the head laid first, where a CPU is several times as fast
    log_all = torch.log_softmax(logits.movedim(-1, 1), dim=1).movedim(1, -1)
    log_prob = log_all.gather(-1, batch.action[..., None])[..., 0]
    log_ratio = log_prob - batch.log_prob
    return _clipped_loss(log_all, log_ratio, value, batch, weights)


def _clipped_loss(
    log_all: Tensor, log_ratio: Tensor, value: Tensor, batch: Batch, weights: LossWeights
) -> tuple[Tensor, Tensor]:
    ratio = log_ratio.exp()
    epsilon = weights.clip_epsilon_P[:, None, None, None]
    # min(ρA, clip(ρ)A): from above where A > 0, from below elsewhere
    gains = batch.advantage > 0
    clipped = ratio.clamp(torch.where(gains, 0.0, 1.0 - epsilon), torch.where(gains, 1.0 + epsilon, torch.inf))
    policy_loss_P = -(clipped * batch.advantage).flatten(1).mean(1)
    value_loss_P = 0.5 * (value - batch.target).square().flatten(1).mean(1)
    entropy_P = -(log_all.exp() * log_all).sum(-1).flatten(1).mean(1)
    loss_P = policy_loss_P + weights.value_coef_P * value_loss_P - weights.entropy_coef_P * entropy_P
    with torch.no_grad():
        # Schulman's low-variance estimate of KL(old, new)
        kl_P = (ratio - 1.0 - log_ratio).flatten(1).mean(1)
        clip_fraction_P = ((ratio - 1.0).abs() > epsilon).float().flatten(1).mean(1)
        parts = torch.stack(
            [policy_loss_P.detach(), value_loss_P.detach(), entropy_P.detach(), kl_P, clip_fraction_P], dim=1
        )
    return loss_P, parts


def accumulated(
    policy: Policy, batch: Batch, weights: LossWeights, micro_batches: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, its parts and gradient of a minibatch, micro-batch by micro-batch.

    All are means over transitions, and a segment has as many as any other: a micro-batch counts by its segments.

    Args:
        micro_batches: whole segments each, as even as can be; more than there are segments are one segment each.

    Returns:
        The loss [P], the mean of each of `LOSS_NAMES` [P, 5], both detached, and the gradient [P, N].
    """
    segments = batch.action.shape[1]
    cuts = [segments * i // micro_batches for i in range(micro_batches + 1)]
    total: tuple[Tensor, Tensor, Tensor] | None = None
    for begin, end in pairwise(cuts):
        if begin == end:
            continue
        loss_P, parts = ppo_loss(policy, batch.slice(begin, end), weights)
        share = (end - begin) / segments
        own = (loss_P.detach() * share, parts * share, policy.gradients((loss_P * share).sum()))
        total = own if total is None else tuple(a.add_(b) for a, b in zip(total, own, strict=True))  # type: ignore[assignment]
    assert total is not None
    return total


def update(
    policy: Policy,
    optimizer: PopulationAdam,
    batch: Batch,
    weights: LossWeights,
    *,
    learning_rate_P: Tensor,
    max_grad_norm_P: Tensor,
    n_epochs: int,
    segments_per_batch: int,
    micro_batches: int = 1,
    streams: list[MemberStreams],
    alive_P: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """`n_epochs` passes over the rollout in minibatches of `segments_per_batch` segments, each in `micro_batches`.

    A member whose loss or gradient is not finite stops before that step and keeps its last finite weights.

    Returns:
        Means of `LOSS_NAMES` over the minibatches [P, 5], mean gradient norm [P], and who is still alive [P].
    """
    segments = batch.action.shape[1]
    totals = torch.zeros(policy.population, len(LOSS_NAMES), device=policy.device)
    norms = torch.zeros(policy.population, device=policy.device)
    steps = 0
    for _ in range(n_epochs):
        order_PS = torch.stack([torch.randperm(segments, generator=m.batches) for m in streams])
        shuffled = batch.pick(order_PS.to(policy.device))
        for begin in range(0, segments, segments_per_batch):
            part = shuffled.slice(begin, begin + segments_per_batch)
            loss_P, parts, gradients_PN = accumulated(policy, part, weights, micro_batches)
            alive_P = alive_P & torch.isfinite(loss_P)
            norm_P, alive_P = optimizer.step(gradients_PN, learning_rate_P, max_grad_norm_P, alive_P)
            totals += parts
            norms += norm_P
            steps += 1
    return totals / steps, norms / steps, alive_P
