"""docs/faults.md names every fault, and points to tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ")]
DATA = TEXT.partition("## Numbers and data")[2].partition("\n## ")[0]
KNOWN = [number for number in range(1, 76) if number != 24]
"""There is no F24."""


def numbers_of(row: str) -> set[int]:
    """Of the faults in a row's first cell: `F1, F6` and `F33–F35`."""
    found: set[int] = set()
    for first, last in re.findall(r"F(\d+)(?:–F?(\d+))?", row.split("|")[1]):
        found |= set(range(int(first), int(last or first) + 1))
    return found


@pytest.mark.parametrize("pointer", sorted(set(re.findall(r"`(tests/[\w/.]+(?:::\w+)?)`", TEXT))))
def test_every_test_that_is_named_exists(pointer: str) -> None:
    path, _, name = pointer.partition("::")
    assert (ROOT / path).exists()
    assert not name or re.search(rf"^def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.M), pointer


@pytest.mark.parametrize("number", KNOWN)
def test_each_fault_has_a_row_that_points_to_a_test(number: int) -> None:
    rows = [row for row in ROWS if number in numbers_of(row)]
    assert rows, f"F{number} has no row"
    assert all(re.search(r"`tests/[\w/]+\.py(?:::\w+)?`", row.split("|")[-2]) for row in rows), rows


def test_no_row_is_of_a_fault_that_there_is_not() -> None:
    assert {number for row in ROWS for number in numbers_of(row)} == set(KNOWN)


@pytest.mark.parametrize("number", range(49, 62))
def test_each_fault_of_numbers_and_data_points_to_a_test(number: int) -> None:
    rows = [line for line in DATA.splitlines() if re.match(rf"\| F{number}\b", line)]
    assert rows, f"F{number} has no row"
    assert all(re.search(r"`tests/[\w/.]+::\w+`", row) for row in rows)
