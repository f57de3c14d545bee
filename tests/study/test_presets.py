"""The presets of config/optuna: each loads, and each parameter that is sampled is trained (docs/faults.md F48)."""

from __future__ import annotations

import math
from pathlib import Path

import optuna
import pytest

from fxai import yaml_strict
from fxai.config.load import get_dotted, validate
from fxai.study.space import apply, defaults, suggest
from fxai.study.spec import load_specs

ROOT = Path(__file__).parents[2]
PRESETS = sorted((ROOT / "config" / "optuna").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_there_is_something_to_check() -> None:
    assert "demo" in {preset.stem for preset in PRESETS}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.stem)
def test_a_preset_loads_without_a_warning(preset: Path) -> None:
    assert load_specs(preset).warnings == ()


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.stem)
def test_every_sampled_value_is_in_the_config_that_is_trained_and_saved(preset: Path) -> None:
    for spec in load_specs(preset).studies:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        seen: dict[str, set[object]] = {}
        for _ in range(50):
            params = suggest(study.ask(), spec.parameters)
            config = apply(spec.base, params)
            text = yaml_strict.dump(config.model_dump(mode="json"))
            document = yaml_strict.loads(text, "trial.yaml")
            reloaded = validate(document.data, where=document.where)
            assert reloaded == config
            for name, value in params.items():
                assert get_dotted(config, name) == value
                assert get_dotted(reloaded, name) == value
                seen.setdefault(name, set()).add(value)
        assert set(seen) == {parameter.name for parameter in spec.parameters}
        for parameter in spec.parameters:  # all of a few values, or at least both halves of a range, were drawn
            drawn = seen[parameter.name]
            assert len(drawn) >= min(parameter.size or math.inf, 5), parameter.name


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.stem)
def test_trial_0_is_the_base_config_itself(preset: Path) -> None:
    for spec in load_specs(preset).studies:
        assert apply(spec.base, defaults(spec.base, spec.parameters)) == spec.base


def test_the_demo_searches_learning_model_and_reward() -> None:
    (spec,) = load_specs(ROOT / "config" / "optuna" / "demo.yaml").studies
    names = [parameter.name for parameter in spec.parameters]
    assert spec.study_name == "fx_ai_demo"
    assert spec.n_trials >= 16
    assert len(names) >= 6
    assert {name.partition(".")[0] for name in names} == {"training", "model", "env"}
