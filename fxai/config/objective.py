"""Settings of an objective function of your own; FxAI's training reads none of them."""

from __future__ import annotations

import math
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from fxai.config.base import Settings

Scalar = bool | int | float | str


class ObjectiveConfig(Settings):
    """Whatever the function that the spec's `objective` names wants to be told: names and values without nesting."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, Any] = Field(init=False)

    @model_validator(mode="after")
    def _are_names_and_scalars(self) -> ObjectiveConfig:
        for name, value in self.__pydantic_extra__.items():
            if not is_own_name(name):
                raise ValueError(f"{name!r} cannot be a setting: write up to 64 letters, digits and _, a letter first")
            if not isinstance(value, Scalar) or (isinstance(value, float) and not math.isfinite(value)):
                raise ValueError(f"{name} must be a finite number, text, true or false")
        return self

    @property
    def by_name(self) -> dict[str, Scalar]:
        """Every setting."""
        return dict(self.__pydantic_extra__)


def is_own_name(name: str) -> bool:
    """Whether a setting may have this name."""
    return name.isascii() and name.isidentifier() and not name.startswith("_") and len(name) <= 64
