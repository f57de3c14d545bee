"""The optimum that knows every price: equal to brute force, never beaten, and what closed forms say."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from env.parts import make_part
from hypothesis import given, settings
from hypothesis import strategies as st

from fxai.config import EnvConfig
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate import hindsight as module
from fxai.evaluate.episodes import run_tape
from fxai.evaluate.hindsight import Course, Optimum, _exact, _linear, course_of, hindsight, smaller
from fxai.market.data import MarketPart

CPU = torch.device("cpu")
BARS = 7
ALL_TAPES = torch.tensor(list(itertools.product(range(3), repeat=BARS)))


def rules(**changes: Any) -> EnvConfig:
    """Accounts that are never stopped: the optimum leaves stops out."""
    never = {"early_stop_loss_threshold": 1.0, "max_drawdown": 1.0}
    return EnvConfig.model_validate({"position_levels": [-1.0, 0.0, 1.0], "spread_bp": 0.0, **never, **changes})


def growths(part: MarketPart, config: EnvConfig, row: int, tapes_ET: torch.Tensor) -> np.ndarray:
    """Final over initial equity of each tape, by the environment itself."""
    env, reward = TradingEnv(part, [config], CPU), RewardFunction([config.reward], CPU)
    paths = run_tape(env, torch.full((len(tapes_ET),), row), tapes_ET, reward)
    return np.asarray(paths.equity_ET[:, -1] / paths.equity_ET[:, 0])


def exact(course: Course) -> Optimum:
    return _exact(course, 4)


@pytest.mark.parametrize("volatility", [0.002, 0.01, 0.03])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"spread_bp": 2.0},
        {"spread_bp": 60.0, "commission_bp": 5.0, "execution": "next_close"},
        {"leverage": 3.0, "spread_bp": 10.0},
        {"position_levels": [0.0, 0.5, 1.0], "spread_bp": 20.0},
        {"position_levels": [-0.3, 0.0, 0.9], "financing": {"long_bp_per_day": 40.0, "short_bp_per_day": -90.0}},
    ],
    ids=["free", "2bp", "130bp", "leverage", "long-only", "financing"],
)
@pytest.mark.parametrize("own_spreads", [False, True], ids=["flat-spread", "bid-ask"])
def test_the_optimum_is_that_of_all_tapes(volatility, changes, own_spreads):
    part, config = make_part([60], seed=3, volatility=volatility, own_spreads=own_spreads), rules(**changes)
    env = TradingEnv(part, [config], CPU)
    for row in (5, 21, 40):
        best = growths(part, config, row, ALL_TAPES).max()  # 3^7 = 2,187 tapes
        found = hindsight(env, torch.tensor([row]), BARS)
        assert found.growth_E[0] == pytest.approx(best, rel=1e-12)
        assert found.exact_E[0]
        # replayed, the tape earns what the search says
        assert growths(part, config, row, torch.as_tensor(found.action_ET))[0] == pytest.approx(best, rel=1e-12)


def test_one_label_for_each_level_is_not_enough_and_the_search_knows():
    # Two pasts of one level differ by what they paid; keeping the richer one only is not proven to be the best.
    part, config = make_part([700], seed=1, volatility=0.006), rules(spread_bp=1.0)
    course = course_of(TradingEnv(part, [config], CPU), torch.tensor([10, 110, 210, 310]), 250)
    one, four = _exact(course, 1), _exact(course, 4)
    assert four.exact_E.all()
    assert not one.exact_E.all()
    assert (one.growth_E <= four.growth_E * (1 + 1e-12)).all()
    # asked as a whole, the search takes more labels where it needs them
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LABELS", (1, 4))
        found = hindsight(TradingEnv(part, [config], CPU), torch.tensor([10, 110, 210, 310]), 250)
    assert found.exact_E.all()
    np.testing.assert_array_equal(found.growth_E, four.growth_E)
    # where one label says that it is exact, it is
    np.testing.assert_allclose(one.growth_E[one.exact_E], four.growth_E[one.exact_E], rtol=1e-12)


def test_moves_too_large_for_the_leverage_prove_nothing():
    # 3% a bar at leverage 50: a position can lose more than all, and the argument for dropping labels fails
    part, config = make_part([60], seed=3, volatility=0.03), rules(leverage=50.0)
    assert not hindsight(TradingEnv(part, [config], CPU), torch.tensor([5]), BARS).exact_E.any()


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    spread_bp=st.sampled_from([0.0, 1.0, 15.0]),
    levels=st.sampled_from([(0.0, 1.0), (-1.0, 0.0, 1.0), (-1.0, -0.5, 0.0, 0.5, 1.0), (-1.0, 0.0)]),
    switch=st.floats(0.02, 1.0),
)
def test_no_tape_beats_the_optimum(seed, spread_bp, levels, switch):
    part = make_part([80], seed=seed % 100, volatility=0.008, own_spreads=seed % 2 == 0)
    config = rules(position_levels=list(levels), spread_bp=spread_bp, execution="next_close")
    best = hindsight(TradingEnv(part, [config], CPU), torch.tensor([10]), 60)
    assert best.exact_E[0]
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(levels), size=(50, 60))
    kept = np.maximum.accumulate(np.where(rng.random((50, 60)) < switch, np.arange(60), 0), axis=1)
    tapes = torch.as_tensor(np.take_along_axis(drawn, kept, axis=1))
    # the optimum's own neighbours too: one level changed
    near = torch.as_tensor(best.action_ET).repeat(50, 1)
    near[torch.arange(50), torch.as_tensor(rng.integers(60, size=50))] = torch.as_tensor(
        rng.integers(len(levels), size=50)
    )
    assert growths(part, config, 10, torch.cat([tapes, near])).max() <= best.growth_E[0] * (1 + 1e-12)


@pytest.mark.parametrize("search", [exact, _linear])
def test_without_costs_it_is_the_product_of_the_rises(search):
    # long-only and fully invested, exposure does not drift: the best is to hold whenever the next price is higher
    part, config = make_part([80], seed=7), rules(position_levels=[0.0, 1.0], execution="next_close")
    course = course_of(TradingEnv(part, [config], CPU), torch.tensor([10]), 60)
    # fills at the closes of rows 11 … 70; the last one earns nothing any more
    ratio = part.close_N[12:71] / part.close_N[11:70]
    assert search(course).growth_E[0] == pytest.approx(np.maximum(ratio, 1.0).prod(), rel=1e-12)


@pytest.mark.parametrize("search", [exact, _linear])
def test_by_hand(search):
    # fills 1.00, 1.10, 1.21, 1.10, last close 0.99; κ = 1%; levels −1, 0, 1.
    # Long at 1.00 pays 0.01: cash −0.01, one unit. At 1.21: equity 1.20. To short: −1.20/1.21 units, so 1.21 + 1.20
    # is traded, for 1%: 0.0241. At the last close they have gained 1.20·(1 − 0.99/1.21):
    # 1.20 − 0.0241 + 1.20·0.22/1.21 = 1.394081…
    fill = np.array([[1.0, 1.1, 1.21, 1.1]])
    last = np.full((3, 1), 0.99)
    course = Course(
        fill_ET=fill,
        cost_rate_ET=np.full((1, 4), 0.01),
        worth_LET=np.stack([fill] * 3),
        last_LE=last,
        weight_L=np.array([-1.0, 0.0, 1.0]),
        flat=1,
    )
    found = search(course)
    assert found.action_ET.tolist() == [[2, 2, 0, 0]]
    assert found.growth_E[0] == pytest.approx(1.20 - 0.0241 + 1.20 * 0.22 / 1.21, rel=1e-14)


def test_where_nothing_is_to_be_won_it_stays_flat():
    # 1% a bar at most and 500 bp a side: no move pays for itself
    part, config = make_part([80], seed=7, volatility=0.001), rules(spread_bp=1000.0)
    env = TradingEnv(part, [config], CPU)
    for found in (hindsight(env, torch.tensor([10]), 60), _linear(course_of(env, torch.tensor([10]), 60))):
        assert (found.action_ET == 1).all()
        assert found.growth_E[0] == 1.0


@pytest.mark.parametrize("spread_bp", [0.0, 1.0, 10.0])
def test_the_search_in_linear_time_is_close_and_never_better(spread_bp):
    part, config = make_part([1200], seed=5, volatility=0.003), rules(spread_bp=spread_bp)
    course = course_of(TradingEnv(part, [config], CPU), torch.arange(10, 900, 220), 250)
    best, near = np.log(exact(course).growth_E), np.log(_linear(course).growth_E)
    assert (near <= best + 1e-12).all()
    assert (near >= 0.995 * best).all()  # measured 0.9995 and better


def test_long_paths_are_searched_in_linear_time_and_told_as_inexact(monkeypatch):
    part, config = make_part([120], seed=5), rules(spread_bp=1.0)
    env = TradingEnv(part, [config], CPU)
    assert hindsight(env, torch.tensor([10]), 100).exact_E.all()
    monkeypatch.setattr(module, "EXACT_STEPS", 99)
    long = hindsight(env, torch.tensor([10]), 100)
    assert not long.exact_E.any()
    assert growths(part, config, 10, torch.as_tensor(long.action_ET))[0] == pytest.approx(long.growth_E[0], rel=1e-12)


def test_episodes_do_not_touch_each_other(monkeypatch):
    part, config = make_part([400, 300], seed=6, own_spreads=True), rules()
    env, rows = TradingEnv(part, [config], CPU), torch.tensor([10, 200, 410, 600])
    together = hindsight(env, rows, 50)
    monkeypatch.setattr(module, "_ROOM", 1)  # one episode at a time
    apart = hindsight(env, rows, 50)
    np.testing.assert_array_equal(together.action_ET, apart.action_ET)
    np.testing.assert_array_equal(together.growth_E, apart.growth_E)


def test_with_fewer_levels_it_is_the_optimum_among_those():
    part, config = make_part([60], seed=3, volatility=0.01), rules(position_levels=[-1.0, -0.4, 0.0, 0.5])
    env, rows = TradingEnv(part, [config], CPU), torch.tensor([5, 21])
    first, second = smaller(env, rows, 6)
    for tapes, allowed in ((first, [1, 2, 3]), (second, [1, 2])):
        assert np.isin(tapes, allowed).all()
        every = torch.tensor(list(itertools.product(allowed, repeat=6)))  # 3^6 = 729 and 2^6 = 64 tapes
        for tape, row in zip(tapes, rows.tolist(), strict=True):
            best = growths(part, config, row, every).max()
            assert growths(part, config, row, torch.as_tensor(tape[None]))[0] == pytest.approx(best, rel=1e-12)


def test_with_stops_it_is_the_optimum_where_its_replay_is_not_stopped_and_none_elsewhere():
    # leverage 5, 1% a bar, stopped 1% below the peak: of all 5^5 tapes, those that are never stopped end no higher
    # than a replay that is not stopped either; where it is stopped, some end higher
    levels = [-1.0, -0.5, 0.0, 0.5, 1.0]
    config = rules(position_levels=levels, leverage=5.0, max_drawdown=0.01)
    part = make_part([120], seed=11, volatility=0.01)
    env, reward = TradingEnv(part, [config], CPU), RewardFunction([config.reward], CPU)
    tapes, beaten, kept = torch.tensor(list(itertools.product(range(5), repeat=5))), 0, 0
    for row in range(5, 105, 9):
        found = hindsight(env, torch.tensor([row]), 5)
        mine = run_tape(env, torch.tensor([row]), torch.as_tensor(found.action_ET), reward)
        every = run_tape(env, torch.full((len(tapes),), row), tapes, reward)
        best = every.equity_ET[~every.stopped_E, -1].max()
        if mine.stopped_E[0]:
            beaten += bool(best > mine.equity_ET[0, -1])
        else:
            assert best <= mine.equity_ET[0, -1] * (1 + 1e-12)
            kept += 1
    assert beaten >= 1
    assert kept >= 1


def test_a_search_that_would_take_too_long_is_the_linear_one(monkeypatch):
    part, config = make_part([60], seed=3), rules(spread_bp=2.0)
    course = course_of(TradingEnv(part, [config], CPU), torch.tensor([5, 21]), 30)
    assert module._search(course).exact_E.all()
    # 2 episodes × 30² fills × 3² levels × 4 labels
    monkeypatch.setattr(module, "MOST_WORK", 2 * 900 * 9 * 4 - 1)
    assert not module._search(course).exact_E.any()
    np.testing.assert_array_equal(module._search(course).action_ET, _linear(course).action_ET)
