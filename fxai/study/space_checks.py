"""What a search space must satisfy before trial 0: every name is a setting, every combination can train."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from fxai.config.load import (
    Where,
    explain_type,
    field_fault,
    field_names,
    field_type,
    get_dotted,
    is_custom,
    is_own,
    is_setting,
    show,
    suggest,
)
from fxai.config.reward import RewardConfig
from fxai.config.trial import TrialConfig
from fxai.errors import ConfigError
from fxai.study.space import Choice, Parameter, among, apply, defaults, is_active
from fxai.yaml_strict import Place

_RULER = "it would move the ruler: trials could no longer be compared"
_SCHEDULE = "trials report by it: they could no longer be compared or pruned at the same step"
_FIXED_SECTIONS = {
    "data": _RULER,
    "evaluation": _RULER,
    "wandb": "it says where a trial is tracked and decides nothing about it",
}
_FIXED = {
    "env.gym_id": _RULER,
    "training.device": "the place of the training would decide its score: set it in training_config",
    "training.seed": "it would search for luck; a trial's seed comes from the study seed and its number",
    "training.gradient_accumulation_steps": "it decides about memory and not about a result",
    "training.n_seeds": "it would move the ruler: the value is the mean over n_seeds",
    "training.eval_episodes": _RULER,
    "training.eval_frequency": _SCHEDULE,
}

ALL_VALUES = 64
"""A range of whole numbers up to this size is tried value by value."""
_PAIR_VALUES = 8
_ALL_COMBINATIONS = 512
"""Up to this many combinations of discrete parameters all are tried, else all pairs and a fixed sample."""
_SAMPLE = 256


def check_space(
    base: TrialConfig,
    parameters: Sequence[Parameter],
    metric_names: Sequence[str],
    *,
    where: Where,
    place: Place,
) -> list[str]:
    """Check the parameters of a study; returns warnings.

    Args:
        base: the config that trial 0 runs.
        parameters: in the order of the spec.
        metric_names: what the study optimises.
        where: gives `file:line`.
        place: where the list `parameters` stands.

    Raises:
        ConfigError: the first parameter or combination that cannot be.
    """
    seen: dict[str, int] = {}
    notes = []
    for i, parameter in enumerate(parameters):
        at = where((*place, i))
        if parameter.name in seen:
            first = where((*place, seen[parameter.name])).rpartition(":")[2]
            raise ConfigError(
                f"parameter {parameter.name} stands twice, first on line {first}", where=at, hint="keep one"
            )
        _check_name(parameter.name, at)
        _check_metrics(parameter.name, metric_names, at)
        _check_conditions(parameter, parameters[:i], at)
        _check_values(base, parameter, at)
        seen[parameter.name] = i
        if parameter.size == 1:
            notes.append(f"{at}: parameter {parameter.name} can only be {parameter.values(1)[0]}: nothing to search")
    for i, parameter in enumerate(parameters):
        _check_switched_on(base, parameter, seen, where((*place, i)))
    try:
        start = defaults(base, parameters)
    except ConfigError as error:
        named = next((i for name, i in seen.items() if f"parameter {name}:" in error.what), None)
        raise ConfigError(
            error.what, where=where(place if named is None else (*place, named)), hint=error.hint
        ) from None
    _check_combinations(base, parameters, start, where(place))
    return notes


def check_fixed(
    ruler: TrialConfig, fixed: Mapping[str, Any], parameters: Sequence[Parameter], *, where: Where, place: Place
) -> TrialConfig:
    """The config that trial 0 trains with: the ruler with what a spec fixes for training on top.

    Args:
        ruler: what scores.
        fixed: settings by dotted name.
        parameters: what the study searches.
        where: gives `file:line`.
        place: where the mapping `fixed` stands.

    Raises:
        ConfigError: the first setting that cannot be fixed, or not to this value, or that they do not go together.
    """
    searched = {parameter.name for parameter in parameters}
    for name, value in fixed.items():
        at = where((*place, name))
        _check_name(name, at, what="fixed setting", done="fixed for training alone")
        if name in searched:
            raise ConfigError(f"{name} is both fixed and searched", where=at, hint="keep one of them")
        if isinstance(value, (list, tuple, dict)):
            raise ConfigError(f"fixed setting {name} must be one value, got {show(value)}", where=at)
        if fault := field_fault(ruler, name, value):
            raise ConfigError(f"fixed setting {name} cannot be {show(value)}: {fault}", where=at)
    try:
        return apply(ruler, fixed)
    except ConfigError as error:
        raise ConfigError(f"fixed settings: {error.what}", where=where(place), hint=error.hint) from None


def _check_name(name: str, at: str, *, what: str = "parameter", done: str = "searched") -> None:
    section = name.partition(".")[0]
    reason = _FIXED.get(name) or _FIXED_SECTIONS.get(section)
    if reason is not None and (name in _FIXED or "." in name):
        raise ConfigError(f"{what} {name} cannot be {done}: {reason}", where=at, hint="set it once, in training_config")
    if not is_setting(name):
        hint = suggest(name, field_names()) or "write the dotted name of a setting, for example training.learning_rate"
        raise ConfigError(f"{what} {name!r} is not a setting", where=at, hint=hint)


def _check_metrics(name: str, metric_names: Sequence[str], at: str) -> None:
    if name.startswith("env.reward.") and "mean_shaped_reward" in metric_names:
        raise ConfigError(
            f"parameter {name} cannot be searched on mean_shaped_reward: trials would only inflate it",
            where=at,
            hint="use metric_name: mean_reward, which is counted with the base config's coefficients",
        )


def _check_conditions(parameter: Parameter, before: Sequence[Parameter], at: str) -> None:
    """`when` may look at parameters that stand before this one."""
    known = {p.name: p for p in before}
    for name, allowed in parameter.when.items():
        if name not in known:
            raise ConfigError(
                f"parameter {parameter.name}: `when` looks at {name}, which is not a parameter before it",
                where=at,
                hint=suggest(name, known) or "list the parameter that decides first",
            )
        if known[name].type.startswith("float"):
            raise ConfigError(
                f"parameter {parameter.name}: `when` looks at {name}, a number that is never hit exactly",
                where=at,
                hint="condition on a categorical or int parameter",
            )
        for value in allowed:
            if not known[name].contains(value):
                raise ConfigError(
                    f"parameter {parameter.name}: `when` expects {name} to be {show(value)}; it never is",
                    where=at,
                    hint=f"{name} is one of {known[name].describe()}",
                )


def _check_values(base: TrialConfig, parameter: Parameter, at: str) -> None:
    """The type fits the setting, and so does every value (both ends of a long range)."""
    annotation = field_type(parameter.name)
    label = f"parameter {parameter.name}"
    if (is_custom(parameter.name) or is_own(parameter.name)) and get_dotted(base, parameter.name) is None:
        inside = "{env: {reward: {custom: {%s: 0.0}}}}" if is_custom(parameter.name) else "{objective: {%s: 0.0}}"
        raise ConfigError(
            f"{label} has no default: the base config does not set it",
            where=at,
            hint=f"write training_config: {inside % parameter.name.rpartition('.')[2]}; trial 0 runs the defaults",
        )
    kinds = {annotation, *get_args(annotation)}
    fits = float in kinds or (int in kinds and parameter.type.startswith("int"))
    if parameter.type != "categorical" and not fits:
        better = parameter.type.replace("float", "int") if int in kinds else "categorical"
        raise ConfigError(
            f"{label}: type {parameter.type} does not fit a setting that is {explain_type(annotation)}",
            where=at,
            hint=f"use type {better}",
        )
    for value in parameter.values(ALL_VALUES):
        if fault := field_fault(base, parameter.name, value):
            reason = fault.removesuffix(f", got {show(value)}")
            raise ConfigError(f"{label} cannot be {show(value)}: {reason}", where=at)


def _reward_flags() -> dict[str, str]:
    """The flag that switches on the term of each reward coefficient: the last flag before it in the class."""
    flags, flag = {}, None
    for name in RewardConfig.model_fields:
        if name.startswith("enable_"):
            flag = name
        elif flag is not None and name not in ("plugins", "custom"):
            flags[f"env.reward.{name}"] = f"env.reward.{flag}"
    return flags


def _check_switched_on(base: TrialConfig, parameter: Parameter, searched: Mapping[str, int], at: str) -> None:
    flag = _reward_flags().get(parameter.name)
    if flag is None or flag in searched or get_dotted(base, flag):
        return
    leaf = flag.rpartition(".")[2]
    raise ConfigError(
        f"parameter {parameter.name} would do nothing: {flag} is false",
        where=at,
        hint=f"write training_config: {{env: {{reward: {{{leaf}: true}}}}}}, or search {flag} too",
    )


def _check_combinations(base: TrialConfig, parameters: Sequence[Parameter], start: Mapping[str, Any], at: str) -> None:
    usual = {p.name: start.get(p.name, p.values(2)[0]) for p in parameters}
    for combination in _combinations(parameters):
        values = _complete(parameters, combination, usual)
        try:
            apply(base, values)
        except ConfigError as error:
            changed = {name: value for name, value in values.items() if value != usual[name]} or values
            text = ", ".join(f"{name} = {value}" for name, value in changed.items())
            reason = error.what.splitlines()[0]
            others = " (others at their defaults)" if len(changed) < len(values) else ""
            raise ConfigError(
                f"the search space holds {text}{others}, which cannot train: {reason}",
                where=at,
                hint="take out a value, or search one parameter and fix the others in training_config",
            ) from None


def _combinations(parameters: Sequence[Parameter]) -> Iterator[dict[str, Choice]]:
    """Every value alone; the corners of every pair of ranges; then of the discrete parameters all combinations, or all
    pairs and a fixed sample."""
    for parameter in parameters:
        for value in parameter.values(ALL_VALUES):
            yield {parameter.name: value}
    ends = {p.name: (p.low, p.high) for p in parameters if p.low is not None and p.high is not None}
    for first, second in itertools.combinations(ends, 2):
        for low_or_high in itertools.product(ends[first], ends[second]):
            yield dict(zip((first, second), low_or_high, strict=True))
    discrete = {
        p.name: p.values(_PAIR_VALUES) for p in parameters if p.size not in (None, 1) and not p.type.startswith("float")
    }
    names = list(discrete)
    if math.prod(len(values) for values in discrete.values()) <= _ALL_COMBINATIONS:
        for chosen in itertools.product(*discrete.values()):
            yield dict(zip(names, chosen, strict=True))
        return
    for first, second in itertools.combinations(names, 2):
        for pair in itertools.product(discrete[first], discrete[second]):
            yield {first: pair[0], second: pair[1]}
    draw = random.Random(0)
    for _ in range(_SAMPLE):
        yield {name: draw.choice(values) for name, values in discrete.items()}


def _complete(
    parameters: Sequence[Parameter], combination: Mapping[str, Choice], usual: Mapping[str, Any]
) -> dict[str, Any]:
    """The trial that holds a combination: the conditions of what is chosen made true, the rest at defaults."""
    chosen = dict(combination)
    for parameter in reversed(parameters):
        if parameter.name in chosen:
            for name, allowed in parameter.when.items():
                if not among(chosen.get(name, usual[name]), allowed):
                    chosen.setdefault(name, allowed[0])
    values: dict[str, Any] = {}
    for parameter in parameters:
        if is_active(parameter, values):
            values[parameter.name] = chosen.get(parameter.name, usual[parameter.name])
    return values
