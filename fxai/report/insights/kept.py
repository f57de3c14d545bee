"""What a study teaches, in words with their evidence; kept in insights.json beside the results.

Reading the file needs neither Optuna nor numpy: `load_insights`. `insights_of` computes, or takes what the folder holds
if the study has not moved since.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ValidationError

from fxai.config.base import Settings, Strings, as_tuple
from fxai.errors import FxaiError
from fxai.files import write_json_atomic
from fxai.report.text import clean, number
from fxai.study.confirmed import is_confirmed

if TYPE_CHECKING:
    import optuna

    from fxai.report.outcome import Outcome
    from fxai.study.spec import StudySpec

INSIGHTS = "insights.json"

FORMAT = 3
"""Version of the file, and of the reasoning: a file of another version is computed anew."""

Band = Literal["high", "medium", "low"]

HIGH, LOW = 0.1, 0.05
"""Bounds of the bands."""


class Importance(Settings):
    """One parameter's part in what all parameters together explain."""

    name: str
    value: float
    """Share, 0 to 1; those of a study add up to 1."""

    band: Band
    """`high` above 0.1, `low` below 0.05."""

    low: float
    high: float
    """The share in four of five resampled studies lies between."""

    clear: bool
    """Told apart from luck; a share that is not may be nothing, however large."""


class Finding(Settings):
    """One thing that a study shows."""

    kind: str
    """importance, plateau, improving, luck, edge, pruning, never_pruned, pruned_early, drift, failures, divergence,
    few_trades, duplicates or cost."""

    severity: Literal["info", "warning"]
    text: str
    """One or two sentences with their numbers."""

    evidence: dict[str, Any]
    """The numbers, for programs."""

    advice: str
    """What to do; empty where there is nothing to be done."""


class StudyState(Settings):
    """What insights depend on; they are old when it has changed."""

    spec_hash: str
    n_trials: int
    complete: int
    pruned: int
    fail: int
    """Without those that were queued again."""

    last_end: str | None
    """When the last trial ended, ISO 8601 as stored."""

    confirmed: bool
    """Whether the best trial was trained again on fresh seeds."""


class Insights(Settings):
    """What a study shows as it is now."""

    format: int
    study: str
    state: StudyState
    importances: Annotated[tuple[Importance, ...], BeforeValidator(as_tuple)]
    """Largest first; empty where `importance_note` says why."""

    importance_note: str
    """How far they can be trusted, or why there are none."""

    findings: Annotated[tuple[Finding, ...], BeforeValidator(as_tuple)]
    """Warnings first."""

    next_steps: Strings
    """What to do next, most useful first; commands are between backquotes."""


def insights_of(study: optuna.Study, spec: StudySpec, folder: Path | None = None) -> Insights:
    """The insights of a study as it is now.

    Args:
        study: any study with the spec's parameters.
        spec: its spec.
        folder: the study's results folder, whose insights.json is taken if it is of this state of the study.
    """
    from fxai.report.insights.findings import findings_of, importances_of
    from fxai.report.insights.sample import sample_of
    from fxai.report.insights.steps import next_steps
    from fxai.report.outcome import outcome_of

    outcome = outcome_of(study, spec.metric_names)
    best = None if outcome.best is None else outcome.best.number
    confirmed = is_confirmed(folder, spec.study_name, best, study.user_attrs.get("data_hash"))
    state = _state(outcome, spec, confirmed)
    known = None if folder is None else load_insights(folder)
    if known is not None and (known.study, known.state) == (spec.study_name, state):
        steps = next_steps(outcome, spec, known.findings, known.importances, folder, confirmed)
        return known.model_copy(update={"next_steps": steps})  # folder and database may have moved
    sample = sample_of(outcome, spec.parameters)
    importances, note = importances_of(sample, outcome)
    findings = findings_of(outcome, spec, sample, importances)
    return Insights(
        format=FORMAT,
        study=spec.study_name,
        state=state,
        importances=importances,
        importance_note=note,
        findings=findings,
        next_steps=next_steps(outcome, spec, findings, importances, folder, confirmed),
    )


def write_insights(study: optuna.Study, spec: StudySpec, folder: Path) -> Path:
    """Write insights.json, unless it is of this state of the study already; returns its path.

    Raises:
        StorageError, InputError: the disk is full, or the folder cannot be written to.
    """
    insights, path = insights_of(study, spec, folder), folder / INSIGHTS
    if load_insights(folder) != insights:
        write_json_atomic(path, insights.model_dump(mode="json"))
    return path


def load_insights(folder: Path) -> Insights | None:
    """What insights.json of a study's folder holds; None where there is none that can be read.

    It is a product of the database: a damaged file, or one of another version, is as good as none.
    """
    path = folder / INSIGHTS
    try:
        text = "" if path.is_symlink() else path.read_text(encoding="utf-8")
        insights = Insights.model_validate(json.loads(text))
    except (OSError, ValueError, ValidationError, RecursionError, FxaiError):
        return None
    return insights if insights.format == FORMAT else None


def band(value: float) -> Band:
    """The band of a share."""
    return "high" if value > HIGH else "low" if value < LOW else "medium"


def lines(insights: Insights, *, most: int = 8) -> list[str]:
    """The insights as lines for a terminal, names made harmless: importances, findings, next steps."""
    told = [insights.importance_note] if insights.importance_note else []
    for importance in insights.importances[:most]:
        name, luck = clean(importance.name), "" if importance.clear else "  (may be luck)"
        spread = f"{number(importance.low)} to {number(importance.high)}"
        told.append(f"  {importance.value:4.2f}  {importance.band:<6}  {name}: {spread}{luck}")
    if len(insights.importances) > most:
        told.append(f"  {len(insights.importances) - most} more in {INSIGHTS}")
    for finding in insights.findings:
        mark = "warning: " if finding.severity == "warning" else ""
        told.append(clean(f"{mark}{finding.text} {finding.advice}".strip(), 1000))
    return told + [clean(f"next: {step}", 1000) for step in insights.next_steps]


def _state(outcome: Outcome, spec: StudySpec, confirmed: bool) -> StudyState:
    counts = outcome.counts
    ends = [trial.datetime_complete for trial in outcome.trials if trial.datetime_complete is not None]
    return StudyState(
        spec_hash=spec.spec_hash,
        n_trials=spec.n_trials,
        complete=counts["complete"],
        pruned=counts["pruned"],
        fail=counts["fail"],
        last_end=max(ends).isoformat() if ends else None,
        confirmed=confirmed,
    )
