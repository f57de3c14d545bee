"""Equity of level tapes on real bars equals that of backtrader, an event-driven backtester of other hands.

backtrader keeps the account: cash, position, mark to market, slippage on the fill price, commission, interest. What
the test tells it are the rules of docs/trading_model.md that are orders: how many units, and when. Nothing is shared
but the prices and the levels.

The bars are the bundled ECB rates, less their last sixth, which a study would seal.
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from env.walking import CPU, pile, sticky_actions
from numpy.typing import NDArray

from fxai.config import EnvConfig, FinancingConfig
from fxai.env.account import fresh, outcome, renew, step
from fxai.env.trading import TradingEnv
from fxai.market import ecb
from fxai.market.data import MarketPart

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it is older than Python's rules on backslashes
    import backtrader as bt

BARS = 6_000

EVERY_COST = EnvConfig(
    leverage=3.0,
    spread_bp=1.5,
    commission_bp=0.4,
    slippage_bp=0.3,
    financing=FinancingConfig(long_bp_per_day=0.6, short_bp_per_day=-0.2),
    early_stop_loss_threshold=1.0,
    max_drawdown=1.0,
)
"""Stops would end a tape; they are held against the reference of the tests, not here."""


def daily(pair: str) -> MarketPart:
    """One price a day."""
    return as_part(ecb.read_pairs((pair,))[pair].rows(0, BARS))


def two_daily(pair: str) -> MarketPart:
    """Bars of two days, that open with the first day's rate and close with the second's; the way between is real."""
    part = daily(pair)
    return replace(
        part,
        time_N=part.time_N[1::2],
        open_N=part.close_N[0::2],
        close_N=part.close_N[1::2],
        features_NF=part.features_NF[1::2],
        offsets_I=part.offsets_I // 2,
    )


def as_part(bars: Any) -> MarketPart:
    return MarketPart(
        name="train",
        instruments=("PAIR",),
        offsets_I=np.array([0, len(bars)]),
        time_N=bars.time_N,
        open_N=None,
        close_N=bars.close_N,
        spread_open_bp_N=None,
        spread_close_bp_N=None,
        features_NF=np.zeros((len(bars), 1), dtype=np.float32),
        feature_names=("none",),
    )


def tensors(part: MarketPart, config: EnvConfig, tape: Sequence[int]) -> NDArray[np.float64]:
    """Equity at every close through `fxai.env`, from the first bar's on."""
    env = TradingEnv(part, [config], CPU)
    new = state = fresh(env.rules, 1, 1)
    stack, bars = env.bars(torch.tensor([[0]]), len(tape))
    steps = []
    for action, bar in zip(tape, bars, strict=True):
        steps.append(step(state, torch.tensor([[[action]]]), bar, env.rules))
        state = renew(steps[-1], new)
    happened = outcome(pile(steps), stack)
    assert not bool(happened.terminated.any())
    return np.concatenate([[config.initial_capital], happened.equity.flatten().numpy()])


class Rates(bt.feed.DataBase):
    """Bars of a part as a feed; without opens, a bar opens and closes at its one price."""

    params = (("part", None),)

    def start(self) -> None:
        part = self.p.part
        opens = part.close_N if part.open_N is None else part.open_N
        times = part.time_N.astype("datetime64[ns]").astype("datetime64[us]").tolist()
        self.rows = zip(times, opens.tolist(), part.close_N.tolist(), strict=True)

    def _load(self) -> bool:
        row = next(self.rows, None)
        if row is None:
            return False
        time, first, last = row
        self.lines.datetime[0] = bt.date2num(time)
        self.lines.open[0], self.lines.close[0] = first, last
        self.lines.high[0], self.lines.low[0] = max(first, last), min(first, last)
        self.lines.volume[0] = self.lines.openinterest[0] = 0.0
        return True


class Scheme(bt.CommInfoBase):
    """A margin account: commission on the mid notional, interest on the notional at the close before.

    Both are what the document says and the library lets a scheme say: it passes the slipped price, and would
    charge interest on the price of entry.
    """

    params = (
        ("stocklike", False),
        ("commtype", bt.CommInfoBase.COMM_PERC),
        ("percabs", True),
        ("margin", 1e-6),  # next to nothing is blocked for a position, so that leverage is the strategy's choice
        ("interest_long", True),
        ("slip", 0.0),
        ("long_bp_per_day", 0.0),
        ("short_bp_per_day", 0.0),
    )

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        mid = price / (1 + np.sign(size) * self.p.slip)
        return float(abs(size) * mid * self.p.commission)

    def _get_credit_interest(
        self, data: Any, size: float, price: float, days: int, dt0: dt.date, dt1: dt.date
    ) -> float:
        rate = self.p.long_bp_per_day if size > 0 else self.p.short_bp_per_day
        return float(abs(size) * data.close[-1] * rate * 1e-4 * days)


class Tape(bt.Strategy):
    """Holds level · leverage of the equity at the fill, from fill to change."""

    params = (("levels", ()), ("leverage", 1.0))

    def __init__(self) -> None:
        self.held = 0.0
        self.equity: list[float] = []

    def next_open(self) -> None:
        """At a bar's open: the order that the close before decided on."""
        bar = len(self.data) - 1
        if bar == 0 or self.p.levels[bar - 1] == self.held:
            return
        self.held = self.p.levels[bar - 1]
        units, fill, before = self.position.size, self.data.open[0], self.data.close[-1]
        scheme = self.broker.getcommissioninfo(self.data)
        days = (self.data.datetime.date(0) - self.data.datetime.date(-1)).days
        interest = scheme._get_credit_interest(self.data, units, before, days, None, None)
        at_fill = self.broker.getvalue() + units * (fill - before) - interest
        order = self.held * self.p.leverage * at_fill / fill - units
        (self.buy if order > 0 else self.sell)(size=abs(order))

    def next(self) -> None:
        """At a bar's close."""
        self.equity.append(self.broker.getvalue())

    def notify_order(self, order: Any) -> None:
        assert order.status in (order.Submitted, order.Accepted, order.Completed), order.getstatusname()


def library(part: MarketPart, config: EnvConfig, actions: Sequence[int]) -> NDArray[np.float64]:
    """Equity of one tape through backtrader, at every close."""
    slip = (config.spread_bp / 2 + config.slippage_bp) * 1e-4
    cerebro = bt.Cerebro(stdstats=False, cheat_on_open=True, preload=False, runonce=False)
    cerebro.adddata(Rates(part=part))
    cerebro.addstrategy(Tape, levels=[config.position_levels[a] for a in actions], leverage=config.leverage)
    # a slipped fill may lie beyond the bar's high or low: the spread is not in its prices
    cerebro.broker = bt.brokers.BackBroker(slip_perc=slip, slip_open=True, slip_match=True, slip_out=True, coo=True)
    cerebro.broker.setcash(config.initial_capital)
    cerebro.broker.addcommissioninfo(
        Scheme(commission=config.commission_bp * 1e-4, slip=slip, **config.financing.model_dump())
    )
    (strategy,) = cerebro.run()
    return np.array(strategy.equity)


def a_tape(steps: int, n_actions: int, seed: int) -> list[int]:
    """Levels that are kept for a while."""
    return [int(a) for a in sticky_actions(np.random.default_rng(seed), (steps, 1, 1, 1), n_actions).flat]


CASES = {
    "one price a day, EURUSD": (daily, "EURUSD", "next_close", BARS),
    "bars with an open, USDJPY": (two_daily, "USDJPY", "next_open", BARS // 2),
}


@pytest.mark.parametrize("case", CASES)
def test_equity_is_the_librarys_at_every_bar(case: str) -> None:
    make, pair, execution, bars = CASES[case]
    part, config = make(pair), EVERY_COST.model_copy(update={"execution": execution})
    tape = a_tape(bars - 1, len(config.position_levels), seed=1)
    mine = tensors(part, config, tape)
    assert mine.shape == (bars,)
    np.testing.assert_allclose(mine, library(part, config, tape), rtol=1e-9)
    # no still water: they trade in one bar of three, at up to three times the equity, and costs take more than half
    assert (np.diff(tape) != 0).mean() > 0.25
    free = config.model_copy(
        update={"spread_bp": 0.0, "commission_bp": 0.0, "slippage_bp": 0.0, "financing": FinancingConfig()}
    )
    assert mine[-1] < 0.5 * tensors(part, free, tape)[-1]


@pytest.mark.parametrize("what", ["a bar later", "commission", "financing", "spread"])
def test_the_comparison_sees_small_differences(what: str) -> None:
    """A fill one bar later, a rate that is one hundredth of a basis point off: all are far beyond the tolerance."""
    part = as_part(ecb.read_pairs(("EURUSD",))["EURUSD"].rows(0, 500))
    config = EVERY_COST.model_copy(update={"execution": "next_close"})
    tape = a_tape(499, len(config.position_levels), seed=2)
    other = {
        "a bar later": config,
        "commission": config.model_copy(update={"commission_bp": config.commission_bp + 0.01}),
        "financing": config.model_copy(
            update={"financing": FinancingConfig(long_bp_per_day=0.61, short_bp_per_day=-0.2)}
        ),
        "spread": config.model_copy(update={"spread_bp": config.spread_bp + 0.01}),
    }[what]
    theirs = library(part, other, [tape[0], *tape[:-1]] if what == "a bar later" else tape)
    assert np.abs(tensors(part, config, tape) / theirs - 1).max() > 1e-6
