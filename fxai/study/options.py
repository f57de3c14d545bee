"""Options of Optuna's samplers and pruners as the spec may write them, checked without importing Optuna.

The tables in `samplers` and `pruners` repeat Optuna's signatures, so that a spec error answers at once; a test
compares them with the installed Optuna.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from fxai.config.base import Settings
from fxai.config.load import Where, explain_type, plain, show, suggest
from fxai.errors import ConfigError
from fxai.yaml_strict import Place

REQUIRED = object()
"""Default of an option that has none."""


class SamplerSpec(Settings):
    """A sampler by the name of its Optuna class."""

    type: str = "TPESampler"
    """Class name, for example `TPESampler`."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the class that the spec sets."""


class PrunerSpec(Settings):
    """A pruner by the name of its Optuna class."""

    type: str = "NopPruner"
    """Class name, for example `MedianPruner`."""

    options: dict[str, Any] = Field(default_factory=dict)
    """Keyword arguments of the class that the spec sets; a PatientPruner's `wrapped_pruner` is a PrunerSpec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One keyword argument: what it may be."""

    kind: type
    default: Any = REQUIRED
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()
    """Words that are allowed: beside numbers for a number, the only ones for text."""
    deprecated: bool = False

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value, None if nothing."""
        if isinstance(value, str) and value in self.words:
            return None
        if value is None and self.default is None:
            return None
        if not self._fits(value):
            return f"must be {self._expected()}, got {show(value)}"
        if self.low is not None and value < self.low:
            return f"must be ≥ {plain(self.low)}, got {show(value)}"
        if self.high is not None and value > self.high:
            return f"must be ≤ {plain(self.high)}, got {show(value)}"
        if self.kind is float and not math.isfinite(value):
            return f"must be a finite number, got {show(value)}"
        return None

    def _fits(self, value: Any) -> bool:
        if self.kind is float:
            return type(value) in (int, float)
        return type(value) is self.kind and not (self.kind is str and self.words)

    def _expected(self) -> str:
        parts = [] if self.kind is str and self.words else [explain_type(self.kind)]
        parts += [*self.words, *(["null"] if self.default is None else [])]
        return " or ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One sampler or pruner class."""

    options: Mapping[str, Option] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    """Arguments of Optuna that a spec cannot set, and why."""


SEED = Option(kind=int, default=None, low=0, high=2**32 - 1)
FLAG_OFF = Option(kind=bool, default=False)
FLAG_ON = Option(kind=bool, default=True)
NEEDS_PYTHON = "takes a Python object, which a YAML file cannot hold"


def check_component(
    kind: str, table: Mapping[str, Component], raw: Mapping[str, Any], *, where: Where, place: Place
) -> tuple[str, dict[str, Any], list[str]]:
    """Check `{type: ..., option: value, ...}` against a table of components.

    Args:
        kind: `sampler` or `pruner`, for messages.
        table: the known components by class name.
        raw: the mapping that the spec holds.
        where: gives `file:line` of a place.
        place: where the mapping stands.

    Returns:
        Class name, options, and one warning about all deprecated options.

    Raises:
        ConfigError: unknown class or option, or a value that the option cannot take.
    """
    name = raw.get("type")
    if name is None:
        hint = f"write for example `{kind}: {{type: {next(iter(table))}}}`"
        raise ConfigError(f"{kind}: the key type is missing", where=where(place), hint=hint)
    if name not in table:
        shown = show(name)
        raise ConfigError(
            f"{kind}: there is no {kind} {shown}",
            where=where((*place, "type")),
            hint=suggest(str(name), table),
        )
    component = table[name]
    options = {key: value for key, value in raw.items() if key != "type"}
    for key, value in options.items():
        _check_option(f"{kind}: {name}", component, key, value, where((*place, key)))
    warnings = []
    if old := [key for key in options if component.options[key].deprecated]:
        told, them = ("option", "it") if len(old) == 1 else ("options", "them")
        verb = "is" if len(old) == 1 else "are"
        warnings.append(
            f"{where((*place, old[0]))}: {kind}: {name} {told} {', '.join(old)} {verb} deprecated in Optuna; "
            f"leave {them} out"
        )
    missing = [key for key, option in component.options.items() if option.default is REQUIRED and key not in options]
    if missing:
        raise ConfigError(f"{kind}: {name} needs the option {missing[0]}", where=where(place))
    return name, options, warnings


def _check_option(label: str, component: Component, key: str, value: Any, where: str) -> None:
    if key in component.refused:
        raise ConfigError(f"{label} option {key} {component.refused[key]}", where=where, hint="leave it out")
    if key not in component.options:
        raise ConfigError(
            f"{label} has no option {key!r}",
            where=where,
            hint=suggest(key, component.options) or f"{label.split()[-1]} has no options",
        )
    if fault := component.options[key].fault(value):
        raise ConfigError(f"{label} option {key} {fault}", where=where)
