"""Plans for a next study, of studies whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from report.known import PARAMETERS, add, drawn, seen, spec_of

from fxai.errors import InputError
from fxai.report.insights import insights_of
from fxai.report.insights.ranges import widened
from fxai.report.insights.refine import Plan, plan_of
from fxai.report.insights.refined_spec import refined_name
from fxai.study.space import Parameter
from fxai.study.spec import StudySpec

FLAG = "env.reward.enable_risk_penalty"
COEFFICIENT = "env.reward.risk_penalty_coefficient"
CONDITIONAL = [
    PARAMETERS[0],
    PARAMETERS[1],
    {"name": FLAG, "type": "categorical", "choices": [False, True]},
    {"name": COEFFICIENT, "type": "float", "low": 0.0, "high": 1.0, "when": {FLAG: True}},
]


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    return spec_of(tmp_path)


def place(params: Mapping[str, Any]) -> float:
    """Position of the learning rate, 0 to 1."""
    return math.log10(params["training.learning_rate"] / 0.0001) / 2.0


def planned(study: optuna.Study, spec: StudySpec) -> tuple[Plan, dict[str, tuple[Parameter, str]]]:
    outcome, sample = seen(study, spec.parameters)
    plan = plan_of(outcome, spec, sample, insights_of(study, spec))
    return plan, {parameter.name: (parameter, why) for parameter, why in plan.parameters}


def test_a_range_is_narrowed_around_the_good_trials(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 80, lambda p: -abs(place(p) - 0.5), noise=0.01, seed=1)
    plan, parameters = planned(study, spec)
    rate, why = parameters["training.learning_rate"]
    good = sorted(study.trials, key=lambda trial: -trial.value)[:16]  # a fifth of 80
    places = [place(trial.params) for trial in good]
    # a tenth of the two decades beyond the good ones, to three digits
    assert rate.low == pytest.approx(0.0001 * 100 ** (min(places) - 0.1), rel=0.01)
    assert rate.high == pytest.approx(0.0001 * 100 ** (max(places) + 0.1), rel=0.01)
    assert "narrowed from 0.0001 to 0.01" in why
    assert plan.start["training.learning_rate"] == max(study.trials, key=lambda trial: trial.value).params[rate.name]
    assert all(rate.contains(values["training.learning_rate"]) for values in plan.enqueue)
    assert len(plan.enqueue) == 3
    assert plan.counts["narrowed"] == 1


def test_what_does_not_matter_is_frozen_at_the_best(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 80, lambda p: -abs(place(p) - 0.5), noise=0.01, seed=1)
    plan, parameters = planned(study, spec)
    fixed = {name: (value, why) for name, value, why in plan.fixed}
    best = max(study.trials, key=lambda trial: trial.value).params
    assert len(parameters) >= 2
    assert fixed
    assert fixed.keys() | parameters.keys() == best.keys()
    for name, (value, why) in fixed.items():
        assert value == best[name]
        assert "no more than luck: frozen" in why


def test_a_range_is_widened_where_the_best_sits_on_its_end(spec: StudySpec) -> None:
    plan, parameters = planned(drawn(spec.parameters, 80, place, noise=0.01, seed=1), spec)
    rate, why = parameters["training.learning_rate"]
    assert rate.high == pytest.approx(0.01 * 10**0.6, rel=0.01)  # three tenths of two decades
    assert rate.low is not None
    assert rate.low > 0.001  # the lower end is far from the good ones
    assert "crowd at its high end 0.01: widened there" in why
    assert plan.counts["widened"] == 1


@pytest.mark.parametrize(
    ("entry", "end", "wider"),
    [
        # 0.9 + 0.3 × 0.4 = 1.02 is refused; half as far is not
        ({"name": "training.gamma", "type": "float", "low": 0.5, "high": 0.9}, "high", 0.96),
        ({"name": "training.gamma", "type": "float", "low": 0.5, "high": 1.0}, "high", None),
        # 30% of 6 is two whole steps; below there is room for one
        ({"name": "training.n_epochs", "type": "int", "low": 2, "high": 8}, "high", 10),
        ({"name": "training.n_epochs", "type": "int", "low": 2, "high": 8}, "low", 1),
        # evaluation.warmup_bars is 128: no window may be longer, which is no bound of the setting itself
        ({"name": "model.window", "type": "int", "low": 40, "high": 100, "step": 20}, "high", 120),
        ({"name": "model.window", "type": "int", "low": 20, "high": 120, "step": 20}, "high", None),
        ({"name": "training.entropy_coef", "type": "float", "low": 0.0, "high": 0.1}, "low", None),
    ],
    ids=range(7),
)
def test_never_beyond_what_the_setting_allows(
    spec: StudySpec, entry: dict[str, Any], end: str, wider: float | None
) -> None:
    assert widened(spec.base, Parameter(**entry), end) == (None if wider is None else pytest.approx(wider))


def test_a_choice_goes_only_with_evidence(spec: StudySpec) -> None:
    worth = {32: 0.0, 64: 1.0, 128: 0.95}
    study = drawn(spec.parameters, 80, lambda p: worth[p["model.d_model"]], noise=0.1, seed=2)
    _, parameters = planned(study, spec)
    width, why = parameters["model.d_model"]
    assert width.choices == (64, 128)
    assert "32 never good in" in why


def test_noise_moves_no_range(spec: StudySpec) -> None:
    plan, parameters = planned(drawn(spec.parameters, 60, lambda _: 0.0, noise=1.0, seed=3), spec)
    assert [parameter for parameter, _ in parameters.values()] == list(spec.parameters)
    assert plan.fixed == ()
    assert plan.counts == {"kept": 6}
    assert all("may be luck: range kept" in why for _, why in parameters.values())


def test_a_flag_is_kept_while_what_it_switches_on_is_searched(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, CONDITIONAL)
    study = drawn(spec.parameters, 120, lambda p: -abs(p.get(COEFFICIENT, 0.5) - 0.5), noise=0.02, seed=1)
    _, parameters = planned(study, spec)
    coefficient, why = parameters[COEFFICIENT]
    assert (coefficient.when, FLAG in parameters) == ({FLAG: (True,)}, True), why


def test_a_frozen_flag_takes_its_condition_along(tmp_path: Path) -> None:
    """The flag has one value; what it switches on is then searched always, or never."""
    for only, searched in ((True, True), (False, False)):
        flag = {"name": FLAG, "type": "categorical", "choices": [only]}
        own = [*CONDITIONAL[:2], flag, {**CONDITIONAL[3], "when": {FLAG: True}}] if only else [*CONDITIONAL[:2], flag]
        spec = spec_of(tmp_path, own, training_config={"env": {"reward": {"enable_risk_penalty": only}}})
        study = drawn(spec.parameters, 60, lambda p: p.get(COEFFICIENT, 0.0) + place(p), noise=0.02, seed=1)
        plan, parameters = planned(study, spec)
        assert (FLAG, only) in [(name, value) for name, value, _ in plan.fixed]
        assert (COEFFICIENT in parameters) == searched
        if searched:
            assert parameters[COEFFICIENT][0].when == {}


def test_too_few_trials_are_refused(spec: StudySpec) -> None:
    with pytest.raises(InputError) as caught:
        planned(drawn(spec.parameters, 9, place), spec)
    assert "9 completed trials" in caught.value.what
    assert "run more trials first" in (caught.value.hint or "")


def test_with_few_trials_nothing_is_frozen(spec: StudySpec) -> None:
    plan, parameters = planned(drawn(spec.parameters, 29, place, noise=0.01, seed=1), spec)
    assert (plan.fixed, len(parameters)) == ((), 6)


def test_what_the_study_fixed_stays_fixed(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, fixed={"env.reward.enable_risk_penalty": True})
    plan, _ = planned(drawn(spec.parameters, 40, place, noise=0.01, seed=1), spec)
    assert plan.fixed[0] == ("env.reward.enable_risk_penalty", True, "as in the study before")


def test_ends_and_starts_of_steps_are_exact(tmp_path: Path) -> None:
    window = {"name": "model.window", "type": "int", "low": 10, "high": 120, "step": 10}
    spec = spec_of(tmp_path, [window, PARAMETERS[1]], training_config={"model": {"window": 60}})
    study = drawn(spec.parameters, 0, place)
    generator = np.random.default_rng(0)
    for _ in range(80):
        params = {
            "model.window": int(generator.integers(1, 13)) * 10,
            "training.gamma": float(generator.uniform(0.5, 1.0)),
        }
        add(study, spec.parameters, params, -abs(params["model.window"] - 70) + float(generator.normal()))
    _, parameters = planned(study, spec)
    changed, _ = parameters["model.window"]
    # the good fifth lies at 60, 70 and 80; a tenth of 110 further and out to the grid: 40 to 100
    assert (changed.low, changed.high, changed.step) == (40, 100, 10)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", "a_refined"),
        ("a_refined", "a_refined_2"),
        ("a_refined_2", "a_refined_3"),
        ("x" * 64, "x" * 56 + "_refined"),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert refined_name(name) == expected
