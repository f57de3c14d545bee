"""Metrics by hand, and defined for every path."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fxai.config.metrics import FLOOR, METRIC_DIRECTIONS, METRIC_NAMES, RATIO_CAP, WORST, floor, rewards_idleness
from fxai.evaluate.metrics import Paths, drawdowns, measure, ratio


def paths(equity: list[list[float]], **columns: object) -> Paths:
    equity_ET = np.asarray(equity, dtype=float)
    episodes, steps = equity_ET.shape[0], equity_ET.shape[1] - 1
    zero = np.zeros((episodes, steps))
    base = {
        "equity_ET": equity_ET,
        "reward_ET": zero,
        "shaped_reward_ET": zero,
        "traded_ET": zero,
        "cost_ET": zero,
        "exposure_ET": zero,
        "units_ET": zero,
        "opened_ET": zero > 0,
        "closed_ET": zero > 0,
        "closed_gain_ET": zero,
        "closed_bars_ET": zero,
        "last_gain_E": np.zeros(episodes),
        "last_bars_E": np.zeros(episodes),
        "last_E": np.zeros(episodes, dtype=bool),
        "length_E": np.full(episodes, steps),
        "steps_E": np.full(episodes, steps),
        "stopped_E": np.zeros(episodes, dtype=bool),
    }
    return Paths(**{**base, **{name: np.asarray(value) for name, value in columns.items()}})


def test_two_bars_by_hand():
    # returns +10%, −5%: mean 2.5%, std (n − 1) = √((0.075² + 0.075²)/1) = 0.106066, 252 bars a year
    got = measure(paths([[100, 110, 104.5]]), bars_per_year=252)
    assert got["sharpe"] == pytest.approx(0.025 / 0.1060660 * math.sqrt(252), rel=1e-6)
    # downside √(0.05²/2) = 0.05/√2
    assert got["sortino"] == pytest.approx(0.025 / (0.05 / math.sqrt(2)) * math.sqrt(252), rel=1e-6)
    assert got["total_return"] == pytest.approx(0.045)
    # 104.5 / 110 = 0.95
    assert got["max_drawdown"] == pytest.approx(0.05)


def test_calmar_by_hand():
    # 4 bars a year, growth √(1.1·0.95)... two bars are half a year: 1.045² − 1 = 0.092025, over a drawdown of 0.05
    assert measure(paths([[100, 110, 104.5]]), bars_per_year=4)["calmar"] == pytest.approx(0.092025 / 0.05)


def test_growth_a_year_by_hand():
    # 1.045 in two bars of four a year: 1.045² − 1; of two such episodes laid end to end, (1.045²)^(4/4) − 1, the same
    assert measure(paths([[100, 110, 104.5]]), bars_per_year=4)["cagr"] == pytest.approx(0.092025)
    assert measure(paths([[100, 110, 104.5]] * 2), bars_per_year=4)["cagr"] == pytest.approx(0.092025)


@pytest.mark.parametrize(
    ("equity", "length", "bars"),
    [
        # peak 120 at bar 1, deepest at bar 3, back at bar 5: four bars; the later dip to 119 is not the deepest
        ([100, 120, 110, 90, 100, 120, 119, 125], 7, 4),
        # never back: from the peak at bar 1 to the end at bar 4
        ([100, 120, 110, 90, 100], 4, 3),
        # stopped at bar 2: nothing is held any more, so it is never back, from bar 1 to the end at bar 4
        ([100, 120, 50, 50, 50], 2, 3),
        # a peak reached twice: the fall begins at the second time
        ([100, 120, 120, 90], 3, 1),
        ([100, 101, 102], 2, 0),
    ],
)
def test_how_long_the_deepest_drawdown_lasts(equity, length, bars):
    assert measure(paths([equity], length_E=[length]), 252)["max_drawdown_bars"] == bars


def test_the_deepest_drawdown_of_all_episodes_gives_the_length():
    # 10% for one bar in the first episode, 25% for two in the second
    got = measure(paths([[100, 90, 100], [100, 75, 80]]), 252)
    assert (got["max_drawdown"], got["max_drawdown_bars"]) == (0.25, 2.0)


def test_costs_and_exposure_by_hand():
    # 1 + 2 of 100, and nothing of the other: mean of 3% and 0. |0.5| + |−1| over four bars
    got = measure(
        paths([[100, 101, 99], [100, 100, 100]], cost_ET=[[1, 2], [0, 0]], exposure_ET=[[0.5, -1], [0, 0]]), 1
    )
    assert got["costs"] == pytest.approx(0.015)
    assert got["exposure"] == pytest.approx(0.375)


def test_trades_by_hand():
    # closed +3% after 4 bars and −1% after 2, one open at +1% since 3: factor (3 + 1)/1 = 4, two of three won,
    # 3%/3 = 1% a trade, 9/3 = 3 bars a trade
    got = measure(
        paths(
            [[100, 103, 102, 103]],
            closed_ET=[[True, True, False]],
            closed_gain_ET=[[0.03, -0.01, 0.0]],
            closed_bars_ET=[[4, 2, 0]],
            last_gain_E=[0.01],
            last_bars_E=[3],
            last_E=[True],
            opened_ET=[[True, True, True]],
            traded_ET=[[1.0, 2.0, 0.0]],
        ),
        252,
    )
    assert got["profit_factor"] == pytest.approx(4.0)
    assert got["win_rate"] == pytest.approx(2 / 3)
    assert got["expectancy"] == pytest.approx(0.01)
    assert got["holding_bars"] == pytest.approx(3.0)
    assert got["n_trades"] == 3
    assert got["n_closed"] == 2
    assert got["turnover"] == pytest.approx(1.0)


def test_rewards_are_summed_per_episode_and_averaged():
    got = measure(
        paths([[1, 1, 1], [1, 1, 1]], reward_ET=[[1.0, 2.0], [0.5, 0.5]], shaped_reward_ET=[[0, 0], [0, 4]]), 252
    )
    # (3 + 1)/2 and (0 + 4)/2
    assert got["mean_reward"] == 2.0
    assert got["mean_shaped_reward"] == 2.0


def test_after_a_stop_returns_are_0_and_nothing_is_traded():
    # stopped at bar 1: −50%, 0, 0, 0. mean −12.5%, std √((0.375² + 3·0.125²)/3) = 0.25; downside √(0.25/4) = 0.25.
    # Four bars are a year: the account is worth half, cagr −50%, as total_return says; calmar −0.5/0.5
    stopped = paths([[100, 50, 50, 50, 50]], length_E=[1], stopped_E=[True], traded_ET=[[1.0, 0, 0, 0]])
    got = measure(stopped, 4)
    assert got["sharpe"] == pytest.approx(-0.125 / 0.25 * 2)
    assert got["sortino"] == pytest.approx(-0.125 / 0.25 * 2)
    assert got["cagr"] == pytest.approx(-0.5) == got["total_return"]
    assert got["calmar"] == pytest.approx(-1.0)
    assert got["turnover"] == 1.0  # per bar until the stop
    assert got["stopped"] == 1.0


def test_an_early_stop_is_not_annualised_over_the_bars_it_lived():
    # −1.41% after 415 of 10,852 bars, 1.74 years of 6,237: a loss of 0.81% a year, not of 19%
    equity = np.full(10_853, 98.59)
    equity[:415] = 100.0
    got = measure(paths([equity.tolist()], length_E=[415], stopped_E=[True]), 6237)
    assert got["total_return"] == pytest.approx(-0.0141)
    assert got["cagr"] == pytest.approx(0.9859 ** (6237 / 10_852) - 1)
    assert got["cagr"] == pytest.approx(-0.0081, abs=1e-4)


def test_an_episode_of_fewer_bars_counts_only_those():
    # two episodes side by side, the second one bar long: returns 10%, 10%, −5%; what is padded is no bar
    got = measure(paths([[100, 110, 121], [100, 95, 95]], length_E=[2, 1], steps_E=[2, 1]), 1)
    # mean 5%, deviations 5, 5, −10: √(150/2) = 8.66025%
    assert got["sharpe"] == pytest.approx(0.05 / 0.0866025, rel=1e-6)
    assert got["stopped"] == 0.0


def test_the_share_of_stopped_episodes():
    assert measure(paths([[1, 1]] * 4, stopped_E=[True, False, False, False]), 1)["stopped"] == 0.25


def test_a_trade_at_the_fill_and_one_closed_by_the_stop_both_count():
    # +10% at the fill of bar 2, and the short taken there is stopped at its close with −100%: one of two won,
    # 0.1/1, (0.1 − 1)/2, bars (1 + 1)/2
    got = measure(
        paths(
            [[100, 110, 0, 0]],
            opened_ET=[[True, True, False]],
            closed_ET=[[False, True, False]],
            closed_gain_ET=[[0, 0.1, 0]],
            closed_bars_ET=[[0, 1, 0]],
            last_gain_E=[-1.0],
            last_bars_E=[1],
            last_E=[True],
            stopped_E=[True],
            length_E=[2],
        ),
        252,
    )
    assert (got["n_trades"], got["n_closed"], got["win_rate"]) == (2, 2, 0.5)
    assert got["profit_factor"] == pytest.approx(0.1)
    assert got["expectancy"] == pytest.approx(-0.45)
    assert got["holding_bars"] == 1.0


def test_one_total_loss_among_episodes_laid_end_to_end_is_a_total_loss():
    # 27 years without a trade and one in which all is lost: nothing is left to grow again
    equity = np.full((28, 253), 1e4)
    equity[0, 1:] = 0.0
    length = np.where(np.arange(28) == 0, 1, 252)
    got = measure(paths(equity.tolist(), length_E=length, stopped_E=length == 1), 252)
    assert got["cagr"] == -1.0
    assert got["calmar"] == -1.0


def test_growth_beyond_the_cap_is_the_cap():
    # doubled in a bar of 252: 2^252 − 1; and 2^(252/40) − 1 = 77.8 is below it
    assert measure(paths([[100, 200]]), 252)["cagr"] == pytest.approx(RATIO_CAP)
    assert measure(paths([[100, 200] + [200] * 39]), 252)["cagr"] == pytest.approx(2 ** (252 / 40) - 1)


@pytest.mark.parametrize(
    ("equity", "sharpe", "sortino", "calmar"),
    [
        ([[100, 100, 100]], 0.0, 0.0, 0.0),
        # all wins of one size: no deviation, no downside, no drawdown
        ([[100, 200, 400]], RATIO_CAP, RATIO_CAP, RATIO_CAP),
    ],
)
def test_degenerate_paths_are_defined(equity, sharpe, sortino, calmar):
    got = measure(paths(equity), 252)
    assert (got["sharpe"], got["sortino"], got["calmar"]) == (sharpe, sortino, calmar)
    assert got["win_rate"] == 0.0
    assert got["profit_factor"] == 0.0


def test_ratio_of_a_vanishing_denominator():
    assert ratio(0.0, 0.0) == 0.0
    assert ratio(2.0, 0.0) == RATIO_CAP
    assert ratio(-2.0, 0.0) == -RATIO_CAP
    assert ratio(1e9, 1.0) == RATIO_CAP


def test_drawdown_is_measured_from_the_running_peak():
    # peaks 100 100 120 120: 0, 10%, 0, 25%
    np.testing.assert_allclose(drawdowns(np.array([[100, 90, 120, 90.0]])), [[0, 0.1, 0, 0.25]])


@pytest.mark.parametrize(
    ("gains", "factor", "rate", "mean"), [([0.01, 0.03], RATIO_CAP, 1.0, 0.02), ([-0.01, -0.03], 0.0, 0.0, -0.02)]
)
def test_all_wins_and_all_losses_are_defined(gains, factor, rate, mean):
    got = measure(paths([[100, 101, 102]], closed_ET=[[True, True]], closed_gain_ET=[gains]), 252)
    assert (got["profit_factor"], got["win_rate"], got["expectancy"]) == (factor, rate, pytest.approx(mean))


def test_an_account_that_lost_everything_is_defined():
    got = measure(paths([[100, 0, 0]], length_E=[1]), 252)
    assert got["total_return"] == -1.0
    assert got["max_drawdown"] == 1.0
    assert got["max_drawdown_bars"] == 2.0
    assert got["cagr"] == -1.0


@st.composite
def any_paths(draw: st.DrawFn) -> Paths:
    """Two episodes of eight bars with anything in them that an account could be told to have done."""

    def some(low: float, high: float, shape: tuple[int, ...] = (2, 8)) -> np.ndarray:
        return draw(arrays(float, shape, elements=st.floats(low, high, width=32)))

    def either(shape: tuple[int, ...]) -> np.ndarray:
        return draw(arrays(bool, shape))

    equity = some(0.0, 2.0**30, (2, 9))
    equity[:, 0] = draw(st.sampled_from([1.0, 100.0, 1e6]))
    length = draw(arrays(np.int64, 2, elements=st.integers(1, 8)))
    equity = np.take_along_axis(equity, np.minimum(np.arange(9), length[:, None]), axis=1)  # it stays from there on
    return paths(
        equity.tolist(),
        reward_ET=some(-(2.0**20), 2.0**20),
        shaped_reward_ET=some(-(2.0**20), 2.0**20),
        traded_ET=some(0.0, 2.0**30),
        cost_ET=some(-(2.0**30), 2.0**30),
        exposure_ET=some(-(2.0**30), 2.0**30),
        opened_ET=either((2, 8)),
        closed_ET=either((2, 8)),
        closed_gain_ET=some(-1.0, 2.0**30),
        closed_bars_ET=some(0.0, 64.0),
        last_gain_E=some(-1.0, 2.0**30, (2,)),
        last_bars_E=some(0.0, 64.0, (2,)),
        last_E=either((2,)),
        length_E=length,
        stopped_E=either((2,)),
    )


@settings(deadline=None, max_examples=50)
@given(any_paths())
def test_every_metric_is_finite_and_within_its_bounds_for_every_path(anything):
    got = measure(anything, 6000.0)
    assert all(math.isfinite(v) for v in got.values())
    for name, value in got.items():
        low, high = WORST[name]
        if "reward" not in name:  # theirs is what a diverged training is told, far below any account
            assert low - 1e-9 <= value, name
        if "reward" not in name and name != "total_return":  # a gain has no upper bound
            assert value <= high + 1e-9, name


@pytest.mark.parametrize(
    ("metric", "direction", "idle"),
    [
        ("turnover", "minimize", True),
        ("stopped", "minimize", True),
        ("holding_bars", "minimize", True),
        ("holding_bars", "maximize", False),
        ("sharpe", "minimize", False),
        ("mean_reward", "maximize", False),
    ],
)
def test_metrics_that_alone_would_choose_an_agent_that_does_nothing(metric, direction, idle):
    assert rewards_idleness(metric, direction) is idle
    # what is told of them is true: an account that stays flat has 0, and nothing that is minimised is left out
    assert not idle or measure(paths([[100, 100, 100]]), 252)[metric] == 0.0
    assert all(rewards_idleness(name, "minimize") for name, usual in METRIC_DIRECTIONS.items() if usual == "minimize")


def test_names_directions_and_floors_agree():
    assert set(measure(paths([[1, 1]]), 252)) == set(METRIC_NAMES) == set(FLOOR) == set(METRIC_DIRECTIONS)
    assert all(math.isfinite(v) for v in FLOOR.values())
    # a diverged training is the worst in whichever direction a study looks
    assert floor("sharpe", "maximize") == -RATIO_CAP
    assert floor("n_trades", "minimize") == 1e6
    assert FLOOR["max_drawdown"] == 1.0


def test_the_document_lists_every_metric_and_its_worked_numbers_hold():
    text = (Path(__file__).parents[2] / "docs" / "trading_model.md").read_text(encoding="utf-8")
    section = text[text.index("## Metrics") : text.index("## Baselines")]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(METRIC_NAMES)
    daily, quarterly = (measure(paths([[100, 110, 104.5]]), bars) for bars in (252, 4))
    for name, got in (("sharpe", daily["sharpe"]), ("sortino", daily["sortino"]), ("calmar", quarterly["calmar"])):
        assert f"{got:.4f}" in section, name
    assert f"{100 * quarterly['cagr']:.4f}%" in section
    assert daily["max_drawdown_bars"] == 1.0
