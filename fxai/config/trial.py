"""The effective configuration of one training run: every section, every default filled in."""

from __future__ import annotations

from pydantic import model_validator

from fxai.config.base import Settings
from fxai.config.data import DataConfig
from fxai.config.env import EnvConfig
from fxai.config.evaluation import EvaluationConfig
from fxai.config.model import ModelConfig
from fxai.config.objective import ObjectiveConfig
from fxai.config.training import TrainingConfig
from fxai.config.wandb import WandbConfig

_ONLY_WITH_A_MARKET: dict[str, tuple[str, ...]] = {
    "env": tuple(name for name in EnvConfig.model_fields if name != "gym_id"),
    "model": ("window", "d_model", "n_layers", "n_heads", "ff_multiplier", "dropout"),
    "evaluation": tuple(EvaluationConfig.model_fields),
}
"""Settings that do nothing beside `env.gym_id`: there are no bars to encode and no account."""


class TrialConfig(Settings):
    """All that decides one training run."""

    data: DataConfig | None = None
    """Required, unless `env.gym_id` takes the market's place."""

    env: EnvConfig = EnvConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    wandb: WandbConfig = WandbConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    """Settings of an objective of your own; only beside a spec's `objective`."""

    @property
    def bars(self) -> DataConfig:
        """The section `data` of a config that trades."""
        assert self.data is not None, "env.gym_id has no bars"
        return self.data

    @model_validator(mode="after")
    def _market_or_gym(self) -> TrialConfig:
        """What would do nothing is refused, so that no setting is silently ignored."""
        gym_id = self.env.gym_id
        if gym_id is None:
            if self.data is None:
                raise ValueError("data is missing: where do the bars come from? (for example data: {source: ecb})")
            return self
        if self.data is not None:
            raise ValueError(f"data has no meaning with env.gym_id {gym_id}: leave it out")
        for section, names in _ONLY_WITH_A_MARKET.items():
            own = getattr(self, section)
            for name in names:
                if getattr(own, name) != type(own).model_fields[name].get_default():
                    raise ValueError(f"{section}.{name} has no meaning with env.gym_id {gym_id}: leave it out")
        return self

    @model_validator(mode="after")
    def _rollouts_fill_episodes(self) -> TrialConfig:
        steps, rollout = self.env.max_episode_steps, self.training.rollout_steps
        if steps % rollout and self.env.gym_id is None:
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
        episodes = self.training.eval_episodes
        instruments = 0 if self.data is None else len(self.data.instruments)
        if episodes < instruments:
            raise ValueError(f"training.eval_episodes {episodes} must cover the {instruments} data.instruments")
        return self

    @model_validator(mode="after")
    def _ecb_has_one_price_a_day(self) -> TrialConfig:
        if self.data is not None and self.data.source == "ecb" and self.env.execution == "next_open":
            raise ValueError(
                "env.execution next_open needs bars with an open; ECB rates have one price a day: use next_close"
            )
        return self
