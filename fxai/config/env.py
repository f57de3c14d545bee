"""The rules of the account: what can be held, what trading costs, when an account is stopped."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, field_validator, model_validator

from fxai.config.base import Count, Floats, NonNegative, Positive, Settings
from fxai.config.reward import RewardConfig


class FinancingConfig(Settings):
    """Interest on the notional held, by calendar time between bars. Positive is paid, negative is earned."""

    long_bp_per_day: float = 0.0
    """Basis points a day on a long position."""

    short_bp_per_day: float = 0.0
    """Basis points a day on a short position."""


class EnvConfig(Settings):
    """One trading account and its reward, or a Gymnasium environment in their place."""

    gym_id: str | None = Field(default=None, min_length=1)
    """A Gymnasium environment with Box observations and Discrete actions, for example CartPole-v1; no other setting of
    `env` and no `data` then has a meaning."""

    position_levels: Floats = (-1.0, -0.5, 0.0, 0.5, 1.0)
    """Actions: shares of `leverage` × equity, ascending, 0 among them. Long-only is [0, 0.5, 1]."""

    leverage: Positive = 1.0
    """Notional over equity at level 1."""

    initial_capital: Positive = 10_000.0
    """Equity of a fresh account, in the quote currency."""

    spread_bp: NonNegative = 1.0
    """Full bid-ask spread, basis points of mid, where the bars carry no bid and ask."""

    commission_bp: NonNegative = 0.0
    """Commission, basis points of the notional traded."""

    slippage_bp: NonNegative = 0.0
    """Slippage, basis points of the notional traded."""

    financing: FinancingConfig = FinancingConfig()

    execution: Literal["next_open", "next_close"] = "next_open"
    """Where an order decided at a close is filled. Bars with one price a day need `next_close`."""

    max_episode_steps: Count = 256
    """Bars after which an episode is truncated (never terminated)."""

    early_stop_loss_threshold: float = Field(default=0.5, gt=0.0, le=1.0)
    """An account is stopped when it has lost this share of its initial capital."""

    max_drawdown: float = Field(default=0.5, gt=0.0, le=1.0)
    """An account is stopped when it has lost this share of its highest equity."""

    maintenance_margin: float = Field(default=0.0, ge=0.0, lt=1.0)
    """An account is stopped (margin call) when its equity at a close is below this share of the notional it holds."""

    reward: RewardConfig = RewardConfig()

    @field_validator("position_levels")
    @classmethod
    def _ascending_with_flat(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if len(levels) < 2:
            raise ValueError("needs at least two levels")
        if any(a >= b for a, b in pairwise(levels)):
            raise ValueError(f"must ascend without repeats, got {list(levels)}")
        if 0.0 not in levels:
            raise ValueError(f"must contain 0, the flat position, got {list(levels)}")
        if max(abs(level) for level in levels) > 1.0:
            raise ValueError("levels lie in [-1, 1]; use leverage for more")
        return levels

    @model_validator(mode="after")
    def _a_full_position_keeps_its_margin(self) -> EnvConfig:
        leverage, margin = self.leverage, self.maintenance_margin
        if leverage * margin >= 1.0:
            raise ValueError(
                f"leverage {leverage:g} × maintenance_margin {margin:g} = {leverage * margin:g} must be below 1, "
                "else a position of level 1 is a margin call as soon as it is opened"
            )
        return self
