"""Lines of a text, which end where files end them."""

from __future__ import annotations

from pathlib import Path

import pytest
from market.files import read, values

from fxai.market.reading.layout import lines_of, take_apart

STRANGE = "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
"""Where str.splitlines splits and no reader of CSV does."""


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\nb\n", ["a", "b"]),
        ("a\r\nb\rc", ["a", "b", "c"]),
        ("a\n\nb\n\n", ["a", "", "b", ""]),
        ("\r\n", [""]),
        ("", []),
        (f"a{STRANGE}b\nc", [f"a{STRANGE}b", "c"]),
    ],
)
def test_lines(text: str, lines: list[str]):
    assert lines_of(text) == lines


def test_the_last_line_of_a_sample_may_be_cut_short():
    assert take_apart("a", "x,y\n1,2\n3,", whole=False).lines == ("x,y", "1,2")
    assert take_apart("a", "x,y\n1,2\n3,", whole=True).lines == ("x,y", "1,2", "3,")


@pytest.mark.parametrize("character", STRANGE)
def test_cells_may_hold_what_unicode_calls_the_end_of_a_line(tmp_path: Path, character: str):
    text = f"time,a{character}remark,close\n2024-01-01,x{character}y,1.5\n2024-01-02,,2.5\n"
    raw = read(tmp_path, text, timezone="UTC")
    assert values(raw) == {"close": [1.5, 2.5]}
    assert raw.source.at(1).endswith(":3")
