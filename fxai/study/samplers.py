"""Samplers: which a spec may name, whether they suit its space, and Optuna's objects for them."""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fxai.config.load import Where
from fxai.errors import ConfigError
from fxai.study.options import (
    FLAG_OFF,
    FLAG_ON,
    NEEDS_PYTHON,
    SEED,
    Component,
    Option,
    SamplerSpec,
    check_component,
)
from fxai.study.space import Parameter
from fxai.yaml_strict import Place

if TYPE_CHECKING:
    import optuna

MAX_GRID = 100_000
"""Largest grid; Optuna holds all its points in memory."""

_GENETIC = {
    "population_size": Option(kind=int, default=50, low=2),
    "mutation_prob": Option(kind=float, default=None, low=0, high=1),
    "crossover_prob": Option(kind=float, default=0.9, low=0, high=1),
    "swapping_prob": Option(kind=float, default=0.5, low=0, high=1),
    "seed": SEED,
}
_GENETIC_REFUSED = {
    "mutation": NEEDS_PYTHON,
    "crossover": NEEDS_PYTHON,
    "constraints_func": NEEDS_PYTHON,
    "elite_population_selection_strategy": NEEDS_PYTHON,
    "child_generation_strategy": NEEDS_PYTHON,
    "after_trial_strategy": NEEDS_PYTHON,
}
_NO_LONGER = "does nothing any more in Optuna"

SAMPLERS: dict[str, Component] = {
    "TPESampler": Component(
        options={
            "n_startup_trials": Option(kind=int, default=10, low=0),
            "n_ei_candidates": Option(kind=int, default=24, low=1),
            "seed": SEED,
            "multivariate": Option(kind=bool, default=None),
            "group": FLAG_OFF,
            "constant_liar": FLAG_ON,
            "consider_prior": Option(kind=bool, default=None, deprecated=True),
            "prior_weight": Option(kind=float, default=None, low=0, deprecated=True),
            "consider_magic_clip": Option(kind=bool, default=None, deprecated=True),
            "consider_endpoints": Option(kind=bool, default=None, deprecated=True),
            "warn_independent_sampling": Option(kind=bool, default=None, deprecated=True),
        },
        refused={"gamma": NEEDS_PYTHON, "weights": NEEDS_PYTHON, "constraints_func": NEEDS_PYTHON},
    ),
    "CmaEsSampler": Component(
        options={
            "n_startup_trials": Option(kind=int, default=1, low=0),
            "seed": SEED,
            "consider_pruned_trials": FLAG_OFF,
            "popsize": Option(kind=int, default=None, low=2),
            "use_separable_cma": FLAG_OFF,
            "with_margin": FLAG_OFF,
            "lr_adapt": FLAG_OFF,
            "warn_independent_sampling": FLAG_ON,
            "sigma0": Option(kind=float, default=None, low=1e-12, deprecated=True),
        },
        refused={
            "x0": "is not needed: trial 0 runs the base config's values",
            "independent_sampler": NEEDS_PYTHON,
            "source_trials": NEEDS_PYTHON,
            "restart_strategy": _NO_LONGER,
            "inc_popsize": _NO_LONGER,
        },
    ),
    "RandomSampler": Component(options={"seed": SEED}),
    "GridSampler": Component(
        options={"seed": SEED},
        refused={"search_space": "is not needed: the grid is made of the spec's parameters"},
    ),
    "QMCSampler": Component(
        options={
            "qmc_type": Option(kind=str, default="sobol", words=("sobol", "halton")),
            "scramble": FLAG_OFF,
            "seed": SEED,
            "warn_asynchronous_seeding": FLAG_ON,
            "warn_independent_sampling": FLAG_ON,
        },
        refused={"independent_sampler": NEEDS_PYTHON},
    ),
    "GPSampler": Component(
        options={
            "seed": SEED,
            "n_startup_trials": Option(kind=int, default=10, low=0),
            "deterministic_objective": FLAG_OFF,
            "warn_independent_sampling": FLAG_ON,
        },
        refused={"independent_sampler": NEEDS_PYTHON, "constraints_func": NEEDS_PYTHON},
    ),
    "NSGAIISampler": Component(options=_GENETIC, refused=_GENETIC_REFUSED),
    "NSGAIIISampler": Component(
        options={**_GENETIC, "dividing_parameter": Option(kind=int, default=3, low=1)},
        refused={**_GENETIC_REFUSED, "reference_points": NEEDS_PYTHON},
    ),
    "BruteForceSampler": Component(options={"seed": SEED, "avoid_premature_stop": FLAG_OFF}),
}

_FINITE_ONLY = ("GridSampler", "BruteForceSampler")
_SHARED_SEED = ("GridSampler", "QMCSampler")
"""Their seed orders one sequence of points that all workers walk together, so it must be the same in each."""


def parse_sampler(raw: Mapping[str, Any], *, where: Where, place: Place) -> tuple[SamplerSpec, list[str]]:
    """Check the mapping `sampler` of a spec; returns it with warnings.

    Raises:
        ConfigError: unknown class or option, or options that do not go together.
    """
    name, options, notes = check_component("sampler", SAMPLERS, raw, where=where, place=place)
    if options.get("group") and options.get("multivariate") is False:
        raise ConfigError("sampler: group needs multivariate", where=where((*place, "group")))
    exclusive = [key for key in ("use_separable_cma", "with_margin", "lr_adapt") if options.get(key)]
    if len(exclusive) > 1:
        raise ConfigError(
            f"sampler: {name} takes {exclusive[0]} or {exclusive[1]}, not both",
            where=where((*place, exclusive[1])),
        )
    if name == "CmaEsSampler" and importlib.util.find_spec("cmaes") is None:
        raise ConfigError(
            "sampler: CmaEsSampler needs the package cmaes, which is not installed",
            where=where(place),
            hint="pip install cmaes",
        )
    return SamplerSpec(type=name, options=options), notes


def check_sampler(
    spec: SamplerSpec,
    parameters: Sequence[Parameter],
    *,
    n_trials: int,
    n_directions: int,
    where: Where,
    place: Place,
    start: Collection[str] = (),
) -> list[str]:
    """Warnings about a sampler in this study; `start` holds the names of the parameters that trial 0 has.

    Raises:
        ConfigError: the sampler cannot work on this space or with several directions.
    """
    at = where(place)
    if spec.type in _FINITE_ONLY:
        return _check_finite(spec, parameters, n_trials, at)
    notes = []
    if spec.type == "CmaEsSampler":
        if n_directions > 1:
            raise ConfigError(
                "sampler: CmaEsSampler takes one direction", where=at, hint="use NSGAIISampler or TPESampler"
            )
        numeric = [p for p in parameters if p.type != "categorical" and p.size != 1 and not p.when]
        if len(numeric) < 2:
            raise ConfigError(
                f"sampler: CmaEsSampler needs at least two numeric parameters, the spec has {len(numeric)}",
                where=at,
            )
    for kind, names in random_parameters(spec.type, parameters, start).items():
        notes.append(f"{at}: sampler: {spec.type} samples {kind} parameters at random: {', '.join(names)}")
    startup_key = "population_size" if spec.type.startswith("NSGA") else "n_startup_trials"
    option = SAMPLERS[spec.type].options.get(startup_key)
    startup = spec.options.get(startup_key, option.default if option else 0)
    if startup >= n_trials:
        notes.append(
            f"{at}: sampler: the first {startup} trials of {spec.type} are random ({startup_key}), and the study "
            f"has {n_trials}: it is a random search"
        )
    return notes


def random_parameters(name: str, parameters: Sequence[Parameter], start: Collection[str]) -> dict[str, list[str]]:
    """The parameters that a sampler draws at random though it does not draw all so, by what they are.

    CMA-ES moves numbers that every trial has; the Gaussian process and the genetic samplers learn choices too; the
    sequence of QMC has a place for whatever the first trial has. A parameter of one value is never drawn.

    Args:
        name: of the sampler's class.
        parameters: of the space.
        start: names of those that trial 0 has.
    """
    if name in ("RandomSampler", "TPESampler", *_FINITE_ONLY):
        return {}
    free = [p for p in parameters if p.size != 1]
    choices = [p.name for p in free if p.type == "categorical" and not p.when] if name == "CmaEsSampler" else []
    conditional = [p.name for p in free if p.when and not (name == "QMCSampler" and p.name in start)]
    found = {"categorical": choices, "conditional (`when`)": conditional}
    return {kind: names for kind, names in found.items() if names}


def _check_finite(spec: SamplerSpec, parameters: Sequence[Parameter], n_trials: int, at: str) -> list[str]:
    """Grid and brute force walk all combinations, so there must be an end to them."""
    for parameter in parameters:
        if parameter.size is None:
            raise ConfigError(
                f"sampler: {spec.type} needs finitely many values, and {parameter.name} is continuous",
                where=at,
                hint="give it a step, or use type categorical",
            )
        if parameter.when and spec.type == "GridSampler":
            raise ConfigError(
                f"sampler: GridSampler takes no conditional parameter, and {parameter.name} has `when`",
                where=at,
                hint="use BruteForceSampler",
            )
    points = math.prod(parameter.size or 1 for parameter in parameters)
    if points > MAX_GRID:
        raise ConfigError(
            f"sampler: {spec.type} would walk {points} combinations; at most {MAX_GRID} are allowed", where=at
        )
    if n_trials > points:
        return [f"{at}: sampler: the space has {points} points; {n_trials} trials will repeat some"]
    if n_trials < points:
        return [f"{at}: sampler: {n_trials} trials cannot cover the {points} points of the space"]
    return []


def build_sampler(
    spec: SamplerSpec, parameters: Sequence[Parameter], seed: int | None = None
) -> optuna.samplers.BaseSampler:
    """Optuna's sampler for a spec.

    Args:
        spec: class and options.
        parameters: the space; a grid is made of it.
        seed: replaces the spec's seed, so that each worker and each resume draws new points. Grid and QMC
            keep the spec's seed: their workers share one sequence of points.

    Raises:
        ConfigError: Optuna refuses the options.
    """
    import optuna

    name, options = spec.type, dict(spec.options)
    if name in _SHARED_SEED:
        options["seed"] = options.get("seed") or 0
    elif seed is not None:
        options["seed"] = seed
    for key in ("warn_independent_sampling", "warn_asynchronous_seeding"):  # said once, by check_sampler
        option = SAMPLERS[name].options.get(key)
        if option is not None and not option.deprecated:
            options.setdefault(key, False)
    if name == "GridSampler":
        options["search_space"] = {p.name: list(p.values(MAX_GRID)) for p in parameters}
    if name == "QMCSampler" and seed is not None:  # what the sequence cannot give must still not repeat
        options["independent_sampler"] = optuna.samplers.RandomSampler(seed)
    with warnings.catch_warnings():  # experimental and deprecated: the spec's warnings have said so
        warnings.simplefilter("ignore")
        try:
            sampler = _class(name)(**options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"sampler: {name}: {error}") from error
    assert isinstance(sampler, optuna.samplers.BaseSampler)
    return sampler


def _class(name: str) -> Any:
    """Optuna's class; for grid and brute force one that does not stop the study, which the trial budget ends.

    Their `after_trial` calls `study.stop()`, an error outside of `study.optimize`.
    """
    import optuna

    if name not in _FINITE_ONLY:
        return getattr(optuna.samplers, name)
    return type(name, (getattr(optuna.samplers, name),), {"after_trial": _keep_going})


def _keep_going(self: Any, study: Any, trial: Any, state: Any, values: Any) -> None:
    """Leave the end of the study to its budget."""
