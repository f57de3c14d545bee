"""The equity curve kept with a trial: means and quantiles over episodes, worked out by hand and against numpy's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from fxai.evaluate.curve import MAX_ROWS, equity_curve
from fxai.evaluate.metrics import Paths


def paths(equity_ET: object) -> Paths:
    """The one field that a curve reads."""
    return cast(Paths, SimpleNamespace(equity_ET=np.asarray(equity_ET, dtype=np.float64)))


def test_equity_is_relative_to_each_episodes_begin():
    curve = equity_curve([paths([[100, 110, 120], [200, 200, 100]])])
    # episode 0: 1, 1.1, 1.2; episode 1: 1, 1, 0.5; means 1, 1.05, 0.85
    np.testing.assert_allclose(curve.mean_R, [1.0, 1.05, 0.85])
    # two values: a tenth of the way from the lower to the higher
    np.testing.assert_allclose(curve.low_R, [1.0, 1.01, 0.57])
    np.testing.assert_allclose(curve.high_R, [1.0, 1.09, 1.13])
    assert curve.bar_R.tolist() == [0, 1, 2]
    assert curve.instruments == {}


def test_members_count_alike_and_instruments_stand_apart():
    own = {"EURUSD": np.array([0]), "USDJPY": np.array([1]), "NZDUSD": np.array([], dtype=np.int64)}
    curve = equity_curve([paths([[1, 2], [1, 4]]), paths([[1, 3], [1, 5]])], own)
    # (2 + 4 + 3 + 5) / 4; EURUSD (2 + 3) / 2, USDJPY (4 + 5) / 2; NZDUSD has no episode
    assert curve.mean_R[1] == pytest.approx(3.5)
    assert {name: mean_R[1] for name, mean_R in curve.instruments.items()} == {"EURUSD": 2.5, "USDJPY": 4.5}


def test_one_instrument_has_no_column_of_its_own():
    assert equity_curve([paths([[1, 2]])], {"EURUSD": np.array([0])}).instruments == {}


@pytest.mark.parametrize("episodes", [1, 2, 11, 28])
def test_quantiles_are_numpys(episodes):
    equity_ET = np.random.default_rng(episodes).uniform(1.0, 2.0, (episodes, 40))
    curve = equity_curve([paths(equity_ET)])
    low_R, high_R = np.quantile(equity_ET / equity_ET[:, :1], [0.1, 0.9], axis=0)
    np.testing.assert_allclose(curve.low_R, low_R, rtol=1e-12)
    np.testing.assert_allclose(curve.high_R, high_R, rtol=1e-12)


def test_long_episodes_keep_first_and_last_bar():
    equity_ET = np.cumsum(np.ones((1, 5001)), axis=1)
    curve = equity_curve([paths(equity_ET)])
    assert len(curve.bar_R) == MAX_ROWS
    assert (curve.bar_R[0], curve.bar_R[-1]) == (0, 5000)
    # the equity of bar t is t + 1 times that of the begin
    np.testing.assert_array_equal(curve.mean_R, curve.bar_R + 1.0)
