"""Plots of a study as HTML pages; plotly is imported once something is drawn.

optuna.visualization works with the pinned plotly, but its history takes an infinite value for the best and does
not know the default config, so the history is drawn here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from fxai.files import ensure_writable_dir, write_bytes_atomic, write_text_atomic
from fxai.report.figure import BLUE, GREEN, GREY, ORANGE, PLOTLY_JS, draw, place, plotly_js
from fxai.report.html import escape, page, paragraphs
from fxai.report.outcome import Outcome, is_feasible, outcome_of
from fxai.report.results import sentences
from fxai.report.text import TOO_FEW_TRADES, count, number

if TYPE_CHECKING:
    from fxai.study.spec import StudySpec

LEGEND_Y = -0.2
"""Top of the legend below one panel, in heights of it: above the plot a legend of several lines covers points."""


def write_plots(study: optuna.Study, spec: StudySpec, folder: Path) -> list[Path]:
    """Write optimization_history.html, and the plotly.min.js that it loads.

    Returns:
        The pages written.

    Raises:
        StorageError, InputError: the disk is full, or the folder cannot be written to.
    """
    ensure_writable_dir(folder)
    path = folder / "optimization_history.html"
    write_plotly_js(folder)
    outcome = outcome_of(study, spec.metric_names)
    write_text_atomic(path, history_page(outcome, spec, sentences(study, spec, folder, outcome)))
    return [path]


def write_plotly_js(folder: Path) -> None:
    """Put plotly.min.js into the folder, unless that version is there already."""
    script, path = plotly_js().encode("utf-8"), folder / PLOTLY_JS
    if path.is_symlink() or not path.is_file() or path.read_bytes() != script:
        write_bytes_atomic(path, script)


def history_page(outcome: Outcome, spec: StudySpec, remarks: Sequence[str]) -> str:
    """Every trial's value in the order of the trials, the default config and the running best marked."""
    title = f"{spec.study_name}: optimization history"
    said = [_counted(outcome)]
    if len(outcome.completed) == 1:
        said.append("One completed trial: there is no history to see yet.")
    said += remarks
    if not outcome.completed and not _pruned(outcome):
        return page(title=title, body=paragraphs([*said, "There is nothing to draw yet."]))
    figure, outside = history_figure(outcome)
    if outside:
        said.append(
            f"Not in sight at first: {count(outside, 'point')} far from the others. Double-click the plot to see all."
        )
    return page(
        title=title,
        body=paragraphs(said) + "\n" + place("history", 420 * len(outcome.metric_names)),
        script_files=[PLOTLY_JS],
        scripts=[draw(figure, "history")],
    )


def history_figure(outcome: Outcome) -> tuple[Any, int]:
    """The plotly figure, one panel per metric, and how many points lie outside the ranges it opens with."""
    from plotly.subplots import make_subplots

    several = len(outcome.metric_names) > 1
    figure = make_subplots(rows=len(outcome.metric_names), shared_xaxes=True, vertical_spacing=0.06)
    outside = 0
    for row, (metric, direction) in enumerate(zip(outcome.metric_names, outcome.directions, strict=True)):
        for trace in _traces(outcome, row, several):
            figure.add_trace(trace, row=row + 1, col=1)
        values = [trial.values[row] for trial in outcome.completed]
        values += [] if several else [value for _, value in _pruned(outcome)]
        limits = core_range(values, keep=[t.values[row] for t in (outcome.best, outcome.default) if t])
        if limits is not None:
            outside += sum(not limits[0] <= value <= limits[1] for value in values)
        axis = f"{escape(metric)} ({direction})"
        figure.update_yaxes(title_text=axis, range=limits, row=row + 1, col=1)
    figure.update_xaxes(title_text="trial", row=len(outcome.metric_names), col=1)
    figure.update_layout(
        template="plotly_white",
        hovermode="closest",
        margin={"t": 50, "r": 20},
        legend={"orientation": "h", "y": LEGEND_Y / len(outcome.metric_names), "yanchor": "top"},
    )
    return figure, outside


def _traces(outcome: Outcome, row: int, several: bool) -> list[Any]:
    import plotly.graph_objects as go

    def points(name: str, trials: Sequence[FrozenTrial], values: Sequence[float], **marker: Any) -> Any:
        return go.Scatter(
            x=[trial.number for trial in trials],
            y=list(values),
            mode="markers",
            name=name,
            marker=marker,
            text=[_hover(trial) for trial in trials],
            hovertemplate="%{text}<br>%{y}<extra>%{fullData.name}</extra>",
            legendgroup=name,
            showlegend=row == 0,
        )

    def of(*trials: FrozenTrial | None) -> tuple[list[FrozenTrial], list[float]]:
        told = [trial for trial in trials if trial is not None]
        return told, [trial.values[row] for trial in told]

    sound = [trial for trial in outcome.completed if is_feasible(trial)]
    broken = [trial for trial in outcome.completed if not is_feasible(trial)]
    traces = [points("complete", *of(*sound), color=BLUE, size=7)] if sound or not broken else []
    if broken:
        # where no trial keeps the constraints, one of these is the best
        beaten = outcome.best is not None and is_feasible(outcome.best)
        name = f"{TOO_FEW_TRADES}, cannot be best" if beaten else TOO_FEW_TRADES
        traces.append(points(name, *of(*broken), color=BLUE, size=8, symbol="circle-open"))
    stopped = _pruned(outcome)
    if stopped and not several:
        name = "pruned, at its last report"
        traces.append(
            points(
                name,
                [trial for trial, _ in stopped],
                [value for _, value in stopped],
                color=GREY,
                size=7,
                symbol="x-thin-open",
            )
        )
    if several:
        traces.append(points("Pareto front", *of(*outcome.front), color=GREEN, size=12, symbol="circle-open"))
    else:
        traces.insert(0, _running_best(outcome))
        traces.append(points("best", *of(outcome.best), color=GREEN, size=14, symbol="star"))
    if outcome.default is not None:
        traces.append(points("default config", *of(outcome.default), color=ORANGE, size=11, symbol="diamond"))
    return traces


def _running_best(outcome: Outcome) -> Any:
    import plotly.graph_objects as go

    better = max if outcome.directions[0] == "maximize" else min
    feasible = [trial for trial in outcome.completed if is_feasible(trial)] or list(outcome.completed)
    best: list[float] = []
    for trial in feasible:
        best.append(better([trial.values[0], *best[-1:]]))
    x = [trial.number for trial in feasible]
    if x and outcome.trials[-1].number > x[-1]:
        x, best = [*x, outcome.trials[-1].number], [*best, best[-1]]
    line = {"shape": "hv", "color": GREEN, "width": 2}
    return go.Scatter(x=x, y=best, mode="lines", name="running best", line=line, hoverinfo="skip")


def core_range(values: Sequence[float], keep: Sequence[float]) -> list[float] | None:
    """Axis range without far outliers, such as the floor value of trainings that diverged; None shows all.

    Far is more than 5 interquartile ranges from the quartiles; `keep` is always inside.
    """
    if len(values) < 4:
        return None
    low_q, high_q = np.quantile(values, [0.25, 0.75])
    reach = 5.0 * (high_q - low_q)
    near = [value for value in values if low_q - reach <= value <= high_q + reach]
    if reach == 0 or len(near) == len(values):
        return None
    low, high = min([*near, *keep]), max([*near, *keep])
    margin = 0.06 * (high - low)
    return [float(low - margin), float(high + margin)]


def _pruned(outcome: Outcome) -> list[tuple[FrozenTrial, float]]:
    """The pruned trials with the last value that each reported."""
    stopped = [(trial, _last_report(trial)) for trial in outcome.trials if trial.state is TrialState.PRUNED]
    return [(trial, value) for trial, value in stopped if value is not None]


def _last_report(trial: FrozenTrial) -> float | None:
    """The last value that a trial reported, if it is finite."""
    if not trial.intermediate_values:
        return None
    value = trial.intermediate_values[max(trial.intermediate_values)]
    return value if math.isfinite(value) else None


def _hover(trial: FrozenTrial) -> str:
    lines = [
        f"trial {trial.number}",
        *(f"{escape(k)} = {escape(number(v))}" for k, v in trial.params.items()),
    ]
    return "<br>".join(lines)


def _counted(outcome: Outcome) -> str:
    states = ("complete", "pruned", "fail", "running", "waiting", "requeued")
    words = {"fail": "failed"}
    told = [f"{outcome.counts[state]} {words.get(state, state)}" for state in states if outcome.counts[state]]
    line = f"Trials: {', '.join(told) or 'none'}."
    if outcome.best is not None:
        line += f" Best: trial {outcome.best.number}, {outcome.metric_names[0]} {number(outcome.best.values[0])}"
        default = outcome.default_value
        line += "." if default is None else f"; default config {number(default)}."
    return line
