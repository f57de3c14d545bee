"""A search space is refused before trial 0 if any of its trials could not be."""

from __future__ import annotations

from typing import Any

import pytest

from fxai.config import RewardConfig, TrialConfig
from fxai.config.load import field_names
from fxai.errors import ConfigError
from fxai.study.space import Parameter, apply
from fxai.study.space_checks import check_space

BASE = TrialConfig.model_validate({"data": {}, "env": {"execution": "next_close"}})
# Of the defaults: a segment gives accounts_per_segment 8 × rollout_steps 128 = 1024 transitions, 16 segments 16384.


def parameters(*entries: dict[str, Any]) -> tuple[Parameter, ...]:
    return tuple(Parameter.model_validate(entry) for entry in entries)


def choices(name: str, *values: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "categorical", "choices": list(values), **more}


def between(name: str, low: float, high: float, kind: str = "float", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "low": low, "high": high, **more}


def check(*entries: dict[str, Any], base: TrialConfig = BASE, metric: str = "mean_reward") -> list[str]:
    return check_space(
        base, parameters(*entries), [metric], where=lambda place: f"f:{place[-1]}", place=("parameters",)
    )


def refusal(*entries: dict[str, Any], **more: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        check(*entries, **more)
    return str(caught.value)


def test_a_good_space_passes() -> None:
    assert check(between("training.gamma", 0.9, 0.99), choices("model.d_model", 32, 64)) == []


def test_unknown_names_get_the_nearest() -> None:
    text = refusal(between("training.gamma", 0.9, 0.99), between("training.learning_rte", 1e-5, 1e-3))
    assert text == "f:1: parameter 'training.learning_rte' is not a setting\nhint: did you mean training.learning_rate?"
    assert "did you mean env.reward.hold_penalty_per_step?" in refusal(
        between("reward.hold_penalty_per_step", 0.0, 1.0)
    )
    assert "'training' is not a setting" in refusal(between("training", 0.0, 1.0))


def test_a_name_may_stand_once() -> None:
    text = refusal(between("training.gamma", 0.9, 0.99), between("training.gamma", 0.8, 0.99))
    assert text.startswith("f:1: parameter training.gamma stands twice")


@pytest.mark.parametrize(
    "name",
    [name for name in field_names() if name.startswith(("data.", "evaluation.", "wandb."))]
    + ["training.device", "training.seed", "training.n_seeds", "training.eval_episodes", "training.eval_frequency"]
    + ["training.gradient_accumulation_steps"],
)
def test_what_would_move_the_ruler_cannot_be_searched(name: str) -> None:
    assert "cannot be searched: " in refusal(choices(name, 1, 2))


def test_reasons_say_why() -> None:
    assert "it would move the ruler" in refusal(between("data.split.validation", 0.1, 0.2))
    assert "search for luck" in refusal(between("training.seed", 0, 9, "int"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            between("model.n_layers", 1.0, 2.0),
            ": type float does not fit a setting that is a whole number\nhint: use type int",
        ),
        (
            between("training.n_epochs", 1.0, 8.0, "float_log"),
            ": type float_log does not fit a setting that is a whole number\nhint: use type int_log",
        ),
        (
            between("env.reward.enable_pnl", 0, 1, "int"),
            ": type int does not fit a setting that is true or false\nhint: use type categorical",
        ),
        (between("model.activation", 0.0, 1.0), ": type float does not fit a setting that is one of gelu, relu, silu"),
        (choices("model.d_model", 64, 96.5), " cannot be 96.5: must be a whole number"),
        (choices("model.d_model", 64, "128"), " cannot be the text '128': must be a whole number"),
        (
            choices("model.activation", "gelu", "relu", "gelo"),
            " cannot be the text 'gelo': must be one of gelu, relu, silu",
        ),
        (choices("env.reward.enable_pnl", True, "no"), " cannot be the text 'no': must be true or false"),
        (choices("env.position_levels", "long"), " cannot be the text 'long': must be a list"),
        (between("training.gamma", 0.9, 1.1), " cannot be 1.1: must be ≤ 1"),
        (between("training.learning_rate", -1.0, 1.0), " cannot be -1.0: must be > 0"),
        (between("model.n_layers", 0, 2, "int"), " cannot be 0: must be ≥ 1"),
    ],
)
def test_types_and_values_must_fit_the_setting(entry: dict[str, Any], message: str) -> None:
    assert f"f:0: parameter {entry['name']}{message}" in refusal(entry)


def test_whole_numbers_fit_a_number() -> None:
    assert check(between("env.leverage", 1, 3, "int")) == []


def test_trial_0_must_lie_in_the_space() -> None:
    text = refusal(between("training.gamma", 0.9, 0.99), choices("model.d_model", 32, 128))
    assert text.startswith("f:1: parameter model.d_model: the default 64 is not among the searched values, [32, 128]")


def test_a_coefficient_of_a_term_that_is_off_is_refused() -> None:
    penalty = between("env.reward.hold_penalty_per_step", 0.0, 0.01)
    text = refusal(penalty)
    assert "would do nothing: env.reward.enable_inactivity_penalty is false" in text
    assert "training_config: {env: {reward: {enable_inactivity_penalty: true}}}" in text
    assert check(choices("env.reward.enable_inactivity_penalty", True, False), penalty) == []
    on = TrialConfig.model_validate(
        {"data": {}, "env": {"execution": "next_close", "reward": {"enable_inactivity_penalty": True}}}
    )
    assert check(penalty, base=on) == []


def test_every_coefficient_stands_below_its_flag() -> None:
    # The check above takes the last flag before a coefficient for its own, so the class must begin with a flag.
    assert next(iter(RewardConfig.model_fields)).startswith("enable_")


def test_the_reward_is_not_searched_on_the_shaped_reward() -> None:
    text = refusal(between("env.reward.pnl_coefficient", 0.5, 2.0), metric="mean_shaped_reward")
    assert "cannot be searched on mean_shaped_reward" in text


def test_a_single_value_is_warned_about() -> None:
    assert check(between("training.gamma", 0.95, 0.95)) == [
        "f:0: parameter training.gamma can only be 0.95: nothing to search"
    ]


def test_a_value_that_cannot_train_with_the_defaults_is_named() -> None:
    text = refusal(choices("training.batch_size", 2048, 3000, 4096))
    assert "the search space holds training.batch_size = 3000, which cannot train: " in text
    assert "batch_size 3000 must be a multiple of accounts_per_segment × rollout_steps = 1024" in text


def test_values_between_the_ends_of_a_range_are_tried() -> None:
    # d_model 64 divides by 2 and 4 into even heads, not by 3.
    assert "holds model.n_heads = 3" in refusal(between("model.n_heads", 2, 4, "int"))


def test_a_pair_that_cannot_train_is_named() -> None:
    # Each alone is fine: 24 / 4 = 6 is even, 64 / 8 = 8 is even; together 24 / 8 = 3 is odd.
    text = refusal(choices("model.d_model", 24, 64), choices("model.n_heads", 4, 8))
    assert "holds model.d_model = 24, model.n_heads = 8, which cannot train: " in text


def test_a_triple_that_cannot_train_is_named() -> None:
    # Of 2048 and 4096, 128 and 256 steps, 8 and 16 accounts every pair divides; 2048 by 16 × 256 = 4096 does not.
    text = refusal(
        choices("training.batch_size", 2048, 4096),
        choices("training.rollout_steps", 128, 256),
        choices("training.accounts_per_segment", 8, 16),
    )
    assert "training.batch_size = 2048, training.rollout_steps = 256, training.accounts_per_segment = 16" in text


def test_pairs_are_tried_in_spaces_too_large_for_all_combinations() -> None:
    many = [between(f"env.reward.{name}", 1, 8, "int") for name in ("pnl_coefficient", "max_holding_time_steps")]
    many[1] |= {"high": 64}
    base = TrialConfig.model_validate(
        {"data": {}, "env": {"execution": "next_close", "reward": {"enable_holding_penalty": True}}}
    )
    more = [between("training.n_epochs", 1, 8, "int"), between("model.n_layers", 1, 4, "int")]
    text = refusal(*many, *more, choices("model.d_model", 24, 64), choices("model.n_heads", 4, 8), base=base)
    assert "holds model.d_model = 24, model.n_heads = 8 (others at their defaults)" in text


def test_a_combination_that_a_condition_rules_out_is_not_tried() -> None:
    heads = choices("model.n_heads", 4, 8, when={"model.d_model": 64})
    assert check(choices("model.d_model", 24, 64), heads) == []


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"model.kind": "transformer"}, "`when` looks at model.kind, which is not a parameter before it"),
        ({"model.n_layers": 3}, "`when` looks at model.n_layers, which is not a parameter before it"),
        ({"model.d_model": 128}, "`when` expects model.d_model to be 128; it never is"),
        ({"training.gamma": 0.9}, "`when` looks at training.gamma, a number that is never hit exactly"),
    ],
)
def test_a_condition_must_be_able_to_hold(when: dict[str, Any], message: str) -> None:
    text = refusal(
        choices("model.d_model", 32, 64),
        between("training.gamma", 0.9, 0.99),
        between("training.n_epochs", 1, 4, "int", when=when),
        between("model.n_layers", 1, 3, "int"),
    )
    assert f"f:2: parameter training.n_epochs: {message}" in text


def with_terms(**custom: float) -> TrialConfig:
    reward = {"plugins": ["rewards/mine.py"], "custom": custom}
    return TrialConfig.model_validate({"data": {}, "env": {"execution": "next_close", "reward": reward}})


CUSTOM = between("env.reward.custom.my_coefficient", 0.0, 1.0)


def test_a_coefficient_of_a_users_own_term_is_searched_from_its_default_in_the_config() -> None:
    # The file need not exist: reading a spec executes nothing.
    assert check(CUSTOM, base=with_terms(my_coefficient=0.5)) == []
    assert apply(with_terms(my_coefficient=0.5), {CUSTOM["name"]: 0.25}).env.reward.custom.by_name == {
        "my_coefficient": 0.25
    }


def test_a_coefficient_of_a_users_own_term_needs_a_default() -> None:
    text = refusal(CUSTOM, base=with_terms(other=0.5))
    assert text.startswith("f:0: parameter env.reward.custom.my_coefficient has no default: the base config does not")
    assert "training_config: {env: {reward: {custom: {my_coefficient: 0.0}}}}" in text
    text = refusal(CUSTOM, base=with_terms(my_coefficient=2.0))
    assert "f:0: parameter env.reward.custom.my_coefficient: the default 2.0 is not among the searched values" in text


def test_a_coefficient_of_a_users_own_term_is_a_number_with_a_plain_name() -> None:
    base = with_terms(my_coefficient=0.5)
    text = refusal(choices("env.reward.custom.my_coefficient", 0.5, "high"), base=base)
    assert "cannot be the text 'high': must be a number" in text
    assert "'env.reward.custom.my.coefficient' is not a setting" in refusal(
        between("env.reward.custom.my.coefficient", 0.0, 1.0), base=base
    )
    assert "'env.reward.custom' is not a setting" in refusal(between("env.reward.custom", 0.0, 1.0), base=base)
    text = refusal(CUSTOM, base=base, metric="mean_shaped_reward")
    assert "cannot be searched on mean_shaped_reward" in text


def test_leverage_and_margin_that_do_not_go_together_are_found() -> None:
    base = TrialConfig.model_validate(
        {"data": {}, "env": {"execution": "next_close", "leverage": 10.0, "maintenance_margin": 0.05}}
    )
    text = refusal(choices("env.leverage", 10, 30), base=base)
    assert "holds env.leverage = 30, which cannot train: " in text
    assert "leverage 30 × maintenance_margin 0.05 = 1.5 must be below 1" in text


def test_the_environment_is_the_ruler_and_cannot_be_searched() -> None:
    gym = TrialConfig.model_validate({"env": {"gym_id": "CartPole-v1"}})
    text = refusal(choices("env.gym_id", "CartPole-v1", "Acrobot-v1"), base=gym)
    assert text.startswith("f:0: parameter env.gym_id cannot be searched: it would move the ruler")


def test_ranges_that_cannot_meet_are_refused_at_their_corners() -> None:
    # 5 × 0.1 and 2 × 0.3 are below 1, 5 × 0.3 is not
    leverage, margin = between("env.leverage", 1.0, 5.0), between("env.maintenance_margin", 0.0, 0.3)
    assert check(leverage, between("env.maintenance_margin", 0.0, 0.1)) == []
    assert "env.leverage = 5.0, env.maintenance_margin = 0.3" in refusal(leverage, margin)
