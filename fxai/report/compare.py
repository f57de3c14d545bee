"""Studies side by side: a table of what they found and trained with, and their histories in one page of plots."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from fxai.files import ensure_writable_dir, write_text_atomic
from fxai.report.facts import Facts, by_ruler, ruler_differences
from fxai.report.html import escape, heading, page, paragraphs, table
from fxai.report.outcome import Outcome, first_value, is_feasible
from fxai.report.tables import print_table
from fxai.report.text import NOTHING, clean, done_of, duration, number, short_names, signed
from fxai.study.database.records import active_time

if TYPE_CHECKING:
    from datetime import datetime

MARK = "≠"
"""Before a row whose studies differ."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")
_DASHES = ("solid", "dash", "dot", "dashdot")
"""Okabe and Ito's colours and line styles: seven studies are told apart by colour, more by both."""

_LONGEST = 120
"""Letters of studies' names in the name of a file."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of all studies."""

    name: str
    cells: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the studies are not all alike in it."""
        return len(set(self.cells)) > 1


def result_rows(studies: Sequence[Facts]) -> list[Row]:
    """What the studies found."""

    def row(name: str, cells: list[str]) -> Row:
        return Row(name, tuple(cells))

    best = [facts.outcome.best for facts in studies]
    metrics = [", ".join(map(clean, facts.outcome.metric_names)) for facts in studies]
    return [
        row("metric", metrics),
        row("direction", [", ".join(facts.outcome.directions) for facts in studies]),
        row("best", [number(None if trial is None else first_value(trial)) for trial in best]),
        row("best trial", [NOTHING if trial is None else str(trial.number) for trial in best]),
        row("start" if any(f.starts_elsewhere for f in studies) else "default", [_start(facts) for facts in studies]),
        row("better by", [_better(facts) for facts in studies]),
        row("on fresh seeds", [_confirmed(facts) for facts in studies]),
        row("trials", [done_of(facts.finished, facts.spec.get("n_trials", "?")) for facts in studies]),
        row("pruned", [_share(facts.pruning_rate) for facts in studies]),
        row("time", [duration(facts.active_s) if facts.finished else NOTHING for facts in studies]),
        row("sampler", [_component(facts, "sampler") for facts in studies]),
        row("pruner", [_component(facts, "pruner") for facts in studies]),
    ]


def _start(facts: Facts) -> str:
    """The value of its trial 0, and what that was where it was not the default config."""
    told = number(facts.outcome.default_value)
    return f"{told} (not the default)" if facts.starts_elsewhere else told


def setting_rows(studies: Sequence[Facts]) -> list[Row]:
    """The best trials' parameters side by side, then what else the studies trained with where that differs.

    A value in brackets was not searched: it is what all trials of that study had.
    """
    best, fixed = [facts.best_settings for facts in studies], [facts.settings for facts in studies]
    searched = list(dict.fromkeys(name for params in best for name in params))
    others = sorted({name for settings in fixed for name in settings} - set(searched))
    rows = []
    for name in [*searched, *others]:
        cells = [_setting(name, own, rest) for own, rest in zip(best, fixed, strict=True)]
        known = {cell for cell, facts in zip(cells, studies, strict=True) if facts.spec or name in facts.best_settings}
        if name in searched or len(known) > 1:
            rows.append(Row(clean(name), tuple(cells)))
    return rows


def rulers_sentence(studies: Sequence[Facts]) -> str:
    """What forbids to compare values; empty where one ruler scored all."""
    groups = by_ruler(studies)
    if len(groups) == 1:
        return ""
    first = groups[0][0]
    told = []
    for group in groups[1:]:
        differs = ruler_differences(first, group[0])
        shown = "; ".join(clean(line, 120) for line in differs[:6]) + ("; …" if len(differs) > 6 else "")
        told.append(f"{' and '.join(clean(facts.name, 64) for facts in group)} ({shown})")
    return (
        f"Not scored on one ruler, so a higher value is not a better agent: {'; '.join(told)}, unlike "
        f"{' and '.join(clean(facts.name, 64) for facts in groups[0])}."
    )


def print_comparison(studies: Sequence[Facts], console: Console) -> None:
    """The two tables, rows that differ marked."""
    names = [clean(facts.name, 64) for facts in studies]
    for title, rows in (("found", result_rows(studies)), ("best settings", setting_rows(studies))):
        cells = [[f"{MARK if row.differs else ' '} {row.name}", *row.cells] for row in rows]
        if _width(cells, names) > console.width:  # a dotted name broken in two is read as two
            short = short_names(row.name for row in rows)
            cells = [[f"{MARK if row.differs else ' '} {short[row.name]}", *row.cells] for row in rows]
        print_table(console, [f"  {title}", *names], cells)
    sentence = rulers_sentence(studies)
    if sentence:
        console.print()
        console.print(Text(sentence))


def _width(rows: Sequence[Sequence[str]], names: Sequence[str]) -> int:
    """Columns that a table of these cells takes, under the names of studies, two blanks between."""
    return sum(max(map(len, column)) + 2 for column in zip(["", *names], *rows, strict=True))


def write_comparison(studies: Sequence[Facts], results_dir: Path) -> Path:
    """Write the page, and the plotly.min.js that it loads; returns its path.

    Raises:
        StorageError, InputError: the disk is full, or the folder cannot be written to.
    """
    from fxai.report.plots.pages import write_plotly_js

    ensure_writable_dir(results_dir, allow_symlink=True)
    path = results_dir / f"{file_stem([facts.name for facts in studies])}.html"
    write_plotly_js(results_dir)
    write_text_atomic(path, comparison_page(studies))
    return path


def file_stem(names: Sequence[str]) -> str:
    """`compare_A--B`, safe as a file's name whatever the studies are called, and not too long for one."""
    plain = "--".join(re.sub(r"[^A-Za-z0-9.-]", "_", name) for name in names)
    told_apart = not any("--" in name or name.startswith("-") or name.endswith("-") for name in names)
    if len(plain) <= _LONGEST and plain == "--".join(names) and told_apart:
        return f"compare_{plain}"
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"compare_{plain[:_LONGEST]}_{digest}"


def comparison_page(studies: Sequence[Facts]) -> str:
    """The page: what differs, histories over trials and over time, the tables."""
    from fxai.report.figure import PLOTLY_JS, draw, place

    sentence = rulers_sentence(studies)
    said = paragraphs([sentence], "warning") if sentence else ""
    said += paragraphs([_explained(studies)], "note")
    parts, scripts = [said], []
    for i, group in enumerate(_by_metric(studies)):
        drawn = [facts for facts in group if running_best(facts.outcome)]
        for facts in group:
            if facts not in drawn:
                parts.append(paragraphs([f"{facts.name}: no trial has completed yet, so there is nothing to draw."]))
        if not drawn:
            continue
        name, direction = drawn[0].outcome.metric_names[0], drawn[0].outcome.directions[0]
        for x, what in (("trials", "finished trials"), ("time", "time in which trials ran")):
            element = f"{x}{i}"
            parts += [heading(f"Best {name} ({direction}) over {what}"), place(element, 420)]
            scripts.append(draw(_figure(drawn, x), element))
    names = [facts.name for facts in studies]
    for title, rows in (("Found", result_rows(studies)), ("Best settings", setting_rows(studies))):
        cells = [[f"{MARK if row.differs else ''} {row.name}".strip(), *row.cells] for row in rows]
        parts += [heading(title), table(["", *names], cells)]
    return page(
        title=" and ".join(clean(name, 64) for name in names),
        body="\n".join(parts),
        script_files=[PLOTLY_JS] if scripts else [],
        scripts=scripts,
    )


def running_best(outcome: Outcome) -> list[tuple[int, datetime | None, float]]:
    """Each improvement of the best so far: finished trials by then, when it ended, its value in the first metric.

    In the order in which trials ended, which with several workers is not that of their numbers. Trials that break a
    constraint count only where all do. The last point is the end of the study.
    """
    ended = [trial for trial in outcome.trials if trial.state.is_finished() and "requeued_as" not in trial.user_attrs]
    ended.sort(key=lambda trial: (trial.datetime_complete is None, trial.datetime_complete or 0, trial.number))
    feasible = {trial.number for trial in outcome.completed if is_feasible(trial)}
    counted = feasible or {trial.number for trial in outcome.completed}
    sign = 1.0 if outcome.directions[0] == "maximize" else -1.0
    points: list[tuple[int, datetime | None, float]] = []
    for finished, trial in enumerate(ended, 1):
        if trial.number in counted and (not points or sign * trial.values[0] > sign * points[-1][2]):
            points.append((finished, trial.datetime_complete, first_value(trial)))
    if points:
        points.append((len(ended), ended[-1].datetime_complete, points[-1][2]))
    return points


def active_hours(outcome: Outcome, moments: Sequence[datetime | None]) -> list[float | None]:
    """Hours of active time up to each moment: pauses between runs are left out."""
    spans = active_time(outcome.trials)

    def hours(moment: datetime) -> float:
        past = [(min(end, moment) - start).total_seconds() for start, end in spans if start < moment]
        return sum(past) / 3600

    return [None if moment is None else hours(moment) for moment in moments]


def _figure(studies: Sequence[Facts], x: str) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    for i, facts in enumerate(studies):
        points = running_best(facts.outcome)
        times = active_hours(facts.outcome, [moment for _, moment, _ in points])
        line = {"shape": "hv", "color": _COLOURS[i % len(_COLOURS)], "dash": _DASHES[i // len(_COLOURS) % len(_DASHES)]}
        figure.add_scatter(
            x=[finished for finished, _, _ in points] if x == "trials" else times,
            y=[value for _, _, value in points],
            mode="lines+markers",
            name=escape(facts.name),
            line=line,
            hovertemplate="%{y} after %{x}<extra>%{fullData.name}</extra>",
        )
    outcome = studies[0].outcome
    figure.update_xaxes(title_text="finished trials" if x == "trials" else "hours", rangemode="tozero")
    figure.update_yaxes(title_text=escape(outcome.metric_names[0]))
    figure.update_layout(
        template="plotly_white",
        hovermode="closest",
        margin={"t": 20, "r": 20},
        showlegend=True,
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
    )
    return figure


def _by_metric(studies: Sequence[Facts]) -> list[list[Facts]]:
    """Studies that can share an axis: one metric, one direction."""
    groups: dict[tuple[str, str], list[Facts]] = {}
    for facts in studies:
        key = (facts.outcome.metric_names[0], facts.outcome.directions[0])
        groups.setdefault(key, []).append(facts)
    return list(groups.values())


def _explained(studies: Sequence[Facts]) -> str:
    several = any(len(facts.outcome.directions) > 1 for facts in studies)
    first = " Of several objectives the first is drawn." if several else ""
    return (
        "The best value so far, each study from its own start; a study that is given more trials finds more by luck "
        f"alone. {MARK} marks what differs, brackets what was not searched.{first}"
    )


def _better(facts: Facts) -> str:
    return NOTHING if facts.outcome.improvement is None else signed(facts.outcome.improvement)


def _confirmed(facts: Facts) -> str:
    if facts.confirmation is None:
        return NOTHING
    told = facts.confirmation.difference
    return f"{signed(told.mean)} ({signed(told.low)} to {signed(told.high)})"


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.0f}%"


def _component(facts: Facts, key: str) -> str:
    told = facts.spec.get(key)
    return clean(told.get("type", NOTHING), 40) if isinstance(told, dict) else NOTHING


def _setting(name: str, best: dict[str, Any], fixed: dict[str, Any]) -> str:
    if name in best:
        return number(best[name])
    return f"({number(fixed[name])})" if name in fixed else NOTHING
