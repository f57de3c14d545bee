"""Coefficients of the reward terms; the formulas are in `fxai.env.rewards` and docs/trading_model.md.

Every term is in per cent of account value, so it depends neither on price scale nor on capital.
A flag stands above the coefficients of its term.
"""

from __future__ import annotations

import keyword

from pydantic import ConfigDict, Field, model_validator

from fxai.config.base import Fraction, NonNegative, Settings, Strings


class CustomCoefficients(Settings):
    """Coefficients of your own terms, by the names that the files of `plugins` declare."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, float] = Field(init=False)

    @model_validator(mode="after")
    def _are_names(self) -> CustomCoefficients:
        for name in self.__pydantic_extra__:
            if fault := name_fault(name):
                raise ValueError(f"{name!r} cannot be the name of a coefficient: {fault}")
        return self

    @property
    def by_name(self) -> dict[str, float]:
        """Every coefficient that is set."""
        return {name: float(value) for name, value in self.__pydantic_extra__.items()}


def name_fault(name: str) -> str | None:
    """Why a coefficient of your own cannot have this name; None if it can."""
    if not (name.isascii() and name.isidentifier()) or name.startswith("_") or len(name) > 64:
        return "write up to 64 letters, digits and _, a letter first"
    if name in RewardConfig.model_fields:
        return f"env.reward.{name} is a setting of FxAI's own"
    if keyword.iskeyword(name) or hasattr(CustomCoefficients, name):
        return "it means something to Python or pydantic"
    return None


class RewardConfig(Settings):
    """One flag and the coefficients of each term."""

    enable_pnl: bool = True
    """Add the change of equity."""

    pnl_coefficient: NonNegative = 1.0
    """Reward per per cent of equity change."""

    enable_risk_penalty: bool = False
    """Charge for the square of the equity change: mean-variance utility."""

    risk_penalty_coefficient: NonNegative = 0.1
    """Risk aversion; half of it times the squared per cent is charged."""

    enable_drawdown_penalty: bool = False
    """Charge for drawdown that deepens."""

    drawdown_penalty_coefficient: NonNegative = 0.1
    """Penalty per per cent by which the drawdown from the equity peak grew in this bar."""

    enable_max_drawdown_penalty: bool = False
    """Charge for a trade that goes further under water (MAE)."""

    max_drawdown_penalty_coefficient: NonNegative = 0.1
    """Penalty per per cent by which the trade's MAE went further beyond its threshold."""

    max_drawdown_threshold_percent: float = Field(default=1.0, ge=0.0, le=100.0)
    """Per cent of its entry equity that a trade may lose without penalty."""

    enable_profit_giveback_penalty: bool = False
    """Charge for open profit that is given back (MFE)."""

    profit_giveback_penalty_coefficient: NonNegative = 0.1
    """Penalty per per cent by which what is given back went further beyond its threshold."""

    profit_giveback_threshold: Fraction = 0.5
    """Share of its highest gain that a trade may give back without penalty."""

    enable_profit_closing_bonus: bool = False
    """Pay for trades closed with a gain."""

    profit_closing_bonus_coefficient: NonNegative = 0.1
    """Bonus per per cent gained, paid when the trade is closed."""

    enable_clean_trade: bool = False
    """Pay for trades closed with a gain and little adverse movement."""

    clean_trade_coefficient: NonNegative = 0.1
    """Bonus per per cent gained by a clean trade, paid when it is closed."""

    max_mae_threshold: Fraction = 0.005
    """A clean trade was never further under water than this share of the equity at its entry."""

    min_gain_threshold: Fraction = 0.001
    """A clean trade gained at least this share of the equity at its entry."""

    enable_action_efficiency: bool = False
    """Pay for exits near the best of the trade's range, charge for exits near its worst."""

    action_efficiency_coefficient: NonNegative = 0.1
    """Reward of a trade closed at its highest gain that was never under water."""

    enable_holding_penalty: bool = False
    """Charge for trades held too long."""

    holding_penalty_coefficient: NonNegative = 0.01
    """Penalty per bar at the end of the ramp; it grows linearly beyond `max_holding_time_steps`."""

    max_holding_time_steps: int = Field(default=64, ge=1)
    """Bars for which a trade may be held without penalty."""

    enable_activity_bonus: bool = False
    """Pay for opening trades."""

    activity_bonus_per_trade: NonNegative = 0.01
    """Bonus for each trade opened."""

    enable_inactivity_penalty: bool = False
    """Charge for standing aside."""

    hold_penalty_per_step: NonNegative = 0.001
    """Penalty for each bar without a position."""

    enable_bankruptcy_penalty: bool = False
    """Charge an account that is stopped out."""

    bankruptcy_penalty_coefficient: NonNegative = 10.0
    """Penalty, once, at termination."""

    enable_base_multiplier: bool = False
    """Scale all terms but P&L together."""

    base_multiplier: NonNegative = 1.0
    """Factor of the sum of all terms but P&L, your own ones among them; 0 leaves P&L alone."""

    plugins: Strings = ()
    """Python files with terms of your own, relative to the working directory."""

    custom: CustomCoefficients = CustomCoefficients()

    @model_validator(mode="after")
    def _custom_coefficients_have_plugins(self) -> RewardConfig:
        names = list(self.custom.by_name)
        if names and not self.plugins:
            raise ValueError(f"custom.{names[0]} needs the file that declares it: list it under plugins")
        if len(set(self.plugins)) < len(self.plugins):
            raise ValueError("plugins lists a file twice")
        return self
