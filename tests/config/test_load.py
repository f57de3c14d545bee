"""From YAML to a TrialConfig, and errors that name the line."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, Literal

import pytest

from fxai import yaml_strict
from fxai.config import TrialConfig
from fxai.config.load import (
    explain_type,
    field_fault,
    field_names,
    field_type,
    find_base,
    get_dotted,
    load_trial_config,
    merge,
    set_dotted,
    show,
    suggest,
    validate,
)
from fxai.errors import ConfigError

CONFIG = "data: {source: ecb}\nenv:\n  execution: next_close\n"


def check(text: str) -> TrialConfig:
    document = yaml_strict.loads(text, "f.yaml")
    return validate(document.data, where=document.where)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        check(text)
    return str(caught.value)


def test_a_config_with_few_keys_has_every_default() -> None:
    assert check(CONFIG).training.gamma == TrialConfig.model_fields["training"].get_default().gamma


def test_a_whole_number_is_a_number() -> None:
    assert check(CONFIG + "  leverage: 2\n").env.leverage == 2.0


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "training:\n  learning_rat: 0.1\n",
            "f.yaml:5: training.learning_rat: unknown key\nhint: did you mean learning_rate?",
        ),
        ('"\\e[31mtraining": {}\n', "f.yaml:4: '\\x1b[31mtraining': unknown key"),  # no colour reaches a terminal
        ("trainin: {}\n", "f.yaml:4: trainin: unknown key\nhint: did you mean training? (known: data, env, model, "),
        ("training:\n  gamma: '0.9'\n", "f.yaml:5: training.gamma: must be a number, got the text '0.9'"),
        (
            "training:\n  use_lr_annealing: no\n",
            "f.yaml:5: training.use_lr_annealing: must be true or false, got the text 'no'\nhint: write false",
        ),
        ("training:\n  n_epochs: 2.0\n", "f.yaml:5: training.n_epochs: must be a whole number, got 2.0\nhint: write 2"),
        ("training:\n  n_epochs: true\n", "f.yaml:5: training.n_epochs: must be a whole number, got true"),
        ("training:\n  n_epochs: 0\n", "f.yaml:5: training.n_epochs: must be ≥ 1, got 0"),
        ("training:\n  gamma: .nan\n", "f.yaml:5: training.gamma: must be a finite number, got nan"),
        ("training: 3\n", "f.yaml:4: training: must be a mapping (key: value), got 3"),
        ("training:\n  device: gpu\n", "f.yaml:5: training.device: must be auto, cpu, cuda or cuda:N, got 'gpu'"),
        (
            "model:\n  activation: gelo\n",
            "f.yaml:5: model.activation: must be one of gelu, relu, silu, tanh, got the text 'gelo'\n"
            "hint: did you mean gelu",
        ),
        ("model:\n  n_heads: 5\n", "f.yaml:4: model: n_heads 5 must divide d_model 64"),
        ("training:\n  device: 3\n", "f.yaml:5: training.device: must be text, got 3\nhint: put it in quotes"),
    ],
)
def test_a_fault_names_line_key_and_remedy(lines: str, message: str) -> None:
    assert refusal(CONFIG + lines).startswith(message)


def test_the_first_fault_is_in_full_and_the_others_one_line_each() -> None:
    text = refusal(CONFIG + "training:\n  n_epochs: 2.0\n  gamma: 2\n  clip: 1\n")
    assert text.splitlines() == [
        "f.yaml:5: training.n_epochs: must be a whole number, got 2.0",
        "also f.yaml:6: training.gamma: must be ≤ 1, got 2",
        "also f.yaml:7: training.clip: unknown key",
        "hint: write 2",
    ]


def test_a_missing_section_is_named() -> None:
    assert refusal("env: {execution: next_close}").startswith("f.yaml:1: data is missing: where do")


def test_a_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    path.write_text(CONFIG)
    config = load_trial_config(path)
    path.write_text(yaml_strict.dump(config.model_dump(mode="json")))
    assert load_trial_config(path) == config


def test_merge_goes_key_by_key_and_changes_neither() -> None:
    base: dict[str, Any] = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    override: dict[str, Any] = {"a": {"c": [3]}, "d": {"e": 1}, "f": None}
    before = deepcopy((base, override))
    assert merge(base, override) == {"a": {"b": 1, "c": [3]}, "d": {"e": 1}, "f": None}
    assert (base, override) == before


def test_set_dotted_is_a_copy() -> None:
    data: dict[str, Any] = {"training": {"gamma": 0.9}}
    assert set_dotted(data, "training.n_epochs", 2) == {"training": {"gamma": 0.9, "n_epochs": 2}}
    assert set_dotted({}, "env.reward.enable_pnl", False) == {"env": {"reward": {"enable_pnl": False}}}
    assert data == {"training": {"gamma": 0.9}}
    with pytest.raises(ConfigError, match=r"'training\.gama' is not a setting\nhint: did you mean training\.gamma"):
        set_dotted(data, "training.gama", 1)
    with pytest.raises(ConfigError, match="'training' is not a setting"):
        set_dotted(data, "training", {})


def test_every_name_has_a_value_and_a_type() -> None:
    config = check(CONFIG)
    for name in field_names():
        get_dotted(config, name)
        assert explain_type(field_type(name))
    assert field_type("training.n_epochs") is int
    assert field_type("model.activation") == Literal["gelu", "relu", "silu", "tanh"]
    assert explain_type(field_type("data.path")) == "text or null"


def test_one_setting_is_checked_alone() -> None:
    base = check(CONFIG)
    assert field_fault(base, "model.n_heads", 2) is None
    assert field_fault(base, "model.n_heads", 5) is None  # only wrong together with d_model 64
    assert field_fault(base, "model.n_heads", 2.5) == "must be a whole number, got 2.5"
    assert field_fault(base, "training.device", "gpu") == "must be auto, cpu, cuda or cuda:N, got 'gpu'"


def test_a_bare_name_finds_its_section() -> None:
    assert suggest("hold_penalty_per_step", field_names()) == "did you mean env.reward.hold_penalty_per_step?"


def test_shown_values_are_short_harmless_and_without_passwords() -> None:
    assert show("\x1b[31mred") == r"the text '\x1b[31mred'"
    assert len(show("x" * 1000)) < 80
    assert show("postgresql://ann:secret@host/db") == "the text 'postgresql://ann:***@host/db'"
    assert show(None) == "null"
    assert show({"a": 1}) == "a mapping"


def test_a_base_config_is_searched_here_and_then_beside_the_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("here/config/base", "project/config/base", "project/config/optuna"):
        (tmp_path / folder).mkdir(parents=True)
    spec = tmp_path / "project/config/optuna/spec.yaml"
    (tmp_path / "project/config/base/both.yaml").write_text("a: project")
    (tmp_path / "project/config/base/theirs.yaml").write_text("a: theirs")
    (tmp_path / "project/config/optuna/beside.yaml").write_text("a: beside")
    (tmp_path / "here/config/base/both.yaml").write_text("a: here")
    monkeypatch.chdir(tmp_path / "here")
    assert find_base("both", spec).data == {"a": "here"}
    assert find_base("theirs", spec).data == {"a": "theirs"}
    assert find_base("beside.yaml", spec).data == {"a": "beside"}
    with pytest.raises(ConfigError, match=r"there is no base config 'thiers' .*\nhint: did you mean theirs\?"):
        find_base("thiers", spec)
    with pytest.raises(ConfigError, match="there is no base config 'theirs'"):
        find_base("theirs")
    with pytest.raises(ConfigError, match="is not a name"):
        find_base("../both", spec)


GYM = "env:\n  gym_id: CartPole-v1\n"


def test_a_gymnasium_environment_takes_the_place_of_the_market() -> None:
    config = check(GYM)
    assert config.data is None
    again = yaml_strict.loads(yaml_strict.dump(config.model_dump(mode="json")), "saved.yaml")
    assert validate(again.data, where=again.where) == config


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ("data: {source: ecb}\n" + GYM, "data has no meaning with env.gym_id CartPole-v1"),
        (GYM + "  leverage: 2.0\n", "env.leverage has no meaning"),
        (GYM + "  reward: {pnl_coefficient: 2.0}\n", "env.reward has no meaning"),
        (GYM + "model: {window: 8}\n", "model.window has no meaning"),
        (GYM + "evaluation: {min_trades: 1}\n", "evaluation.min_trades has no meaning"),
    ],
)
def test_settings_that_would_do_nothing_beside_a_gymnasium_environment_are_refused(lines: str, named: str) -> None:
    text = refusal(lines)
    assert named in text
    assert "leave it out" in text
