"""Three phases in a folder of specs, and studies of theirs that are finished without a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.trial import create_trial
from small import SMALL

from fxai.config.metrics import METRIC_NAMES
from fxai.study import space
from fxai.study.database.storage import open_storage
from fxai.study.fingerprint import open_study
from fxai.study.spec import StudySpec, load_specs

RATE, GAMMA = "training.learning_rate", "training.gamma"
FLAG, COEFFICIENT = "env.reward.enable_drawdown_penalty", "env.reward.drawdown_penalty_coefficient"

_RATE = {"name": RATE, "type": "float_log", "low": 0.0001, "high": 0.01}
_REWARD = [
    {"name": FLAG, "type": "categorical", "choices": [False, True]},
    {"name": COEFFICIENT, "type": "float", "low": 0.0, "high": 0.5, "when": {FLAG: True}},
]
STUDIES: dict[int, dict[str, Any]] = {
    1: {"study_name": "one", "parameters": [_RATE, {"name": GAMMA, "type": "float", "low": 0.5, "high": 0.98}]},
    2: {"study_name": "two", "inherits": ["one"], "parameters": _REWARD},
    # searches a number of either phase again: the rate in four tenths of its (logarithmic) range
    3: {"study_name": "three", "inherits": ["two"], "parameters": [{**_RATE, "around": 0.4}, *_REWARD]},
}


def write_specs(folder: Path, changes: Mapping[int, Mapping[str, Any]] | None = None, **everywhere: Any) -> Path:
    """Write the base config and the three specs below `folder`; `changes` replace keys of one phase's study."""
    base, specs = folder / "base", folder / "optuna"
    for each in (base, specs):
        each.mkdir(parents=True, exist_ok=True)
    (base / "small.yaml").write_text(yaml.safe_dump(SMALL))
    for number, own in STUDIES.items():
        study = {
            "phase": number,
            "storage": "sqlite:///chain.db",
            "base_config": "small",
            "n_trials": 4,
            "sampler": {"type": "RandomSampler", "seed": number},
            **own,
            **everywhere,
            **(changes or {}).get(number, {}),
        }
        file = {"name": f"phase{number}", "results_dir": "results", "save_study_plots": False, "studies": [study]}
        (specs / f"phase{number}.yaml").write_text(yaml.safe_dump(file))
    return specs


def spec_of(specs: Path, number: int) -> StudySpec:
    """The study of a phase, as its file has it."""
    return load_specs(specs / f"phase{number}.yaml").studies[0]


def fill(spec: StudySpec, trials: Sequence[tuple[float, dict[str, Any]]], *, data_hash: str = "bars") -> optuna.Study:
    """Create the study, if need be, and add completed trials: (value, parameters)."""
    storage = open_storage(spec.storage, create=True)
    study = open_study(storage, spec, data_hash)
    kinds = space.distributions(spec.parameters)
    for i, (value, params) in enumerate(trials):
        metrics = dict.fromkeys(METRIC_NAMES, value)
        study.add_trial(
            create_trial(
                value=value,
                params=params,
                distributions={name: kinds[name] for name in params},
                user_attrs={"seed": 100 + i, "metrics": metrics, "git_commit": "abc"},
            )
        )
    storage.engine.dispose()
    return study


BEST_OF_SMALL = {RATE: 0.003, GAMMA: 0.8}
"""Parameters of phase 1 that no default has."""
