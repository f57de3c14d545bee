"""Where a study starts: the values that a spec gives to its first trials.

`start` moves trial 0 away from the ruler in searched settings; `enqueue` lists trials to run right after it. Optuna
would use a value outside the range with a warning, and ignore a name that it does not know: both are refused here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fxai.config.load import Where, show, suggest
from fxai.config.trial import TrialConfig
from fxai.errors import ConfigError
from fxai.study.space import Parameter, apply, is_active
from fxai.yaml_strict import Place


def check_starts(
    base: TrialConfig,
    start: Mapping[str, Any],
    enqueue: Sequence[Mapping[str, Any]],
    parameters: Sequence[Parameter],
    *,
    where: Where,
    place: Place,
) -> TrialConfig:
    """The config of trial 0: `base` with `start` on top.

    Args:
        base: the ruler with what the study fixes.
        start: searched settings by dotted name.
        enqueue: such mappings, one for each further trial.
        parameters: what the study searches.
        where: gives `file:line`.
        place: of the study in its file.

    Raises:
        ConfigError: a name that is not searched, a value outside its range, or values that do not go together.
    """
    _check_values(start, parameters, "start", where=where, place=(*place, "start"))
    for i, values in enumerate(enqueue):
        at: Place = (*place, "enqueue", i)
        if not values:
            raise ConfigError("a trial of enqueue names no parameter", where=where(at), hint="take it out")
        _check_values(values, parameters, "enqueue", where=where, place=at)
        _check_active(values, parameters, where=where, place=at)
        _applied(base, {**start, **values}, "enqueue", where(at))
    return _applied(base, start, "start", where((*place, "start"))) if start else base


def _check_values(
    values: Mapping[str, Any], parameters: Sequence[Parameter], key: str, *, where: Where, place: Place
) -> None:
    known = {parameter.name: parameter for parameter in parameters}
    for name, value in values.items():
        at = where((*place, name))
        if name not in known:
            hint = suggest(name, known) or "list values of the study's parameters alone"
            raise ConfigError(f"{key}: {name} is not a parameter of the study", where=at, hint=hint)
        if not known[name].contains(value):
            raise ConfigError(
                f"{key}: {name} cannot be {show(value)}", where=at, hint=f"it is searched over {known[name].describe()}"
            )


def _check_active(values: Mapping[str, Any], parameters: Sequence[Parameter], *, where: Where, place: Place) -> None:
    """A conditional parameter is given only together with what switches it on."""
    given: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.name not in values:
            continue
        if not is_active(parameter, given):
            needed = ", ".join(f"{name}: {' or '.join(map(str, allowed))}" for name, allowed in parameter.when.items())
            raise ConfigError(
                f"enqueue: {parameter.name} is searched only where {needed}",
                where=where((*place, parameter.name)),
                hint="give that value too, or take this one out",
            )
        given[parameter.name] = values[parameter.name]


def _applied(base: TrialConfig, values: Mapping[str, Any], key: str, at: str) -> TrialConfig:
    try:
        return apply(base, values)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error.what}", where=at, hint=error.hint) from None
