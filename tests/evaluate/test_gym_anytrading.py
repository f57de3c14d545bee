"""The optimum under another package's rules, on the bars that it brings along (bench extra)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fxai.evaluate.hindsight import Course, _linear

Floats = np.ndarray[Any, np.dtype[np.float64]]

FEE = 0.0003
"""forex-v0's trade_fee, in the price: it sells euros at the price less this, and buys them at the price."""


@pytest.fixture(scope="module")
def forex() -> Any:
    pytest.importorskip("gym_anytrading")
    from gym_anytrading.datasets import FOREX_EURUSD_1H_ASK
    from gym_anytrading.envs import ForexEnv

    df = FOREX_EURUSD_1H_ASK
    # forex-v0's own arguments; unit_side left: the account is kept in euros, and a short position is dollars held
    return ForexEnv(df=df, window_size=24, frame_bound=(24, len(df)), unit_side="left")


def closes(forex: Any) -> Floats:
    """The prices that the package trades, in float64: from the tick before its first one to the last."""
    return np.asarray(forex.df["Close"].to_numpy()[forex._start_tick - 1 :], dtype=np.float64)


def dollars_held(price_T: Floats, fee: float, tie: float) -> Any:
    """The best tape of an account in euros that holds either euros (0) or dollars (1), a dollar costing 1/price.

    `tie` is what holding dollars costs per bar, in euros: next to nothing, but at an unchanged price it decides.
    """
    worth_T = 1.0 / price_T - tie * np.arange(len(price_T))
    fill_ET = 1.0 / price_T[None, :-1]
    return _linear(
        Course(
            fill_ET=fill_ET,
            cost_rate_ET=fee / 2.0 / price_T[None, :-1],
            worth_LET=np.stack([fill_ET, worth_T[None, :-1]]),
            last_LE=np.array([[1.0 / price_T[-1]], [worth_T[-1]]]),
            weight_L=np.array([0.0, 1.0]),
            flat=0,
        )
    )


def profit(price_T: Floats, action_T: Floats) -> float:
    """What the package makes of a tape: each stretch in dollars sells at the price less the fee and buys back."""
    held = np.concatenate([[0], action_T, [0]])
    sold, bought = np.flatnonzero(np.diff(held) == 1), np.flatnonzero(np.diff(held) == -1)
    return float(np.prod((price_T[sold] - FEE) / price_T[bought]))


def test_its_max_possible_profit_is_the_free_optimum_paid_for_under_its_fee(forex):
    assert forex.trade_fee == FEE
    # since 2.0 it keeps float32 prices: its own figure is 4.0541177 under NumPy 2, 4.054414887146572 in float64
    assert float(forex.max_possible_profit()) == pytest.approx(4.0541177, abs=1e-3)
    price_T = closes(forex)
    free = dollars_held(price_T, fee=0.0, tie=1e-9)  # the package takes an unchanged price for a rising one
    assert profit(price_T, free.action_ET[0]) == pytest.approx(4.054414887146572, rel=1e-13)


def test_the_true_optimum_under_its_fee_is_higher(forex):
    price_T = closes(forex)
    # the best of all tapes, bar by bar: euros and dollars that an account could have at most
    euros, dollars = 1.0, 0.0
    for price in price_T:
        euros, dollars = max(euros, dollars / price), max(dollars, euros * (price - FEE))
    assert euros == pytest.approx(4.347152224135741, rel=1e-13)
    # the search charges half of the fee at each end instead of all of it at the first, and finds the same tape
    found = dollars_held(price_T, fee=FEE, tie=0.0)
    assert profit(price_T, found.action_ET[0]) == pytest.approx(euros, rel=1e-13)
    assert found.growth_E[0] == pytest.approx(euros, rel=1e-6)
