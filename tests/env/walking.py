"""Walk the same prices and actions twice: with the tensors of fxai.env and with the plain reference.

Axes: P population, S segments, K accounts, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import env.reference_account as plain
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fxai.config import EnvConfig, RewardConfig
from fxai.env.account import AccountRules, Bar, Outcome, Step, fresh, outcome, renew, step

Array = NDArray[np.float64]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Prices:
    """S stretches of T + 1 bars; a decision is made at the close of each but the last."""

    open: Array
    close: Array
    days: Array
    """[T + 1, S]; calendar days since the close before; the first is not used."""
    spread_open_bp: Array | None = None
    spread_close_bp: Array | None = None

    def scaled(self, factor: float) -> Prices:
        return replace(self, open=self.open * factor, close=self.close * factor)


FLAGS = tuple(name for name in RewardConfig.model_fields if name.startswith("enable_"))


def all_terms(**changes: Any) -> RewardConfig:
    """Every term, with the other coefficients at their defaults."""
    return RewardConfig(**(dict.fromkeys(FLAGS, True) | changes))


@dataclass(frozen=True)
class Walk:
    """The tensors' side of a walk."""

    steps: list[Step]
    outcome: Outcome
    """Stacked, [T, P, S, K]."""


def jumpy_prices(rng: np.random.Generator, steps: int, segments: int, *, own_spreads: bool) -> Prices:
    """A random walk of 1% a bar in which one bar of 40 jumps by 20%, hourly with weekends and gaps at the open."""
    shape = (steps + 1, segments)

    def moves(scale: float, jump: float) -> Array:
        jumps = np.where(rng.random(shape) < 1 / 40, rng.normal(0, jump, shape), 0.0)
        return np.exp(rng.normal(0, scale, shape) + jumps)

    gap, move = moves(0.003, 0.2), moves(0.01, 0.2)
    close = 1.1 * np.cumprod(gap * move, axis=0)
    days = np.where(rng.random(shape) < 0.05, 49 / 24, 1 / 24)
    if not own_spreads:
        return Prices(open=close / move, close=close, days=days)
    return Prices(
        open=close / move,
        close=close,
        days=days,
        spread_open_bp=rng.gamma(1.0, 4.0, shape),
        spread_close_bp=rng.gamma(1.0, 4.0, shape),
    )


def sticky_actions(rng: np.random.Generator, shape: tuple[int, ...], n_actions: int) -> NDArray[np.int64]:
    """[T, P, S, K]: a level drawn anew with probability 0.4, else kept."""
    drawn = rng.integers(n_actions, size=shape)
    for t in range(1, shape[0]):
        drawn[t] = np.where(rng.random(shape[1:]) < 0.4, drawn[t], drawn[t - 1])
    return drawn


def tensor_bars(prices: Prices, configs: Sequence[EnvConfig]) -> list[Bar]:
    """The bars after each decision, [P, S, 1], written apart from TradingEnv.bars."""
    at_open = configs[0].execution == "next_open"

    def rate(own: Array | None, t: int) -> Tensor:
        rows = []
        for c in configs:
            spread = np.full(prices.close.shape[1], c.spread_bp) if own is None else own[t]
            rows.append((spread / 2 + c.commission_bp + c.slippage_bp) * 1e-4)
        return torch.tensor(np.stack(rows))[..., None]

    def price(values: Array, t: int) -> Tensor:
        return torch.tensor(values[t])[None, :, None]

    return [
        Bar.of(
            AccountRules.stack(configs, CPU),
            close_before=price(prices.close, t - 1),
            fill=price(prices.open if at_open else prices.close, t),
            close=price(prices.close, t),
            cost_rate_fill=rate(prices.spread_open_bp if at_open else prices.spread_close_bp, t),
            cost_rate_close=rate(prices.spread_close_bp, t),
            days=price(prices.days, t),
        )
        for t in range(1, len(prices.close))
    ]


def pile(parts: Sequence[Any]) -> Any:
    """Dataclasses of tensors as one, stacked over a new leading axis."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.stack(list(parts))
    return type(first)(**{f.name: pile([getattr(x, f.name) for x in parts]) for f in fields(first)})


def stacked(steps: Sequence[Step], bars: Sequence[Bar]) -> Outcome:
    """The outcome of every bar, stacked over T."""
    return outcome(pile(steps), pile(bars))


def walk(prices: Prices, configs: Sequence[EnvConfig], actions: NDArray[np.int64]) -> Walk:
    """Actions [T, P, S, K]; a stopped account is replaced by a fresh one, as in training."""
    rules = AccountRules.stack(configs, CPU)
    new = fresh(rules, *actions.shape[2:])
    bars, state, steps = tensor_bars(prices, configs), new, list[Step]()
    for t, bar in enumerate(bars):
        steps.append(step(state, torch.tensor(actions[t]), bar, rules))
        state = renew(steps[-1], new)
    return Walk(steps=steps, outcome=stacked(steps, bars))


def plain_rules(config: EnvConfig) -> tuple[plain.Rules, plain.RewardRules]:
    rules = plain.Rules(
        initial_capital=config.initial_capital,
        position_levels=config.position_levels,
        leverage=config.leverage,
        commission_bp=config.commission_bp,
        slippage_bp=config.slippage_bp,
        financing_long_bp=config.financing.long_bp_per_day,
        financing_short_bp=config.financing.short_bp_per_day,
        early_stop_loss_threshold=config.early_stop_loss_threshold,
        max_drawdown=config.max_drawdown,
        maintenance_margin=config.maintenance_margin,
    )
    return rules, plain.RewardRules(**config.reward.model_dump(exclude={"plugins", "custom"}))


def plain_walk(prices: Prices, config: EnvConfig, segment: int, actions_T: Sequence[int]) -> list[plain.Step]:
    """One account of one segment through the reference."""
    account = plain.ReferenceAccount(*plain_rules(config))
    at_open = config.execution == "next_open"
    fills = prices.open if at_open else prices.close
    own_at_fill = prices.spread_open_bp if at_open else prices.spread_close_bp
    own_at_close = prices.spread_close_bp
    steps = []
    for t, action in enumerate(actions_T, start=1):
        bar = plain.Bar(
            close0=float(prices.close[t - 1, segment]),
            fill=float(fills[t, segment]),
            close1=float(prices.close[t, segment]),
            days=float(prices.days[t, segment]),
            spread_fill_bp=config.spread_bp if own_at_fill is None else float(own_at_fill[t, segment]),
            spread_close_bp=config.spread_bp if own_at_close is None else float(own_at_close[t, segment]),
        )
        steps.append(account.step(config.position_levels[action], bar))
    return steps


def prices(
    closes: Sequence[float],
    opens: Sequence[float] | None = None,
    days: Sequence[float] | None = None,
    **spreads: Sequence[float],
) -> Prices:
    """One segment; opens are the closes before unless given."""

    def column(values: Sequence[float]) -> Array:
        return np.array(values, dtype=np.float64)[:, None]

    return Prices(
        open=column(opens or [closes[0], *closes[:-1]]),
        close=column(closes),
        days=column(days or [1.0] * len(closes)),
        **{name: column(values) for name, values in spreads.items()},
    )


def one_account(market: Prices, c: EnvConfig, actions: Sequence[int]) -> Walk:
    return walk(market, [c], np.array(actions)[:, None, None, None])


def series(values: torch.Tensor) -> list[float]:
    """[T, 1, 1, 1] as T numbers."""
    return [float(x) for x in values.reshape(-1)]
