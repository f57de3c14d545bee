"""Weights & Biases logging."""

from __future__ import annotations

from typing import Literal

from fxai.config.base import Settings, Strings


class WandbConfig(Settings):
    """One run per trial, when switched on."""

    mode: Literal["off", "offline", "online"] = "off"
    """`offline` writes run folders that `wandb sync` uploads later."""

    project: str = "fx-ai-optuna"
    """Project that the runs appear in."""

    tags: Strings = ("optuna", "hyperparameter_search")
    """Tags on each run."""
