"""The effective configuration of one training run: every section, every default filled in."""

from __future__ import annotations

from pydantic import model_validator

from fxai.config.base import Settings
from fxai.config.data import DataConfig
from fxai.config.env import EnvConfig
from fxai.config.evaluation import EvaluationConfig
from fxai.config.model import ModelConfig
from fxai.config.training import TrainingConfig


class TrialConfig(Settings):
    """All that decides one training run."""

    data: DataConfig
    env: EnvConfig = EnvConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _rollouts_fill_episodes(self) -> TrialConfig:
        steps, rollout = self.env.max_episode_steps, self.training.rollout_steps
        if steps % rollout:
            raise ValueError(f"env.max_episode_steps {steps} must be a multiple of training.rollout_steps {rollout}")
        return self

    @model_validator(mode="after")
    def _every_window_sees_the_same_episodes(self) -> TrialConfig:
        window, warmup = self.model.window, self.evaluation.warmup_bars
        if window > warmup:
            raise ValueError(f"model.window {window} must not exceed evaluation.warmup_bars {warmup}")
        return self

    @model_validator(mode="after")
    def _every_instrument_is_evaluated(self) -> TrialConfig:
        episodes, instruments = self.training.eval_episodes, len(self.data.instruments)
        if episodes < instruments:
            raise ValueError(f"training.eval_episodes {episodes} must cover the {instruments} data.instruments")
        return self

    @model_validator(mode="after")
    def _ecb_has_one_price_a_day(self) -> TrialConfig:
        if self.data.source == "ecb" and self.env.execution == "next_open":
            raise ValueError(
                "env.execution next_open needs bars with an open; ECB rates have one price a day: use next_close"
            )
        return self
