"""How a trained agent is scored."""

from __future__ import annotations

from pydantic import Field

from fxai.config.base import Settings


class EvaluationConfig(Settings):
    """Settings of the fixed ruler; a study may not search them."""

    warmup_bars: int = Field(default=128, ge=1)
    """Bars before the first decision of every evaluation; no trial's `model.window` may be longer."""

    min_trades: int = Field(default=0, ge=0)
    """Closed trades (metric `n_closed`) over all evaluation episodes below which a result counts as doing (almost)
    nothing, as an agent does that opens once and holds to the end: an Optuna constraint, so that such a trial is best
    only where every completed trial is such. 0 sets none."""
