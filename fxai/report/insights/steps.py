"""What to do next after a study, most useful first, each with its command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from fxai import defaults
from fxai.report.insights import Finding, Importance
from fxai.report.insights.refine import may_freeze
from fxai.report.outcome import Outcome
from fxai.secrets import without_password
from fxai.study.spec import StudySpec

TRANSFERS = {1: "optuna-transfer-1to2", 2: "optuna-transfer-2to3"}
"""The command that carries a phase's best to the next."""

FEWEST_TO_REFINE = 20
"""Completed trials from which a refined spec is suggested."""


def next_steps(
    outcome: Outcome,
    spec: StudySpec,
    findings: Sequence[Finding],
    importances: Sequence[Importance],
    folder: Path | None,
    confirmed: bool,
) -> tuple[str, ...]:
    """Sentences with commands between backquotes; `confirmed` is the best trial on fresh seeds."""
    counts = outcome.counts
    ended = counts["complete"] + counts["pruned"] + counts["fail"]
    name, places = shlex.quote(spec.study_name), _places(spec, folder)
    steps = []
    if ended < spec.n_trials:
        steps.append(
            f"Finish the study, {ended} of {spec.n_trials} trials are done: run the command that started it again."
        )
    if outcome.best is None:
        return (*steps, *_nothing_completed(outcome))
    beats = outcome.improvement is None or outcome.improvement > 0.0 or len(outcome.front) > 1
    if beats and not confirmed:
        steps.append(f"Train the best and the default config on fresh seeds: `poe optuna-confirm {name}{places}`.")
    kinds = {finding.kind for finding in findings}
    if kinds & {"improving", "drift"} and ended >= spec.n_trials:
        steps.append(f"Go on, it still gets better: the same command with `--n-trials {2 * spec.n_trials}`.")
    if len(outcome.completed) >= FEWEST_TO_REFINE and any(importance.clear for importance in importances):
        why = _why_refine(outcome, spec, findings, importances)
        steps.append(f"Write a spec that {why}: `poe optuna-refine {name}{places}`.")
    elif len(outcome.completed) >= FEWEST_TO_REFINE and not beats:
        steps.append(f"Search other parameters or wider ranges: within these nothing beats the {outcome.start}.")
    if spec.phase in TRANSFERS and ended >= spec.n_trials:
        steps.append(f"Carry the best to the next phase: `poe {TRANSFERS[spec.phase]}{places}`.")
    return tuple(steps)


def _nothing_completed(outcome: Outcome) -> list[str]:
    if outcome.counts["fail"]:
        return ["Look into logs/ of the study's folder: no trial has completed."]
    return []


def _why_refine(
    outcome: Outcome, spec: StudySpec, findings: Sequence[Finding], importances: Sequence[Importance]
) -> str:
    edges = [str(f.evidence["parameter"]) for f in findings if f.kind == "edge" and f.evidence["widen_to"] is not None]
    if edges:
        return f"widens {', '.join(edges)}"
    loose = [
        own
        for own in importances
        if may_freeze(own, importances, len(outcome.completed))
        and not any(own.name in parameter.when for parameter in spec.parameters)
    ]
    if loose:
        return f"freezes what does not matter ({len(loose)} of {len(importances)} parameters)"
    return "goes on from the best trials of this one"


def _places(spec: StudySpec, folder: Path | None) -> str:
    """Options that name database and results folder where they are not the usual ones."""
    storage = "" if spec.storage == defaults.STORAGE else f" --storage {shlex.quote(without_password(spec.storage))}"
    if folder is None or folder.parent == Path(defaults.RESULTS):
        return storage
    return f"{storage} --results-dir {shlex.quote(str(folder.parent))}"
