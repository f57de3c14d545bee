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
  theme.annotationdefaults = {...theme.annotationdefaults, bgcolor: page};
  for (const axis of ['xaxis', 'yaxis'])
    theme[axis] = {...theme[axis], gridcolor: line, linecolor: line, zerolinecolor: line};
  columns = arrange(figure.layout);
  // a finger that drags over a figure scrolls the page
  if (matchMedia('(pointer: coarse)').matches) figure.layout.dragmode = false;
  Plotly.newPlot(place, figure.data, figure.layout, options);
};
const columnsOf = grid => Math.max(1, Math.min(grid.most, grid.panels, Math.floor(place.clientWidth / grid.width)));
const arrange = layout => {
  const grid = (layout.meta || {}).grid;
  if (!grid) return 0;
  const columns = columnsOf(grid), rows = Math.ceil(grid.panels / columns), margin = layout.margin;
  const down = rows * grid.height - grid.gap_y, across = Math.max(50, place.clientWidth - margin.l - margin.r);
  const cell = (across + grid.gap_x) / columns;
  place.style.height = `${down + margin.t + margin.b}px`;
  for (let i = 0; i < grid.panels; i++) {
    const row = Math.floor(i / columns), column = i % columns, suffix = i ? i + 1 : '';
    const x = layout['xaxis' + suffix], y = layout['yaxis' + suffix], top = 1 - row * grid.height / down;
    x.domain = [column * cell / across, Math.min(1, (column * cell + cell - grid.gap_x) / across)];
    y.domain = [Math.max(0, top - (grid.height - grid.gap_y) / down), top];
    if (grid.shared) {
      y.showticklabels = column === 0;
      y.title = {...y.title, text: column ? '' : grid.title};
    }
  }
  return columns;
};
let columns = 0;
place.textContent = '';
show();
if (choice) choice.addEventListener('change', show);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
addEventListener('resize', () => {
  const grid = (figures[0].layout.meta || {}).grid;
  if (grid && columnsOf(grid) !== columns) show();
});
"""
"""The page's own colours are read from its style sheet: a figure follows it into the dark, where blue is lighter.
Panels of a grid (`fxai.report.plots.grid`) take as many columns as the page has room for."""


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


def place(element: str, height_px: int, min_width_px: int = 0) -> str:
    """Where a figure is drawn; the text shows where it cannot be. On a screen narrower than it needs it scrolls."""
    least = f"; min-width: {min_width_px}px" if min_width_px else ""
    box = (
        f'<div class="figure" id="{element}" style="height: {height_px}px{least}">This figure needs JavaScript and '
        f"{PLOTLY_JS} beside this page.</div>"
    )
    return f'<div class="scroll">{box}</div>' if min_width_px else box


def selector(element: str, label: str, options: Sequence[str]) -> str:
    """A choice among the figures of `draw_choice`, in their order."""
    items = "".join(f"<option>{escape(option)}</option>" for option in options)
    return f'<p><label>{escape(label)} <select id="{element}-choice">{items}</select></label></p>'
