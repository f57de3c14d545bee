"""Many small panels in one figure, laid out by the page's script to as many columns as the screen has room for.

Python lays them out for a desk's width; `fxai.report.figure` does it again in the browser, from `layout.meta.grid`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

WIDTH_PX = 1100
"""Width of a page's figure on a desk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """How panels are laid out, in pixels."""

    panels: int
    most: int
    """Columns at most."""

    width: int
    """Of a panel at least, its gap included."""

    height: int
    """Of a panel, its gap included."""

    gap_x: int
    gap_y: int
    shared: bool
    """All panels have one y axis, whose title and ticks stand in the first column alone."""

    top: int
    bottom: int
    """Margins above and below."""

    @property
    def columns(self) -> int:
        """On a desk."""
        return max(1, min(self.most, self.panels, WIDTH_PX // self.width))

    @property
    def height_px(self) -> int:
        """Of the whole figure on a desk."""
        return math.ceil(self.panels / self.columns) * self.height - self.gap_y + self.top + self.bottom


def panel_layout(grid: Grid, xaxes: Sequence[dict[str, Any]], yaxes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Plotly's layout: the axes of each panel in their places, the legend below all of them."""
    columns, rows = grid.columns, math.ceil(grid.panels / grid.columns)
    across, down = WIDTH_PX - 90, rows * grid.height - grid.gap_y
    cell = (across + grid.gap_x) / columns
    layout: dict[str, Any] = {}
    for i, (xaxis, yaxis) in enumerate(zip(xaxes, yaxes, strict=True)):
        row, column = divmod(i, columns)
        left, top = column * cell / across, 1.0 - row * grid.height / down
        suffix = axis_suffix(i)
        layout[f"xaxis{suffix}"] = {
            **xaxis,
            "anchor": f"y{suffix}",
            "domain": [round(left, 5), round(min(1.0, left + (cell - grid.gap_x) / across), 5)],
        }
        y = {**yaxis, "anchor": f"x{suffix}"}
        y["domain"] = [round(max(0.0, top - (grid.height - grid.gap_y) / down), 5), round(top, 5)]
        if grid.shared and column:
            y |= {"showticklabels": False, "title": {"text": ""}}
        if grid.shared and i:
            y["matches"] = "y"
        layout[f"yaxis{suffix}"] = y
    title = yaxes[0]["title"]["text"] if grid.shared and yaxes else ""
    return layout | {
        "template": "plotly_white",
        "hovermode": "closest",
        "margin": {"t": grid.top, "b": grid.bottom, "l": 70, "r": 20},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom"},
        "meta": {"grid": asdict(grid) | {"title": title}},
    }


def axis_suffix(panel: int) -> str:
    """Plotly counts axes x, x2, x3."""
    return str(panel + 1) if panel else ""
