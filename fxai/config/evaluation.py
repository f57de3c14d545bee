"""How a trained agent is scored."""

from __future__ import annotations

from pydantic import Field

from fxai.config.base import Settings


class EvaluationConfig(Settings):
    """Settings of the fixed ruler; a study may not search them."""

    min_trades: int = Field(default=0, ge=0)
    """A result with fewer trades over all evaluation episodes is marked as doing (almost) nothing."""
