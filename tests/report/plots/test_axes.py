"""Where values lie on parameters' axes, and what the ticks say."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from fxai.report.plots.axes import JITTER, ParameterAxis, parameter_axes


def trial(kind: BaseDistribution, value: Any, name: str = "a.b") -> FrozenTrial:
    return create_trial(value=0.0, params={name: value}, distributions={name: kind})


def axis(kind: BaseDistribution, *values: Any) -> ParameterAxis:
    return parameter_axes([trial(kind, value) for value in values], [])["a.b"]


def test_a_float_axis_spans_what_is_searched() -> None:
    found = axis(FloatDistribution(0.5, 2.5), 1.0)
    assert (found.low, found.high, found.log) == (0.5, 2.5, False)
    assert found.share(1.0) == 0.25  # (1 − 0.5) / 2
    assert found.ticks(5) == ([0.5, 1.0, 1.5, 2.0, 2.5], ["0.5", "1", "1.5", "2", "2.5"])


def test_a_log_axis_is_of_powers_of_ten() -> None:
    found = axis(FloatDistribution(1e-5, 1e-3, log=True), 1e-4)
    assert (found.low, found.high) == pytest.approx((-5.0, -3.0))
    assert found.share(1e-4) == pytest.approx(0.5)
    places, texts = found.ticks()
    assert places == pytest.approx([-5.0, -4.0, -3.0])
    assert texts == ["1e-05", "0.0001", "0.001"]
    # one decade alone has ticks at 1 and 3 between its ends as well
    assert axis(FloatDistribution(2e-4, 2e-3, log=True), 1e-3).ticks()[1] == ["0.0002", "0.0005", "0.001", "0.002"]


def test_whole_numbers_have_no_ticks_between_them() -> None:
    assert axis(IntDistribution(1, 3), 2).ticks() == ([1.0, 2.0, 3.0], ["1", "2", "3"])
    # steps of 1 would be 8 ticks for 5 places, steps of 2 are 4: 2, 4, 6, 8
    assert axis(IntDistribution(1, 8), 2).ticks()[0] == [2.0, 4.0, 6.0, 8.0]


def test_an_axis_reaches_trials_outside_of_the_range() -> None:
    found = axis(FloatDistribution(0.0, 1.0), 0.5)
    assert found.high == 1.0
    outside = trial(FloatDistribution(0.0, 1.0), 0.5)
    outside.params = {"a.b": 3.0}  # what was queued from outside of the space
    assert parameter_axes([outside], [])["a.b"].high == 3.0


def test_a_single_value_has_an_axis() -> None:
    found = axis(FloatDistribution(0.3, 0.3), 0.3)
    assert found.share(0.3) == 0.5
    assert found.ticks() == ([0.3], ["0.3"])
    low, high = found.layout()["range"]
    assert low < 0.3 < high


def test_true_is_not_one_and_null_is_a_choice() -> None:
    found = axis(CategoricalDistribution([True, 2, 2.5, "relu", None]), True)
    assert [found.scaled(value) for value in (True, 2, 2.5, "relu", None)] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert found.scaled(1) is None
    assert found.ticks()[1] == ["true", "2", "2.5", "relu", "null"]


def test_what_is_no_number_has_no_place() -> None:
    found = axis(FloatDistribution(0.1, 1.0, log=True), 0.5)
    assert [found.scaled(value) for value in ("x", None, True, math.nan, math.inf, -1.0)] == [None] * 6
    assert found.share("x") is None


def test_categories_are_spread_within_their_room_and_numbers_are_not() -> None:
    named, plain = axis(CategoricalDistribution([1, 2]), 1), axis(FloatDistribution(0, 1), 0.5)
    steps = []
    for number in range(200):
        one = trial(CategoricalDistribution([1, 2]), 1)
        one.number = number
        steps.append(named.spread(one))
        assert plain.spread(one) == 0.0
    assert max(map(abs, steps)) <= JITTER
    # 200 golden turns leave no gap of more than 2% of the room
    ranked = sorted(steps)
    assert max(b - a for a, b in itertools.pairwise(ranked)) < 0.02 * 2 * JITTER
    assert len(set(steps)) == 200


def test_parameters_come_in_the_spec_s_order_with_the_shortest_names_that_tell_them_apart() -> None:
    kind = FloatDistribution(0, 1)
    trials = [trial(kind, 0.5, name) for name in ("x.rate", "y.rate", "z.gamma")]
    found = parameter_axes(trials, ["z.gamma", "never.sampled", "x.rate"])
    assert {name: axis.label for name, axis in found.items()} == {
        "z.gamma": "gamma",
        "x.rate": "x.rate",
        "y.rate": "y.rate",
    }
    assert list(found) == ["z.gamma", "x.rate", "y.rate"]


def test_headings_are_broken_and_escaped() -> None:
    found = parameter_axes([trial(FloatDistribution(0, 1), 0.5, "a.drawdown_penalty_<b>_coefficient_x")], [])
    (only,) = found.values()
    assert only.heading(16) == "drawdown_<br>penalty_&lt;b&gt;_<br>coefficient_x"
