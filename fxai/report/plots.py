"""Plots of a study as HTML pages; only this module and `equity` need plotly, once they draw.

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
from fxai.report.html import escape, page, paragraphs
from fxai.report.outcome import Outcome, is_feasible, outcome_of, remarks
from fxai.report.text import count, number

if TYPE_CHECKING:
    from fxai.study.spec import StudySpec

PLOTLY_JS = "plotly.min.js"
"""Shared by all pages of a study's folder: 4.8 MB once instead of in each."""

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#999999"
"""Okabe and Ito's colours, told apart by colour-blind eyes; shapes differ too."""


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
    write_text_atomic(path, history_page(outcome_of(study, spec.metric_names), spec))
    return [path]


def write_plotly_js(folder: Path) -> None:
    """Put plotly.min.js into the folder, unless that version is there already."""
    script, path = plotly_js().encode("utf-8"), folder / PLOTLY_JS
    if path.is_symlink() or not path.is_file() or path.read_bytes() != script:
        write_bytes_atomic(path, script)


def plotly_js() -> str:
    """The plotly.js that belongs to the installed plotly."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


_OPTIONS = """{
  responsive: true, displaylogo: false, doubleClick: 'autosize',
  showSendToCloud: false, plotlyServerURL: '', modeBarButtonsToRemove: ['select2d', 'lasso2d']
}"""
"""plotly.js 4 has by default a button that uploads the figure to its maker's cloud: never here."""


def draw(figure: Any, element: str) -> str:
    """Script that draws a plotly figure into the element of that id; `to_json` escapes <, > and /."""
    return (
        f"(() => {{ const figure = {figure.to_json()}, place = document.getElementById('{element}');\n"
        f"place.textContent = ''; Plotly.newPlot(place, figure.data, figure.layout, {_OPTIONS}); }})();"
    )


def place(element: str, height_px: int) -> str:
    """Where a figure is drawn; the text shows where it cannot be."""
    return (
        f'<div class="figure" id="{element}" style="height: {height_px}px">This figure needs JavaScript and '
        f"{PLOTLY_JS} beside this page.</div>"
    )


def history_page(outcome: Outcome, spec: StudySpec) -> str:
    """Every trial's value in the order of the trials, the default config and the running best marked."""
    title = f"{spec.study_name}: optimization history"
    said = [_counted(outcome)]
    if len(outcome.completed) == 1:
        said.append("One completed trial: there is no history to see yet.")
    said += remarks(outcome, min_trades=spec.base.evaluation.min_trades)
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
        legend={"orientation": "h", "y": 1.08},
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

    traces = [points("complete", *of(*outcome.completed), color=BLUE, size=7)]
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
