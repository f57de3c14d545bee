"""Insights in words, parameters with their importance, and what to do next."""

from __future__ import annotations

import re

from fxai.config.load import get_dotted
from fxai.report.html import escape, heading, paragraphs, raw_table
from fxai.report.insights import Importance
from fxai.report.page.subject import Told
from fxai.report.text import NOTHING, number
from fxai.study.space import Parameter


def lessons(told: Told) -> str:
    """What the study shows, each finding with its numbers and its advice."""
    findings = told.insights.findings
    parts = [heading("What the study shows")]
    if not findings:
        parts.append(paragraphs(["Nothing stands out: no finding that luck would not give as well."]))
    for finding in findings:
        kind = "finding warn" if finding.severity == "warning" else "finding"
        advice = f" <em>{coded(finding.advice)}</em>" if finding.advice else ""
        parts.append(f'<p class="{kind}">{coded(finding.text)}{advice}</p>')
    return "\n".join(parts)


def next_steps(told: Told) -> str:
    """What to do next."""
    if not told.insights.next_steps:
        return ""
    items = "".join(f"<li>{coded(step)}</li>" for step in told.insights.next_steps)
    return f"{heading('What to do next')}\n<ol>{items}</ol>"


def coded(text: str) -> str:
    """Escaped text, with what stands between backquotes as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, 2000))


def parameters(told: Told) -> str:
    """Every searched parameter: best, default, range, importance."""
    importances = {own.name: own for own in told.insights.importances}
    known = {parameter.name: parameter for parameter in told.spec.parameters}
    names = [*importances, *(name for name in known if name not in importances)]
    best = told.outcome.best.params if told.outcome.best is not None else {}
    rows = [_row(told, known[name], best, importances.get(name)) for name in names if name in known]
    note = told.insights.importance_note
    header = ["parameter", "best", told.outcome.start_word, "searched", "importance", "80% interval"]
    return "\n".join([heading("Parameters"), paragraphs([note] if note else [], "note"), raw_table(header, rows)])


def _row(told: Told, parameter: Parameter, best: dict[str, object], share: Importance | None) -> list[str]:
    name = parameter.name
    value = number(best[name]) if name in best else NOTHING
    default = number(get_dotted(told.spec.base, name))
    changed = ' class="changed"' if name in best and value != default else ""
    cells = [f"<td>{escape(name)}</td>", f"<td{changed}>{escape(value)}</td>", _cell(default), _cell(_range(parameter))]
    return [*cells, *_share(share)]


def _share(share: Importance | None) -> list[str]:
    if share is None:
        return [_cell(NOTHING), _cell("")]
    width = round(100 * min(max(share.value, 0.0), 1.0))
    bar = f'<span class="bar"><i style="width:{width}%"></i></span>'
    luck = "" if share.clear else ' <span class="soft">may be luck</span>'
    told = f"<td class='share'>{bar} {escape(f'{share.value:.2f}')} {escape(share.band)}{luck}</td>"
    return [told, _cell(f"{share.low:.2f} to {share.high:.2f}")]


def _range(parameter: Parameter) -> str:
    if parameter.choices is not None:
        return ", ".join(number(choice) for choice in parameter.choices)
    scale = ", log" if parameter.type.endswith("_log") else ""
    step = f", step {number(parameter.step)}" if parameter.step is not None else ""
    return f"{number(parameter.low)} to {number(parameter.high)}{scale}{step}"


def _cell(text: str) -> str:
    return f"<td>{escape(text)}</td>"
