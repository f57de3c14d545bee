"""Figures in a page: plotly's script, its colours, and the few lines of JavaScript that draw in light and dark.

plotly is imported only once something is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fxai.report.html import escape

PLOTLY_JS = "plotly.min.js"
"""Shared by all pages of a study's folder: 4.8 MB once instead of in each."""

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#999999"
"""Okabe and Ito's colours, told apart by colour-blind eyes; shapes differ too."""


def plotly_js() -> str:
    """The plotly.js that belongs to the installed plotly."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


_OPTIONS = """{
  responsive: true, displaylogo: false, doubleClick: 'autosize',
  showSendToCloud: false, plotlyServerURL: '', modeBarButtonsToRemove: ['select2d', 'lasso2d']
}"""
"""plotly.js 4 has by default a button that uploads the figure to its maker's cloud: never here."""

_SHOW = """
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const show = () => {
  const chosen = JSON.stringify(figures[choice ? choice.selectedIndex : 0]).replaceAll(blue, colour('--blue'));
  const figure = JSON.parse(chosen), theme = figure.layout.template.layout;
  const text = colour('--text'), page = colour('--page'), line = colour('--line');
  Object.assign(theme, {paper_bgcolor: page, plot_bgcolor: page});
  theme.font = {...theme.font, color: text};
  theme.hoverlabel = {...theme.hoverlabel, bgcolor: page, bordercolor: line, font: {color: text}};
  for (const axis of ['xaxis', 'yaxis'])
    theme[axis] = {...theme[axis], gridcolor: line, linecolor: line, zerolinecolor: line};
  Plotly.newPlot(place, figure.data, figure.layout, options);
};
place.textContent = '';
show();
if (choice) choice.addEventListener('change', show);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
"""
"""The page's own colours are read from its style sheet: a figure follows it into the dark, where blue is lighter."""


def draw(figure: Any, element: str) -> str:
    """Script that draws a plotly figure into the element of that id; `to_json` escapes <, > and /."""
    return draw_choice([figure], element)


def draw_choice(figures: Sequence[Any], element: str) -> str:
    """Script that draws the figure that the reader chooses (`selector`)."""
    texts = ",\n".join(figure.to_json() for figure in figures)
    return (
        f"(() => {{ const figures = [{texts}], place = document.getElementById('{element}'),\n"
        f"choice = document.getElementById('{element}-choice'), blue = '{BLUE}', options = {_OPTIONS};{_SHOW}}})();"
    )


def place(element: str, height_px: int) -> str:
    """Where a figure is drawn; the text shows where it cannot be."""
    return (
        f'<div class="figure" id="{element}" style="height: {height_px}px">This figure needs JavaScript and '
        f"{PLOTLY_JS} beside this page.</div>"
    )


def selector(element: str, label: str, options: Sequence[str]) -> str:
    """A choice among the figures of `draw_choice`, in their order."""
    items = "".join(f"<option>{escape(option)}</option>" for option in options)
    return f'<p><label>{escape(label)} <select id="{element}-choice">{items}</select></label></p>'
