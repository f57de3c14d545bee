"""Typed settings: one frozen, strict class per section of a training config.

Imported when first asked for: building the classes takes longer than an answer that needs none of them
(`fxai.config.metrics` alone) may.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fxai.config.data import MAJORS, DataConfig, SplitConfig
    from fxai.config.env import EnvConfig, FinancingConfig
    from fxai.config.evaluation import EvaluationConfig
    from fxai.config.model import ModelConfig
    from fxai.config.reward import RewardConfig
    from fxai.config.training import TrainingConfig
    from fxai.config.trial import TrialConfig
    from fxai.config.wandb import WandbConfig

__all__ = [
    "MAJORS",
    "DataConfig",
    "EnvConfig",
    "EvaluationConfig",
    "FinancingConfig",
    "ModelConfig",
    "RewardConfig",
    "SplitConfig",
    "TrainingConfig",
    "TrialConfig",
    "WandbConfig",
]

_MODULES = {
    "MAJORS": "data",
    "DataConfig": "data",
    "SplitConfig": "data",
    "EnvConfig": "env",
    "FinancingConfig": "env",
    "EvaluationConfig": "evaluation",
    "ModelConfig": "model",
    "RewardConfig": "reward",
    "TrainingConfig": "training",
    "TrialConfig": "trial",
    "WandbConfig": "wandb",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
