"""What the plots of a study are drawn from, read once: outcome, and parameters as axes, important ones first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna

from fxai.report.outcome import Outcome, outcome_of
from fxai.report.plots.axes import ParameterAxis, parameter_axes
from fxai.report.plots.weights import Weights, weights_of

if TYPE_CHECKING:
    from fxai.study.spec import StudySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A study at one moment, ready to be drawn."""

    outcome: Outcome
    axes: dict[str, ParameterAxis]
    """By parameter, the most important first; those without an importance follow in the spec's order."""

    weights: Weights

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the study's metrics."""
        return self.outcome.metric_names

    @property
    def order(self) -> list[str]:
        """Parameters, the most important first."""
        return list(self.axes)


def subject_of(study: optuna.Study, spec: StudySpec, folder: Path | None = None) -> Subject:
    """Read the study; `folder` may hold its insights."""
    outcome = outcome_of(study, spec.metric_names)
    weights = weights_of(study, spec, folder)
    axes = parameter_axes(outcome.trials, [parameter.name for parameter in spec.parameters])
    told = [name for name in weights.names if name in axes]
    return Subject(
        outcome=outcome,
        axes={name: axes[name] for name in [*told, *(name for name in axes if name not in told)]},
        weights=weights,
    )
