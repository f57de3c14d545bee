"""Trades and costs from the ledger, by hand and against the per-bar reference of docs/trading_model.md."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from env.parts import make_part
from env.reference_account import Bar, ReferenceAccount, Step
from env.walking import plain_rules

from fxai.config import EnvConfig
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.ledger import COSTS, Ledger, cost_shares, ledger
from fxai.evaluate.metrics import Paths
from fxai.evaluate.trades import FLIP, MARGIN_CALL, OPEN, REASONS, SIGNAL, STOP, Trades, reasons, statistics, trades_of
from fxai.market.data import MarketPart

CPU = torch.device("cpu")
DAY = 86_400 * 10**9


def run(part: MarketPart, config: EnvConfig, actions: list[int], first: int = 0) -> tuple[Paths, Ledger, Trades]:
    """A tape of levels from row `first`."""
    from fxai.evaluate.episodes import run_tape

    env, reward = TradingEnv(part, [config], CPU), RewardFunction([config.reward], CPU)
    paths = run_tape(env, torch.tensor([first]), torch.tensor([actions]), reward)
    made = ledger(part, config, first, paths)
    return paths, made, trades_of(made)


def daily(close: list[float], open_: list[float] | None = None) -> MarketPart:
    """One instrument with a bar a day."""
    part = make_part([len(close)])
    return replace(
        part,
        time_N=np.arange(len(close), dtype=np.int64) * DAY,
        close_N=np.array(close),
        open_N=np.array(open_ or [close[0], *close[:-1]]),
    )


def rules(**env: Any) -> EnvConfig:
    return EnvConfig.model_validate({"position_levels": [-1.0, 0.0, 1.0], "spread_bp": 0.0, **env})


def test_the_worked_example_of_the_trading_model():
    # docs/trading_model.md: long at 1.00, turned short at 1.01, still short at 1.00; 2 bp of spread
    part = daily([1.0, 1.01, 1.0], [1.0, 1.0, 1.01])
    paths, book, found = run(part, rules(spread_bp=2.0), [2, 0])
    assert found.side_K.tolist() == [1, -1]
    assert found.reason_K.tolist() == [FLIP, OPEN]
    assert found.entry_price_K.tolist() == [1.0, 1.01]
    assert found.exit_price_K.tolist() == [1.01, 1.0]
    assert found.entry_time_K.tolist() == [1 * DAY, 2 * DAY]
    assert found.exit_time_K.tolist() == [2 * DAY, 2 * DAY]
    # (10,099 − 1.01)/10,000 − 1; the short: 10,196.9702 over 10,099 − 1.01 = 10,097.99
    np.testing.assert_allclose(found.gain_K, [0.009799, 10_196.970199 / 10_097.99 - 1], rtol=1e-6)
    np.testing.assert_allclose(found.pnl_K, [97.99, 98.980199], rtol=1e-6)
    # long: 1.00 to open and 1.01 to close; short: 2.0199 − 1.01
    np.testing.assert_allclose(found.costs_K, [2.01, 1.0099], rtol=1e-6)
    np.testing.assert_allclose(found.max_units_K, [10_000.0, 9_999.0099], rtol=1e-6)
    # the long's one close: 10,099/10,000 − 1 = 0.99%, above its exit
    np.testing.assert_allclose(found.mfe_K[0], 0.0099, rtol=1e-9)
    assert found.bars_K.tolist() == [1, 1]
    assert found.pnl_K.sum() == pytest.approx(paths.equity_ET[0, -1] - 10_000.0, rel=1e-12)
    np.testing.assert_allclose(book.costs["spread"], [1.0, 2.0199], rtol=1e-5)


def test_a_change_of_size_continues_a_trade_and_flat_ends_it():
    levels = rules(position_levels=[-1.0, 0.0, 0.5, 1.0], commission_bp=10.0)
    # half long for two bars, then fully, then flat at the open of bar 4 (1.2)
    _, _, found = run(daily([1.0, 1.0, 1.1, 1.2, 1.2], [1.0, 1.0, 1.0, 1.1, 1.2]), levels, [2, 2, 3, 1])
    assert len(found) == 1
    assert found.reason_K.tolist() == [SIGNAL]
    assert found.bars_K.tolist() == [3]
    # 5,000 units at 1.0, cost 5; at the open of bar 3 equity 9,995 + 500 = 10,495, so 10,495/1.1 units
    assert found.max_units_K[0] == pytest.approx(10_495 / 1.1)


def test_costs_fall_into_their_kinds():
    config = rules(
        spread_bp=4.0, commission_bp=3.0, slippage_bp=1.0, financing={"long_bp_per_day": 2.0}, max_drawdown=0.05
    )
    # long 10,000 at 1.0; the next day 10% down at the close of bar 2, and stopped there
    paths, book, found = run(daily([1.0, 1.0, 0.9, 1.0], [1.0, 1.0, 1.0, 0.9]), config, [2, 2, 2])
    assert found.reason_K.tolist() == [STOP]
    assert REASONS[STOP] == "stop"
    assert paths.length_E.tolist() == [2]
    # bar 1: 10,000 · (2, 3, 1) bp; bar 2: financing 10,000 · 1.0 · 2 bp · 1 day; the stop sells 9,000 at 6 bp
    got = {name: values.tolist() for name, values in book.costs.items()}
    assert got["spread"] == pytest.approx([2.0, 0.0])
    assert got["commission"] == pytest.approx([3.0, 0.0])
    assert got["slippage"] == pytest.approx([1.0, 0.0])
    assert got["financing"] == pytest.approx([0.0, 2.0])
    assert got["liquidation"] == pytest.approx([0.0, 5.4])
    assert found.costs_K[0] == pytest.approx(13.4)
    assert found.exit_price_K[0] == 0.9
    # 10,000 − 6 − 2 − 1,000 − 5.4
    assert found.pnl_K[0] == pytest.approx(-1013.4)
    assert sum(cost_shares([book]).values()) == pytest.approx(13.4 / 10_000)


def test_a_margin_call_is_told_from_a_stop():
    config = rules(leverage=4.0, maintenance_margin=0.2, early_stop_loss_threshold=1.0, max_drawdown=1.0)
    # 40,000 units; at 0.93 equity 7,200 is 19.4% of 37,200: below the margin, above every other stop
    _, book, found = run(daily([1.0, 1.0, 0.93], [1.0, 1.0, 1.0]), config, [2, 2])
    assert book.margin_called
    assert found.reason_K.tolist() == [MARGIN_CALL]


def test_an_account_that_cannot_pay_for_closing_is_told_as_stopped():
    config = rules(leverage=4.0, early_stop_loss_threshold=1.0, max_drawdown=1.0)
    # 40,000 units bought at 1.0; the next open is 0.7: −12,000 of 10,000, when the agent wants to be flat
    paths, _, found = run(daily([1.0, 1.0, 0.7], [1.0, 1.0, 0.7]), config, [2, 1])
    assert found.reason_K.tolist() == [STOP]
    assert found.gain_K.tolist() == [-1.0]
    assert found.pnl_K.tolist() == [-10_000.0]
    assert paths.equity_ET[0, -1] == 0.0


def test_an_account_that_never_trades_has_no_trades():
    _, book, found = run(daily([1.0, 1.1, 1.2]), rules(), [1, 1])
    assert len(found) == 0
    assert statistics([found])["trades"] == 0.0
    assert set(statistics([found]).values()) == {0.0}
    assert set(reasons([found]).values()) == {0}
    assert set(cost_shares([book]).values()) == {0.0}


def reference(part: MarketPart, config: EnvConfig, actions: list[int]) -> tuple[list[Step], ReferenceAccount]:
    """The same tape, bar by bar, until the account is stopped."""
    account = ReferenceAccount(*plain_rules(config))
    at_open = config.execution == "next_open"
    fills = part.open_N if at_open else part.close_N
    own = part.spread_open_bp_N if at_open else part.spread_close_bp_N
    assert fills is not None
    steps: list[Step] = []
    for t, action in enumerate(actions):
        bar = Bar(
            close0=float(part.close_N[t]),
            fill=float(fills[t + 1]),
            close1=float(part.close_N[t + 1]),
            days=float(part.time_N[t + 1] - part.time_N[t]) / DAY,
            spread_fill_bp=config.spread_bp if own is None else float(own[t + 1]),
            spread_close_bp=config.spread_bp if own is None else float(part.spread_close_bp_N[t + 1]),  # type: ignore[index]
        )
        steps.append(account.step(config.position_levels[action], bar))
        if steps[-1].terminated:
            break
    return steps, account


@pytest.mark.parametrize("execution", ["next_open", "next_close"])
@pytest.mark.parametrize("own_spreads", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_trades_and_costs_equal_the_reference(execution, own_spreads, seed):
    rng = np.random.default_rng(seed)
    part = make_part([401], seed=seed, volatility=0.01, own_spreads=own_spreads)
    config = EnvConfig.model_validate(
        {
            "position_levels": [-1.0, -0.4, 0.0, 0.3, 1.0],
            "execution": execution,
            "leverage": [1.0, 3.0, 8.0][seed % 3],
            "maintenance_margin": [0.0, 0.1][seed % 2],
            "spread_bp": 3.0,
            "commission_bp": 0.7,
            "slippage_bp": 0.4,
            "financing": {"long_bp_per_day": 0.9, "short_bp_per_day": -0.5},
            "max_drawdown": 0.9,
            "early_stop_loss_threshold": 0.9,
        }
    )
    tape = rng.integers(5, size=400)
    for t in range(1, 400):
        tape[t] = tape[t] if rng.random() < 0.3 else tape[t - 1]
    paths, book, found = run(part, config, tape.tolist())
    steps, account = reference(part, config, tape.tolist())
    assert len(book.units_T) == len(steps)

    closed = [trade for step in steps for trade in step.closed]
    ended = closed + ([account.trade] if account.trade is not None else [])
    assert len(found) == len(ended) > 5
    for name, values in (
        ("gain", found.gain_K),
        ("mfe", found.mfe_K),
        ("mae", found.mae_K),
        ("bars", found.bars_K),
        ("entry_equity", found.pnl_K / found.gain_K),
    ):
        np.testing.assert_allclose(values, [getattr(t, name) for t in ended], rtol=1e-6, atol=1e-12, err_msg=name)
    assert found.pnl_K.sum() == pytest.approx(paths.equity_ET[0, -1] - config.initial_capital, rel=1e-9)
    assert (found.reason_K == OPEN).sum() == (account.trade is not None)
    stopped = steps[-1].terminated and not steps[-1].flat_at_close
    assert ((found.reason_K == STOP) | (found.reason_K == MARGIN_CALL)).sum() == stopped

    fills, financing, stops = (
        np.array([getattr(s, n) for s in steps]) for n in ("fill_cost", "financing", "close_cost")
    )
    kinds = book.costs
    np.testing.assert_allclose(kinds["spread"] + kinds["commission"] + kinds["slippage"], fills, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(kinds["financing"], financing, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(kinds["liquidation"], stops, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(book.paid_T, paths.cost_ET[0, : len(steps)], rtol=1e-9, atol=1e-9)
    assert found.costs_K.sum() == pytest.approx(paths.cost_ET.sum(), rel=1e-9)
    assert set(kinds) == set(COSTS)


def test_statistics_by_hand():
    # gains +4%, −2%, 0: one winner, one loser; payoff 4/2; efficiency (0.04/0.08 + −0.02/0.04 + 0)/3 = 0
    one = Trades(
        side_K=np.array([1, -1, 1]),
        entry_time_K=np.zeros(3, np.int64),
        exit_time_K=np.zeros(3, np.int64),
        entry_price_K=np.ones(3),
        exit_price_K=np.ones(3),
        max_units_K=np.ones(3),
        bars_K=np.array([2, 4, 6]),
        gain_K=np.array([0.04, -0.02, 0.0]),
        pnl_K=np.zeros(3),
        mfe_K=np.array([0.06, 0.01, 0.0]),
        mae_K=np.array([-0.02, -0.03, 0.0]),
        costs_K=np.zeros(3),
        reason_K=np.array([SIGNAL, FLIP, SIGNAL]),
    )
    got = statistics([one.take(one.side_K > 0), one.take(one.side_K < 0)])
    assert got["trades"] == 3
    assert got["win_rate"] == pytest.approx(1 / 3)
    assert got["mean_gain"] == pytest.approx(0.02 / 3)
    assert got["payoff"] == pytest.approx(2.0)
    assert got["efficiency"] == pytest.approx(0.0)
    assert (got["best"], got["worst"]) == (0.04, -0.02)
    assert got["mean_mfe"] == pytest.approx(0.07 / 3)
    assert (got["mean_bars"], got["longest_bars"]) == (4.0, 6.0)
    assert reasons([one]) == {"signal": 2, "flip": 1, "stop": 0, "margin call": 0, "open at end": 0}
