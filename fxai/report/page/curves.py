"""Equity of the best trial over its validation episodes, and how the best and the default trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fxai.report.baselines import BASELINE_EQUITY
from fxai.report.curve_files import Columns, read_columns
from fxai.report.figure import BLUE, GREEN, GREY, ORANGE
from fxai.report.html import escape
from fxai.report.page.subject import Told
from fxai.report.plots import Drawn
from fxai.report.plots.grid import Grid, axis_suffix, panel_layout
from fxai.report.text import clean
from fxai.study.trial_files import EQUITY, EQUITY_COLUMNS, LEARNING_CURVE, trial_folder

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_TRAINING = {
    "entropy": "entropy of the policy",
    "value_loss": "value loss",
    "explained_variance": "explained variance",
    "approx_kl": "approximate KL per update",
    "clip_fraction": "share of clipped ratios",
    "step_reward": "reward per step",
}
"""Columns of a learning curve that tell how a training went; drawn where they are there."""

_MOST_POINTS = 120


def equity(told: Told) -> Drawn:
    """Mean equity by bars since the episodes' begin."""
    best, default = _curve(told, told.outcome.best, EQUITY), _curve(told, told.outcome.default, EQUITY)
    figure = None
    if best is not None and told.outcome.best is not None:
        same = told.outcome.default is not None and told.outcome.default.number == told.outcome.best.number
        figure = _equity_figure(told, best, None if same else default)
    return Drawn(
        name="best_equity",
        title="Equity of the best trial on validation",
        reading="What one unit of capital became, mean over the fixed validation episodes, by bars since an episode's "
        "begin; the band holds the middle 80% of the best trial's episodes. The best trial was chosen on these very "
        "episodes, so its curve flatters it. Instruments appear with a click on their names.",
        figure=figure,
        remark="" if figure is not None else "There is no equity curve of the best trial.",
        height_px=480,
    )


def training(told: Told) -> Drawn:
    """How the best and the default trained, panel by panel."""
    start = told.outcome.start_word
    found = {
        name: curve
        for name, trial in (("best", told.outcome.best), (start, told.outcome.default))
        if (curve := _curve(told, trial, LEARNING_CURVE)) is not None
    }
    if told.outcome.best is not None and told.outcome.best is told.outcome.default:
        found.pop(start, None)
    names = [name for name in _TRAINING if any(curve.points("update", name) for curve in found.values())]
    return Drawn(
        name="best_training",
        title=f"How the best and the {told.outcome.start} trained",
        reading="Entropy that falls to 0 early means that the policy stopped exploring; an explained variance near 0 "
        "means that the value function predicts nothing.",
        figure=_training_figure(found, names) if names else None,
        remark="" if names else "There is no learning curve of the best trial or of trial 0.",
        height_px=_grid(len(names)).height_px if names else 0,
    )


def _curve(told: Told, trial: FrozenTrial | None, name: str) -> Columns | None:
    return None if trial is None else read_columns(trial_folder(told.folder, trial.number) / name)


def _equity_figure(told: Told, best: Columns, default: Columns | None) -> Any:
    import plotly.graph_objects as go

    assert told.outcome.best is not None
    low, high = best.points("bar", "low"), best.points("bar", "high")
    x, y = zip(*(low + high[::-1]), strict=True) if low and high else ((), ())
    band = go.Scatter(
        x=x, y=_short(y), fill="toself", fillcolor="rgba(0,114,178,0.15)", line={"width": 0}, hoverinfo="skip",
        showlegend=False,
    )  # fmt: skip
    traces = [band, _line(f"best (trial {told.outcome.best.number})", best.points("bar", "mean"), BLUE, width=2.5)]
    if default is not None:
        traces.append(_line(told.outcome.start, default.points("bar", "mean"), ORANGE, dash="dash"))
    others = read_columns(told.folder / BASELINE_EQUITY)
    if others is not None and told.baselines is not None:  # without: of other data, or of another spec
        colours = (GREY, GREEN, "#cc79a7", "#e69f00")
        for name, colour in zip([n for n in others.names if n != "bar"], colours, strict=False):
            far = name == "hindsight"
            traces.append(_line(name, others.points("bar", name), colour, dash="dot", hidden=far))
    for name in best.names:
        if name not in EQUITY_COLUMNS:
            traces.append(_line(f"best on {clean(name, 30)}", best.points("bar", name), None, hidden=True))
    layout = {
        "template": "plotly_white",
        "hovermode": "x unified",
        "margin": {"t": 20, "r": 20, "l": 60, "b": 40},
        "legend": {"orientation": "h", "y": -0.18, "yanchor": "top"},
        "xaxis": {"title": {"text": "bar of the episode"}},
        "yaxis": {"title": {"text": "equity, 1 at the begin"}, "hoverformat": ".4f"},
    }
    return go.Figure(traces, layout)


def _training_figure(found: dict[str, Columns], names: Sequence[str]) -> Any:
    import plotly.graph_objects as go

    traces = []
    for panel, name in enumerate(names):
        for who, curve in found.items():
            colour, dash = (BLUE, "solid") if who == "best" else (ORANGE, "dash")
            trace = _line(who, curve.points("update", name), colour, dash=dash)
            suffix = axis_suffix(panel)
            trace.update(xaxis=f"x{suffix}", yaxis=f"y{suffix}", legendgroup=who, showlegend=panel == 0)
            traces.append(trace)
    xaxes = [{"title": {"text": "update"}} for _ in names]
    yaxes = [{"title": {"text": _TRAINING[name]}} for name in names]
    return go.Figure(traces, panel_layout(_grid(len(names)), xaxes, yaxes))


def _grid(panels: int) -> Grid:
    return Grid(
        panels=panels, most=3, width=340, height=250, gap_x=100, gap_y=65, shared=False, top=20, bottom=90
    )  # fmt: skip


def _line(
    name: str,
    points: Sequence[tuple[float, float]],
    colour: str | None,
    *,
    dash: str = "solid",
    width: float = 1.5,
    hidden: bool = False,
) -> Any:
    import plotly.graph_objects as go

    step = max(1, -(-len(points) // _MOST_POINTS))
    kept = [*points[:-1:step], *points[-1:]]
    return go.Scatter(
        x=[x for x, _ in kept],
        y=_short([y for _, y in kept]),
        mode="lines",
        name=escape(name),
        visible="legendonly" if hidden else True,
        line={"dash": dash, "width": width} | ({} if colour is None else {"color": colour}),
    )


def _short(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
