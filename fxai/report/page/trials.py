"""The table of trials, sorted by a click on a heading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fxai.report.html import escape, heading, paragraphs
from fxai.report.outcome import Outcome, duration_s, first_value, is_feasible
from fxai.report.page.subject import Told
from fxai.report.text import NOTHING, TOO_FEW_TRADES, duration, number, short_names

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MAX_ROWS = 400
"""Of more trials the best and the latest are shown, half and half."""


def trials(told: Told) -> str:
    """Number, state, value, time and parameters of each trial."""
    outcome = told.outcome
    shown, left_out = chosen(outcome)
    short = short_names(parameter.name for parameter in told.spec.parameters)
    header = ["trial", "state", *outcome.metric_names, "time", *short.values()]
    head = "".join(f"<th><button>{escape(cell)}</button></th>" for cell in header)
    lines = [f"<tr{_class(outcome, trial)}>{''.join(_cells(outcome, trial, list(short)))}</tr>" for trial in shown]
    note = paragraphs([*left_out, "A click on a heading sorts by it."], "note")
    opening = f'<div class="scroll tall"><table id="trial-table"><thead><tr>{head}</tr></thead><tbody>'
    return "\n".join([heading("Trials"), note, opening, *lines, "</tbody></table></div>"])


def chosen(outcome: Outcome) -> tuple[list[FrozenTrial], list[str]]:
    """The trials of the table, the best first, and the sentence that says which are left out."""
    sign = -1.0 if outcome.directions[0] == "maximize" else 1.0
    completed = sorted(outcome.completed, key=lambda trial: (not is_feasible(trial), sign * first_value(trial)))
    done = {trial.number for trial in completed}
    others = [trial for trial in outcome.trials if trial.number not in done]
    if len(outcome.trials) <= MAX_ROWS:
        return [*completed, *others], []
    best = completed[: MAX_ROWS // 2]
    told = {trial.number for trial in best}
    if outcome.default is not None and outcome.default.number not in told:
        best, told = [*best, outcome.default], told | {outcome.default.number}
    latest = [trial for trial in reversed(outcome.trials) if trial.number not in told][: MAX_ROWS - len(best)]
    note = (
        f"The best {len(best)} and the latest {len(latest)} others of {len(outcome.trials):,} trials; the results file "
        "has all of them."
    )
    return [*best, *latest], [note]


def _class(outcome: Outcome, trial: FrozenTrial) -> str:
    if outcome.best is not None and trial.number == outcome.best.number:
        return ' class="best"'
    return ' class="default"' if outcome.default is not None and trial.number == outcome.default.number else ""


def _cells(outcome: Outcome, trial: FrozenTrial, names: list[str]) -> list[str]:
    values = trial.values or [None] * len(outcome.metric_names)
    seconds = duration_s(trial)
    cells = [f"<td>{trial.number}</td>", f"<td>{escape(_state(outcome, trial))}</td>"]
    cells += [_number(value) for value in values]
    cells.append(f'<td data-v="{-1 if seconds is None else round(seconds, 1)}">{duration(seconds)}</td>')
    return cells + [_number(trial.params[name]) if name in trial.params else "<td></td>" for name in names]


def _number(value: object) -> str:
    return f"<td>{NOTHING if value is None else escape(number(value))}</td>"


def _state(outcome: Outcome, trial: FrozenTrial) -> str:
    state = {"FAIL": "failed"}.get(trial.state.name, trial.state.name.lower())
    if "requeued_as" in trial.user_attrs:
        state = "requeued"
    if trial.state.name == "COMPLETE" and not is_feasible(trial):
        state = TOO_FEW_TRADES
    if outcome.best is not None and trial.number == outcome.best.number:
        return f"{state}, best"
    if outcome.default is not None and trial.number == outcome.default.number:
        return f"{state}, {outcome.start_word}"
    return state


SORT = """
(() => {
  const table = document.getElementById('trial-table'), body = table && table.tBodies[0];
  if (!body) return;
  const key = (row, i) => row.cells[i].dataset.v || row.cells[i].textContent;
  [...table.tHead.rows[0].cells].forEach((head, i) => head.addEventListener('click', () => {
    const up = head.getAttribute('aria-sort') !== 'ascending';
    for (const other of table.tHead.rows[0].cells) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const compare = (a, b) => {
      const x = key(a, i), y = key(b, i), m = parseFloat(x), n = parseFloat(y);
      if (isNaN(m) !== isNaN(n)) return isNaN(m) ? 1 : -1;
      const order = isNaN(m) ? x.localeCompare(y) : m - n;
      return up ? order : -order;
    };
    body.append(...[...body.rows].sort(compare));
  }));
})();
"""
"""Numbers by their value, others by their letters; empty cells last."""
