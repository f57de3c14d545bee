"""Importances of studies whose truth is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from report.known import asked, drawn, seen, spec_of

from fxai.report.insights.findings import importances_of
from fxai.report.insights.importance import beyond_luck, measure
from fxai.study.spec import StudySpec


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    return spec_of(tmp_path)


def place(params: dict[str, float]) -> float:
    """Position of the learning rate, 0 to 1."""
    return math.log10(params["training.learning_rate"] / 0.0001) / 2.0


def test_shares_are_those_of_the_variance(spec: StudySpec) -> None:
    # 2u + v of independent even u, v: variances 4/12 and 1/12, shares 0.8 and 0.2; normal scores bend that little
    study = drawn(spec.parameters, 300, lambda p: 2.0 * place(p) + (p["training.gamma"] - 0.5) * 2.0, seed=3)
    _, sample = seen(study, spec.parameters)
    measured = measure(sample)
    assert measured is not None
    assert measured.share_P.sum() == pytest.approx(1.0)
    assert measured.share_P[0] == pytest.approx(0.8, abs=0.1)
    assert measured.share_P[1] == pytest.approx(0.2, abs=0.1)
    assert measured.share_P[2:].max() < 0.05
    assert measured.clear_P.tolist() == [True, True, False, False, False, False]
    assert (measured.low_P <= measured.share_P).all()
    assert (measured.share_P <= measured.high_P).all()


def test_a_choice_matters(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 60, lambda p: float(p["model.d_model"] == 64), noise=0.2, seed=2)
    importances, note = importances_of(*reversed(seen(study, spec.parameters)))
    assert (importances[0].name, importances[0].band, importances[0].clear) == ("model.d_model", "high", True)
    assert note.startswith("Importances from 60 completed trials: model.d_model is told apart from luck")


def test_the_parameter_that_a_learning_sampler_found_is_named_first(spec: StudySpec) -> None:
    """Of 12 studies by TPE; Optuna's default importance has it first in few of them (docs/decisions.md)."""
    first = 0
    for seed in range(12):
        study = asked(spec.parameters, 50, lambda p: -((place(p) - 0.8) ** 2), noise=0.05, seed=seed)
        importances, _ = importances_of(*reversed(seen(study, spec.parameters)))
        first += importances[0].name == "training.learning_rate"
    assert first >= 10


def test_in_noise_one_study_in_twenty_has_a_clear_parameter(spec: StudySpec) -> None:
    """40 studies by TPE of nothing but noise: with a rate of 0.05, more than six would come once in 200 times."""
    claims = 0
    for seed in range(40):
        _, sample = seen(asked(spec.parameters, 40, lambda _: 0.0, noise=1.0, seed=seed), spec.parameters)
        claims += bool(beyond_luck(sample).any())
    assert claims <= 6


def test_a_parameter_that_the_sampler_moved_along_is_not_credited(spec: StudySpec) -> None:
    """gamma follows the learning rate, which alone decides."""
    study = drawn(spec.parameters, 80, place, noise=0.05, seed=4)
    _, sample = seen(study, spec.parameters)
    moved = sample.positions_NP.copy()
    moved[:, 1] = np.clip(moved[:, 0] + 0.1 * np.random.default_rng(0).standard_normal(80), 0.0, 1.0)
    together = type(sample)(
        parameters=sample.parameters,
        trials=sample.trials,
        positions_NP=moved,
        rank_N=sample.rank_N,
        loss_N=sample.loss_N,
        sound_N=sample.sound_N,
    )
    assert beyond_luck(together).tolist() == [True, False, False, False, False, False]


def test_a_conditional_parameter_counts_where_it_is_searched(tmp_path: Path) -> None:
    spec = spec_of(
        tmp_path,
        [
            {"name": "env.reward.enable_risk_penalty", "type": "categorical", "choices": [False, True]},
            {
                "name": "env.reward.risk_penalty_coefficient",
                "type": "float",
                "low": 0.0,
                "high": 1.0,
                "when": {"env.reward.enable_risk_penalty": True},
            },
            {"name": "training.gamma", "type": "float", "low": 0.5, "high": 1.0},
        ],
    )
    study = drawn(spec.parameters, 120, lambda p: p.get("env.reward.risk_penalty_coefficient", 0.5), noise=0.05, seed=1)
    importances, _ = importances_of(*reversed(seen(study, spec.parameters)))
    assert importances[0].name == "env.reward.risk_penalty_coefficient"
    assert importances[0].clear
    assert not next(own for own in importances if own.name == "training.gamma").clear


def test_the_same_study_has_the_same_importances(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 30, place, noise=0.5)
    assert importances_of(*reversed(seen(study, spec.parameters))) == importances_of(
        *reversed(seen(study, spec.parameters))
    )


@pytest.mark.parametrize(
    ("many", "value", "note"),
    [
        (9, place, "No importances yet: 9 completed trials, and fewer than 10 show nothing but luck."),
        (12, lambda _: 1.0, "No importances: the completed trials are all worth the same."),
    ],
    ids=["few", "equal"],
)
def test_where_there_are_none_it_is_said_why(spec: StudySpec, many: int, value: object, note: str) -> None:
    study = drawn(spec.parameters, many, value)  # type: ignore[arg-type]
    assert importances_of(*reversed(seen(study, spec.parameters))) == ((), note)


def test_noise_is_said_to_be_noise(spec: StudySpec) -> None:
    importances, note = importances_of(
        *reversed(seen(drawn(spec.parameters, 20, lambda _: 0.0, noise=1.0), spec.parameters))
    )
    assert "none is told apart from luck" in note
    assert not any(own.clear for own in importances)
