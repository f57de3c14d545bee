"""Every plot of whatever study there may be: drawn, or a sentence that says why not."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from fxai.report.plots import figures
from fxai.study.spec import StudySpec

START = datetime(2026, 3, 1, 12, 0, 0)
KINDS = {
    "training.learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
    "model.d_model": CategoricalDistribution([64, "wide", None, True, 2.5]),
    "training.n_epochs": IntDistribution(1, 8, log=True),
    "training.gamma": FloatDistribution(0.5, 0.9, step=0.1),
    "model.n_layers": IntDistribution(2, 2),
}
CHOICES: list[Any] = [64, "wide", None, True, 2.5]


def trial(
    number: int, value: float | None = None, state: TrialState = TrialState.COMPLETE, names: int = 5, **kwargs: Any
) -> FrozenTrial:
    params = {
        "training.learning_rate": 1e-5 * 10 ** (number % 10 / 5),
        "model.d_model": CHOICES[number % 5],
        "training.n_epochs": 1 + number % 8,
        "training.gamma": 0.5 + 0.1 * (number % 4),
        "model.n_layers": 2,
    }
    kept = {name: params[name] for name in list(params)[:names]}
    kinds = {name: KINDS[name] for name in kept}
    told = create_trial(state=state, value=value, params=kept, distributions=kinds, **kwargs)
    told.datetime_start = None if state is TrialState.WAITING else START + timedelta(seconds=20 * number)
    told.datetime_complete = START + timedelta(seconds=20 * number + 15) if state.is_finished() else None
    return told


def _mixed(number: int) -> FrozenTrial:
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING]
    state = states[number % 4]
    value = math.sin(number) if state is TrialState.COMPLETE else None
    few = {"constraints": {"min_trades": float(number % 3 - 1)}} if state.is_finished() else {}
    return trial(number, value, state, names=2 + number % 4, intermediate_values={4: 0.1, 8: math.inf}, **few)


STUDIES: dict[str, Callable[[], list[FrozenTrial]]] = {
    "none": list,
    "waiting": lambda: [trial(0, state=TrialState.WAITING)],
    "running": lambda: [trial(0, state=TrialState.RUNNING)],
    "one": lambda: [trial(0, 0.1)],
    "two": lambda: [trial(i, 0.1 * i) for i in range(2)],
    "all pruned": lambda: [trial(i, None, TrialState.PRUNED, intermediate_values={4: 0.1 * i}) for i in range(12)],
    "pruned unreported": lambda: [trial(i, None, TrialState.PRUNED) for i in range(12)],
    "all failed": lambda: [trial(i, None, TrialState.FAIL) for i in range(12)],
    "infinite": lambda: [trial(i, math.inf if i % 2 else -math.inf) for i in range(12)],
    "constant values": lambda: [trial(i, 0.25) for i in range(30)],
    "constant parameters": lambda: [trial(0, 0.01 * i) for i in range(30)],
    "one parameter": lambda: [trial(i, 0.01 * i, names=1) for i in range(30)],
    "no parameters": lambda: [trial(i, 0.01 * i, names=0) for i in range(30)],
    "outlier": lambda: [trial(i, -1e6 if i == 3 else 0.01 * i) for i in range(30)],
    "tiny": lambda: [trial(i, 1e-300 * i) for i in range(30)],
    "huge": lambda: [trial(i, 1e100 * (i % 3)) for i in range(30)],
    "too few trades": lambda: [trial(i, 0.01 * i, constraints={"min_trades": 3.0}) for i in range(30)],
    "mixed": lambda: [_mixed(i) for i in range(60)],
}


def study_of(trials: list[FrozenTrial], *directions: str) -> optuna.Study:
    study = optuna.create_study(directions=directions or ["maximize"])
    study.add_trials(trials)
    return study


def refuse(word: str) -> Any:
    raise AssertionError(f"{word} is no JSON")


@pytest.mark.parametrize(
    ("kind", "direction"), [*((kind, "maximize") for kind in STUDIES), ("mixed", "minimize"), ("outlier", "minimize")]
)
def test_every_plot_is_drawn_or_says_why_not(kind: str, direction: str, spec: StudySpec) -> None:
    drawn = figures(study_of(STUDIES[kind](), direction), spec)
    assert len(drawn) == 8
    for plot in drawn:
        assert plot.figure is not None or plot.remark.endswith("."), plot.name
        assert plot.title
        assert plot.reading.endswith(".")
        assert plot.height_px > 0
        if plot.figure is not None:
            json.loads(plot.figure.to_json(), parse_constant=refuse)


DRAWN = {
    "none": set(),
    "waiting": set(),
    "running": {"timeline"},
    "one": {"optimization_history", "parallel_coordinate", "slice_plot", "edf", "timeline"},
    "all failed": {"timeline"},
    "all pruned": {"optimization_history", "timeline", "intermediate_values"},
    "infinite": {"timeline"},
    "no parameters": {"optimization_history", "edf", "timeline"},
}


@pytest.mark.parametrize("kind", DRAWN)
def test_which_plots_there_is_enough_for(kind: str, spec: StudySpec) -> None:
    drawn = figures(study_of(STUDIES[kind]()), spec)
    assert {plot.name for plot in drawn if plot.figure is not None} == DRAWN[kind]


def test_all_plots_of_a_whole_study_are_drawn(spec: StudySpec) -> None:
    reports = {4: 0.1, 8: 0.2}
    study = study_of([trial(i, math.sin(i), intermediate_values=reports) for i in range(30)])
    assert [plot.name for plot in figures(study, spec) if plot.figure is None] == []


@pytest.mark.parametrize("n", [0, 1, 30])
def test_every_plot_of_several_objectives(n: int, two_objectives: StudySpec) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for i in range(n):
        kinds = {"training.gamma": KINDS["training.gamma"], "training.n_epochs": KINDS["training.n_epochs"]}
        params = {"training.gamma": 0.5 + 0.1 * (i % 4), "training.n_epochs": 1 + i % 8}
        study.add_trial(create_trial(values=[math.sin(i), math.cos(3 * i)], params=params, distributions=kinds))
    drawn = {plot.name: plot for plot in figures(study, two_objectives)}
    assert len(drawn) == 9
    for plot in drawn.values():
        assert plot.figure is not None or plot.remark.endswith("."), plot.name
        for figure in [plot.figure, *(figure for _, figure in plot.by_metric)]:
            assert figure is None or json.loads(figure.to_json(), parse_constant=refuse)
    assert (drawn["pareto_front"].figure is not None) == (n > 0)
    assert "several objectives reports no values" in drawn["intermediate_values"].remark


def test_no_plot_has_a_name_that_is_not_escaped(spec: StudySpec) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    kinds = {hostile: CategoricalDistribution([hostile, "b"]), "a.b": FloatDistribution(0, 1)}
    study = optuna.create_study(direction="maximize")
    for i in range(30):
        params = {hostile: [hostile, "b"][i % 2], "a.b": i / 30}
        study.add_trial(create_trial(value=i % 7, params=params, distributions=kinds, intermediate_values={4: 0.1}))
    seen = 0
    for plot in figures(study, spec):
        # to_json writes < as \u003c; loaded again, what stands there is what plotly would draw
        text = json.dumps(json.loads(plot.figure.to_json())) if plot.figure is not None else ""
        assert "<img" not in text, plot.name
        seen += "&lt;img" in text
    assert seen >= 3  # history, slices and parallel coordinates at least name it
