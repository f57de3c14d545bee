"""Coefficients of the reward terms; the formulas are in `fxai.env.rewards` and docs/trading_model.md.

Every term is in per cent of account value, so it depends neither on price scale nor on capital.
"""

from __future__ import annotations

from pydantic import Field

from fxai.config.base import Fraction, NonNegative, Settings


class RewardConfig(Settings):
    """One flag and the coefficients of each term."""

    enable_pnl: bool = True
    """Add the change of equity."""

    pnl_coefficient: NonNegative = 1.0
    """Reward per per cent of equity change."""

    enable_drawdown_penalty: bool = False
    """Charge for drawdown that deepens."""

    drawdown_penalty_coefficient: NonNegative = 0.1
    """Penalty per per cent by which the drawdown from the equity peak grew in this bar."""

    enable_holding_penalty: bool = False
    """Charge for trades held too long."""

    holding_penalty_coefficient: NonNegative = 0.01
    """Penalty per bar at the end of the ramp; it grows linearly beyond `max_holding_time_steps`."""

    max_holding_time_steps: int = Field(default=64, ge=1)
    """Bars for which a trade may be held without penalty."""

    enable_bankruptcy_penalty: bool = False
    """Charge an account that is stopped out."""

    bankruptcy_penalty_coefficient: NonNegative = 10.0
    """Penalty, once, at termination."""

    enable_activity: bool = False
    """Pay for opening trades and charge for standing aside."""

    activity_bonus_per_trade: NonNegative = 0.01
    """Bonus for each trade opened."""

    hold_penalty_per_step: NonNegative = 0.001
    """Penalty for each bar without a position."""

    enable_clean_trade: bool = False
    """Pay for trades closed with a gain and little adverse movement."""

    clean_trade_coefficient: NonNegative = 0.1
    """Bonus per per cent gained by a clean trade, paid when it is closed."""

    max_mae_threshold: Fraction = 0.005
    """A clean trade was never further under water than this share of the equity at its entry."""

    min_gain_threshold: Fraction = 0.001
    """A clean trade gained at least this share of the equity at its entry."""
