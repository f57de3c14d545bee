"""The search space: parameters of a spec, and their way from an Optuna trial into a config.

A parameter is named by the dotted name of the setting it searches, for example `training.learning_rate`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import reduce
from operator import getitem
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from fxai.config.base import Settings
from fxai.config.load import field_type, get_dotted, parse, show
from fxai.config.trial import TrialConfig
from fxai.errors import ConfigError

if TYPE_CHECKING:
    import optuna

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}")

Choice = bool | int | float | str | None
"""One category: Optuna can store these."""


def _number(value: Any) -> int | float | None:
    if value is None or (type(value) in (int, float) and math.isfinite(value)):
        return value  # type: ignore[no-any-return]
    if isinstance(value, float):
        raise ValueError(f"must be a finite number, got {show(value)}")
    raise ValueError(f"must be a number, got {show(value)}")


def _choice(value: Any) -> Choice:
    if isinstance(value, (list, tuple, dict)):
        raise ValueError(f"a choice must be one value, got {show(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a choice must be finite, got {show(value)}")
    return value  # type: ignore[no-any-return]


def _choices(value: Any) -> tuple[Choice, ...] | None:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"must be a list, got {show(value)}")
    return tuple(_choice(item) for item in value)


def _conditions(value: Any) -> dict[str, tuple[Choice, ...]]:
    if not isinstance(value, dict) or not value:
        raise ValueError("must be a mapping such as {model.kind: transformer}")
    if strange := [key for key in value if not _NAME.fullmatch(str(key))]:
        raise ValueError(f"{show(strange[0])} is not the dotted name of a setting")
    listed = {key: item if isinstance(item, (list, tuple)) else [item] for key, item in value.items()}
    if empty := [key for key, items in listed.items() if not items]:
        raise ValueError(f"{empty[0]} has no value to compare with")
    return {key: tuple(_choice(item) for item in items) for key, items in listed.items()}


Number = Annotated[int | float | None, BeforeValidator(_number)]


class Parameter(Settings):
    """One searched setting and the values that it may take."""

    name: str
    """Dotted name of a setting."""

    type: Literal["float", "float_log", "int", "int_log", "categorical"]
    """`float` and `int` may have a step; `_log` samples the logarithm evenly."""

    low: Number = None
    """Smallest value."""

    high: Number = None
    """Largest value."""

    step: Number = None
    """Distance of neighbouring values of `float` and `int`."""

    choices: Annotated[tuple[Choice, ...] | None, BeforeValidator(_choices)] = None
    """Values of `categorical`."""

    when: Annotated[dict[str, tuple[Choice, ...]], BeforeValidator(_conditions)] = Field(default_factory=dict)
    """Other parameters and the values of theirs under which this one is searched; always if empty."""

    around: float | None = Field(default=None, gt=0.0, le=1.0)
    """Share of the range that is searched around a value inherited from an earlier phase; without one all of it."""

    @field_validator("name")
    @classmethod
    def _is_a_dotted_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{show(name)} is not the dotted name of a setting")
        return name

    @model_validator(mode="before")
    @classmethod
    def _float_ranges_are_floats(cls, data: Any) -> Any:
        """`low: 0` of a float is 0.0, so that the two mean the same study."""
        if not isinstance(data, dict) or data.get("type") not in ("float", "float_log"):
            return data
        numbers = {key: float(data[key]) for key in ("low", "high", "step") if type(data.get(key)) is int}
        return {**data, **numbers}

    @model_validator(mode="after")
    def _is_a_range_or_choices(self) -> Parameter:
        fault = self._choices_fault() if self.type == "categorical" else self._range_fault()
        if fault:
            raise ValueError(f"{self.name}: {fault}")
        return self

    def _choices_fault(self) -> str | None:
        given = [key for key in ("low", "high", "step", "around") if getattr(self, key) is not None]
        if given:
            return f"categorical has choices, not {given[0]}"
        if not self.choices:
            return "choices is empty: list at least one value" if self.choices == () else "categorical needs choices"
        for i, choice in enumerate(self.choices):
            if choice in self.choices[:i]:
                return f"choices has {show(choice)} twice (Optuna takes 1, 1.0 and true for equal)"
        return None

    def _range_fault(self) -> str | None:
        if self.choices is not None:
            return f"{self.type} has low and high, not choices"
        if self.low is None or self.high is None:
            return f"{self.type} needs {'low' if self.low is None else 'high'}"
        values = {"low": self.low, "high": self.high, "step": self.step}
        if self.type in ("int", "int_log"):
            for key, value in values.items():
                if isinstance(value, float):
                    return f"{key} of {self.type} must be a whole number, got {value}"
        if self.low > self.high:
            return f"low {self.low} is above high {self.high}"
        if self.type == "float_log" and self.low <= 0:
            return f"float_log needs low > 0, got {self.low}"
        if self.type == "int_log" and self.low < 1:
            return f"int_log needs low ≥ 1, got {self.low}"
        return self._step_fault(self.low, self.high)

    def _step_fault(self, low: float, high: float) -> str | None:
        if self.step is None:
            return None
        if self.type.endswith("_log"):
            return f"{self.type} takes no step"
        if self.step <= 0:
            return f"step must be > 0, got {self.step}"
        rest = (Decimal(str(high)) - Decimal(str(low))) % Decimal(str(self.step))
        if rest:
            reached = Decimal(str(high)) - rest
            return f"steps of {self.step} from {low} do not reach high {high}: write high {reached}"
        return None

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value of a range."""
        if self.low is None or self.high is None:
            raise TypeError(f"{self.name} is {self.type}: it has choices, no bounds")
        return self.low, self.high

    @property
    def size(self) -> int | None:
        """How many values there are; None for a continuous range."""
        if self.choices is not None:
            return len(self.choices)
        low, high = self.bounds
        if low == high:
            return 1
        if self.type.startswith("float") and self.step is None:
            return None
        step = Decimal(str(self.step or 1))
        return int((Decimal(str(high)) - Decimal(str(low))) / step) + 1

    def values(self, limit: int) -> tuple[Choice, ...]:
        """All values if there are at most `limit`, else `limit` of them.

        Both ends are among them; of a continuous range they are the only ones.
        """
        if self.choices is not None:
            return self.choices
        low, high = self.bounds
        size = self.size
        if size is None:
            return (low, high)
        kept = range(size) if size <= limit else [round(i * (size - 1) / (limit - 1)) for i in range(limit)]
        step = Decimal(str(self.step or 1))
        exact = [Decimal(str(low)) + i * step for i in kept]
        return tuple(int(value) if self.type.startswith("int") else float(value) for value in exact)

    def contains(self, value: Any) -> bool:
        """Whether the parameter can take `value`."""
        if self.choices is not None:
            return among(value, self.choices)
        low, high = self.bounds
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            return False
        if self.type.startswith("int"):
            return int(value) == value and (int(value) - int(low)) % int(self.step or 1) == 0
        if self.step is None:
            return True
        steps = (value - low) / self.step
        return abs(steps - round(steps)) < 1e-8  # Optuna's own tolerance

    def describe(self) -> str:
        """The values in words."""
        if self.choices is not None:
            return "[" + ", ".join(map(_as_in_a_spec, self.choices)) + "]"
        step = f" in steps of {self.step}" if self.step is not None else ""
        return f"{self.low} to {self.high}{step}"


def _as_in_a_spec(choice: Choice) -> str:
    return str(choice).lower() if isinstance(choice, bool) else str(choice)


def among(value: Any, choices: Iterable[Choice]) -> bool:
    """Whether `value` is one of `choices`; true is not 1."""
    return any(value == choice and isinstance(value, bool) is isinstance(choice, bool) for choice in choices)


def is_active(parameter: Parameter, values: Mapping[str, Any]) -> bool:
    """Whether a parameter is searched, given the values of the parameters before it."""
    return all(key in values and among(values[key], allowed) for key, allowed in parameter.when.items())


def suggest(trial: optuna.Trial, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Ask a trial for the value of every active parameter, in the order of the spec."""
    values: dict[str, Any] = {}
    for parameter in parameters:
        if is_active(parameter, values):
            values[parameter.name] = _suggest_one(trial, parameter)
    return values


def _suggest_one(trial: optuna.Trial, parameter: Parameter) -> Any:
    name, log = parameter.name, parameter.type.endswith("_log")
    if parameter.choices is not None:
        return trial.suggest_categorical(name, parameter.choices)
    low, high = parameter.bounds
    if parameter.type.startswith("int"):
        return trial.suggest_int(name, int(low), int(high), step=int(parameter.step or 1), log=log)
    return trial.suggest_float(name, low, high, step=parameter.step, log=log)


def distributions(parameters: Sequence[Parameter]) -> dict[str, optuna.distributions.BaseDistribution]:
    """Optuna's distribution of every parameter, active or not."""
    return {parameter.name: _distribution(parameter) for parameter in parameters}


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    from optuna import distributions as kinds

    log = parameter.type.endswith("_log")
    if parameter.choices is not None:
        return kinds.CategoricalDistribution(parameter.choices)
    low, high = parameter.bounds
    if parameter.type.startswith("int"):
        return kinds.IntDistribution(int(low), int(high), log=log, step=int(parameter.step or 1))
    return kinds.FloatDistribution(low, high, log=log, step=parameter.step)


def defaults(base: TrialConfig, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Values of trial 0: what the base config has for every active parameter.

    Raises:
        ConfigError: a default lies outside the range that is searched.
    """
    values: dict[str, Any] = {}
    for parameter in parameters:
        if not is_active(parameter, values):
            continue
        value = get_dotted(base, parameter.name)
        if not parameter.contains(value):
            raise ConfigError(
                f"parameter {parameter.name}: the default {show(value)} is not among the searched values, "
                f"{parameter.describe()}; trial 0 runs the defaults",
                hint=f"widen the range, or set {parameter.name} in training_config to a value inside it",
            )
        values[parameter.name] = value
    return values


def apply(base: TrialConfig, params: Mapping[str, Any]) -> TrialConfig:
    """The base config with the sampled values in place of its own.

    Raises:
        ConfigError: a name is not a setting, a value does not fit, or the values do not go together.
    """
    data = base.model_dump()
    for name, value in params.items():
        field_type(name)  # refuses what is not a setting
        *sections, leaf = name.split(".")
        reduce(getitem, sections, data)[leaf] = value
    text = ", ".join(f"{name}={value}" for name, value in params.items())
    return parse(TrialConfig, data, where=lambda _: f"parameters {text}" if text else "parameters")


def as_run(config: TrialConfig, attrs: Mapping[str, Any]) -> TrialConfig:
    """A trial's configuration with what was decided for it alone, so that the saved file repeats the trial.

    Args:
        config: base and sampled values.
        attrs: its user attributes; `seed` and `gradient_accumulation_steps` count, the latter of a trial that had run
            out of memory.
    """
    own = {name: attrs[name] for name in ("seed", "gradient_accumulation_steps") if isinstance(attrs.get(name), int)}
    return config.model_copy(update={"training": config.training.model_copy(update=own)})
