"""How much each parameter decided, as the insights have it; the plots show the most important parameters first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

if TYPE_CHECKING:
    from fxai.report.insights import Importance
    from fxai.study.spec import StudySpec


@dataclass(frozen=True, slots=True)
class Weights:
    """Importances of a study's parameters."""

    importances: tuple[Importance, ...] = ()
    """Descending; empty where there are none."""

    note: str = ""
    """Why there are none, or how far to trust them."""

    @property
    def names(self) -> list[str]:
        """The parameters, the most important first."""
        return [importance.name for importance in self.importances]


def weights_of(study: optuna.Study, spec: StudySpec, folder: Path | None = None) -> Weights:
    """The importances of the insights; where `folder` holds them for this state of the study, they are read."""
    from fxai.report.insights import insights_of

    insights = insights_of(study, spec, folder)
    return Weights(insights.importances, insights.importance_note)
