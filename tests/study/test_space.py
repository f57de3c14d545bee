"""Parameters: what they may be, and that what is sampled is what is trained."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from pydantic import ValidationError

from fxai.config import TrialConfig
from fxai.errors import ConfigError
from fxai.study.space import Parameter, apply, defaults, distributions, is_active, suggest

BASE = TrialConfig.model_validate({"data": {}, "env": {"execution": "next_close"}})


def parameter(kind: str, name: str = "training.gamma", **keys: Any) -> Parameter:
    return Parameter.model_validate({"name": name, "type": kind, **keys})


@pytest.mark.parametrize(
    ("kind", "keys", "reason"),
    [
        ("float", {"low": 0.2, "high": 0.1}, "low 0.2 is above high 0.1"),
        ("float", {"low": 0.1}, "float needs high"),
        ("float", {"high": 0.1}, "float needs low"),
        ("float", {"low": 0.0, "high": 1.0, "step": 0.0}, "step must be > 0, got 0.0"),
        (
            "float",
            {"low": 0.0, "high": 1.0, "step": 0.3},
            "steps of 0.3 from 0.0 do not reach high 1.0: write high 0.9",
        ),
        ("float", {"low": 0.0, "high": float("inf")}, "must be a finite number, got inf"),
        ("float", {"low": float("nan"), "high": 1.0}, "must be a finite number, got nan"),
        ("float", {"low": "0", "high": 1.0}, "must be a number, got the text '0'"),
        ("float", {"low": True, "high": 1.0}, "must be a number, got true"),
        ("float", {"low": 0.0, "high": 1.0, "choices": [1]}, "float has low and high, not choices"),
        ("float_log", {"low": 0.0, "high": 1.0}, "float_log needs low > 0, got 0.0"),
        ("float_log", {"low": 0.1, "high": 1.0, "step": 0.1}, "float_log takes no step"),
        ("int", {"low": 1.0, "high": 3}, "low of int must be a whole number, got 1.0"),
        ("int", {"low": 1, "high": 4, "step": 2}, "steps of 2 from 1 do not reach high 4: write high 3"),
        ("int", {"low": 1, "high": 4, "step": 0.5}, "step of int must be a whole number, got 0.5"),
        ("int_log", {"low": 0, "high": 4}, "int_log needs low ≥ 1, got 0"),
        ("int_log", {"low": 1, "high": 4, "step": 1}, "int_log takes no step"),
        ("categorical", {}, "categorical needs choices"),
        (
            "categorical",
            {"choices": [1], "name": "\x1b[31m"},
            r"the text '\x1b[31m' is not the dotted name of a setting",
        ),
        ("categorical", {"choices": [1], "when": {"\x1b": 1}}, r"the text '\x1b' is not the dotted name of a setting"),
        ("categorical", {"choices": []}, "choices is empty"),
        ("categorical", {"choices": 3}, "must be a list, got 3"),
        ("categorical", {"choices": [1, 1.0]}, "choices has 1.0 twice"),
        ("categorical", {"choices": [True, 1]}, "choices has 1 twice"),
        ("categorical", {"choices": [[1], 2]}, "a choice must be one value, got a list"),
        ("categorical", {"choices": [{"a": 1}]}, "a choice must be one value, got a mapping"),
        ("categorical", {"choices": [float("nan")]}, "a choice must be finite, got nan"),
        ("categorical", {"choices": [1], "low": 0}, "categorical has choices, not low"),
        ("float", {"low": 0.0, "high": 1.0, "when": {}}, "must be a mapping such as"),
        ("float", {"low": 0.0, "high": 1.0, "when": {"a": []}}, "a has no value to compare with"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(kind: str, keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parameter(kind, **keys)
    assert reason in str(caught.value)


def test_steps_are_counted_in_decimals() -> None:
    # 0.1 is no binary fraction: (0.7 − 0.1) / 0.1 is 5.999… in floats, and 6 steps are 7 values.
    stepped = parameter("float", low=0.1, high=0.7, step=0.1)
    assert stepped.size == 7
    assert stepped.values(10) == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    assert all(stepped.contains(value) for value in stepped.values(10))
    assert not stepped.contains(0.15)


@pytest.mark.parametrize(
    ("kind", "keys", "size", "values"),
    [
        ("float", {"low": 0.0, "high": 1.0}, None, (0.0, 1.0)),
        ("float_log", {"low": 0.1, "high": 1.0}, None, (0.1, 1.0)),
        ("float", {"low": 1, "high": 1}, 1, (1.0,)),
        ("int", {"low": 1, "high": 9, "step": 4}, 3, (1, 5, 9)),
        ("int_log", {"low": 1, "high": 3}, 3, (1, 2, 3)),
        ("int", {"low": 0, "high": 100}, 101, (0, 33, 67, 100)),  # 4 of 101: 0, 100/3, 200/3, 100
        ("categorical", {"choices": ["a", None, True]}, 3, ("a", None, True)),
    ],
)
def test_size_and_values(kind: str, keys: dict[str, Any], size: int | None, values: tuple[Any, ...]) -> None:
    made = parameter(kind, **keys)
    assert made.size == size
    assert made.values(4) == values
    assert [type(value) for value in made.values(4)] == [type(value) for value in values]


def test_contains() -> None:
    assert parameter("int", low=1, high=9, step=4).contains(5)
    assert not parameter("int", low=1, high=9, step=4).contains(4)
    assert not parameter("int", low=0, high=1).contains(True)
    assert not parameter("float", low=0.0, high=1.0).contains("0.5")
    assert parameter("categorical", choices=[0, 1]).contains(1)
    assert not parameter("categorical", choices=[0, 1]).contains(True)


def test_bounds_of_a_float_are_floats_however_they_are_written() -> None:
    assert parameter("float", low=0, high=1) == parameter("float", low=0.0, high=1.0)
    assert isinstance(parameter("float", low=0, high=1).low, float)


CONDITIONAL = (
    parameter("categorical", "env.reward.enable_inactivity_penalty", choices=[True, False]),
    parameter(
        "float",
        "env.reward.hold_penalty_per_step",
        low=0.0,
        high=1.0,
        when={"env.reward.enable_inactivity_penalty": True},
    ),
    parameter("int", "model.n_layers", low=1, high=3),
    parameter("int", "model.ff_multiplier", low=1, high=2, when={"model.n_layers": [1, 2]}),
)


def test_a_condition_compares_type_and_value() -> None:
    activity = CONDITIONAL[1]
    assert is_active(activity, {"env.reward.enable_inactivity_penalty": True})
    assert not is_active(activity, {"env.reward.enable_inactivity_penalty": 1})
    assert not is_active(activity, {})


def test_only_active_parameters_are_suggested() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    seen = set()
    for _ in range(40):
        params = suggest(study.ask(), CONDITIONAL)
        assert ("env.reward.hold_penalty_per_step" in params) is params["env.reward.enable_inactivity_penalty"]
        assert ("model.ff_multiplier" in params) is (params["model.n_layers"] in (1, 2))
        seen.add((params["env.reward.enable_inactivity_penalty"], params["model.n_layers"]))
    assert len(seen) == 6  # 2 flags × 3 depths


def test_distributions_are_those_that_suggest_uses() -> None:
    parameters = (
        parameter("float", "training.gamma", low=0.5, high=0.9, step=0.1),
        parameter("float_log", "training.learning_rate", low=1e-5, high=1e-3),
        parameter("int", "training.n_epochs", low=1, high=9, step=2),
        parameter("int_log", "training.total_updates", low=1, high=64),
        parameter("categorical", "model.activation", choices=["gelu", "relu"]),
    )
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask()
    suggest(trial, parameters)
    assert trial.distributions == distributions(parameters)
    kinds = optuna.distributions
    assert distributions(parameters) == {
        "training.gamma": kinds.FloatDistribution(0.5, 0.9, step=0.1),
        "training.learning_rate": kinds.FloatDistribution(1e-5, 1e-3, log=True),
        "training.n_epochs": kinds.IntDistribution(1, 9, step=2),
        "training.total_updates": kinds.IntDistribution(1, 64, log=True),
        "model.activation": kinds.CategoricalDistribution(("gelu", "relu")),
    }


def test_defaults_are_the_base_configs_values_of_active_parameters() -> None:
    # enable_inactivity_penalty is false in the base: its penalty is not searched; n_layers is 2, so ff_multiplier is.
    assert defaults(BASE, CONDITIONAL) == {
        "env.reward.enable_inactivity_penalty": False,
        "model.n_layers": 2,
        "model.ff_multiplier": 2,
    }


def test_a_default_outside_the_space_is_refused() -> None:
    with pytest.raises(ConfigError, match="the default 2 is not among the searched values, 3 to 4") as caught:
        defaults(BASE, [parameter("int", "model.n_layers", low=3, high=4)])
    assert "set model.n_layers in training_config" in str(caught.value)


def test_apply_puts_the_values_into_a_new_config() -> None:
    config = apply(BASE, {"training.gamma": 0.5, "env.reward.enable_inactivity_penalty": True, "model.d_model": 32})
    assert (config.training.gamma, config.env.reward.enable_inactivity_penalty, config.model.d_model) == (0.5, True, 32)
    assert config.training.learning_rate == BASE.training.learning_rate
    assert BASE.model.d_model == 64
    assert apply(BASE, {}) == BASE


def test_apply_refuses_what_is_no_setting_or_cannot_train() -> None:
    with pytest.raises(ConfigError, match=r"'training\.gama' is not a setting"):
        apply(BASE, {"training.gama": 0.5})
    with pytest.raises(ConfigError, match=r"parameters training\.gamma=2\.0: training\.gamma: must be ≤ 1, got 2\.0"):
        apply(BASE, {"training.gamma": 2.0})
    with pytest.raises(ConfigError, match=r"parameters model\.n_heads=5: model: n_heads 5 must divide d_model 64"):
        apply(BASE, {"model.n_heads": 5})
