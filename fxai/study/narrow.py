"""Narrow ranges: what `around` of a parameter leaves of its range once an earlier phase has found a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from fxai.study.space import Parameter


def narrowed(parameters: Sequence[Parameter], inherited: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The parameters, those with `around` narrowed around what they inherit.

    Args:
        parameters: of a spec.
        inherited: values within the ranges, by name; of other settings too.
    """
    return tuple(_around(p, inherited[p.name]) if p.around and p.name in inherited else p for p in parameters)


def _around(parameter: Parameter, value: float) -> Parameter:
    """The share `around` of the range, or of its logarithm where that is sampled, with `value` in its middle.

    It is cut at the ends of the whole range, keeps its grid, and holds at least the neighbours of `value`.
    """
    low, high = parameter.bounds
    assert parameter.around is not None
    if parameter.type.endswith("_log"):
        reach = (high / low) ** (parameter.around / 2)
        first, last = value / reach, value * reach
    else:
        reach = (high - low) * parameter.around / 2
        first, last = value - reach, value + reach
    first, last = max(low, first), min(high, last)
    if parameter.size is not None:
        first, last = _on_grid(parameter, value, first, last)
    return parameter.model_copy(update={"low": first, "high": last, "around": None})


def _on_grid(parameter: Parameter, value: float, first: float, last: float) -> tuple[float, float]:
    """The outermost values of the parameter's grid between `first` and `last`, and at least those beside `value`."""
    whole = parameter.type.startswith("int")
    low, high, step = (Decimal(str(number)) for number in (*parameter.bounds, parameter.step or 1))

    def steps(end: float, rounding: str) -> Decimal:
        return ((Decimal(str(end)) - low) / step).to_integral_value(rounding)

    own = steps(value, ROUND_FLOOR)
    below = low + max(min(steps(first, ROUND_CEILING), own - 1), Decimal(0)) * step
    above = min(low + max(steps(last, ROUND_FLOOR), own + 1) * step, high)
    return (int(below), int(above)) if whole else (float(below), float(above))
