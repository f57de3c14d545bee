"""What the doctor prints: a line for each finding, what mends it below, and a sum at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

from fxai.doctor.finding import Finding
from fxai.report.text import clean, count, wrapped
from fxai.secrets import redact

_STYLES = {"ok": "green", "note": "yellow", "wrong": "bold red", "mended": "cyan"}
_WORD, _CHECK = 8, 11
"""Widths of the columns."""

_UNBROKEN = 10_000
"""Columns of what is no terminal: a finding stays on one line."""


def print_findings(console: Console, findings: Sequence[Finding]) -> None:
    """For people; every text is clean of what a terminal obeys and of passwords."""
    width = console.width if console.is_terminal else _UNBROKEN
    for _, group in groupby(findings, key=lambda one: (one.check, one.verdict, one.hint)):
        alike = list(group)
        for one in alike:
            _print_line(console, one, width)
        if alike[0].hint is not None:  # said once for all that it mends
            console.print(Text(f"{'':{_WORD}}hint: {_shown(alike[0].hint)}"), soft_wrap=True)
    console.print()
    console.print(Text(summary(findings)), soft_wrap=True)


def _print_line(console: Console, one: Finding, width: int) -> None:
    head = _WORD + _CHECK
    lines = wrapped(_shown(one.text), max(30, width - head), indent="").splitlines() or [""]
    for i, line in enumerate(lines):
        text = Text(f"{'' if i else one.verdict:<{_WORD}}{'' if i else one.check:<{_CHECK}}{line}")
        if not i:
            text.stylize(_STYLES[one.verdict], 0, len(one.verdict))
        console.print(text, soft_wrap=True)


def summary(findings: Sequence[Finding]) -> str:
    """How many are wrong."""
    many = [sum(one.verdict == verdict for one in findings) for verdict in ("wrong", "note", "mended")]
    told = "nothing is wrong" if not many[0] else f"{many[0]} wrong"
    told += f", {count(many[1], 'note')}" if many[1] else ""
    return told + (f", {many[2]} mended" if many[2] else "")


def as_json(findings: Sequence[Finding]) -> str:
    """For scripts."""
    return json.dumps(
        {"wrong": sum(f.verdict == "wrong" for f in findings), "findings": [*map(_record, findings)]}, indent=2
    )


def _record(one: Finding) -> dict[str, Any]:
    hint = None if one.hint is None else redact(one.hint)
    return {"check": one.check, "verdict": one.verdict, "text": redact(one.text), "hint": hint, "facts": one.facts}


def _shown(text: str) -> str:
    return clean(redact(text), 2000)
