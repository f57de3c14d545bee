"""The policy network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from fxai.config.base import Count, Settings


class ModelConfig(Settings):
    """A causal transformer over bars and a small head over embedding and account."""

    window: int = Field(default=60, ge=1)
    """Bars that an embedding depends on, exactly: the sum of all layers' attention spans."""

    d_model: Count = 64
    """Width of the embedding."""

    n_layers: Count = 2
    """Transformer layers."""

    n_heads: Count = 4
    """Attention heads; must divide d_model into heads of even width."""

    ff_multiplier: Count = 2
    """Width of the feed-forward layer over d_model."""

    head_width: Count = 64
    """Hidden width of the head that joins embedding and account state."""

    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout rate; one mask per rollout, shared by rollout and update (consistent dropout)."""

    activation: Literal["gelu", "relu", "silu", "tanh"] = "relu"
    """Activation of feed-forward layers and head; relu is the fastest on a CPU."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> ModelConfig:
        if self.d_model % self.n_heads or (self.d_model // self.n_heads) % 2:
            raise ValueError(
                f"n_heads {self.n_heads} must divide d_model {self.d_model} into heads of even width (rotary positions)"
            )
        return self
