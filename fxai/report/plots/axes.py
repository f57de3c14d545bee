"""Searched parameters as axes: where a value lies, what the ticks say, and the room around the searched range."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from fxai.report.frame import broken_name
from fxai.report.html import escape
from fxai.report.text import clean, number, short_names
from fxai.study.space import among

MARGIN = 0.05
"""Room on both sides of a range, as a share of it, so that points on its edge are seen whole."""

MAX_TICK = 14
"""Letters of a category's name that its tick shows; points say the whole."""

JITTER = 0.16
"""How far points of one category are spread at most to each side, in categories."""

_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
OTHER_TURN = math.sqrt(2.0) - 1.0
"""Turns by an irrational share never meet again, and fill the room evenly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterAxis:
    """A parameter's axis. `scaled` values are logarithms (base 10) on a log axis, and indices of categories."""

    name: str
    """Dotted name, as in the study."""

    label: str
    """Its last part or parts, harmless to a terminal; not yet escaped for HTML."""

    low: float
    high: float
    """Ends of the axis, scaled: the searched range, wider where a trial lies outside of it."""

    log: bool = False
    whole: bool = False
    """Only whole numbers have a tick."""

    choices: tuple[Any, ...] | None = None

    def scaled(self, value: Any) -> float | None:
        """Where a value lies; None where it has no place."""
        if self.choices is not None:
            return next((float(i) for i, choice in enumerate(self.choices) if among(value, [choice])), None)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return None
        if self.log:
            return math.log10(value) if value > 0 else None
        return float(value)

    def share(self, value: Any) -> float | None:
        """Where a value lies between the ends: 0 to 1."""
        at = self.scaled(value)
        if at is None:
            return None
        return 0.5 if self.high == self.low else (at - self.low) / (self.high - self.low)

    def spread(self, trial: FrozenTrial, turn: float = _GOLDEN) -> float:
        """A small sideways step that depends on the trial's number alone: categories would hide their points.

        `turn` is the share of the room by which the next trial's step differs; axes of one panel need two.
        """
        return 0.0 if self.choices is None else JITTER * (2.0 * (trial.number * turn % 1.0) - 1.0)

    def ticks(self, most: int = 5) -> tuple[list[float], list[str]]:
        """Scaled places of round values, and their texts."""
        if self.choices is not None:
            kept = _evenly(range(len(self.choices)), max(2, most) if len(self.choices) > 8 else len(self.choices))
            return [float(i) for i in kept], [choice_text(self.choices[i]) for i in kept]
        if self.high == self.low:
            return [self.low], [number(10**self.low if self.log else self.low)]
        if self.log:
            values = _round_logs(self.low, self.high, most)
        else:
            values = _round_values(self.low, self.high, most, least=1.0 if self.whole else 0.0)
        return [math.log10(value) if self.log else value for value in values], [number(value) for value in values]

    def layout(self, *, heading: bool = True) -> dict[str, Any]:
        """Plotly's settings of the axis; values on it are scaled."""
        places, texts = self.ticks()
        room = MARGIN * (self.high - self.low)
        if self.choices is not None or not room:
            room = 0.5
        return {
            "title": {"text": self.heading(30) if heading else "", "standoff": 6},
            "range": [self.low - room, self.high + room],
            "tickvals": places,
            "ticktext": [escape(clean(text, MAX_TICK)) for text in texts],
            "tickangle": -25
            if self.choices is not None and sum(min(MAX_TICK, len(text)) for text in texts) > 24
            else 0,
            "zeroline": False,
        }

    def heading(self, width: int, most: int = 3) -> str:
        """The label as HTML, broken into at most `most` lines of about `width` characters."""
        lines = broken_name(self.label, width)
        if len(lines) > most:
            lines = [*lines[: most - 1], lines[most - 1] + "…"]
        return "<br>".join(escape(clean(line, width + 4)) for line in lines)

    def text(self, value: Any) -> str:
        """A value in words, as HTML."""
        return escape(choice_text(value) if self.choices is not None else number(value))


def parameter_axes(trials: Sequence[FrozenTrial], order: Sequence[str]) -> dict[str, ParameterAxis]:
    """An axis for every parameter that any trial has, those of `order` first."""
    kinds: dict[str, BaseDistribution] = {}
    values: dict[str, list[Any]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            if name not in kinds:
                kinds[name] = trial.distributions[name]
            values.setdefault(name, []).append(value)
    names = [*(name for name in order if name in kinds), *(name for name in kinds if name not in order)]
    short = short_names(names)
    return {name: _axis(name, short[name], kinds[name], values[name]) for name in names}


def _axis(name: str, label: str, kind: BaseDistribution, values: Iterable[Any]) -> ParameterAxis:
    if isinstance(kind, CategoricalDistribution):
        return ParameterAxis(name=name, label=label, low=0.0, high=len(kind.choices) - 1.0, choices=kind.choices)
    assert isinstance(kind, (FloatDistribution, IntDistribution))
    bare = ParameterAxis(name=name, label=label, low=0.0, high=1.0, log=kind.log)
    places = [at for value in {kind.low, kind.high, *values} if (at := bare.scaled(value)) is not None]
    whole = isinstance(kind, IntDistribution)
    return ParameterAxis(name=name, label=label, low=min(places), high=max(places), log=kind.log, whole=whole)


def choice_text(value: Any) -> str:
    """A category as the spec has it."""
    return "null" if value is None else number(value)


def _round_values(low: float, high: float, most: int, least: float = 0.0) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at least `least`, between the ends: at most `most` of them."""
    step = max(least, 10.0 ** math.floor(math.log10((high - low) / most)))
    while (high - low) / step > most - 1 + 1e-9:
        step *= 2.5 if f"{step:e}"[0] == "2" else 2.0
    first = math.ceil(low / step - 1e-9)
    values = [float(f"{i * step:.12g}") for i in range(first, math.floor(high / step + 1e-9) + 1)]
    return values if len(values) > 1 else [low, high]


def _round_logs(low: float, high: float, most: int) -> list[float]:
    """Powers of ten where enough of them fit; else with 2 and 5, or 3, between them; else the ends."""
    for digits in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        tens = range(math.floor(low) - 1, math.ceil(high) + 1)
        values = [float(f"{digit}e{ten}") for ten in tens for digit in digits]
        inside = [value for value in values if low - 1e-9 <= math.log10(value) <= high + 1e-9]
        if len(inside) >= 3:
            return [inside[i] for i in _evenly(range(len(inside)), most)]
    return [float(f"{10**low:.3g}"), float(f"{10**high:.3g}")]


def _evenly(items: range, most: int) -> list[int]:
    """At most `most` of the items at one distance, from the first on."""
    return list(items[:: math.ceil(len(items) / most)]) if items else []


def core_range(values: Sequence[float], keep: Sequence[float]) -> list[float] | None:
    """Axis range without far outliers, such as the floor value of trainings that diverged; None shows all.

    Far is more than 5 interquartile ranges from the quartiles; `keep` is always inside.
    """
    if len(values) < 4:
        return None
    low_q, high_q = np.quantile(values, [0.25, 0.75])
    reach = 5.0 * (high_q - low_q)
    near = [value for value in values if low_q - reach <= value <= high_q + reach]
    if reach == 0 or len(near) == len(values):
        return None
    low, high = min([*near, *keep]), max([*near, *keep])
    margin = 0.06 * (high - low)
    return [float(low - margin), float(high + margin)]
