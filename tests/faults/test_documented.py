"""docs/faults.md points to tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
DATA = TEXT.partition("## Numbers and data")[2].partition("\n## ")[0]


@pytest.mark.parametrize("pointer", sorted(set(re.findall(r"`(tests/[\w/.]+(?:::\w+)?)`", TEXT))))
def test_every_test_that_is_named_exists(pointer: str) -> None:
    path, _, name = pointer.partition("::")
    assert (ROOT / path).exists()
    assert not name or re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.M), pointer


@pytest.mark.parametrize("number", range(49, 62))
def test_each_fault_of_numbers_and_data_points_to_a_test(number: int) -> None:
    rows = [line for line in DATA.splitlines() if re.match(rf"\| F{number}\b", line)]
    assert rows, f"F{number} has no row"
    assert all(re.search(r"`tests/[\w/.]+::\w+`", row) for row in rows)
