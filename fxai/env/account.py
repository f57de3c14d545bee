"""What one bar does to an account: fills, costs, equity, trades, stops (docs/trading_model.md, by step number).

Axes: P population, S segments, K accounts.  Money is float64, in the quote currency.
All functions are pure and free of host synchronisation; prices and rules broadcast over accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from fxai.config import EnvConfig

BASIS_POINT = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRules:
    """The rules of each member's accounts; every tensor float64 [P, 1, 1] but `levels_A`."""

    levels_A: Tensor
    """Position levels [A], ascending."""
    flat_action: int
    """Index of level 0."""
    leverage_P11: Tensor
    initial_capital_P11: Tensor
    spread_bp_P11: Tensor
    other_cost_bp_P11: Tensor
    """Commission + slippage."""
    long_bp_per_day_P11: Tensor
    short_bp_per_day_P11: Tensor
    stop_equity_P11: Tensor
    """Equity at or below which an account is stopped."""
    max_drawdown_P11: Tensor
    maintenance_margin_P11: Tensor
    """Share of the notional held that equity must not fall below."""
    finances: bool
    """Any member pays or earns for holding."""
    margins: bool
    """Any member has a maintenance margin."""

    @classmethod
    def stack(cls, configs: Sequence[EnvConfig], device: torch.device) -> AccountRules:
        """One rule set per member; all members share `position_levels`.

        Raises:
            ValueError: members differ in position_levels.
        """
        levels = configs[0].position_levels
        if any(c.position_levels != levels for c in configs):
            raise ValueError("the members of a population must share env.position_levels")

        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=device).reshape(-1, 1, 1)

        return cls(
            levels_A=torch.tensor(levels, dtype=torch.float64, device=device),
            flat_action=levels.index(0.0),
            leverage_P11=column([c.leverage for c in configs]),
            initial_capital_P11=column([c.initial_capital for c in configs]),
            spread_bp_P11=column([c.spread_bp for c in configs]),
            other_cost_bp_P11=column([c.commission_bp + c.slippage_bp for c in configs]),
            long_bp_per_day_P11=column([c.financing.long_bp_per_day for c in configs]),
            short_bp_per_day_P11=column([c.financing.short_bp_per_day for c in configs]),
            stop_equity_P11=column([c.initial_capital * (1 - c.early_stop_loss_threshold) for c in configs]),
            max_drawdown_P11=column([c.max_drawdown for c in configs]),
            maintenance_margin_P11=column([c.maintenance_margin for c in configs]),
            finances=any(c.financing.long_bp_per_day or c.financing.short_bp_per_day for c in configs),
            margins=any(c.maintenance_margin > 0 for c in configs),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Prices and cost rates of the bar in which an order is filled; float64, [P, S, 1] or broadcastable."""

    close_before: Tensor
    """C₀, mid close of the bar at which the level was chosen."""
    fill: Tensor
    """F, mid price of the fill."""
    close: Tensor
    """C₁, mid close of the bar of the fill."""
    cost_rate_fill: Tensor
    """κ at the fill: half spread + commission + slippage, fraction of notional."""
    cost_rate_close: Tensor
    """κ at the close, paid when an account is stopped."""
    days: Tensor
    """Δ, calendar days between the two closes."""
    to_fill: Tensor
    """F − C₀"""
    from_fill: Tensor
    """C₁ − F"""
    cost_fill: Tensor
    """κ·F, quote currency for each unit traded at the fill."""
    units_per_equity: Tensor
    """leverage / F, units that a unit of equity buys at level 1."""

    @classmethod
    def of(
        cls,
        rules: AccountRules,
        *,
        close_before: Tensor,
        fill: Tensor,
        close: Tensor,
        cost_rate_fill: Tensor,
        cost_rate_close: Tensor,
        days: Tensor,
    ) -> Bar:
        """A bar, or many stacked, with what follows from its prices alone worked out once."""
        return cls(
            close_before=close_before,
            fill=fill,
            close=close,
            cost_rate_fill=cost_rate_fill,
            cost_rate_close=cost_rate_close,
            days=days,
            to_fill=fill - close_before,
            from_fill=close - fill,
            cost_fill=fill * cost_rate_fill,
            units_per_equity=rules.leverage_P11 / fill,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """Accounts at a close; every tensor [P, S, K], float64 but `action`."""

    equity: Tensor
    units: Tensor
    action: Tensor
    """Index of the level held, int64."""
    peak: Tensor
    """Highest equity so far."""
    drawdown: Tensor
    """1 − equity / peak."""
    entry_equity: Tensor
    """Equity when the latest trade began."""
    gain: Tensor
    """Of the open trade so far, fraction of its entry equity; 0 when flat."""
    mfe: Tensor
    """Maximum favourable excursion of the open trade, fraction ≥ 0."""
    mae: Tensor
    """Maximum adverse excursion of the open trade, fraction ≤ 0."""
    bars_held: Tensor
    """Closes since the open trade began; 0 when flat."""

    def where(self, take_PSK: Tensor, other: AccountState) -> AccountState:
        """Accounts of `other` where `take` is true, of this state elsewhere."""
        return AccountState(
            **{
                f.name: torch.where(take_PSK, getattr(other, f.name), getattr(self, f.name))
                for f in fields(AccountState)
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one bar did, before a stopped account is replaced: all that `outcome` needs.

    Tensors are [P, S, K], or [T, P, S, K] once stacked.
    """

    before: AccountState
    after: AccountState
    """With the equity that a stopped account is left with; its other entries as they were when it was stopped."""
    at_fill: Tensor
    """E_f, equity carried to the fill."""
    terminated: Tensor
    """bool: the account was stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What happened to each account in one bar, in the terms of rewards and metrics.

    Fractions of a trade are of its entry equity (docs/trading_model.md, "Trades").
    Tensors are [P, S, K], or [T, P, S, K] where the step was stacked over a rollout.
    """

    equity_before: Tensor
    equity: Tensor
    """After step 6: what a stopped account is left with."""
    drawdown_before: Tensor
    drawdown: Tensor
    traded: Tensor
    """Notional traded over the equity before; what a stop closes is not counted."""
    cost: Tensor
    """Costs and financing charged, quote currency, also where a bankrupt account could not pay them."""
    exposure: Tensor
    """Signed notional over equity at the close, before a stop closes it; 0 where that equity is not positive."""
    gain_before: Tensor
    """Of the trade that was open at the close before, fraction of its entry equity; 0 without one."""
    mfe_before: Tensor
    """Its maximum favourable excursion so far, fraction ≥ 0."""
    mae_before: Tensor
    """Its maximum adverse excursion so far, fraction ≤ 0."""
    gain: Tensor
    """Of the trade that was held to this close, also where a stop closes it there; 0 without one."""
    mfe: Tensor
    mae: Tensor
    bars_held: Tensor
    """Closes since that trade began; 0 without one."""
    opened: Tensor
    """bool: a trade began in this bar."""
    exited: Tensor
    """bool: the trade that was open at the close before ended at this bar's fill."""
    exit_gain: Tensor
    """Its gain there, fraction ≥ −1 of its entry equity; 0 where none ended at the fill."""
    closed: Tensor
    """bool: a trade ended in this bar, at the fill or by a stop."""
    closed_gain: Tensor
    """Gain of the trade that ended, of the stopped one where two did, fraction of its entry equity; 0 without one."""
    closed_mfe: Tensor
    """Its maximum favourable excursion, fraction ≥ 0."""
    closed_mae: Tensor
    """Its maximum adverse excursion, fraction ≤ 0."""
    closed_bars: Tensor
    """Closes for which it was held."""
    terminated: Tensor
    """bool: the account was stopped."""


def fresh(rules: AccountRules, segments: int, accounts: int) -> AccountState:
    """Flat accounts with the initial capital, [P, segments, accounts]."""
    shape = (rules.initial_capital_P11.shape[0], segments, accounts)
    equity = rules.initial_capital_P11.expand(shape)
    zero = torch.zeros(shape, dtype=torch.float64, device=equity.device)
    flat = torch.full(shape, rules.flat_action, dtype=torch.int64, device=equity.device)
    return AccountState(
        equity=equity,
        units=zero,
        action=flat,
        peak=equity,
        drawdown=zero,
        entry_equity=equity,
        gain=zero,
        mfe=zero,
        mae=zero,
        bars_held=zero,
    )


def step(state: AccountState, action: Tensor, bar: Bar, rules: AccountRules) -> Step:
    """Carry, trade, pay, mark and stop: one bar for every account.

    Only what the next bar needs is computed here, since this runs bar by bar; `outcome` derives the rest
    for a whole rollout at once.

    Args:
        state: accounts at the close of the bar before.
        action: index of the chosen level, int64 [P, S, K].
        bar: prices of the bar of the fill.
        rules: what each member's accounts pay and when they are stopped.
    """
    units = state.units
    # 1 carry to the fill, 2 trade, 3 pay, 4 mark
    at_fill = state.equity + units * bar.to_fill
    if rules.finances:
        at_fill = at_fill - _financing(units, bar, rules)
    rest = at_fill - units.abs() * bar.cost_fill
    target = rules.levels_A.take(action) * (at_fill * bar.units_per_equity) * (rest > 0)
    new_units = torch.where(action != state.action, target, units)
    equity = at_fill - (new_units - units).abs() * bar.cost_fill + new_units * bar.from_fill

    # 5 peak and drawdown, 6 stop: what is held is closed at the close, and pays for that
    peak = torch.maximum(state.peak, equity)
    drawdown = 1.0 - equity / peak
    terminated = (equity <= rules.stop_equity_P11) | (drawdown >= rules.max_drawdown_P11)
    if rules.margins:
        terminated = terminated | (equity < new_units.abs() * (bar.close * rules.maintenance_margin_P11))
    if some(terminated):
        liquidation = new_units.abs() * (bar.close * bar.cost_rate_close)
        equity = torch.where(terminated, (equity - liquidation).clamp(min=0.0), equity)
        drawdown = 1.0 - equity / peak

    # the trade: a new one begins where the position's sign turned
    new_side = torch.sign(new_units)
    same_side = torch.sign(units) == new_side
    entry = torch.where(same_side, state.entry_equity, rest)
    kept, held = same_side.double(), new_side.abs()
    gain = (equity / entry.clamp(min=1e-9) - 1.0) * held
    after = AccountState(
        equity=equity,
        units=new_units,
        action=action,
        peak=peak,
        drawdown=drawdown,
        entry_equity=entry,
        gain=gain,
        mfe=torch.maximum(state.mfe * kept, gain),
        mae=torch.minimum(state.mae * kept, gain),
        bars_held=(state.bars_held * kept + 1.0) * held,
    )
    return Step(before=state, after=after, at_fill=at_fill, terminated=terminated)


def outcome(step: Step, bar: Bar) -> Outcome:
    """Rewards' and metrics' view of a step, or of many stacked along a leading axis (bars stacked alike).

    A trade that the stop closes supersedes one that ended at the fill of the same bar.
    """
    before, after, at_fill = step.before, step.after, step.at_fill
    kappa = bar.cost_rate_fill
    side, new_side = torch.sign(before.units), torch.sign(after.units)
    turned = side != new_side
    exited = turned & (side != 0)
    stopped = step.terminated & (new_side != 0)
    rest = at_fill - before.units.abs() * bar.fill * kappa
    exit_gain = torch.where(exited, (rest / before.entry_equity - 1.0).clamp(min=-1.0), 0.0)
    traded = (after.units - before.units).abs() * bar.fill
    # what the equity at the fill lacks of the price movement is financing
    financing = before.equity + before.units * (bar.fill - bar.close_before) - at_fill
    liquidation = after.units.abs() * bar.close * bar.cost_rate_close * step.terminated
    marked = at_fill - traded * kappa + after.units * (bar.close - bar.fill)

    def of_trade(by_stop: Tensor, by_exit: Tensor) -> Tensor:
        """Of the trade that ended; `by_exit` is 0 where none ended at the fill."""
        return torch.where(stopped, by_stop, by_exit)

    return Outcome(
        equity_before=before.equity,
        equity=after.equity,
        drawdown_before=before.drawdown,
        drawdown=after.drawdown,
        traded=traded / before.equity,
        cost=financing + traded * kappa + liquidation,
        exposure=torch.where(marked > 0, after.units * bar.close / marked, 0.0),
        gain_before=before.gain,
        mfe_before=before.mfe,
        mae_before=before.mae,
        gain=after.gain,
        mfe=after.mfe,
        mae=after.mae,
        bars_held=after.bars_held,
        opened=turned & (new_side != 0),
        exited=exited,
        exit_gain=exit_gain,
        closed=exited | stopped,
        closed_gain=of_trade(after.gain, exit_gain),
        closed_mfe=of_trade(after.mfe, torch.maximum(before.mfe, exit_gain) * exited),
        closed_mae=of_trade(after.mae, torch.minimum(before.mae, exit_gain) * exited),
        closed_bars=of_trade(after.bars_held, before.bars_held * exited),
        terminated=step.terminated,
    )


def some(accounts: Tensor) -> bool:
    """Whether any account may be marked; on a GPU always, as a look would wait for the device."""
    return accounts.device.type != "cpu" or bool(accounts.any())


def renew(step: Step, fresh_state: AccountState) -> AccountState:
    """The state to go on from: stopped accounts replaced by fresh ones."""
    return step.after.where(step.terminated, fresh_state) if some(step.terminated) else step.after


def _financing(units: Tensor, bar: Bar, rules: AccountRules) -> Tensor:
    """Interest on what was held over the close, quote currency."""
    rate = torch.where(units > 0, rules.long_bp_per_day_P11, rules.short_bp_per_day_P11)
    return units.abs() * rate * (bar.close_before * bar.days * BASIS_POINT)
