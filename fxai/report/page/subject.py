"""What report.html tells of, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fxai.report.baselines import Baselines, load_baselines
from fxai.report.insights import Insights, insights_of
from fxai.report.outcome import Outcome, outcome_of
from fxai.report.results import sentences
from fxai.study.confirm import Confirmation, load_confirmation

if TYPE_CHECKING:
    import optuna

    from fxai.study.spec import StudySpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A study with all that its folder holds about it."""

    spec: StudySpec
    folder: Path
    outcome: Outcome
    insights: Insights
    baselines: Baselines | None
    confirmation: Confirmation | None
    remarks: tuple[str, ...]
    """Honest sentences about the result."""
    attrs: dict[str, Any]
    """The study's user attributes: versions, data hash, seed and the like."""

    @property
    def metric(self) -> str:
        """The study's first metric."""
        return self.outcome.metric_names[0]


def read(study: optuna.Study, spec: StudySpec, folder: Path) -> Told:
    """Read the study and its folder."""
    outcome = outcome_of(study, spec.metric_names)
    found = load_confirmation(folder)
    mine = (spec.study_name, spec.spec_hash, study.user_attrs.get("data_hash"))
    if found is not None and (found.study, found.spec_hash, found.data_hash) != mine:
        found = None  # of another study of this name
    return Told(
        spec=spec,
        folder=folder,
        outcome=outcome,
        insights=insights_of(study, spec, folder),
        baselines=load_baselines(study, spec, folder),
        confirmation=found,
        remarks=tuple(sentences(study, spec, folder, outcome)),
        attrs=dict(study.user_attrs),
    )
