"""`start` and `enqueue`: where a study's first trials begin, and what is refused (docs/faults.md F12 of Optuna)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from fakes import load, write_spec

from fxai.config.load import get_dotted
from fxai.errors import ConfigError
from fxai.study.database.storage import opened
from fxai.study.fingerprint import fingerprint, open_study
from fxai.study.spec import StudySpec, load_specs

PARAMETERS = [
    {"name": "training.learning_rate", "type": "float_log", "low": 0.0001, "high": 0.01},
    {"name": "env.reward.enable_risk_penalty", "type": "categorical", "choices": [False, True]},
    {
        "name": "env.reward.risk_penalty_coefficient",
        "type": "float",
        "low": 0.01,
        "high": 1.0,
        "when": {"env.reward.enable_risk_penalty": True},
    },
]


def spec_with(folder: Path, **keys: Any) -> StudySpec:
    return load(folder, parameters=PARAMETERS, **keys)


def test_start_is_what_trial_0_trains_and_no_trial_is_scored_with(tmp_path: Path) -> None:
    start = {"training.learning_rate": 0.002, "env.reward.enable_risk_penalty": True}
    spec = spec_with(tmp_path, start=start)
    assert get_dotted(spec.base, "training.learning_rate") == 0.002
    assert get_dotted(spec.base, "env.reward.enable_risk_penalty") is True
    assert get_dotted(spec.ruler, "env.reward.enable_risk_penalty") is False
    assert fingerprint(spec, None) != fingerprint(spec_with(tmp_path), None)
    # set by hand for all trials: that comes before where the search starts
    assert (
        get_dotted(spec.on_ruler(spec.ruler, free=["training.learning_rate"]).base, "training.learning_rate") == 0.0003
    )


def test_a_start_may_lie_where_the_ruler_does_not(tmp_path: Path) -> None:
    above = [{"name": "training.learning_rate", "type": "float_log", "low": 0.001, "high": 0.01}]
    with pytest.raises(ConfigError, match=r"the default .* is not among the searched values"):
        load(tmp_path, parameters=above)
    assert (
        load(tmp_path, parameters=above, start={"training.learning_rate": 0.004}).base.training.learning_rate == 0.004
    )


def test_trials_are_queued_after_the_default_once(tmp_path: Path) -> None:
    queued = [
        {"training.learning_rate": 0.002},
        {"env.reward.enable_risk_penalty": True, "env.reward.risk_penalty_coefficient": 0.5},
    ]
    spec = spec_with(tmp_path, enqueue=queued)
    with opened(spec.storage, create=True) as storage:
        for _ in range(2):  # the second time is a resume
            study = open_study(storage, spec, None)
        fixed = [trial.system_attrs["fixed_params"] for trial in study.get_trials()]
        assert fixed[1:] == queued
        assert study.get_trials()[0].user_attrs == {"default": True}
        study.sampler = optuna.samplers.RandomSampler(seed=1)
        study.ask()
        trial = study.ask()
        assert trial.suggest_float("training.learning_rate", 0.0001, 0.01, log=True) == 0.002


@pytest.mark.parametrize(
    ("keys", "what", "hint"),
    [
        (
            {"start": {"training.learning_rat": 0.001}},
            "start: training.learning_rat is not a parameter",
            "did you mean",
        ),
        ({"start": {"training.gamma": 0.9}}, "start: training.gamma is not a parameter", ""),
        ({"start": {"training.learning_rate": 0.02}}, "start: training.learning_rate cannot be 0.02", "0.0001 to 0.01"),
        ({"enqueue": [{"training.learning_rate": True}]}, "enqueue: training.learning_rate cannot be true", ""),
        ({"enqueue": [{"env.reward.enable_risk_penalty": 1}]}, "cannot be 1", "false, true"),
        ({"enqueue": [{}]}, "names no parameter", "take it out"),
        ({"enqueue": [{"env.reward.risk_penalty_coefficient": 0.5}]}, "is searched only where", "give that value too"),
    ],
    ids=["typo", "not_searched", "out_of_range", "bool", "one_for_true", "empty", "conditional"],
)
def test_what_optuna_would_take_with_a_warning_or_ignore_is_refused(
    tmp_path: Path, keys: dict[str, Any], what: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        spec_with(tmp_path, **keys)
    assert what in caught.value.what
    assert hint in (caught.value.hint or "")
    assert caught.value.where is not None


def test_the_line_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    file = write_spec(tmp_path, parameters=PARAMETERS, enqueue=[{"training.learning_rate": 5.0}])
    line = next(i for i, own in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if "5.0" in own)
    with pytest.raises(ConfigError) as caught:
        load_specs(file)
    assert caught.value.where == f"{file}:{line}"
