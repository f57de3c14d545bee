"""Line charts as SVG: well-formed whatever the numbers and names, points where they belong."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from fxai.report.svg import HEIGHT, WIDTH, Line, line_chart

SVG = "{http://www.w3.org/2000/svg}"


def lines_of(text):
    root = ET.fromstring(text)
    return [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in root.iter(f"{SVG}polyline")
    ]


def test_the_corners_of_the_data_lie_at_the_corners_of_the_plot():
    (points,) = lines_of(line_chart("title", "x", [Line(name="a", points=[(0, 0), (10, 1)])]))
    # x from 74 to 720 − 16 = 704; y from 300 − 42 = 258 up to 34, with a twentieth of the range spare at either end:
    # 224 px for 1.1, so that 0.05 takes 10.18
    assert points == [(74.0, 247.8), (704.0, 44.2)]


@pytest.mark.parametrize(
    "points",
    [[(1, 5)], [(1, 0), (2, 0)], [(3, -1e-9), (4, 1e-9)], [(0, 1e12), (1, -1e12)], [(i, i % 7) for i in range(5000)]],
    ids=["one", "zero", "tiny", "huge", "many"],
)
def test_every_curve_is_drawn_inside(points):
    text = line_chart("title", "x", [Line(name="a", points=points)])
    (drawn,) = lines_of(text)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn)
    assert len(text) < 40_000
    assert 2 <= len(re.findall(r'text-anchor="end"', text)) <= 12


def test_nothing_to_draw_is_said():
    assert "nothing was reported" in line_chart("title", "x", [Line(name="a", points=[])])


def test_names_are_text():
    lines = [Line(name="<script>", points=[(0, 1)]), Line(name="&", points=[(0, 2)], dashed=True)]
    text = line_chart(
        '"><script>alert(1)</script>', "</text><script>", lines, band=([(0, 0), (1, 0)], [(0, 1), (1, 1)])
    )
    root = ET.fromstring(text)
    assert not list(root.iter(f"{SVG}script"))
    assert len(list(root.iter(f"{SVG}polygon"))) == 1
