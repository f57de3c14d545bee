"""PPO and its schedule."""

from __future__ import annotations

import re

from pydantic import Field, field_validator, model_validator

from fxai.config.base import Count, Fraction, NonNegative, Positive, Settings


class TrainingConfig(Settings):
    """How one agent is trained. Env steps per update = n_segments × accounts_per_segment × rollout_steps."""

    learning_rate: Positive = 3e-4
    """Adam's step size at the first update."""

    use_lr_annealing: bool = True
    """Fall linearly from learning_rate towards 0 over total_updates."""

    batch_size: Count = 4096
    """Transitions per gradient step; a whole number of segments."""

    gradient_accumulation_steps: Count = 1
    """Micro-batches of whole segments that a minibatch is worked off in: less memory, the same result up to rounding.
    More than it has segments are one segment each."""

    n_epochs: Count = 4
    """Passes over each rollout."""

    gamma: Fraction = 0.95
    """Discount per bar."""

    gae_lambda: Fraction = 0.9
    """λ of generalised advantage estimation."""

    clip_epsilon: float = Field(default=0.2, gt=0.0, lt=1.0)
    """PPO clips the probability ratio to 1 ± this."""

    value_coef: NonNegative = 0.5
    """Weight of the value loss."""

    entropy_coef: NonNegative = 0.01
    """Weight of the entropy bonus."""

    max_grad_norm: Positive = 0.5
    """Each member's gradient is clipped to this L2 norm."""

    n_segments: Count = 16
    """Stretches of bars walked at once."""

    accounts_per_segment: Count = 8
    """Accounts that share each stretch and its encoding."""

    rollout_steps: Count = 128
    """Bars walked between updates."""

    total_updates: Count = 30
    """Rollout-and-update rounds."""

    eval_frequency: Count = 5
    """Updates between evaluations on validation; the last update is always evaluated."""

    eval_episodes: Count = 28
    """Fixed validation episodes, spread evenly over instruments and time, run in parallel."""

    n_seeds: Count = 1
    """Independent trainings of one trial, batched; the trial's value is their mean."""

    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""

    seed: int = Field(default=0, ge=0)
    """Seed of a run outside a study; in a study it comes from (study seed, trial number)."""

    @field_validator("device")
    @classmethod
    def _known_device(cls, device: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
            raise ValueError(f"must be auto, cpu, cuda or cuda:N, got {device!r}")
        return device

    @property
    def transitions_per_segment(self) -> int:
        """Transitions that one segment gives per rollout."""
        return self.accounts_per_segment * self.rollout_steps

    @property
    def segments_per_batch(self) -> int:
        """Segments of a minibatch."""
        return self.batch_size // self.transitions_per_segment

    @property
    def segments_per_micro_batch(self) -> int:
        """Segments of the largest micro-batch, at least 1."""
        return -(-self.segments_per_batch // self.gradient_accumulation_steps)

    @model_validator(mode="after")
    def _batches_are_whole_segments(self) -> TrainingConfig:
        total = self.n_segments * self.transitions_per_segment
        if self.batch_size % self.transitions_per_segment or total % self.batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of accounts_per_segment × rollout_steps = "
                f"{self.transitions_per_segment} and divide a rollout of {total} transitions"
            )
        return self
