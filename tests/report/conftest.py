"""A real spec, and optuna studies in memory with trials that say what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from fxai.study.spec import StudySpec, load_specs

BASE = """
data: {source: ecb}
env: {execution: next_close}
training: {learning_rate: 0.0003, seed: 7}
"""

SPEC = """
name: quick
studies:
  - study_name: fx_ai_quick
    %s
    storage: sqlite:///studies.db
    base_config: base
    sampler: {type: TPESampler, seed: 42}
    parameters:
      - {name: training.learning_rate, type: float_log, low: 0.00001, high: 0.001}
      - {name: model.d_model, type: categorical, choices: [64, 128]}
    n_trials: 20
    training_config:
      evaluation: {min_trades: 5}
"""

DISTRIBUTIONS = {
    "training.learning_rate": FloatDistribution(1e-5, 1e-3, log=True),
    "model.d_model": CategoricalDistribution([64, 128]),
}
START = datetime(2026, 3, 1, 12, 0, 0)


def load_spec(tmp_path: Path, objective: str) -> StudySpec:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    file = tmp_path / "quick.yaml"
    file.write_text(SPEC % objective, encoding="utf-8")
    return load_specs(file).studies[0]


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    return load_spec(tmp_path, "direction: maximize\n    metric_name: mean_reward")


@pytest.fixture
def two_objectives(tmp_path: Path) -> StudySpec:
    text = "directions: [maximize, minimize]\n    metric_names: [sharpe, max_drawdown]"
    return load_spec(tmp_path, text)


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(study_name="fx_ai_quick", direction="maximize")


AddTrial = Callable[..., FrozenTrial]


@pytest.fixture
def add(study: optuna.Study) -> AddTrial:
    """Adds a trial that took 10 seconds to the study of this test."""

    def add_trial(
        value: float | None = None,
        state: TrialState = TrialState.COMPLETE,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> FrozenTrial:
        attrs = {"seed": 1000 + len(study.trials), **kwargs.pop("user_attrs", {})}
        if metrics is not None:
            attrs["metrics"] = dict(metrics)
        trial = create_trial(
            state=state,
            value=value,
            params=dict(params or {"training.learning_rate": 0.0003, "model.d_model": 64}),
            distributions=DISTRIBUTIONS,
            user_attrs=attrs,
            **kwargs,
        )
        trial.datetime_start = START
        if state.is_finished():
            trial.datetime_complete = START + timedelta(seconds=10)
        study.add_trial(trial)
        return study.trials[-1]

    return add_trial


@pytest.fixture
def finished(study: optuna.Study, add: AddTrial) -> optuna.Study:
    """Default 0.10, then 0.30 (the best), pruned, failed and queued again, failed for good."""
    add(0.10, user_attrs={"default": True, "env_steps": 1000}, metrics={"n_trades": 40, "total_return": 0.01})
    add(
        0.30,
        params={"training.learning_rate": 0.0005, "model.d_model": 128},
        metrics={"mean_reward": 0.30, "n_trades": 60.0, "total_return": 0.0312, "max_drawdown": 0.08},
        user_attrs={"env_steps": 3000, "config_file": "trials/0001/config.yaml"},
        intermediate_values={5: 0.2, 10: 0.3},
    )
    add(None, TrialState.PRUNED, intermediate_values={5: 0.02})
    add(None, TrialState.FAIL, user_attrs={"requeued_as": 4, "error": "worker died"})
    add(None, TrialState.FAIL, user_attrs={"requeue_of": 3, "attempt": 2, "error": "oom"})
    return study
