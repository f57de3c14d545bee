"""Metrics by hand, and defined for every path."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fxai.config.metrics import FLOOR, METRIC_DIRECTIONS, METRIC_NAMES, RATIO_CAP, floor
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
        "opened_ET": zero > 0,
        "closed_ET": zero > 0,
        "closed_gain_ET": zero,
        "open_gain_E": np.zeros(episodes),
        "open_E": np.zeros(episodes, dtype=bool),
        "length_E": np.full(episodes, steps),
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


def test_trades_by_hand():
    # closed +3% and −1%, one open at +1%: factor (3 + 1)/1 = 4, two of three won
    got = measure(
        paths(
            [[100, 103, 102, 103]],
            closed_ET=[[True, True, False]],
            closed_gain_ET=[[0.03, -0.01, 0.0]],
            open_gain_E=[0.01],
            open_E=[True],
            opened_ET=[[True, True, True]],
            traded_ET=[[1.0, 2.0, 0.0]],
        ),
        252,
    )
    assert got["profit_factor"] == pytest.approx(4.0)
    assert got["win_rate"] == pytest.approx(2 / 3)
    assert got["n_trades"] == 3
    assert got["turnover"] == pytest.approx(1.0)


def test_rewards_are_summed_per_episode_and_averaged():
    got = measure(
        paths([[1, 1, 1], [1, 1, 1]], reward_ET=[[1.0, 2.0], [0.5, 0.5]], shaped_reward_ET=[[0, 0], [0, 4]]), 252
    )
    # (3 + 1)/2 and (0 + 4)/2
    assert got["mean_reward"] == 2.0
    assert got["mean_shaped_reward"] == 2.0


def test_an_ended_episode_counts_only_its_bars():
    # the second bar never happened: one return of −50%, whose deviation is undefined, so the ratio hits its floor
    got = measure(paths([[100, 50, 50]], length_E=[1], traded_ET=[[1.0, 0.0]]), 252)
    assert got["turnover"] == 1.0
    assert got["sharpe"] == -RATIO_CAP


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


@given(arrays(float, (2, 9), elements=st.floats(0.0, 1e6, width=32)))
def test_every_metric_is_finite_for_every_path(equity):
    equity[:, 0] = 100.0
    assert all(math.isfinite(v) for v in measure(paths(equity.tolist()), 6000.0).values())


def test_names_directions_and_floors_agree():
    assert set(measure(paths([[1, 1]]), 252)) == set(METRIC_NAMES) == set(FLOOR) == set(METRIC_DIRECTIONS)
    assert all(math.isfinite(v) for v in FLOOR.values())
    # a diverged training is the worst in whichever direction a study looks
    assert floor("sharpe", "maximize") == -RATIO_CAP
    assert floor("n_trades", "minimize") == 1e6
    assert FLOOR["max_drawdown"] == 1.0
