"""The reward: a sum of terms, each one small pure function (formulas in docs/trading_model.md).

A term takes the outcome of a bar and the members' coefficients, and returns per cent of account value.
Outcomes are [P, S, K] or [T, P, S, K]; coefficients [P, 1, 1], so both broadcast.

To add a term: write its function under `@term`, and its flag and coefficients in `fxai.config.reward`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fxai.config import RewardConfig
from fxai.env.account import Outcome


class Coefficients:
    """Every coefficient of `RewardConfig` by its name, float64 [P, 1, 1]."""

    def __init__(self, **columns: Tensor) -> None:
        self.__dict__.update(columns)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Tensor: ...


Term = Callable[[Outcome, Coefficients], Tensor]

TERMS: dict[str, Term] = {}
"""Every term by the name of the flag that enables it."""


def term(flag: str) -> Callable[[Term], Term]:
    """Register a reward term under the config flag that enables it."""

    def register(function: Term) -> Term:
        TERMS[flag] = function
        return function

    return register


@term("enable_pnl")
def pnl(o: Outcome, c: Coefficients) -> Tensor:
    """Change of equity."""
    return c.pnl_coefficient * 100.0 * (o.equity / o.equity_before - 1.0)


@term("enable_drawdown_penalty")
def drawdown_penalty(o: Outcome, c: Coefficients) -> Tensor:
    """Drawdown that deepened in this bar."""
    return -c.drawdown_penalty_coefficient * 100.0 * (o.drawdown - o.drawdown_before).clamp(min=0.0)


@term("enable_holding_penalty")
def holding_penalty(o: Outcome, c: Coefficients) -> Tensor:
    """A trade held beyond its time: a ramp that is full at twice `max_holding_time_steps`."""
    limit = c.max_holding_time_steps
    return -c.holding_penalty_coefficient * ((o.bars_held - limit) / limit).clamp(0.0, 1.0)


@term("enable_bankruptcy_penalty")
def bankruptcy_penalty(o: Outcome, c: Coefficients) -> Tensor:
    """The account was stopped."""
    return -c.bankruptcy_penalty_coefficient * o.terminated


@term("enable_activity")
def activity(o: Outcome, c: Coefficients) -> Tensor:
    """A trade opened, or a bar without a position."""
    return c.activity_bonus_per_trade * o.opened - c.hold_penalty_per_step * (o.bars_held == 0)


@term("enable_clean_trade")
def clean_trade(o: Outcome, c: Coefficients) -> Tensor:
    """A trade closed with a gain and little adverse movement."""
    clean = o.closed & (o.closed_gain >= c.min_gain_threshold) & (o.closed_mae >= -c.max_mae_threshold)
    return c.clean_trade_coefficient * 100.0 * o.closed_gain * clean


class RewardFunction:
    """The reward of each member of a population, from its own coefficients."""

    def __init__(self, configs: Sequence[RewardConfig], device: torch.device) -> None:
        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=device).reshape(-1, 1, 1)

        names = [n for n in RewardConfig.model_fields if not n.startswith("enable_")]
        self._coefficients = Coefficients(**{n: column([float(getattr(c, n)) for c in configs]) for n in names})
        self._enabled = {
            flag: column([float(getattr(c, flag)) for c in configs])
            for flag in TERMS
            if any(getattr(c, flag) for c in configs)
        }

    def __call__(self, outcome: Outcome) -> Tensor:
        """Per cent of account value, float64, in the outcome's shape."""
        total = torch.zeros_like(outcome.equity)
        for flag, enabled_P11 in self._enabled.items():
            total = total + enabled_P11 * TERMS[flag](outcome, self._coefficients)
        return total
