"""Typed settings: one frozen, strict class per section of a training config."""

from fxai.config.data import MAJORS, DataConfig, SplitConfig
from fxai.config.env import EnvConfig, FinancingConfig
from fxai.config.evaluation import EvaluationConfig
from fxai.config.model import ModelConfig
from fxai.config.reward import RewardConfig
from fxai.config.training import TrainingConfig
from fxai.config.trial import TrialConfig

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
]
