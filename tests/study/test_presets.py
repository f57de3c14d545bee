"""The presets of config/optuna: each loads, and each parameter that is sampled is trained (docs/faults.md F48)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from shipped import shipped

from fxai import yaml_strict
from fxai.config.load import get_dotted, load_trial_config, validate
from fxai.study.objective import Report, TrialRequest
from fxai.study.samplers import random_parameters
from fxai.study.space import apply, defaults, suggest
from fxai.study.space_checks import _reward_flags
from fxai.study.spec import load_specs
from fxai.study.workers.trial import TrialRun

ROOT = Path(__file__).parents[2]
PRESETS = shipped("config/optuna")


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


@pytest.mark.parametrize(
    ("preset", "study", "trials", "parameters", "sampler", "pruner", "jobs"),
    [
        ("quick_search", "fx_ai_quick", 50, 10, "TPESampler", "MedianPruner", 2),
        ("comprehensive_search", "fx_ai_comprehensive", 200, 33, "TPESampler", "MedianPruner", 2),
        ("reward_focused", "fx_ai_reward_optimization", 100, 16, "CmaEsSampler", "MedianPruner", 2),
        ("parallel_search", "fx_ai_parallel", 200, 13, "TPESampler", "HyperbandPruner", 8),
        ("phase1_foundation", "fx_ai_foundation", 100, 13, "TPESampler", "MedianPruner", 2),
        ("phase2_reward", "fx_ai_reward", 75, 15, "TPESampler", "MedianPruner", 2),
        ("phase3_finetune", "fx_ai_finetune", 50, 8, "TPESampler", "MedianPruner", 2),
    ],
)
def test_the_presets_are_those_of_the_guide(
    preset: str, study: str, trials: int, parameters: int, sampler: str, pruner: str, jobs: int
) -> None:
    (spec,) = load_specs(ROOT / "config" / "optuna" / f"{preset}.yaml").studies
    assert (spec.study_name, spec.n_trials, len(spec.parameters)) == (study, trials, parameters)
    assert (spec.sampler.type, spec.pruner.type, spec.n_jobs) == (sampler, pruner, jobs)


def test_all_market_presets_are_scored_by_the_same_plain_profit() -> None:
    specs = [spec for path in PRESETS for spec in load_specs(path).studies if spec.ruler.env.gym_id is None]
    assert len(specs) >= 8
    for spec in specs:
        on = {name for name, value in spec.ruler.env.reward.model_dump().items() if value is True}
        assert on == {"enable_pnl"}, spec.study_name
        assert spec.scoring == specs[0].scoring, spec.study_name


def test_cma_es_can_draw_all_that_reward_focused_searches() -> None:
    (spec,) = load_specs(ROOT / "config" / "optuna" / "reward_focused.yaml").studies
    assert random_parameters("CmaEsSampler", spec.parameters, ()) == {}
    assert all(name.name.startswith("env.reward.") for name in spec.parameters)
    # what trial 0 trains with pays the ruler's reward: each of the other terms that it has on is worth nothing
    reward, coefficients = spec.base.env.reward, _reward_flags()
    for name, flag in coefficients.items():
        leaf = name.rpartition(".")[2]
        if flag != "env.reward.enable_pnl" and getattr(reward, flag.rpartition(".")[2]) and "coefficient" in leaf:
            assert getattr(reward, leaf) == 0.0, name
    assert (reward.activity_bonus_per_trade, reward.hold_penalty_per_step) == (0.0, 0.0)


def test_phase_3_holds_whatever_the_phases_before_it_can_find() -> None:
    phases = [load_specs(path).studies[0] for path in PRESETS if path.stem.startswith("phase")]
    found = {p.name: p for spec in phases[:2] for p in spec.parameters}
    for parameter in phases[2].parameters:
        before = found[parameter.name]
        assert (parameter.low, parameter.high, parameter.choices) == (before.low, before.high, before.choices)


def constant(request: TrialRequest) -> Iterator[Report]:
    """One update of a training that is none."""
    yield Report(
        step=1,
        total_steps=1,
        env_steps=1,
        metrics={"mean_reward": 0.5},
        train={},
        device="cpu",
        failure=None,
    )


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.stem)
def test_what_a_trial_draws_is_in_the_file_that_it_leaves(preset: Path, tmp_path: Path) -> None:
    for spec in load_specs(preset).studies:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
        asked: list[TrialRequest] = []

        def spying(request: TrialRequest, asked: list[TrialRequest] = asked) -> Iterator[Report]:
            asked.append(request)
            return constant(request)

        for number in range(5):
            trial = study.ask()
            run = TrialRun(
                trial, spec, tmp_path, seed=number + 7, emit=lambda _: None, stopped=lambda: False, flush=lambda: None
            )
            assert run.run(spying).values == (0.5,)
            saved = load_trial_config(tmp_path / str(run.attrs["config_file"]))
            assert saved == asked[-1].config
            assert trial.params
            assert {name: get_dotted(saved, name) for name in trial.params} == trial.params
            assert {name: get_dotted(saved, name) for name in spec.fixed} == spec.fixed
            study.tell(trial, 0.5)
