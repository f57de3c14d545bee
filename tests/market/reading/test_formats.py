"""docs/data.md against what is built: every format and option is there, and its lines are recognised as it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from fxai.config.data import FILE_OPTIONS, FileFormat
from fxai.errors import DataError
from fxai.market.reading.formats import BY_NAME, find_layout
from fxai.market.reading.layout import take_apart

TEXT = (Path(__file__).parents[3] / "docs" / "data.md").read_text(encoding="utf-8")

HEADERS = {
    "dukascopy": "Gmt time,Open,High,Low,Close,Volume",
    "metatrader": "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
    "yfinance": "Date,Open,High,Low,Close,Adj Close,Volume",
    "table": "time,open,high,low,close",
}


def rows() -> list[tuple[str, str]]:
    """Name and example line of each row of the table of formats that shows a whole line of text."""
    found = re.findall(r"^\| `(\w+)`[^|]*\|[^|]*\| `([^`]*)` \|", TEXT, flags=re.MULTILINE)
    return [(name, line.replace("⇥", "\t")) for name, line in found if "…" not in line]


def test_every_format_and_option_is_documented():
    assert set(BY_NAME) | {"auto", "oanda"} == set(get_args(FileFormat))
    for name in get_args(FileFormat):
        assert f"`{name}`" in TEXT
    for option in set(FILE_OPTIONS) - {"path"}:
        assert f"| `{option}` |" in TEXT


def test_lines_of_the_documentation_are_recognised():
    assert len(rows()) >= 7
    for name, line in rows():
        bare = take_apart("file", f"{HEADERS[name]}\n{line}\n" if name in HEADERS else f"{line}\n", whole=True)
        named = find_layout(bare, name)
        if name != "histdata_mt":  # which nothing but the option tells
            assert find_layout(bare, "auto").label == named.label


def test_a_table_is_what_everything_else_is():
    with pytest.raises(DataError, match="no column is named time"):
        find_layout(take_apart("file", "a,b\n1,2\n", whole=True), "auto")
