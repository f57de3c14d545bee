"""Samplers: the table is Optuna's own, and each sampler suggests points of the space."""

from __future__ import annotations

import importlib.util
import inspect
import warnings
from typing import Any

import optuna
import pytest

from fxai.errors import ConfigError
from fxai.study.options import REQUIRED, SamplerSpec
from fxai.study.samplers import SAMPLERS, build_sampler, check_sampler, parse_sampler, random_parameters
from fxai.study.space import Parameter, suggest

SPACE = tuple(
    Parameter.model_validate(entry)
    for entry in (
        {"name": "x", "type": "float", "low": 0.0, "high": 1.0, "step": 0.5},
        {"name": "n", "type": "int", "low": 1, "high": 2},
        {"name": "c", "type": "categorical", "choices": ["a", "b"]},
    )
)  # 3 × 2 × 2 = 12 points
CONTINUOUS = (Parameter.model_validate({"name": "y", "type": "float", "low": 0.0, "high": 1.0}),)
CONDITIONAL = (Parameter.model_validate({"name": "z", "type": "int", "low": 1, "high": 2, "when": {"c": "a"}}),)


def parse(raw: dict[str, Any]) -> tuple[SamplerSpec, list[str]]:
    return parse_sampler(raw, where=lambda place: "f:" + ".".join(map(str, place)), place=("sampler",))


def check(name: str, parameters: tuple[Parameter, ...], n_trials: int = 12, n_directions: int = 1) -> list[str]:
    return check_sampler(
        SamplerSpec(type=name),
        parameters,
        n_trials=n_trials,
        n_directions=n_directions,
        where=lambda _: "f:1",
        place=("sampler",),
    )


def test_optuna_has_no_sampler_that_a_spec_cannot_name() -> None:
    classes = {name for name in optuna.samplers.__all__ if name.endswith("Sampler")}
    assert set(SAMPLERS) == classes - {"BaseSampler", "BaseGASampler", "PartialFixedSampler"}


@pytest.mark.parametrize("name", SAMPLERS)
def test_options_and_defaults_are_those_of_the_installed_optuna(name: str) -> None:
    component = SAMPLERS[name]
    arguments = dict(inspect.signature(getattr(optuna.samplers, name).__init__).parameters)
    del arguments["self"]
    assert set(component.options) | set(component.refused) == set(arguments)
    assert not set(component.options) & set(component.refused)
    for key, option in component.options.items():
        default = arguments[key].default
        assert option.default == (REQUIRED if default is inspect.Parameter.empty else default), key


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, "f:sampler: sampler: the key type is missing\nhint: write for example `sampler: {type: TPESampler}`"),
        (
            {"type": "TPE"},
            "f:sampler.type: sampler: there is no sampler the text 'TPE'\nhint: did you mean TPESampler?",
        ),
        ({"type": 3}, "f:sampler.type: sampler: there is no sampler 3"),
        (
            {"type": "TPESampler", "n_startup_trails": 3},
            "f:sampler.n_startup_trails: sampler: TPESampler has no option 'n_startup_trails'\n"
            "hint: did you mean n_startup_trials?",
        ),
        ({"type": "TPESampler", "n_startup_trials": 3.0}, "option n_startup_trials must be a whole number, got 3.0"),
        ({"type": "TPESampler", "n_startup_trials": True}, "option n_startup_trials must be a whole number, got true"),
        ({"type": "TPESampler", "n_startup_trials": -1}, "option n_startup_trials must be ≥ 0, got -1"),
        ({"type": "TPESampler", "seed": 2**32}, "option seed must be ≤ 4294967295, got 4294967296"),
        ({"type": "TPESampler", "seed": "x"}, "option seed must be a whole number or null, got the text 'x'"),
        ({"type": "TPESampler", "multivariate": "no"}, "option multivariate must be true or false or null"),
        ({"type": "TPESampler", "prior_weight": float("nan")}, "option prior_weight must be a finite number, got nan"),
        ({"type": "TPESampler", "gamma": 3}, "option gamma takes a Python object, which a YAML file cannot hold"),
        ({"type": "TPESampler", "group": True, "multivariate": False}, "f:sampler.group: sampler: group needs multiv"),
        ({"type": "GridSampler", "search_space": {}}, "is not needed: the grid is made of the spec's parameters"),
        ({"type": "QMCSampler", "qmc_type": "sobel"}, "option qmc_type must be sobol or halton, got the text 'sobel'"),
        ({"type": "NSGAIISampler", "population_size": 1}, "option population_size must be ≥ 2, got 1"),
        ({"type": "NSGAIISampler", "crossover_prob": 1.5}, "option crossover_prob must be ≤ 1, got 1.5"),
        ({"type": "CmaEsSampler", "restart_strategy": "ipop"}, "does nothing any more in Optuna"),
        ({"type": "CmaEsSampler", "with_margin": True, "lr_adapt": True}, "takes with_margin or lr_adapt, not both"),
        ({"type": "RandomSampler", "n_startup_trials": 1}, "RandomSampler has no option 'n_startup_trials'"),
    ],
)
def test_options_are_checked_without_optuna(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(raw)
    assert message in str(caught.value)


def test_null_is_a_value_where_optuna_has_it_for_default() -> None:
    assert parse({"type": "TPESampler", "seed": None})[0].options == {"seed": None}


def test_cma_es_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs the package cmaes, which is not installed\nhint: pip install cmaes"):
        parse({"type": "CmaEsSampler"})


@pytest.mark.parametrize("name", ["GridSampler", "BruteForceSampler"])
def test_walking_all_points_needs_finitely_many(name: str) -> None:
    assert check(name, SPACE) == []
    with pytest.raises(ConfigError, match="needs finitely many values, and y is continuous"):
        check(name, SPACE + CONTINUOUS)
    assert check(name, SPACE, n_trials=13) == ["f:1: sampler: the space has 12 points; 13 trials will repeat some"]
    assert check(name, SPACE, n_trials=11) == ["f:1: sampler: 11 trials cannot cover the 12 points of the space"]
    wide = tuple(Parameter.model_validate({"name": f"n{i}", "type": "int", "low": 1, "high": 1000}) for i in range(2))
    with pytest.raises(ConfigError, match="would walk 1000000 combinations; at most 100000"):
        check(name, wide)


def test_a_grid_takes_no_conditions_but_brute_force_does() -> None:
    with pytest.raises(ConfigError, match="GridSampler takes no conditional parameter, and z has `when`"):
        check("GridSampler", SPACE + CONDITIONAL)
    check("BruteForceSampler", SPACE + CONDITIONAL)


def test_cma_es_needs_one_direction_and_two_numbers() -> None:
    with pytest.raises(ConfigError, match="takes one direction"):
        check("CmaEsSampler", SPACE, n_directions=2)
    with pytest.raises(ConfigError, match="needs at least two numeric parameters, the spec has 1"):
        check("CmaEsSampler", SPACE[1:])
    assert check("CmaEsSampler", SPACE) == ["f:1: sampler: CmaEsSampler samples categorical parameters at random: c"]


MIXED = (*SPACE, *CONTINUOUS, *CONDITIONAL)


@pytest.mark.parametrize("name", ["CmaEsSampler", "GPSampler", "QMCSampler", "TPESampler"])
@pytest.mark.parametrize("first", ["a", "b"])  # trial 0 has z only with c = a
def test_optuna_draws_at_random_what_is_said_to_be_random(
    name: str, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: set[str] = set()
    real = optuna.samplers.RandomSampler.sample_independent

    def spy(self: Any, study: optuna.Study, trial: Any, param: str, distribution: Any) -> Any:
        if trial.number >= 8:  # behind the start, and behind a first trial of either kind
            drawn.add(param)
        return real(self, study, trial, param, distribution)

    monkeypatch.setattr(optuna.samplers.RandomSampler, "sample_independent", spy)
    options = {} if name == "QMCSampler" else {"n_startup_trials": 3}
    study = optuna.create_study()
    study.enqueue_trial({"c": first})
    for number in range(20):
        study.sampler = build_sampler(SamplerSpec(type=name, options=options), MIXED, seed=number)
        trial = study.ask()
        params = suggest(trial, MIXED)
        study.tell(trial, float(params["x"]) + params["y"])
    start = set(study.trials[0].params)
    assert ("z" in start) is (first == "a")
    told = random_parameters(name, MIXED, start)
    assert {one for names in told.values() for one in names} == drawn


def test_a_start_longer_than_the_study_is_warned_about() -> None:
    assert check("TPESampler", SPACE, n_trials=11) == []
    assert check("TPESampler", SPACE, n_trials=10) == [
        "f:1: sampler: the first 10 trials of TPESampler are random (n_startup_trials), and the study has 10: "
        "it is a random search"
    ]
    assert "population_size" in check("NSGAIISampler", SPACE, n_trials=50)[0]
    assert check("RandomSampler", SPACE, n_trials=1) == []


def run(name: str, n_trials: int, parameters: tuple[Parameter, ...] = SPACE, **options: Any) -> list[dict[str, Any]]:
    """Points of a study that asks and tells as a worker does: outside of `study.optimize`, a sampler per trial."""
    spec, _ = parse({"type": name, **options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # GA samplers ask their base class
        study = optuna.create_study()
        for number in range(n_trials):
            study.sampler = build_sampler(spec, parameters, seed=number)
            trial = study.ask()
            params = suggest(trial, parameters)
            study.tell(trial, float(params["x"]) + params["n"])
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("TPESampler", {"n_startup_trials": 4, "group": True}),
        ("TPESampler", {"prior_weight": 2.0, "consider_endpoints": True, "warn_independent_sampling": True}),
        ("RandomSampler", {}),
        ("QMCSampler", {"qmc_type": "halton", "scramble": True}),
        ("GPSampler", {"n_startup_trials": 11}),
        ("NSGAIISampler", {"population_size": 4}),
        ("NSGAIIISampler", {"population_size": 4, "dividing_parameter": 2}),
        ("GridSampler", {}),
        ("BruteForceSampler", {"avoid_premature_stop": True}),
    ],
)
def test_each_sampler_stays_in_the_space_and_warns_about_nothing(name: str, options: dict[str, Any]) -> None:
    for params in run(name, 12, **options):
        assert all(parameter.contains(params[parameter.name]) for parameter in SPACE)


@pytest.mark.parametrize("name", ["GridSampler", "BruteForceSampler"])
def test_every_point_is_visited_though_each_trial_has_its_own_sampler(name: str) -> None:
    # 12 points and 14 trials: the study goes on after the last point, its end is the budget's business.
    points = [tuple(sorted(params.items())) for params in run(name, 14)]
    assert len(set(points[:12])) == 12
    assert len(points) == 14


def test_a_seed_repeats_and_another_differs() -> None:
    def first(seed: int | None) -> float:
        spec = SamplerSpec(type="RandomSampler", options={"seed": 1})
        study = optuna.create_study(sampler=build_sampler(spec, CONTINUOUS, seed))
        return float(suggest(study.ask(), CONTINUOUS)["y"])

    assert first(5) == first(5)
    assert first(5) != first(6)
    assert first(None) == first(1)


def test_what_only_optuna_refuses_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, seed: int | None = None) -> None:
        raise ValueError("not on Sundays")

    monkeypatch.setattr(optuna.samplers.RandomSampler, "__init__", refuse)
    with pytest.raises(ConfigError, match="sampler: RandomSampler: not on Sundays"):
        build_sampler(SamplerSpec(type="RandomSampler"), SPACE)


def test_old_options_of_tpe_are_accepted_with_one_warning() -> None:
    old = {"consider_prior": True, "prior_weight": 1.0, "consider_magic_clip": True, "consider_endpoints": False}
    spec, warnings_ = parse({"type": "TPESampler", "seed": 3, **old})
    assert spec.options == {"seed": 3, **old}
    assert warnings_ == [
        "f:sampler.consider_prior: sampler: TPESampler options consider_prior, prior_weight, consider_magic_clip, "
        "consider_endpoints are deprecated in Optuna; leave them out"
    ]
