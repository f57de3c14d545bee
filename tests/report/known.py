"""Studies whose truth is known by construction: what the value depends on, and how noisy it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState, create_trial

from fxai import yaml_strict
from fxai.report.insights.sample import Sample, sample_of
from fxai.report.outcome import Outcome, outcome_of
from fxai.study.space import Parameter, distributions, is_active, suggest
from fxai.study.spec import StudySpec, load_specs

BASE = {
    "data": {"source": "ecb"},
    "env": {"execution": "next_close"},
    "training": {"learning_rate": 0.0003, "entropy_coef": 0.01, "gamma": 0.9, "seed": 7},
}

PARAMETERS: list[dict[str, Any]] = [
    {"name": "training.learning_rate", "type": "float_log", "low": 0.0001, "high": 0.01},
    {"name": "training.gamma", "type": "float", "low": 0.5, "high": 1.0},
    {"name": "training.entropy_coef", "type": "float_log", "low": 0.001, "high": 0.1},
    {"name": "training.gae_lambda", "type": "float", "low": 0.5, "high": 1.0},
    {"name": "training.n_epochs", "type": "int", "low": 1, "high": 8},
    {"name": "model.d_model", "type": "categorical", "choices": [32, 64, 128]},
]

Value = Callable[[Mapping[str, Any]], float]


def spec_of(folder: Path, parameters: Sequence[Mapping[str, Any]] = PARAMETERS, **keys: Any) -> StudySpec:
    """A study of these parameters in files of `folder`."""
    (folder / "base.yaml").write_text(yaml_strict.dump(BASE), encoding="utf-8")
    study = {
        "study_name": "known",
        "storage": f"sqlite:///{folder / 'known.db'}",
        "base_config": "base",
        "sampler": {"type": "TPESampler", "seed": 3},
        "parameters": [dict(parameter) for parameter in parameters],
        "n_trials": 60,
        **keys,
    }
    file = folder / "known.yaml"
    file.write_text(yaml_strict.dump({"name": "known", "studies": [study]}), encoding="utf-8")
    return load_specs(file).studies[0]


def drawn(
    parameters: Sequence[Parameter],
    many: int,
    value: Value,
    *,
    noise: float = 0.0,
    seed: int = 0,
    seconds: Value = lambda params: 10.0,
    storage: str | None = None,
) -> optuna.Study:
    """Trials drawn evenly; a value is what the parameters give plus normal noise."""
    sampler = optuna.samplers.RandomSampler(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler, storage=storage, study_name="known")
    generator = np.random.default_rng(seed)
    space = distributions(parameters)
    draws = optuna.create_study(sampler=sampler)
    start = datetime(2026, 3, 1)
    for _ in range(many):
        params = suggest(draws.ask(), parameters)
        trial = create_trial(
            params=params,
            distributions={name: space[name] for name in params},
            value=value(params) + noise * generator.standard_normal(),
        )
        trial.datetime_start, trial.datetime_complete = start, start + timedelta(seconds=seconds(params))
        study.add_trial(trial)
    return study


def asked(parameters: Sequence[Parameter], many: int, value: Value, *, noise: float, seed: int) -> optuna.Study:
    """Trials that TPE asked for, which learns from the values."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    generator = np.random.default_rng(seed)
    for _ in range(many):
        trial = study.ask()
        study.tell(trial, value(suggest(trial, parameters)) + noise * generator.standard_normal())
    return study


def add(
    study: optuna.Study,
    parameters: Sequence[Parameter],
    params: Mapping[str, Any],
    value: float | None = None,
    state: TrialState = TrialState.COMPLETE,
    **kwargs: Any,
) -> None:
    """One more trial of given parameters."""
    space, active = distributions(parameters), {}
    for parameter in parameters:
        if is_active(parameter, active) and parameter.name in params:
            active[parameter.name] = params[parameter.name]
    kept = {name: space[name] for name in active}
    study.add_trial(create_trial(state=state, value=value, params=active, distributions=kept, **kwargs))


def seen(study: optuna.Study, parameters: Sequence[Parameter]) -> tuple[Outcome, Sample]:
    """The study as the statistics see it."""
    outcome = outcome_of(study, ("mean_reward",))
    return outcome, sample_of(outcome, parameters)
