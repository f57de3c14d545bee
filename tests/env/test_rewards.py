"""Every reward term by hand, and what must hold of their sum."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from env.walking import CPU, FLAGS, all_terms, jumpy_prices, sticky_actions, walk

from fxai.config import EnvConfig, RewardConfig
from fxai.env.account import Outcome
from fxai.env.rewards import TERMS, RewardFunction


def only(flag: str, **coefficients: Any) -> RewardConfig:
    """One term and no other."""
    return RewardConfig(**{name: name == flag for name in FLAGS}, **coefficients)


def these(*flags: str) -> RewardConfig:
    """These terms and no others."""
    return RewardConfig(**{name: name in flags for name in FLAGS})


def bar(**changes: float | bool) -> Outcome:
    """A bar in which a flat account of 10,000 did nothing, with changes; [1, 1, 1]."""
    values: dict[str, float | bool] = {
        "equity_before": 10_000.0,
        "equity": 10_000.0,
        "drawdown_before": 0.0,
        "drawdown": 0.0,
        "traded": 0.0,
        "cost": 0.0,
        "exposure": 0.0,
        "gain_before": 0.0,
        "mfe_before": 0.0,
        "mae_before": 0.0,
        "gain": 0.0,
        "mfe": 0.0,
        "mae": 0.0,
        "bars_held": 0.0,
        "opened": False,
        "exited": False,
        "exit_gain": 0.0,
        "closed": False,
        "closed_gain": 0.0,
        "closed_mfe": 0.0,
        "closed_mae": 0.0,
        "closed_bars": 0.0,
        "terminated": False,
    }
    kind = {bool: torch.bool, float: torch.float64, int: torch.float64}
    return Outcome(**{n: torch.tensor(v, dtype=kind[type(v)]).reshape(1, 1, 1) for n, v in (values | changes).items()})


def reward(c: RewardConfig, **changes: float | bool) -> float:
    value = RewardFunction([c], CPU)(bar(**changes))
    assert value.shape == (1, 1, 1)
    assert value.dtype == torch.float64
    return float(value)


def test_every_flag_has_its_term() -> None:
    assert set(TERMS) == set(FLAGS) - {"enable_base_multiplier"}  # which scales the others


def test_pnl() -> None:
    # 10,000 → 10,099 is 0.99%; at coefficient 2 it counts 1.98.
    assert reward(only("enable_pnl"), equity=10_099.0) == pytest.approx(0.99, rel=1e-12)
    assert reward(only("enable_pnl", pnl_coefficient=2.0), equity=10_099.0) == pytest.approx(1.98, rel=1e-12)
    # All lost: −100%.
    assert reward(only("enable_pnl"), equity=0.0) == -100.0


def test_risk_penalty() -> None:
    # ½ · 0.1 · 2² = 0.2, up or down.
    c = only("enable_risk_penalty", risk_penalty_coefficient=0.1)
    for equity in (10_200.0, 9_800.0):
        assert reward(c, equity=equity) == pytest.approx(-0.2, rel=1e-9)
    assert reward(c) == 0.0


def test_drawdown_penalty() -> None:
    c = only("enable_drawdown_penalty", drawdown_penalty_coefficient=0.1)
    # 2% → 5% under the peak: 3 per cent deeper · 0.1.
    assert reward(c, drawdown_before=0.02, drawdown=0.05) == pytest.approx(-0.3, rel=1e-12)
    # Recovering costs nothing and pays nothing.
    assert reward(c, drawdown_before=0.05, drawdown=0.02) == 0.0


def test_holding_penalty() -> None:
    c = only("enable_holding_penalty", holding_penalty_coefficient=0.02, max_holding_time_steps=4)
    # min(max(b − 4, 0) / 4, 1) · 0.02: nothing up to 4, a half at 6, full from 8 on.
    for held, want in ((0, 0.0), (4, 0.0), (5, -0.005), (6, -0.01), (8, -0.02), (100, -0.02)):
        assert reward(c, bars_held=held) == pytest.approx(want, rel=1e-12, abs=0.0)


def test_bankruptcy_penalty() -> None:
    c = only("enable_bankruptcy_penalty", bankruptcy_penalty_coefficient=7.0)
    assert reward(c) == 0.0
    assert reward(c, terminated=True) == -7.0


def test_max_drawdown_penalty_is_of_the_growth_of_mae_beyond_its_threshold() -> None:
    c = only("enable_max_drawdown_penalty", max_drawdown_penalty_coefficient=0.5, max_drawdown_threshold_percent=2.0)
    held = {"bars_held": 3, "mae_before": -0.01}
    # −1% → −3%: 1 per cent beyond 2, times 0.5.
    assert reward(c, **held, mae=-0.03) == pytest.approx(-0.5, rel=1e-12)
    # −1% → −2% stays within, and where MAE does not move nothing is paid again.
    assert reward(c, **held, mae=-0.02) == 0.0
    assert reward(c, bars_held=3, mae_before=-0.03, mae=-0.03) == 0.0
    # −3% → −5% at the exit: 2 · 0.5.  An exit above the MAE costs nothing.
    gone = {"exited": True, "closed": True, "mae_before": -0.03}
    assert reward(c, **gone, exit_gain=-0.05) == pytest.approx(-1.0, rel=1e-12)
    assert reward(c, **gone, exit_gain=-0.01) == 0.0
    # The next trade begins at 0: at −4% it is 2 beyond, and the two add up to 4 · 0.5.
    begun = {"opened": True, "bars_held": 1, "mae": -0.04}
    assert reward(c, **begun) == pytest.approx(-1.0, rel=1e-12)
    assert reward(c, **gone, exit_gain=-0.05, **begun) == pytest.approx(-2.0, rel=1e-12)


def test_profit_giveback_penalty_is_of_the_growth_of_what_is_gone_beyond_its_share() -> None:
    c = only("enable_profit_giveback_penalty", profit_giveback_penalty_coefficient=0.5, profit_giveback_threshold=0.25)
    at_best = {"bars_held": 3, "mfe_before": 0.04, "gain_before": 0.04, "mfe": 0.04}
    # A quarter of 4% may go: at 3% nothing, at 1% 0.75 · 4 − 1 = 2 per cent, times 0.5.
    assert reward(c, **at_best, gain=0.03) == pytest.approx(0.0, abs=1e-12)
    assert reward(c, **at_best, gain=0.01) == pytest.approx(-1.0, rel=1e-12)
    # A loss is no profit given back: 0 or −5%, all of 3 per cent is gone.
    assert reward(c, **at_best, gain=0.0) == pytest.approx(-1.5, rel=1e-12)
    assert reward(c, **at_best, gain=-0.05) == pytest.approx(-1.5, rel=1e-12)
    # From 1% to 0.4% of 4%: 2 → 2.6.  Back to 2%: falls, free.
    low = {"bars_held": 3, "mfe_before": 0.04, "gain_before": 0.01, "mfe": 0.04}
    assert reward(c, **low, gain=0.004) == pytest.approx(-0.3, rel=1e-9)
    assert reward(c, **low, gain=0.02) == 0.0
    # At an exit at 0: 2 → 3; the trade that begins there at −9% has had no profit.
    gone = {"exited": True, "closed": True, "mfe_before": 0.04, "gain_before": 0.01, "exit_gain": 0.0}
    assert reward(c, **gone) == pytest.approx(-0.5, rel=1e-12)
    assert reward(c, **gone, opened=True, bars_held=1, gain=-0.09) == pytest.approx(-0.5, rel=1e-12)


def test_profit_closing_bonus() -> None:
    c = only("enable_profit_closing_bonus", profit_closing_bonus_coefficient=0.2)
    assert reward(c, closed=True, closed_gain=0.03) == pytest.approx(0.6, rel=1e-12)  # 0.2 · 3
    assert reward(c, closed=True, closed_gain=-0.03) == 0.0


def test_action_efficiency() -> None:
    c = only("enable_action_efficiency", action_efficiency_coefficient=0.2)
    # +1% of a range from −1% to +3%: 0.2 · ¼.
    assert reward(c, closed=True, closed_gain=0.01, closed_mfe=0.03, closed_mae=-0.01) == pytest.approx(0.05)
    # The ends of its range: closed at the best without loss, closed at the worst without gain.
    assert reward(c, closed=True, closed_gain=0.03, closed_mfe=0.03) == pytest.approx(0.2, rel=1e-12)
    assert reward(c, closed=True, closed_gain=-0.03, closed_mae=-0.03) == pytest.approx(-0.2, rel=1e-12)
    # A trade that did not move, but for rounding.
    assert reward(c, closed=True, closed_gain=1e-16, closed_mfe=1e-16) == 0.0
    assert reward(c) == 0.0


def test_activity_and_inactivity() -> None:
    c = these("enable_activity_bonus", "enable_inactivity_penalty")
    c = c.model_copy(update={"activity_bonus_per_trade": 0.03, "hold_penalty_per_step": 0.004})
    assert reward(c) == pytest.approx(-0.004, rel=1e-12)  # flat
    assert reward(c, bars_held=2) == 0.0  # in a trade
    assert reward(c, bars_held=1, opened=True) == pytest.approx(0.03, rel=1e-12)


def test_the_base_multiplier_scales_all_terms_but_pnl() -> None:
    c = these("enable_pnl", "enable_activity_bonus", "enable_bankruptcy_penalty", "enable_base_multiplier")
    c = c.model_copy(update={"base_multiplier": 0.5, "activity_bonus_per_trade": 2.0})
    # +1% · 1 + ½ · (2 − 10) = −3; without the multiplier 1 + 2 − 10 = −7; at 0 P&L alone.
    happened: dict[str, Any] = {"equity": 10_100.0, "opened": True, "terminated": True}
    assert reward(c, **happened) == pytest.approx(-3.0, rel=1e-12)
    assert reward(c.model_copy(update={"enable_base_multiplier": False}), **happened) == pytest.approx(-7.0)
    assert reward(c.model_copy(update={"base_multiplier": 0.0}), **happened) == pytest.approx(1.0, rel=1e-12)


def test_clean_trade() -> None:
    c = only("enable_clean_trade", clean_trade_coefficient=0.1, min_gain_threshold=0.001, max_mae_threshold=0.005)
    # +2% with 0.4% under water at worst: 0.1 · 2 = 0.2.
    assert reward(c, closed=True, closed_gain=0.02, closed_mae=-0.004) == pytest.approx(0.2, rel=1e-12)
    # Both thresholds belong to the clean side.
    assert reward(c, closed=True, closed_gain=0.001, closed_mae=-0.005) == pytest.approx(0.01, rel=1e-12)
    assert reward(c, closed=True, closed_gain=0.0009) == 0.0
    assert reward(c, closed=True, closed_gain=0.02, closed_mae=-0.0051) == 0.0
    assert reward(c, closed=False, closed_gain=0.02) == 0.0
    assert reward(c, closed=True, closed_gain=-0.02) == 0.0


def test_terms_add_up() -> None:
    c = RewardConfig(
        pnl_coefficient=1.0,
        enable_drawdown_penalty=True,
        drawdown_penalty_coefficient=0.5,
        enable_bankruptcy_penalty=True,
        bankruptcy_penalty_coefficient=3.0,
    )
    # −40% · 1 − 0.5 · (50 − 10) − 3 = −63; activity and the others are off.
    got = reward(c, equity=6_000.0, drawdown_before=0.1, drawdown=0.5, terminated=True, opened=True)
    assert got == pytest.approx(-63.0, rel=1e-12)


def test_nothing_enabled_is_nothing() -> None:
    assert reward(RewardConfig(enable_pnl=False), equity=5_000.0, terminated=True) == 0.0


MEMBERS = (
    all_terms(max_mae_threshold=0.02, max_holding_time_steps=3, enable_base_multiplier=False),
    all_terms(pnl_coefficient=3.0, max_holding_time_steps=6, base_multiplier=0.5, profit_giveback_threshold=0.1),
    all_terms(enable_pnl=False, hold_penalty_per_step=0.5, min_gain_threshold=0.05, max_drawdown_threshold_percent=0.3),
    only("enable_activity_bonus", activity_bonus_per_trade=0.2),
    RewardConfig(),
    RewardConfig(enable_pnl=False),
)


def walked(
    factor: float = 1.0, capital: float = 1.0, execution: Any = "next_open", own_spreads: bool = True
) -> Outcome:
    """Accounts of six members on jumpy prices, the same up to the scale of prices and of capital."""
    rng = np.random.default_rng(11)
    configs = [
        EnvConfig(leverage=4.0, spread_bp=5.0, execution=execution, initial_capital=10_000.0 * capital, reward=member)
        for member in MEMBERS
    ]
    market = jumpy_prices(rng, steps=60, segments=3, own_spreads=own_spreads)
    actions = sticky_actions(rng, (60, len(MEMBERS), 3, 12), 5)
    return walk(market.scaled(factor), configs, actions).outcome


def test_each_member_is_paid_by_its_own_coefficients() -> None:
    # The same bar for all: opened, 10,000 → 10,100 = +1%, bars held 1, nothing else.
    same = bar(equity=10_100.0, opened=True, bars_held=1)
    got = RewardFunction(MEMBERS, CPU)(same).flatten().tolist()
    # Risk costs ½ · 0.1 · 1² = 0.05, opening pays 0.01:
    #        pnl 1 − 0.05 + 0.01 | 3 + ½ · (−0.04) | −0.04 · 1 | 0.2 | 1 | nothing
    assert got == pytest.approx([0.96, 2.98, -0.04, 0.2, 1.0, 0.0], rel=1e-9)


def test_a_member_is_paid_as_if_it_were_alone() -> None:
    o = walked()
    together = RewardFunction(MEMBERS, CPU)(o)
    assert together.shape == o.equity.shape
    for p, member in enumerate(MEMBERS):
        assert torch.equal(together[:, p], RewardFunction([member], CPU)(o)[:, p])
    assert not torch.equal(together[:, 0], together[:, 1])


@pytest.mark.parametrize("execution", ["next_open", "next_close"])
@pytest.mark.parametrize("own_spreads", [False, True], ids=["spread_bp", "own spreads"])
def test_rewards_depend_neither_on_the_scale_of_prices_nor_on_capital(execution: str, own_spreads: bool) -> None:
    rewards = RewardFunction(MEMBERS, CPU)
    base = walked(execution=execution, own_spreads=own_spreads)
    want = rewards(base)
    assert int(base.terminated.sum()) > 20
    assert int(base.closed.sum()) > 200
    for factor, capital in ((1_000.0, 1.0), (1.0, 7.0), (1_000.0, 7.0), (1e-3, 1.0 / 7.0)):
        got = rewards(walked(factor, capital, execution, own_spreads))
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
