"""fxai.env.account is the plain reference of docs/trading_model.md, on random tapes and on any tape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from env import reference_account as plain
from env.walking import (
    CPU,
    Prices,
    Walk,
    all_terms,
    jumpy_prices,
    one_account,
    pile,
    plain_rules,
    plain_walk,
    prices,
    series,
    sticky_actions,
    tensor_bars,
    walk,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fxai.config import EnvConfig
from fxai.config.env import FinancingConfig
from fxai.env.account import AccountRules, AccountState, Outcome, Step, fresh, outcome, renew
from fxai.env.rewards import TERMS, RewardFunction

ALL_TERMS = all_terms(max_holding_time_steps=3, max_mae_threshold=0.02, base_multiplier=0.7)

MEMBERS: tuple[dict[str, Any], ...] = (
    {"spread_bp": 1.0},
    {
        "leverage": 4.0,
        "early_stop_loss_threshold": 1.0,
        "max_drawdown": 1.0,
        "spread_bp": 8.0,
        "commission_bp": 1.0,
        "slippage_bp": 0.5,
        "financing": FinancingConfig(long_bp_per_day=2.0, short_bp_per_day=-1.0),
    },
    {
        "leverage": 20.0,
        "early_stop_loss_threshold": 0.9,
        "max_drawdown": 0.3,
        "spread_bp": 0.0,
        "financing": FinancingConfig(long_bp_per_day=-3.0, short_bp_per_day=5.0),
    },
    {"leverage": 20.0, "early_stop_loss_threshold": 1.0, "max_drawdown": 1.0, "spread_bp": 30.0},
    {"leverage": 9.0, "early_stop_loss_threshold": 0.2, "max_drawdown": 1.0, "initial_capital": 77.0},
    {
        "leverage": 15.0,
        "early_stop_loss_threshold": 1.0,
        "max_drawdown": 1.0,
        "maintenance_margin": 0.05,
        "spread_bp": 4.0,
        "commission_bp": 0.3,
        "financing": FinancingConfig(long_bp_per_day=1.5, short_bp_per_day=0.5),
    },
)
"""Rule sets: tame; all costs; thin stops with financing earned; next to no stops; small capital; margin calls."""

LEVELS = (
    (-1.0, -0.5, 0.0, 0.5, 1.0),
    (-1.0, 0.0, 1.0),
    (0.0, 0.5, 1.0),
    (-0.3, -0.1, 0.0, 0.25, 0.7, 1.0),
    (0.0, 1.0),
    (-1.0, 0.0),
    (-0.3, 0.0, 0.1, 0.9),
)

PLAIN_FIELDS: dict[str, Callable[[plain.Step], float]] = {
    "equity_before": lambda r: r.equity_before,
    "equity": lambda r: r.equity,
    "drawdown_before": lambda r: r.drawdown_before,
    "drawdown": lambda r: r.drawdown,
    "traded": lambda r: r.fill_notional / r.equity_before,
    "cost": lambda r: r.fill_cost + r.financing + r.close_cost,
    "exposure": lambda r: r.notional / r.marked if r.marked > 0 else 0.0,
    "gain_before": lambda r: r.before.gain if r.before else 0.0,
    "mfe_before": lambda r: r.before.mfe if r.before else 0.0,
    "mae_before": lambda r: r.before.mae if r.before else 0.0,
    "gain": lambda r: r.gain,
    "mfe": lambda r: r.mfe,
    "mae": lambda r: r.mae,
    "exited": lambda r: r.exited is not None,
    "exit_gain": lambda r: r.exited.gain if r.exited else 0.0,
    "closed_mfe": lambda r: r.closed[-1].mfe if r.closed else 0.0,
    "bars_held": lambda r: r.bars_held,
    "opened": lambda r: r.opened,
    "closed": lambda r: bool(r.closed),
    "closed_gain": lambda r: r.closed[-1].gain if r.closed else 0.0,
    "closed_mae": lambda r: r.closed[-1].mae if r.closed else 0.0,
    "closed_bars": lambda r: r.closed[-1].bars if r.closed else 0.0,
    "terminated": lambda r: r.terminated,
}
"""Entries of `Outcome` by what the reference says of a bar."""

TERM_NAMES = frozenset(plain_walk(prices([1.0, 1.0]), EnvConfig(reward=ALL_TERMS), 0, [2])[0].rewards)
"""The terms by the names of the document."""

EXACT = ("bars_held", "opened", "exited", "closed", "closed_bars", "terminated")


def compare(w: Walk, market: Prices, configs: Sequence[EnvConfig], actions: np.ndarray) -> Counter[str]:
    """Hold every entry of the outcome and the reward against the reference; count what the tapes reached."""
    reward = RewardFunction([c.reward for c in configs], CPU)(w.outcome).numpy()
    got = {f.name: getattr(w.outcome, f.name).numpy() for f in fields(Outcome)}
    assert set(got) == set(PLAIN_FIELDS)
    seen: Counter[str] = Counter()
    for p, s, k in np.ndindex(actions.shape[1:]):
        steps = plain_walk(market, configs[p], s, [int(a) for a in actions[:, p, s, k]])
        for name, of in PLAIN_FIELDS.items():
            want = np.array([float(of(r)) for r in steps])
            mine = got[name][:, p, s, k].astype(np.float64)
            if name in EXACT:
                np.testing.assert_array_equal(mine, want, err_msg=name)
            elif name == "equity":
                np.testing.assert_allclose(mine, want, rtol=1e-9, atol=0.0, err_msg=name)
            else:
                # a cost is a difference of equities, so it is as exact as they are
                scale = np.array([r.equity_before for r in steps]) if name == "cost" else 1.0
                np.testing.assert_allclose(mine / scale, want / scale, rtol=1e-9, atol=1e-11, err_msg=name)
        np.testing.assert_allclose(reward[:, p, s, k], [r.reward for r in steps], rtol=1e-9, atol=1e-9)
        seen += reached(steps, configs[p])
    return seen


def reached(steps: Sequence[plain.Step], c: EnvConfig) -> Counter[str]:
    """How often the rare branches of the document were taken."""
    floor = c.initial_capital * (1 - c.early_stop_loss_threshold)
    seen: Counter[str] = Counter()
    for r in steps:
        seen["bankrupt"] += r.terminated and r.equity == 0.0
        seen["early stop"] += r.terminated and 0.0 < r.marked <= floor
        seen["margin call"] += c.maintenance_margin > 0 and r.margin_call and r.marked > floor
        seen["drawdown stop"] += r.terminated and not r.margin_call and r.marked > floor
        seen["stopped while flat"] += r.terminated and r.flat_at_close
        seen["two trades ended"] += len(r.closed) == 2
        seen["turned"] += r.opened and bool(r.closed)
        seen["excursions of two trades"] += sum(trade.growth(lambda x: -x.mae) > 0 for trade in r.touched) == 2
        seen["bad exit"] += r.rewards["action efficiency"] < 0.0
        for name, reward in r.rewards.items():
            seen[name] += reward != 0.0
    return seen


@pytest.mark.parametrize("own_spreads", [False, True], ids=["spread_bp", "own spreads"])
@pytest.mark.parametrize("execution", ["next_open", "next_close"])
def test_the_tensors_are_the_reference_on_random_tapes(execution: Any, own_spreads: bool) -> None:
    rng = np.random.default_rng(7)
    seen: Counter[str] = Counter()
    for levels in LEVELS:
        shared = {"position_levels": levels, "execution": execution, "reward": ALL_TERMS}
        configs = [EnvConfig(**shared, **member) for member in MEMBERS]
        market = jumpy_prices(rng, steps=120, segments=2, own_spreads=own_spreads)
        actions = sticky_actions(rng, (120, len(configs), 2, 4), len(levels))
        seen += compare(walk(market, configs, actions), market, configs, actions)
    rare = {"bankrupt", "early stop", "drawdown stop", "margin call", "stopped while flat", "turned", "bad exit"}
    assert len(TERM_NAMES) == len(TERMS)
    rare |= TERM_NAMES
    if execution == "next_open":  # at a close, what is opened in a bar cannot move before the stop
        rare |= {"two trades ended", "excursions of two trades"}
    assert all(seen[name] >= 5 for name in rare), seen


def test_units_change_only_when_the_chosen_level_changes() -> None:
    rng = np.random.default_rng(3)
    levels = LEVELS[0]
    configs = [EnvConfig(position_levels=levels, **member) for member in MEMBERS]
    market = jumpy_prices(rng, steps=150, segments=3, own_spreads=True)
    actions = sticky_actions(rng, (150, len(configs), 3, 5), len(levels))
    kept = 0
    for t, s in enumerate(walk(market, configs, actions).steps):
        same = torch.tensor(actions[t]) == s.before.action
        assert torch.equal(s.after.units[same], s.before.units[same])
        assert (s.after.units[~same] != s.before.units[~same]).all()
        kept += int((same & (s.before.units != 0)).sum())
    assert kept > 1_000


def test_a_member_does_not_notice_its_neighbours() -> None:
    rng = np.random.default_rng(4)
    configs = [EnvConfig(reward=ALL_TERMS, **member) for member in MEMBERS]
    market = jumpy_prices(rng, steps=60, segments=2, own_spreads=True)
    actions = sticky_actions(rng, (60, len(configs), 2, 3), 5)
    together = walk(market, configs, actions).outcome
    for p, c in enumerate(configs):
        alone = walk(market, [c], actions[:, p : p + 1]).outcome
        for f in fields(Outcome):
            assert torch.equal(getattr(alone, f.name)[:, 0], getattr(together, f.name)[:, p]), f.name


def test_the_outcome_of_stacked_steps_is_the_stack_of_outcomes() -> None:
    rng = np.random.default_rng(5)
    configs = [EnvConfig(**member) for member in MEMBERS]
    market = jumpy_prices(rng, steps=40, segments=2, own_spreads=True)
    w = walk(market, configs, sticky_actions(rng, (40, len(configs), 2, 3), 5))
    each = [outcome(one, bar) for one, bar in zip(w.steps, tensor_bars(market, configs), strict=True)]
    one_by_one: Outcome = pile(each)
    for f in fields(Outcome):
        assert torch.equal(getattr(w.outcome, f.name), getattr(one_by_one, f.name)), f.name


def test_only_stopped_accounts_are_renewed() -> None:
    rng = np.random.default_rng(6)
    configs = [EnvConfig(**member) for member in MEMBERS]
    new = fresh(AccountRules.stack(configs, CPU), 2, 3)
    market = jumpy_prices(rng, steps=80, segments=2, own_spreads=False)
    steps: list[Step] = walk(market, configs, sticky_actions(rng, (80, len(configs), 2, 3), 5)).steps
    for s in steps:
        on = renew(s, new)
        for f in fields(AccountState):
            value = getattr(on, f.name)
            assert torch.equal(value[~s.terminated], getattr(s.after, f.name)[~s.terminated])
            assert torch.equal(value[s.terminated], getattr(new, f.name)[s.terminated])
    assert any(bool(s.terminated.any()) for s in steps)


bar_moves = st.tuples(
    st.integers(0, 4),
    st.floats(-0.4, 0.6),
    st.floats(-0.4, 0.6),
    st.sampled_from([1 / 24, 1.0, 3.0]),
)
rules_drawn = st.builds(
    EnvConfig,
    leverage=st.floats(1.0, 20.0),
    initial_capital=st.floats(1.0, 1e6),
    spread_bp=st.floats(0.0, 50.0),
    commission_bp=st.floats(0.0, 5.0),
    maintenance_margin=st.sampled_from([0.0, 0.01, 0.04]),
    financing=st.builds(FinancingConfig, long_bp_per_day=st.floats(-5, 5), short_bp_per_day=st.floats(-5, 5)),
    execution=st.sampled_from(["next_open", "next_close"]),
    early_stop_loss_threshold=st.floats(0.05, 0.95),
    max_drawdown=st.floats(0.05, 1.0),
    reward=st.just(ALL_TERMS),
)


def from_moves(bars: Sequence[tuple[int, float, float, float]]) -> tuple[Prices, list[int]]:
    """Prices from gaps and moves, and the actions."""
    opens, closes = [1.0], [1.0]
    for _, gap, move, _ in bars:
        opens.append(closes[-1] * (1 + gap))
        closes.append(opens[-1] * (1 + move))
    return prices(closes, opens, [1.0, *(b[3] for b in bars)]), [b[0] for b in bars]


def on_an_edge(r: plain.Step, c: EnvConfig) -> bool:
    """Whether the last digit of a sum decides between stopping and not, or between trading and not."""
    floor = c.initial_capital * (1 - c.early_stop_loss_threshold)
    small = 1e-9 * c.leverage * r.equity_before
    return (
        abs(r.marked - floor) < small
        or abs(r.marked - (1 - c.max_drawdown) * r.peak) < small
        or abs(r.equity_at_fill) < small
        or abs(r.marked - c.maintenance_margin * abs(r.notional)) < small
    )


@settings(max_examples=60, deadline=None)
@given(c=rules_drawn, bars=st.lists(bar_moves, min_size=1, max_size=8))
def test_the_tensors_are_the_reference_on_any_tape(c: EnvConfig, bars: list[tuple[int, float, float, float]]) -> None:
    market, actions = from_moves(bars)
    want = plain_walk(market, c, 0, actions)
    assume(not any(on_an_edge(r, c) for r in want))
    o = one_account(market, c, actions).outcome
    # equity is a difference of notionals up to leverage · capital: so exact, and no more, can it be near 0
    exact_to = 1e-11 * c.leverage * max(r.equity_before for r in want)
    np.testing.assert_allclose(series(o.equity), [r.equity for r in want], rtol=1e-9, atol=exact_to)
    assert series(o.terminated) == [float(r.terminated) for r in want]
    assert series(o.opened) == [float(r.opened) for r in want]
    assert series(o.closed) == [float(bool(r.closed)) for r in want]
    assert series(o.closed_bars) == [float(r.closed[-1].bars) if r.closed else 0.0 for r in want]


@settings(max_examples=40, deadline=None)
@given(c=rules_drawn, bars=st.lists(bar_moves, min_size=1, max_size=6))
def test_what_holds_of_every_tape(c: EnvConfig, bars: list[tuple[int, float, float, float]]) -> None:
    market, actions = from_moves(bars)
    w = one_account(market, c, actions)
    o = w.outcome
    assert (o.equity >= 0).all()
    assert ((o.drawdown >= 0) & (o.drawdown <= 1)).all()
    for f in fields(Outcome):
        assert torch.isfinite(getattr(o, f.name).double()).all(), f.name
    assert (o.traded >= 0).all()
    # an account that is not stopped stands above its threshold
    alive = ~o.terminated
    assert (o.equity[alive] > c.initial_capital * (1 - c.early_stop_loss_threshold)).all()
    # flat before and after: nothing earned, nothing paid
    for s, cost in zip(w.steps, o.cost, strict=True):
        if float(s.before.units) == 0.0 and float(s.after.units) == 0.0:
            assert torch.equal(s.after.equity, s.before.equity)
            assert float(cost) == 0.0


def test_the_reference_gets_the_rules_of_the_config() -> None:
    c = EnvConfig(**MEMBERS[1], maintenance_margin=0.02, reward=ALL_TERMS)
    rules, reward = plain_rules(c)
    assert rules.maintenance_margin == 0.02
    assert (rules.leverage, rules.commission_bp, rules.slippage_bp) == (4.0, 1.0, 0.5)
    assert (rules.financing_long_bp, rules.financing_short_bp) == (2.0, -1.0)
    assert reward.max_holding_time_steps == 3
