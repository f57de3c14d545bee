from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from fxai.report.outcome import outcome_of
from fxai.report.plots.axes import core_range
from fxai.report.plots.history import history_figure

AddTrial = Callable[..., FrozenTrial]


def traces(study: optuna.Study, *metrics: str) -> dict[str, dict[str, Any]]:
    figure, _ = history_figure(outcome_of(study, metrics or ("mean_reward",)))
    return {trace["name"]: trace for trace in json.loads(figure.to_json())["data"]}


def test_history_marks_default_best_and_running_best(study: optuna.Study, add: AddTrial) -> None:
    for value in (0.1, 0.3, 0.2, 0.4, 0.0):
        add(value)
    drawn = traces(study)
    assert drawn["running best"]["y"] == [0.1, 0.3, 0.3, 0.4, 0.4]
    assert (drawn["best"]["x"], drawn["best"]["y"]) == ([3], [0.4])
    assert (drawn["default config"]["x"], drawn["default config"]["y"]) == ([0], [0.1])


def test_running_best_of_a_minimised_metric_falls() -> None:
    study = optuna.create_study(direction="minimize")
    for value in (0.3, 0.4, 0.1):
        study.add_trial(create_trial(value=value))
    assert traces(study)["running best"]["y"] == [0.3, 0.3, 0.1]


def test_pruned_trials_are_drawn_at_their_last_report_and_infinite_ones_nowhere(
    study: optuna.Study, add: AddTrial
) -> None:
    add(0.1)
    add(None, TrialState.PRUNED, intermediate_values={5: 0.2, 10: 0.05})
    add(None, TrialState.PRUNED, intermediate_values={5: math.nan})
    add(None, TrialState.PRUNED)
    add(math.inf)
    drawn = traces(study)
    assert drawn["pruned, at its last report"]["x"] == [1]
    assert drawn["pruned, at its last report"]["y"] == [0.05]
    assert drawn["complete"]["y"] == [0.1]
    assert drawn["running best"]["y"] == [0.1, 0.1]  # carried on to the last trial


def test_two_objectives_have_a_panel_each_and_the_front() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in [(1.0, 0.1), (3.0, 0.3), (2.0, 0.4)]:
        study.add_trial(create_trial(values=values))
    figure, _ = history_figure(outcome_of(study, ("sharpe", "max_drawdown")))
    data = json.loads(figure.to_json())["data"]
    front = [(trace["x"], trace["y"]) for trace in data if trace["name"] == "Pareto front"]
    assert front == [([0, 1], [1.0, 3.0]), ([0, 1], [0.1, 0.3])]


def test_range_leaves_out_floor_values_but_never_what_must_be_seen() -> None:
    # quartiles of 0, 1, 2, 3, −1000: 0 and 2; 5 ranges beyond them: −10 to 12; margin 6% of 3
    assert core_range([0.0, 1.0, 2.0, 3.0, -1000.0], keep=[1.0]) == pytest.approx([-0.18, 3.18])
    limits = core_range([0.0, 1.0, 2.0, 3.0, -1000.0], keep=[-1000.0])
    assert limits is not None
    assert limits[0] < -1000
    assert core_range([0.0, 1.0, 2.0, 3.0, 9.0], keep=[]) is None
    assert core_range([1.0, 1.0, 1.0, 1.0, 50.0], keep=[]) is None  # no spread to measure by
    assert core_range([0.0, -1000.0], keep=[]) is None


FEW = {"min_trades": 3.0}
"""A trial lacks three trades; a constraint is kept up to 0."""


def test_trials_of_too_few_trades_are_hollow_and_told_apart(study: optuna.Study, add: AddTrial) -> None:
    for value, constraints in ((-0.4, {"min_trades": -5.0}), (0.0, FEW), (-0.3, {"min_trades": 0.0}), (0.0, FEW)):
        add(value, constraints=constraints)
    drawn = traces(study)
    assert drawn["complete"]["x"] == [0, 2]
    few = drawn["too few trades, cannot be best"]
    assert (few["x"], few["y"], few["marker"]["symbol"]) == ([1, 3], [0.0, 0.0], "circle-open")
    assert few["showlegend"]
    assert drawn["best"]["x"] == [2]
    assert drawn["running best"]["y"] == [-0.4, -0.3, -0.3]  # no higher for trials 1 and 3


def test_where_all_trials_make_too_few_trades_one_of_them_is_the_best(study: optuna.Study, add: AddTrial) -> None:
    add(0.1, constraints=FEW)
    add(0.2, constraints=FEW)
    drawn = traces(study)
    assert drawn["best"]["x"] == [1]
    assert drawn["too few trades"]["x"] == [0, 1]
    assert "complete" not in drawn


def test_without_constraints_no_trial_is_hollow(finished: optuna.Study) -> None:
    assert not [name for name in traces(finished) if "too few" in name]


@pytest.mark.parametrize("metrics", [("a",), ("a", "b")])
def test_the_legend_hangs_below_the_plot_where_it_covers_nothing(metrics: tuple[str, ...]) -> None:
    study = optuna.create_study(directions=["maximize"] * len(metrics))
    study.add_trial(create_trial(values=[0.1] * len(metrics)))
    figure, _ = history_figure(outcome_of(study, metrics))
    legend = json.loads(figure.to_json())["layout"]["legend"]
    # its top edge is as far below one panel as below the lower of two, which are half as high each
    assert (legend["yanchor"], legend["y"] * len(metrics)) == ("top", -0.2)
