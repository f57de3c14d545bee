"""docs/trading_model.md as plain Python: one account, one bar, one statement per sentence of the document.

Written from the document, trade by trade instead of from states before and after, and kept free of torch and numpy, so
that the two cannot share a mistake of a library or of a broadcast.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Rules:
    """The account rules of the document, by its own names."""

    initial_capital: float = 10_000.0
    position_levels: tuple[float, ...] = (-1.0, 0.0, 1.0)
    leverage: float = 1.0
    commission_bp: float = 0.0
    slippage_bp: float = 0.0
    financing_long_bp: float = 0.0
    financing_short_bp: float = 0.0
    early_stop_loss_threshold: float = 1.0
    max_drawdown: float = 1.0
    maintenance_margin: float = 0.0


@dataclass(frozen=True)
class RewardRules:
    """The terms of the reward table: one flag and the numbers of each."""

    enable_pnl: bool = True
    pnl_coefficient: float = 1.0
    enable_risk_penalty: bool = False
    risk_penalty_coefficient: float = 0.0
    enable_drawdown_penalty: bool = False
    drawdown_penalty_coefficient: float = 0.0
    enable_max_drawdown_penalty: bool = False
    max_drawdown_penalty_coefficient: float = 0.0
    max_drawdown_threshold_percent: float = 0.0
    enable_profit_giveback_penalty: bool = False
    profit_giveback_penalty_coefficient: float = 0.0
    profit_giveback_threshold: float = 0.0
    enable_profit_closing_bonus: bool = False
    profit_closing_bonus_coefficient: float = 0.0
    enable_holding_penalty: bool = False
    holding_penalty_coefficient: float = 0.0
    max_holding_time_steps: float = 1.0
    enable_bankruptcy_penalty: bool = False
    bankruptcy_penalty_coefficient: float = 0.0
    enable_activity_bonus: bool = False
    activity_bonus_per_trade: float = 0.0
    enable_inactivity_penalty: bool = False
    hold_penalty_per_step: float = 0.0
    enable_action_efficiency: bool = False
    action_efficiency_coefficient: float = 0.0
    enable_clean_trade: bool = False
    clean_trade_coefficient: float = 0.0
    min_gain_threshold: float = 0.0
    max_mae_threshold: float = 0.0
    enable_base_multiplier: bool = False
    base_multiplier: float = 1.0


@dataclass(frozen=True)
class Bar:
    """What bar t+1 brings: the fill price and the two closes, the days between them, the spreads in bp."""

    close0: float
    fill: float
    close1: float
    days: float
    spread_fill_bp: float
    spread_close_bp: float


@dataclass
class Trade:
    """One trade, open or closed."""

    entry_equity: float
    bars: int = 0
    mfe: float = 0.0
    mae: float = 0.0
    gain: float = 0.0
    stopped: bool = False
    before: Trade | None = None  # as it was at the close before this bar; None in the bar in which it began

    def remember(self) -> None:
        """A new bar begins."""
        self.before = replace(self, before=None)

    def growth(self, excess: Callable[[Trade], float]) -> float:
        """By how much an excess of this trade rose in this bar."""
        return max(excess(self) - (excess(self.before) if self.before else 0.0), 0.0)

    def see(self, equity: float) -> None:
        """Take in the gain at a close or at the exit."""
        self.gain = max(equity / self.entry_equity - 1.0, -1.0)
        self.mfe = max(self.mfe, self.gain)
        self.mae = min(self.mae, self.gain)


@dataclass
class Step:
    """Everything one bar did to one account."""

    equity_before: float
    equity_at_fill: float  # E_f
    marked: float  # E' of step 4
    equity: float  # E' after step 6, before a fresh account takes its place
    drawdown_before: float
    drawdown: float
    peak: float
    fill_cost: float
    fill_notional: float
    financing: float
    close_cost: float
    close_notional: float
    terminated: bool
    units: float  # held at the close, before a stop closes them
    notional: float  # of those units at the close, signed
    flat_at_close: bool
    opened: bool = False
    closed: list[Trade] = field(default_factory=list)  # at most one at the fill and one at the stop
    margin_call: bool = False
    before: Trade | None = None  # the trade that was open at the close before, as it was there
    exited: Trade | None = None  # the trade that ended at the fill
    touched: list[Trade] = field(default_factory=list)  # every trade that was open at some time of this bar
    bars_held: int = 0  # of the trade held over the close, 0 when flat; so the next three
    gain: float = 0.0
    mfe: float = 0.0
    mae: float = 0.0
    rewards: dict[str, float] = field(default_factory=dict)
    multiplier: float = 1.0

    @property
    def reward(self) -> float:
        shaping = sum(value for name, value in self.rewards.items() if name != "pnl")
        return self.rewards.get("pnl", 0.0) + self.multiplier * shaping


class ReferenceAccount:
    """One account that follows docs/trading_model.md."""

    def __init__(self, rules: Rules, reward: RewardRules) -> None:
        self.rules = rules
        self.reward = reward
        self.start_afresh()

    def start_afresh(self) -> None:
        self.equity = self.rules.initial_capital
        self.peak = self.rules.initial_capital
        self.drawdown = 0.0
        self.units = 0.0
        self.level = 0.0
        self.trade: Trade | None = None

    def kappa(self, spread_bp: float) -> float:
        return (spread_bp / 2 + self.rules.commission_bp + self.rules.slippage_bp) * 1e-4

    def step(self, level: float, bar: Bar) -> Step:
        """One bar: the order for `level`, chosen at close0, is filled at bar.fill; then bar.close1."""
        rules = self.rules
        equity_before, drawdown_before, units_before = self.equity, self.drawdown, self.units
        kappa_fill, kappa_close = self.kappa(bar.spread_fill_bp), self.kappa(bar.spread_close_bp)
        if self.trade is not None:
            self.trade.remember()

        # 1. Carry to the fill.
        rate = rules.financing_long_bp if units_before > 0 else rules.financing_short_bp
        financing = abs(units_before) * bar.close0 * rate * 1e-4 * bar.days
        equity_fill = equity_before + units_before * (bar.fill - bar.close0) - financing

        # 2. Trade.
        units = units_before
        if level != self.level:
            covered = equity_fill - kappa_fill * abs(units_before) * bar.fill > 0.0
            units = level * rules.leverage * equity_fill / bar.fill if covered else 0.0
            self.level = level

        # 3. Pay.
        notional = abs(units - units_before) * bar.fill
        cost = kappa_fill * notional

        # 4. Mark.
        equity = equity_fill - cost + units * (bar.close1 - bar.fill)

        # 5. Peak and drawdown.
        marked = equity
        self.peak = max(self.peak, equity)
        drawdown = 1.0 - equity / self.peak

        # 6. Stop.
        floor = (1.0 - rules.early_stop_loss_threshold) * rules.initial_capital
        margin_call = equity < rules.maintenance_margin * abs(units) * bar.close1
        terminated = equity <= floor or drawdown >= rules.max_drawdown or margin_call
        close_notional = close_cost = 0.0
        if terminated:
            close_notional = abs(units) * bar.close1
            close_cost = kappa_close * close_notional
            equity = max(equity - close_cost, 0.0)

        step = Step(
            equity_before=equity_before,
            equity_at_fill=equity_fill,
            marked=marked,
            peak=self.peak,
            equity=equity,
            drawdown_before=drawdown_before,
            # As the P&L, the drawdown that is rewarded is that of what step 6 leaves.
            drawdown=1.0 - equity / self.peak,
            fill_cost=cost,
            fill_notional=notional,
            financing=financing,
            close_cost=close_cost,
            close_notional=close_notional,
            terminated=terminated,
            units=units,
            notional=units * bar.close1,
            flat_at_close=units == 0.0,  # held over the bar, even if a stop closes it at its end
            margin_call=margin_call,
            before=self.trade.before if self.trade else None,
            multiplier=self.reward.base_multiplier if self.reward.enable_base_multiplier else 1.0,
        )
        self._trade_at_fill(step, units_before, units, equity_fill, kappa_fill * abs(units_before) * bar.fill)
        if self.trade is not None:
            self.trade.bars += 1
            self.trade.see(equity)  # in the bar of a stop, the gain after step 6 alone
            step.bars_held = self.trade.bars
            step.gain, step.mfe, step.mae = self.trade.gain, self.trade.mfe, self.trade.mae
            step.touched.append(self.trade)
            if terminated:
                self.trade.stopped = True
                step.closed.append(self.trade)

        step.rewards = self._rewards(step)
        self.equity, self.drawdown, self.units = equity, step.drawdown, units
        if terminated:
            self.start_afresh()
        return step

    def _trade_at_fill(
        self, step: Step, units_before: float, units: float, equity_fill: float, cost_of_closing: float
    ) -> None:
        """Close the old trade and open the new one where the fill ends or turns the position."""
        side_before = (units_before > 0) - (units_before < 0)
        side = (units > 0) - (units < 0)
        if side == side_before:
            return
        entry_equity = equity_fill
        if self.trade is not None:
            entry_equity -= cost_of_closing
            self.trade.see(entry_equity)  # (E_f - kappa |u| F) / E_entry - 1
            step.closed.append(self.trade)
            step.touched.append(self.trade)
            step.exited = self.trade
            self.trade = None
        if side != 0:
            self.trade = Trade(entry_equity=entry_equity)
            step.opened = True

    def _rewards(self, step: Step) -> dict[str, float]:
        """The enabled rows of the reward table."""
        return {**self._account_rewards(step), **self._trade_rewards(step)}

    def _account_rewards(self, step: Step) -> dict[str, float]:
        """Those of equity and of what is held."""
        r = self.reward
        terms: dict[str, float] = {}
        per_cent = 100 * (step.equity / step.equity_before - 1)
        if r.enable_pnl:
            terms["pnl"] = r.pnl_coefficient * per_cent
        if r.enable_risk_penalty:
            terms["risk"] = -0.5 * r.risk_penalty_coefficient * per_cent**2
        if r.enable_drawdown_penalty:
            deeper = max(step.drawdown - step.drawdown_before, 0.0)
            terms["drawdown"] = -r.drawdown_penalty_coefficient * 100 * deeper
        if r.enable_holding_penalty:
            limit = r.max_holding_time_steps
            over = max(step.bars_held - limit, 0) / limit
            terms["holding"] = -r.holding_penalty_coefficient * min(over, 1.0)
        if r.enable_activity_bonus:
            terms["activity"] = r.activity_bonus_per_trade if step.opened else 0.0
        if r.enable_inactivity_penalty:
            terms["inactivity"] = -r.hold_penalty_per_step if step.flat_at_close else 0.0
        if r.enable_bankruptcy_penalty:
            terms["bankruptcy"] = -r.bankruptcy_penalty_coefficient if step.terminated else 0.0
        return terms

    def _trade_rewards(self, step: Step) -> dict[str, float]:
        """Those of a trade's excursions and of its end."""
        r = self.reward
        terms: dict[str, float] = {}

        def beyond(trade: Trade) -> float:
            return max(-trade.mae - r.max_drawdown_threshold_percent / 100, 0.0)

        def given_back(trade: Trade) -> float:
            return max((1 - r.profit_giveback_threshold) * trade.mfe - max(trade.gain, 0.0), 0.0)

        if r.enable_max_drawdown_penalty:
            grown = sum(trade.growth(beyond) for trade in step.touched)
            terms["max drawdown (MAE)"] = -r.max_drawdown_penalty_coefficient * 100 * grown
        if r.enable_profit_giveback_penalty:
            grown = sum(trade.growth(given_back) for trade in step.touched)
            terms["profit giveback (MFE)"] = -r.profit_giveback_penalty_coefficient * 100 * grown
        # Of two trades that end in one bar, at its fill and by its stop, the later one counts.
        told = step.closed[-1] if step.closed else None
        if r.enable_profit_closing_bonus:
            gain = max(told.gain, 0.0) if told else 0.0
            terms["profit closing"] = r.profit_closing_bonus_coefficient * 100 * gain
        if r.enable_clean_trade:
            clean = told is not None and told.gain >= r.min_gain_threshold and told.mae >= -r.max_mae_threshold
            terms["clean trade"] = r.clean_trade_coefficient * 100 * told.gain if told and clean else 0.0
        if r.enable_action_efficiency:
            span = told.mfe - told.mae if told else 0.0
            share = told.gain / span if told and span > 1e-9 else 0.0
            terms["action efficiency"] = r.action_efficiency_coefficient * share
        return terms
