"""Small line charts as SVG pictures, for places that show pictures and run no scripts: the dashboard's notes.

A picture has a white ground of its own, since it cannot know whether the page around it is light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fxai.report.figure import BLUE
from fxai.report.html import escape
from fxai.report.text import number

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 720, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 74, 16, 34, 42
"""Margins, px."""

_MOST_POINTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve."""

    name: str
    points: Points
    colour: str = BLUE
    dashed: bool = False


def line_chart(title: str, x_title: str, lines: Sequence[Line], band: tuple[Points, Points] | None = None) -> str:
    """An SVG document; `band` is filled between its lower and its upper edge. Without a point it says so."""
    shown = [line for line in lines if line.points]
    everything = [point for line in shown for point in line.points] + [p for edge in band or () for p in edge]
    if not everything:
        return _document(title, [_text(WIDTH / 2, HEIGHT / 2, "nothing was reported", "middle")])
    x, y = (
        _Axis([p[0] for p in everything], _LEFT, WIDTH - _RIGHT),
        _Axis([p[1] for p in everything], HEIGHT - _BOTTOM, _TOP, margin=0.05),
    )
    parts = [*_grid(x, y), _text(WIDTH - _RIGHT, HEIGHT - 8, x_title, "end")]
    if band is not None and all(band):
        outline = [*band[0], *reversed(band[1])]
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in outline)
        parts.append(f'<polygon points="{path}" fill="{BLUE}" fill-opacity="0.15"/>')
    parts += [_polyline(line, x, y) for line in shown]
    return _document(title, [*parts, *_legend(shown)])


class _Axis:
    """From values to pixels, with ticks at round numbers."""

    def __init__(self, values: Sequence[float], begin: float, end: float, margin: float = 0.0) -> None:
        low, high = min(values), max(values)
        if high - low <= 1e-12 * max(abs(low), abs(high)):
            low, high = low - (abs(low) * 0.01 or 1.0), high + (abs(high) * 0.01 or 1.0)
        spare = margin * (high - low)
        self.low, self.high, self._begin, self._end = low - spare, high + spare, begin, end

    def __call__(self, value: float) -> float:
        return self._begin + (value - self.low) / (self.high - self.low) * (self._end - self._begin)

    def ticks(self, about: int) -> list[float]:
        """Round numbers inside."""
        raw = (self.high - self.low) / about
        scale = 10.0 ** math.floor(math.log10(raw))
        step = next(nice * scale for nice in (1, 2, 5, 10) if nice * scale >= raw * (1 - 1e-9))
        first = math.ceil(self.low / step)
        return [i * step for i in range(first, math.floor(self.high / step) + 1)]


def _grid(x: _Axis, y: _Axis) -> list[str]:
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    rows = [
        f'<line x1="{_LEFT}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>'
        + _text(_LEFT - 8, y(tick) + 5, _tick(tick), "end")
        for tick in y.ticks(5)
    ]
    return rows + [_text(x(tick), bottom + 18, _tick(tick), "middle") for tick in x.ticks(6)]


def _tick(value: float) -> str:
    return number(round(value, 12) + 0.0)


def _polyline(line: Line, x: _Axis, y: _Axis) -> str:
    step = math.ceil(len(line.points) / _MOST_POINTS)
    kept = [*line.points[:-1:step], line.points[-1]]
    path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in kept)
    dash = ' stroke-dasharray="6 4"' if line.dashed else ""
    drawn = f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="2"{dash}/>'
    if len(kept) > 30:
        return drawn
    dots = "".join(f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="2.5" fill="{line.colour}"/>' for a, b in kept)
    return drawn + dots


def _legend(lines: Sequence[Line]) -> list[str]:
    if len(lines) < 2:
        return []
    parts, at = [], float(WIDTH - _RIGHT)
    for line in reversed(lines):
        at -= 8.0 * len(line.name[:30])
        dash = ' stroke-dasharray="6 4"' if line.dashed else ""
        parts.append(_text(at, 20, line.name[:30], "start"))
        parts.append(
            f'<line x1="{at - 26:.0f}" x2="{at - 6:.0f}" y1="15" y2="15" stroke="{line.colour}" '
            f'stroke-width="2"{dash}/>'
        )
        at -= 40
    return parts


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words, 60)}</text>'


def _document(title: str, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" role="img" font-family="system-ui, sans-serif" font-size="14" fill="#333">',
            f"<title>{escape(title)}</title>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            f'<text x="12" y="20" font-weight="600">{escape(title, 60)}</text>',
            *parts,
            "</svg>",
            "",
        ]
    )
