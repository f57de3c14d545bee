"""Timeline: when each trial ran and how it ended; time in which nothing ran is cut out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from fxai.report.figure import BLUE, GREEN, GREY, ORANGE
from fxai.report.outcome import Outcome, is_feasible
from fxai.report.plots.drawn import Drawn, joined
from fxai.report.plots.points import evenly, metric_text
from fxai.report.plots.subject import Subject
from fxai.report.text import TOO_FEW_TRADES, count, duration

MAX_BARS = 1500

PAUSE_S = 120.0
"""Idle time that is cut out, if it is also more than `PAUSE_SHARE` of the time in which trials ran."""

PAUSE_SHARE = 0.05

GAP_SHARE = 0.02
"""Width of what is left of a pause, as a share of the time in which trials ran."""

_STATES = (
    ("complete", BLUE),
    (TOO_FEW_TRADES, "#8fbfdd"),
    ("pruned", GREY),
    ("failed", "#cc79a7"),
    ("requeued", "#5b4b8a"),
    ("running", "#e69f00"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, seconds since the epoch."""

    start_s: float
    end_s: float


def timeline(subject: Subject) -> Drawn:
    """A bar for each trial that was started."""
    ran = _ran(subject.outcome)
    figure = timeline_figure(subject) if ran else None
    return Drawn(
        name="timeline",
        title="timeline",
        reading="Each bar is a trial from its start to its end, the first trial at the top. Bars above one another ran "
        "at the same time; short grey ones are the time that pruning saved.",
        figure=figure,
        remark=joined(
            _summary(subject.outcome) if ran else "No trial has been started: there is nothing to draw yet.",
            f"Of {len(ran):,} trials {MAX_BARS:,} are drawn, evenly chosen." if len(ran) > MAX_BARS else "",
        ),
        height_px=min(900, 220 + 14 * max(6, len(ran))),
    )


def _ran(outcome: Outcome) -> dict[int, tuple[FrozenTrial, Span]]:
    """The trials that were started, by number; one that still runs lasts until the study's last sign of life."""
    moments = [moment for t in outcome.trials for moment in (t.datetime_start, t.datetime_complete) if moment]
    latest = max(moments, default=None)
    found = {}
    for trial in outcome.trials:
        start, end = trial.datetime_start, trial.datetime_complete or latest
        if start is not None and end is not None and trial.state is not TrialState.WAITING:
            # a clock that was set back ends no trial before its start
            found[trial.number] = (trial, Span(start.timestamp(), max(start, end).timestamp()))
    return found


def busy_spans(spans: Sequence[Span], pause_s: float) -> list[Span]:
    """Stretches in which something ran, pauses of at most `pause_s` seconds counted in."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start_s, span.end_s)):
        if merged and span.start_s - merged[-1].end_s <= pause_s:
            merged[-1] = Span(merged[-1].start_s, max(merged[-1].end_s, span.end_s))
        else:
            merged.append(span)
    return merged


def stretches(spans: Sequence[Span]) -> list[Span]:
    """Stretches of the study that are drawn whole; between them nothing ran for long."""
    busy_s = sum(span.end_s - span.start_s for span in busy_spans(spans, 0.0))
    return busy_spans(spans, max(PAUSE_S, PAUSE_SHARE * busy_s))


def _offset_s(moment_s: float, parts: Sequence[Span], gap_s: float) -> float:
    """Where a moment lies on the axis: seconds since the start without the pauses."""
    before = 0.0
    for part in parts:
        if moment_s <= part.end_s:
            return before + max(0.0, moment_s - part.start_s)
        before += part.end_s - part.start_s + gap_s
    return before - gap_s


def _summary(outcome: Outcome) -> str:
    spans = [span for _, span in _ran(outcome).values()]
    parts = stretches(spans)
    wall_s = sum(part.end_s - part.start_s for part in parts)
    work_s = sum(span.end_s - span.start_s for span in spans)
    first = datetime.fromtimestamp(parts[0].start_s, timezone.utc)
    told = f"Started {first:%Y-%m-%d %H:%M} UTC; {duration(wall_s)} in all"
    if wall_s > 0:
        told += f", {work_s / wall_s:.1f} trials at a time on average, at most {_at_once(spans)}"
    cut = f" Pauses in which nothing ran were cut out: {len(parts) - 1}, where the dotted lines are."
    return told + "." + (cut if len(parts) > 1 else "")


def _at_once(spans: Sequence[Span]) -> int:
    """Most trials that ran at one time; one that ends as another starts is over."""
    changes = sorted([(span.start_s, 1) for span in spans] + [(span.end_s, -1) for span in spans])
    most = running = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return max(1, most)


def timeline_figure(subject: Subject) -> Any:
    """Bars by state over time, the trial's number downwards."""
    import plotly.graph_objects as go

    outcome = subject.outcome
    ran = _ran(outcome)
    parts = stretches([span for _, span in ran.values()])
    total_s = sum(part.end_s - part.start_s for part in parts)
    gap_s = GAP_SHARE * total_s
    unit, unit_s = ("hours", 3600.0) if total_s > 10800 else ("minutes", 60.0) if total_s > 180 else ("seconds", 1.0)
    kept = {trial.number for trial in evenly([trial for trial, _ in ran.values()], MAX_BARS)}
    kept |= {trial.number for trial in (outcome.best, outcome.default) if trial is not None}
    least = total_s / 400 / unit_s
    figure = go.Figure()
    for state, colour in _STATES:
        told = [(t, span) for t, span in ran.values() if t.number in kept and _state(t) == state]
        starts = [_offset_s(span.start_s, parts, gap_s) / unit_s for _, span in told]
        if told:
            figure.add_bar(
                y=[trial.number for trial, _ in told],
                base=[round(start, 4) for start in starts],
                # a bar of less than a pixel would not be seen
                x=[round(max(least, (span.end_s - span.start_s) / unit_s), 4) for _, span in told],
                width=0.85,
                orientation="h",
                name=state,
                marker={"color": colour, "line": {"width": 0}},
                text=[_hover(trial, span, subject) for trial, span in told],
                textposition="none",
                hovertemplate="%{text}<extra>%{fullData.name}</extra>",
            )
    _mark_special(figure, subject, ran, parts, gap_s, unit_s)
    for earlier, later in itertools.pairwise(parts):
        at = (_offset_s(earlier.end_s, parts, gap_s) + gap_s / 2) / unit_s
        note = f"pause {duration(later.start_s - earlier.end_s)}" if len(parts) <= 5 else ""
        figure.add_vline(x=at, line={"color": GREY, "width": 1, "dash": "dot"}, annotation_text=note)
    _lay_out(figure, sorted(ran), unit)
    return figure


def _lay_out(figure: Any, numbers: Sequence[int], unit: str) -> None:
    figure.update_layout(
        template="plotly_white",
        barmode="overlay",
        hovermode="closest",
        margin={"t": 30, "r": 20, "b": 110},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        xaxis={"title": {"text": f"{unit} since the start"}, "rangemode": "tozero", "zeroline": False},
        yaxis={"title": {"text": "trial"}, "range": [numbers[-1] + 0.7, numbers[0] - 0.7], "zeroline": False},
        showlegend=True,
    )
    figure.update_yaxes(tickformat="d", **({"dtick": 1} if len(numbers) <= 12 else {}))


def _mark_special(figure: Any, subject: Subject, ran: Any, parts: Sequence[Span], gap_s: float, unit_s: float) -> None:
    """Star and diamond at the ends of the best trial's and the default's bars."""
    outcome = subject.outcome
    several = len(outcome.metric_names) > 1
    best = outcome.front if several else (outcome.best,) if outcome.best else ()
    marks = (
        ("Pareto front" if several else "best", best, {"color": GREEN, "size": 12, "symbol": "star"}),
        (outcome.start, (outcome.default,), {"color": ORANGE, "size": 10, "symbol": "diamond"}),
    )
    for name, trials, marker in marks:
        told = [ran[trial.number] for trial in trials if trial is not None and trial.number in ran]
        if told:
            figure.add_scatter(
                x=[round(_offset_s(span.end_s, parts, gap_s) / unit_s, 4) for _, span in told],
                y=[trial.number for trial, _ in told],
                mode="markers",
                name=name,
                marker=marker,
                text=[_hover(trial, span, subject) for trial, span in told],
                hovertemplate="%{text}<extra>%{fullData.name}</extra>",
            )


def _state(trial: FrozenTrial) -> str:
    if "requeued_as" in trial.user_attrs:
        return "requeued"
    if trial.state is TrialState.COMPLETE and not is_feasible(trial):
        return TOO_FEW_TRADES
    return {"FAIL": "failed"}.get(trial.state.name, trial.state.name.lower())


def _hover(trial: FrozenTrial, span: Span, subject: Subject) -> str:
    lines = [f"trial {trial.number}, {duration(span.end_s - span.start_s)}"]
    if trial.state is TrialState.COMPLETE:
        pairs = zip(subject.metrics, trial.values, strict=True)
        lines += [f"{name} {metric_text(name, value)}" for name, value in pairs]
    if trial.intermediate_values:
        lines.append(count(len(trial.intermediate_values), "report"))
    return "<br>".join(lines)
