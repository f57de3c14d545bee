"""The Pareto front of a study with several objectives: what no other trial beats in all of them."""

from __future__ import annotations

from rich.console import Console

from fxai.report.outcome import Outcome, metrics_of
from fxai.report.tables import print_table
from fxai.report.text import assignments, clean, count, metric

_WIDE = 100
"""Columns of a terminal from which parameters stand beside the values."""

_NAMED = 12
"""Trials of a front that are named in one line."""


def front_line(outcome: Outcome) -> str:
    """The front in a line: its trials, or how many there are."""
    numbers = [str(trial.number) for trial in outcome.front]
    told = f"trials {', '.join(numbers)}" if len(numbers) <= _NAMED else count(len(numbers), "trial")
    return f"{told}; the best by {clean(outcome.metric_names[0])} is shown"


def print_front(console: Console, outcome: Outcome) -> None:
    """Every trial of the front, the best by the first metric first; nothing where there is one objective.

    The trials must have been read whole: their number of trades and parameters stand beside the values.
    """
    if len(outcome.metric_names) < 2:
        return
    sign = -1 if outcome.directions[0] == "maximize" else 1
    front = sorted(outcome.front, key=lambda trial: (sign * trial.values[0], trial.number))
    wide = console.width >= _WIDE
    trades = any("n_trades" in metrics_of(trial) for trial in front) and "n_trades" not in outcome.metric_names
    directions = zip(outcome.metric_names, outcome.directions, strict=True)
    header = ["front", *(f"{clean(name)}\n({direction})" for name, direction in directions)]
    header += ["n_trades"] * trades + ["parameters"] * wide
    rows = []
    for trial in front:
        values = [metric(name, value) for name, value in zip(outcome.metric_names, trial.values, strict=True)]
        row = [f"trial {trial.number}", *values]
        row += [metric("n_trades", metrics_of(trial).get("n_trades"))] * trades
        rows.append([*row, *([assignments(trial.params)] if wide else [])])
    print_table(console, header, rows)
