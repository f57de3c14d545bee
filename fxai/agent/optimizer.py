"""Adam for a population: every member has its own learning rate, gradient clip, step count and guard.

Axes: P population, N weights of a member, all in one flat tensor.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class PopulationAdam:
    """Adam (Kingma & Ba 2015, algorithm 1) on flat [P, N] weights.

    Args:
        weights_PN: updated in place.
        eps: 1e-5, as is usual for PPO (Huang et al. 2022, detail 3).
    """

    def __init__(
        self,
        weights_PN: Tensor,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-5,
    ) -> None:
        self.weights_PN = weights_PN
        self.beta1, self.beta2, self.eps = beta1, beta2, eps
        self.mean_PN = torch.zeros_like(weights_PN)
        self.square_PN = torch.zeros_like(weights_PN)
        self.steps_P1 = torch.zeros(len(weights_PN), 1, device=weights_PN.device)

    def state(self) -> dict[str, Tensor]:
        """Moments and steps; the weights are the policy's."""
        return {"mean": self.mean_PN, "square": self.square_PN, "steps": self.steps_P1}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on with what `state` gave."""
        self.mean_PN.copy_(state["mean"])
        self.square_PN.copy_(state["square"])
        self.steps_P1.copy_(state["steps"])

    @torch.no_grad()
    def step(
        self, gradients_PN: Tensor, learning_rate_P: Tensor, max_grad_norm_P: Tensor, alive_P: Tensor
    ) -> tuple[Tensor, Tensor]:
        """One step of each member that is alive and whose gradient is finite.

        Args:
            gradients_PN: of the loss.
            learning_rate_P, max_grad_norm_P: per member; the gradient is scaled to at most this L2 norm.
            alive_P: bool; the others keep their weights.

        Returns:
            The gradients' L2 norms before clipping [P], and `alive` without the members that just failed [P].
        """
        norm_P = torch.linalg.vector_norm(gradients_PN, dim=1)
        alive_P = alive_P & torch.isfinite(norm_P)
        scale_P = (max_grad_norm_P / (norm_P + 1e-6)).clamp(max=1.0)
        gradient = torch.where(alive_P[:, None], gradients_PN * scale_P[:, None], 0.0)
        self.steps_P1 += alive_P[:, None]
        # a stopped member has gradient 0; its moments decay and its weights stay, since its rate is 0
        self.mean_PN.lerp_(gradient, 1 - self.beta1)
        self.square_PN.mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        steps = self.steps_P1.clamp(min=1)
        rate_P1 = (learning_rate_P * alive_P)[:, None] / (1 - self.beta1**steps)
        denominator = self.square_PN.sqrt().div_((1 - self.beta2**steps).sqrt()).add_(self.eps)
        weights_PN = self.weights_PN - (rate_P1 * self.mean_PN).div_(denominator)
        # a sum is finite only if every weight is
        alive_P = alive_P & torch.isfinite(weights_PN.sum(1))
        self.weights_PN.copy_(torch.where(alive_P[:, None], weights_PN, self.weights_PN))
        return norm_P, alive_P
