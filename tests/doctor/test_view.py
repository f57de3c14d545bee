"""What is printed: words before colours, commands unbroken, nothing that a terminal obeys, no password."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from fxai.doctor.finding import Finding, note, of_error, ok, wrong
from fxai.doctor.view import as_json, print_findings, summary
from fxai.errors import StorageError

LONG = " ".join(["word"] * 60)


def printed(findings: list[Finding], width: int = 80, terminal: bool = True) -> str:
    stream = io.StringIO()
    print_findings(Console(file=stream, width=width, force_terminal=terminal, color_system=None), findings)
    return stream.getvalue()


def test_a_line_for_each_finding_and_its_hint_below() -> None:
    text = printed([ok("cores", "2"), wrong("disk", "full", "free some")])
    assert text.splitlines()[:3] == [
        "ok      cores      2",
        "wrong   disk       full",
        "        hint: free some",
    ]
    assert text.splitlines()[-1] == "1 wrong"


@pytest.mark.parametrize("width", [80, 140])
def test_texts_are_broken_at_blanks_and_hints_never(width: int) -> None:
    lines = printed([wrong("disk", LONG, LONG)], width).splitlines()
    assert all(len(line) <= width for line in lines if "hint" not in line)
    assert f"        hint: {LONG}" in lines
    assert " ".join(part for line in lines[:-3] for part in line[19:].split()) == LONG


def test_what_is_no_terminal_gets_one_line_for_each() -> None:
    assert f"wrong   disk       {LONG}" in printed([wrong("disk", LONG, "x")], terminal=False).splitlines()


def test_a_hint_is_said_once_for_all_that_it_mends() -> None:
    text = printed([wrong("trials", "trial 1", "repair"), wrong("trials", "trial 2", "repair"), note("trials", "3")])
    assert text.count("hint: repair") == 1
    assert text.index("trial 2") < text.index("hint: repair")


def test_escapes_and_passwords_are_not_printed() -> None:
    told = [
        wrong("trials", "\x1b[2Jname", "psql postgresql://me:secret@host/db"),
        of_error("database", StorageError("x"), "y"),
    ]
    for text in (printed(told), as_json(told)):
        assert "\x1b" not in text
        assert "secret" not in text
        assert "postgresql://me:***@host/db" in text


def test_scripts_get_all_of_it() -> None:
    told = json.loads(as_json([ok("cores", "2", usable=2), wrong("disk", "full", "free some", free_bytes=0)]))
    assert told["wrong"] == 1
    assert told["findings"][1] == {
        "check": "disk",
        "verdict": "wrong",
        "text": "full",
        "hint": "free some",
        "facts": {"free_bytes": 0},
    }


def test_the_sum() -> None:
    assert summary([ok("a", "b")]) == "nothing is wrong"
    assert summary([note("a", "b"), note("a", "b")]) == "nothing is wrong, 2 notes"
