"""What pruning hides of a study: closed forms, and studies of nothing but noise."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState, create_trial
from report.known import spec_of

from fxai.report.insights import insights_of
from fxai.report.insights.selection import lost_variance, over_all, selection_of
from fxai.report.outcome import outcome_of
from fxai.study.space import distributions
from fxai.study.spec import StudySpec


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    return spec_of(tmp_path)


def test_the_better_half_of_a_normal_variable() -> None:
    # its variance is 1 − 2/π: z = 0, λ = φ(0)/0.5 = √(2/π)
    assert lost_variance(0.5) == pytest.approx(2.0 / math.pi)
    assert lost_variance(1.0) == 0.0


def test_the_correlation_that_a_selection_weakens() -> None:
    # ρ = 0.6917 among all is ρu / √(1 − ρ² + ρ²u²) among the better half, u² = 1 − 2/π:
    # 0.6917 · 0.6028 / √(1 − 0.4785 + 0.1739) = 0.41697 / 0.8339 = 0.5
    assert over_all(0.5, 0.5) == pytest.approx(0.6917, abs=1e-4)
    assert over_all(0.3, 1.0) == pytest.approx(0.3)


def noise(spec: StudySpec, many: int, correlation: float, seed: int, startup: int = 8) -> optuna.Study:
    """Trials whose values no parameter moves; after `startup` those below the median at update 8 are pruned."""
    generator, space = np.random.default_rng(seed), distributions(spec.parameters)
    ask = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    study = optuna.create_study(direction="maximize", study_name="known")
    early: list[float] = []
    for i in range(many):
        last = generator.standard_normal()
        early.append(correlation * last + math.sqrt(1.0 - correlation**2) * generator.standard_normal())
        cut = i >= startup and early[i] < np.median(early[:i])
        params = {name: ask.ask({name: own}).params[name] for name, own in space.items()}
        trial = create_trial(
            state=TrialState.PRUNED if cut else TrialState.COMPLETE,
            value=None if cut else last,
            params=params,
            distributions=space,
            intermediate_values={8: early[i]},
        )
        study.add_trial(trial)
    return study


def test_the_correlation_over_all_trials_is_found(spec: StudySpec) -> None:
    selection = selection_of(outcome_of(noise(spec, 600, 0.7, seed=1), ("mean_reward",)))
    assert selection is not None
    # Spearman's of a normal pair is 6/π · asin(0.7/2) = 0.683; some 300 pairs give it to about 0.06
    assert selection.correlation == pytest.approx(0.683, abs=0.1)
    assert selection.kept == pytest.approx(0.5, abs=0.05)


def test_without_pruning_nothing_was_selected(spec: StudySpec) -> None:
    assert selection_of(outcome_of(noise(spec, 20, 0.7, seed=1, startup=20), ("mean_reward",))) is None


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_luck_is_called_luck_however_it_was_pruned(spec: StudySpec, correlation: float) -> None:
    """Of 40 studies of noise 19 in 20 should be warned of: fewer than 34 would come once in 300 times."""
    led, warned = 0, 0
    for seed in range(60):
        insights = insights_of(study := noise(spec, 60, correlation, seed), spec)
        if (outcome_of(study, ("mean_reward",)).improvement or 0.0) > 0.0:
            led += 1
            warned += any(finding.kind == "luck" for finding in insights.findings)
        if led == 40:
            break
    assert led == 40
    assert warned >= 34
