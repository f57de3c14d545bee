"""Importances of the parameters as bars, with the spread that chance alone gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fxai.report.figure import BLUE, GREY
from fxai.report.html import escape
from fxai.report.plots.drawn import Drawn
from fxai.report.plots.subject import Subject
from fxai.report.text import clean, short_names

if TYPE_CHECKING:
    from fxai.report.insights import Importance

LUCK = "may be luck"


def importances(subject: Subject) -> Drawn:
    """One bar for each parameter."""
    told = subject.weights.importances
    return Drawn(
        name="param_importances",
        title="parameter importances",
        reading="The longer a bar, the more of what the parameters explain goes with this one: above 0.1 it "
        "matters, between 0.05 and 0.1 a little, below 0.05 hardly. The thin line is how far it would move with other "
        "trials of the same search; pale bars may be luck, however long.",
        figure=importance_figure(told) if told else None,
        remark=subject.weights.note,
        height_px=110 + 26 * max(3, len(told)),
    )


def importance_figure(told: Sequence[Importance]) -> Any:
    """Bars, the longest at the top, with lines at the bounds of the three bands."""
    import plotly.graph_objects as go

    from fxai.report.insights import HIGH, LOW

    figure = go.Figure()
    # an alpha in the colour, not an opacity, which the legend would not show
    for name, clear, alpha in (("told apart from luck", True, "e6"), (LUCK, False, "59")):
        rows = [i for i, importance in enumerate(told) if importance.clear is clear]
        if rows:
            own = [told[i] for i in rows]
            figure.add_bar(
                y=rows,
                x=[round(each.value, 4) for each in own],
                error_x={
                    "array": [round(max(0.0, each.high - each.value), 4) for each in own],
                    "arrayminus": [round(max(0.0, each.value - each.low), 4) for each in own],
                    "color": GREY,
                    "thickness": 1.2,
                    "width": 3,
                },
                customdata=[f"{escape(each.name)}<br>{each.low:.3f} to {each.high:.3f}" for each in own],
                hovertemplate="%{x:.3f} %{customdata}<extra>%{fullData.name}</extra>",
                orientation="h",
                name=name,
                marker={"color": f"{BLUE}{alpha}", "line": {"width": 0}},
            )
    for bound in (HIGH, LOW):
        figure.add_vline(x=bound, line={"color": GREY, "width": 1, "dash": "dot"}, layer="below")
    figure.update_layout(_layout(told))
    return figure


def _layout(told: Sequence[Importance]) -> dict[str, Any]:
    short = short_names(importance.name for importance in told)
    highest = max(max(importance.value, importance.high) for importance in told)
    return dict(
        template="plotly_white",
        margin={"t": 20, "r": 20, "b": 90},
        bargap=0.3,
        barmode="overlay",
        showlegend=True,
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        xaxis={"title": {"text": "importance (all together: 1)"}, "range": [0, max(0.12, 1.05 * highest)]},
        yaxis={
            "tickvals": list(range(len(told))),
            "ticktext": [escape(clean(short[each.name], 26)) for each in told],
            "range": [len(told) - 0.4, -0.6],
            "automargin": True,
        },
    )
