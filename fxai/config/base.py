"""What every settings class shares: frozen, strict, unknown keys refused."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class Settings(BaseModel):
    """Base of all settings: immutable, no coercion of types, no unknown keys, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


def as_tuple(value: Any) -> Any:
    """A YAML list as a tuple; anything else as it is, for pydantic to judge."""
    return tuple(value) if isinstance(value, list) else value


Floats = Annotated[tuple[float, ...], BeforeValidator(as_tuple)]
"""A YAML list of numbers."""

Strings = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
"""A YAML list of strings."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
"""A share, 0 to 1."""

Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]
