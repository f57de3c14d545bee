"""Learning curves: the values that each trial reported while it trained, and where pruning ended it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from fxai.report.figure import BLUE, GREEN, GREY, ORANGE
from fxai.report.outcome import Outcome
from fxai.report.plots.axes import core_range
from fxai.report.plots.drawn import Drawn, joined
from fxai.report.plots.history import outside_note
from fxai.report.plots.points import evenly, metric_axis, metric_text, short_float
from fxai.report.plots.subject import Subject

MAX_CURVES = 150
"""Of a kind; more are a block of colour."""

_LINES = {
    "pruned": {"color": GREY, "width": 1.5},
    "failed": {"color": "#cc79a7", "width": 1, "dash": "dot"},
    "running": {"color": "#e69f00", "width": 1.5, "dash": "dot"},
    "complete": {"color": BLUE, "width": 1.2},
}

MAX_REPORTS = 60
"""Points of a curve."""


def curves(subject: Subject) -> Drawn:
    """One curve for each trial that reported."""
    outcome = subject.outcome
    told = [trial for trial in outcome.trials if finite_reports(trial)]
    figure, outside = curves_figure(subject) if told and len(subject.metrics) == 1 else (None, 0)
    missing = ""
    if len(subject.metrics) > 1:
        missing = "A study of several objectives reports no values while its trials train: none of them can be pruned."
    elif not told:
        missing = "No trial has reported a value while it trained: there is nothing to draw yet."
    few = figure is not None and all(len(finite_reports(trial)) == 1 for trial in told)
    thinned = any(len(kept) > MAX_CURVES for kept in _kinds(outcome).values())
    long = any(len(finite_reports(trial)) > MAX_REPORTS for trial in told)
    return Drawn(
        name="intermediate_values",
        title="learning curves",
        reading="Each curve is a trial while it trains; a grey one ends where it was pruned. If curves still climb at "
        "their end, train longer; if pruned ones were climbing as steeply as the best, prune later.",
        figure=figure,
        remark=joined(
            missing,
            "Every trial reported once only, so there are points and no curves." if few else "",
            f"Of each kind at most {MAX_CURVES} trials are drawn, evenly chosen." if figure and thinned else "",
            f"Curves of more than {MAX_REPORTS} reports are drawn through so many of them." if figure and long else "",
            outside_note(outside),
        ),
        height_px=480,
    )


def finite_reports(trial: FrozenTrial) -> list[tuple[int, float]]:
    """(step, value) of a trial's reports in their order, those without a finite value left out."""
    return sorted((step, value) for step, value in trial.intermediate_values.items() if math.isfinite(value))


def _kinds(outcome: Outcome) -> dict[str, list[FrozenTrial]]:
    """Trials by how they ended; best and default have their own curves."""
    own = {trial.number for trial in (outcome.best, outcome.default) if trial is not None}
    found: dict[str, list[FrozenTrial]] = {"complete": [], "pruned": [], "failed": [], "running": []}
    names = {
        TrialState.PRUNED: "pruned",
        TrialState.FAIL: "failed",
        TrialState.RUNNING: "running",
        TrialState.COMPLETE: "complete",
    }
    for trial in outcome.trials:
        if trial.state in names and trial.number not in own and finite_reports(trial):
            found[names[trial.state]].append(trial)
    return {name: trials for name, trials in found.items() if trials}


def curves_figure(subject: Subject) -> tuple[Any, int]:
    """The figure, and how many reports lie outside the range that it opens with."""
    import plotly.graph_objects as go

    outcome, metric = subject.outcome, subject.metrics[0]
    bundles = [(name, list(evenly(trials, MAX_CURVES)), _LINES[name]) for name, trials in _kinds(outcome).items()]
    if outcome.default is not None and finite_reports(outcome.default):
        bundles.append((outcome.start, [outcome.default], {"color": ORANGE, "width": 3}))
    if outcome.best is not None and finite_reports(outcome.best):
        bundles.append(("best", [outcome.best], {"color": GREEN, "width": 3.5}))
    figure = go.Figure()
    for name, trials, line in bundles:
        x, y, told = _joined(trials, metric)
        one = all(len(finite_reports(trial)) == 1 for trial in trials)
        figure.add_scatter(
            x=x,
            y=y,
            text=told,
            name=name,
            mode="lines+markers" if one or len(trials) == 1 else "lines",
            line=line,
            marker={"color": line["color"], "size": 6},
            opacity=1.0 if len(trials) == 1 else max(0.3, min(0.7, 25.0 / len(trials))),
            hovertemplate="%{text}<extra>%{fullData.name}</extra>",
        )
    seen = [trial for _, trials, _ in bundles for trial in trials]
    values = [value for trial in seen for _, value in finite_reports(trial)]
    keep = [value for _, trials, _ in bundles if len(trials) == 1 for _, value in finite_reports(trials[0])]
    limits = core_range(values, keep=keep)
    figure.update_layout(
        template="plotly_white",
        hovermode="closest",
        margin={"t": 20, "r": 20, "b": 110},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        xaxis={"title": {"text": "update of the training"}, "rangemode": "tozero", "zeroline": False},
        yaxis=metric_axis(metric, outcome.directions[0]) | {"range": limits},
    )
    return figure, 0 if limits is None else sum(not limits[0] <= value <= limits[1] for value in values)


def _joined(
    trials: Sequence[FrozenTrial], metric: str
) -> tuple[list[int | None], list[float | None], list[str | None]]:
    """Points of all curves, a gap between two, and what each point says."""
    x: list[int | None] = []
    y: list[float | None] = []
    told: list[str | None] = []
    for trial in trials:
        reports = finite_reports(trial)
        last = len(reports) - 1
        if len(reports) > MAX_REPORTS:
            reports = [reports[round(i * last / (MAX_REPORTS - 1))] for i in range(MAX_REPORTS)]
        for step, value in reports:
            x.append(step)
            y.append(short_float(value))
            told.append(f"trial {trial.number}, update {step}<br>{metric_text(metric, value)}")
        x.append(None)
        y.append(None)
        told.append(None)
    return x, y, told
