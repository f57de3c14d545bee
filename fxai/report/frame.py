"""The picture of a running study: heading, progress bar, best so far, counts, a panel for each running trial, and a
table of the latest that have ended.

Pure: progress and terminal size in, a rich renderable out. Texts are `rich.text.Text`: no markup is parsed.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Literal

from rich import box
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fxai.report.progress import RunProgress, TrialRow
from fxai.report.text import TOO_FEW_TRADES, assignments, clean, done_of, duration, number, short_names

MOST_ROWS = 20
"""Trials in the table, on however tall a terminal."""

TABLE_ROOM = 9
"""Lines kept for the table where the parameters of the running trials would take all: heading and a few rows."""

INDENT = "  "
LEAST_BAR = 6

GAP = 2
"""Blanks between two columns: rich's padding and its invisible divider."""

STATE_STYLES = {
    "running": "cyan",
    "complete": "green",
    "pruned": "yellow",
    "fail": "bold red",
    "requeued": "magenta",
}
STATE_WORDS = {"fail": "failed"}
BROKEN_STYLE = "yellow"
"""Of a trial that completed and breaks a constraint."""


def finished_line(progress: RunProgress, row: TrialRow, metric: str) -> str:
    """What became of a trial, the best so far, and how much is left."""
    parts = [f"trial {row.number} {STATE_WORDS.get(row.state, row.state)} after {duration(row.duration_s)}"]
    if row.value is not None:
        parts[0] += f": {metric} {number(row.value)}"
    if not row.feasible:
        parts[0] += f", {TOO_FEW_TRADES} (evaluation.min_trades)"
    if row.error:
        parts[0] += f" ({clean(row.error, 300)})"
    if progress.best is not None:
        parts.append(f"best {number(progress.best[1])} in trial {progress.best[0]}")
    parts.append(f"{done_of(progress.done, progress.n_trials)} done")
    if progress.done < progress.n_trials:
        parts.append(_time_left(progress))
    return "; ".join(parts)


def _time_left(progress: RunProgress) -> str:
    left = progress.remaining_s
    if left is None:
        return "time left not known yet"
    return f"about {duration(left)} left" if left >= 1.0 else "last trials running"


def frame(progress: RunProgress, title: str, metric: str, *, width: int, height: int) -> RenderableType:
    """The whole picture, never taller than the terminal."""
    parts: list[RenderableType] = [
        _line(title, "bold"),
        _bar(progress, width),
        _line(_best(progress)),
        _line(_tally(progress)),
    ]
    left = height - len(parts) - 1
    panels = _panels(progress, metric, width, left - 1)
    if panels:
        parts += [Text(""), *panels]
        left -= len(panels) + 1
    return Group(*parts, *_ended(progress, metric, width, left))


def _ended(progress: RunProgress, metric: str, width: int, room: int) -> list[RenderableType]:
    """The table of the latest trials that have ended, in at most `room` lines; nothing where it does not fit."""
    columns, hidden = _columns(progress.latest(MOST_ROWS), metric, width)
    around = 1 + max(len(column.header) for column in columns) + 1 + bool(hidden)
    rows = progress.latest(min(MOST_ROWS, room - around))
    if not rows:
        return []
    parts: list[RenderableType] = [Text(""), _table(rows, columns, progress.best)]
    if hidden:
        parts.append(_line(f"not shown for want of width: {', '.join(hidden)}", "dim"))
    return parts


def _panels(progress: RunProgress, metric: str, width: int, room: int) -> list[RenderableType]:
    """A panel for each running trial: how far it is, and its parameters on as many lines as there are for all.

    Each worker has its place, which stays empty while it is between two trials: the picture does not jump.
    """
    rows = sorted(progress.running, key=lambda row: (row.worker, row.number))
    if not rows or room < 1:
        return []
    wrapped = {row.number: _wrapped(row, width - len(INDENT)) for row in rows}
    longest = max(len(lines) for lines in wrapped.values())
    slots = _slots(rows, progress.most_running)
    for spare in (TABLE_ROOM if progress.latest(1) else 0, 0):
        depth = min(longest, (room - spare) // len(slots) - 1)
        if depth >= min(1, longest):
            break
    if depth < 0:  # not even a line for each
        more = f"and {len(rows) - room + 1} more running"
        return [*_panel_lines(progress, rows[: room - 1], metric, width), _line(more, "dim")]
    heads = dict(zip((row.number for row in rows), _panel_lines(progress, rows, metric, width), strict=True))
    panels: list[RenderableType] = []
    for row in slots:
        lines = [] if row is None else wrapped[row.number]
        kept = [*lines[: depth - 1], " ".join(lines[depth - 1 :])] if depth else []
        panels.append(Text("") if row is None else heads[row.number])
        panels += [_line(INDENT + line, "dim") for line in kept + [""] * (depth - len(kept))]
    return panels


def _slots(rows: list[TrialRow], many: int) -> list[TrialRow | None]:
    """The running trials, in order of worker, with None for each worker that has none."""
    busy = {row.worker for row in rows}
    idle = [worker for worker in range(max(many, *busy, 0) + 1) if worker not in busy][: max(0, many - len(rows))]
    placed = [(row.worker, row) for row in rows] + [(worker, None) for worker in idle]
    return [row for _, row in sorted(placed, key=lambda pair: pair[0])]


def _wrapped(row: TrialRow, width: int) -> list[str]:
    """The parameters of a trial in lines of at most `width`, broken between two of them."""
    return textwrap.wrap(assignments(row.params), max(8, width), break_long_words=False, break_on_hyphens=False)


def _panel_lines(progress: RunProgress, rows: list[TrialRow], metric: str, width: int) -> list[RenderableType]:
    """`trial 12 (worker 1) ━━━━━╺━━━ update 5/30, mean_reward 0.12, 23s`, the bars one below the other."""
    of_workers = progress.most_running > 1
    names = [f"trial {row.number}" + (f" (worker {row.worker})" if of_workers else "") for row in rows]
    told = [_how_far(progress, row, metric) for row in rows]
    left = max(map(len, names))
    room = min(40, width - left - max(map(len, told)) - 2)
    lines: list[RenderableType] = []
    for row, name, how in zip(rows, names, told, strict=True):
        if room < LEAST_BAR:
            line = _line(f"{name} {how}")
            line.stylize(STATE_STYLES["running"], 0, len(name))
            lines.append(line)
            continue
        bar = ProgressBar(total=max(1, row.total_steps), completed=row.step, width=room)
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text(name.ljust(left), STATE_STYLES["running"], no_wrap=True), bar, Text(how, no_wrap=True))
        lines.append(grid)
    return lines


def _how_far(progress: RunProgress, row: TrialRow, metric: str) -> str:
    parts = [f"update {_update(row)}"] if row.total_steps else ["starting"]
    parts += [f"{metric} {number(row.value)}"] if row.value is not None else []
    return ", ".join([*parts, duration(progress.age_s(row))])


def _line(text: str, style: str = "") -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def _bar(progress: RunProgress, width: int) -> RenderableType:
    times = f"{duration(progress.elapsed_s)} elapsed"
    if progress.done < progress.n_trials and not progress.ended:
        times += f", {_time_left(progress)}"
    done = done_of(progress.done, progress.n_trials, "trial")
    room = width - len(done + times) - 2
    bar = ProgressBar(total=max(1, progress.n_trials), completed=progress.done, width=max(4, min(60, room)))
    line = Table.grid(padding=(0, 1))
    line.add_row(Text(done, no_wrap=True), bar, Text(times, no_wrap=True))
    return line


def _best(progress: RunProgress) -> str:
    if progress.direction not in ("maximize", "minimize"):
        return "several objectives: no single best"
    if progress.best is None:
        if progress.counts["complete"]:
            return "no trial has kept the study's constraints (evaluation.min_trades) yet"
        return "no completed trial yet" if progress.rows else "waiting for the first trial to start"
    best = f"best {number(progress.best[1])} in trial {progress.best[0]}"
    row = progress.rows.get(progress.best[0])
    return f"{best}: {assignments(row.params)}" if row is not None and row.params else best


def _tally(progress: RunProgress) -> str:
    counts = progress.counts
    parts = [f"{counts['complete']} complete", f"{counts['pruned']} pruned", f"{counts['fail']} failed"]
    if progress.elsewhere:
        parts.append(f"{progress.elsewhere} done elsewhere")
    if counts["requeued"]:
        parts.append(f"{counts['requeued']} requeued")
    if progress.finished_before:
        parts.append(f"{progress.finished_before} before this run")
    if progress.env_steps_per_s is not None:
        parts.append(f"{progress.env_steps_per_s:,.0f} env steps/s")
    return " · ".join(parts)


class _Column:
    """A column of the table: its header broken into lines, its cells, the width that both need."""

    def __init__(self, name: str, cell: Callable[[TrialRow], str], rows: list[TrialRow], least: int = 5) -> None:
        self.cell = cell
        widest = max([least, *(len(cell(row)) for row in rows)])
        self.header = broken_name(name, max(widest, 9))
        self.width = max(widest, *(len(line) for line in self.header))


def _columns(rows: list[TrialRow], metric: str, width: int) -> tuple[list[_Column], list[str]]:
    """The columns that fit into `width`, and the short names of the parameters that do not."""
    columns = [
        _Column("trial", lambda row: str(row.number), rows),
        _Column("state", _state, rows, least=8),
        _Column(metric, lambda row: number(row.value), rows, least=9),
        _Column("update", _update, rows, least=6),
    ]
    names = short_names(name for row in rows for name in row.params)
    left = width + GAP - sum(column.width + GAP for column in columns)
    hidden: list[str] = []
    for name, short in names.items():
        column = _Column(short, lambda row, name=name: _param(row, name), rows)  # type: ignore[misc]
        if hidden or column.width + GAP > left:
            hidden.append(short)
        else:
            left -= column.width + GAP
            columns.append(column)
    return columns, hidden


def _state(row: TrialRow) -> str:
    return STATE_WORDS.get(row.state, row.state) if row.feasible else TOO_FEW_TRADES


def _update(row: TrialRow) -> str:
    return f"{row.step}/{row.total_steps}" if row.total_steps else ""


def _param(row: TrialRow, name: str) -> str:
    return clean(number(row.params[name]), 16) if name in row.params else ""


def _table(rows: list[TrialRow], columns: list[_Column], best: tuple[int, float] | None) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        justify: Literal["left", "right"] = "left" if column is columns[1] else "right"
        header = Text("\n".join(column.header))
        table.add_column(header, width=column.width, no_wrap=True, justify=justify, vertical="bottom")
    for row in rows:
        cells = [Text(column.cell(row)) for column in columns]
        cells[1].stylize(STATE_STYLES.get(row.state, "") if row.feasible else BROKEN_STYLE)
        table.add_row(*cells, style="bold" if best is not None and row.number == best[0] else "")
    return table


def broken_name(name: str, width: int) -> list[str]:
    """`name` broken after underscores and dots into lines of at most `width`, if its parts are."""
    lines = [""]
    for part in re.findall(r"[^_.]*[_.]|[^_.]+", name):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return lines
