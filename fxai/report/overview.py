"""What `results` prints: phases or other studies compared on one ruler."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from fxai import defaults
from fxai.report.facts import Facts, by_ruler, default_of, gain, read_facts, ruler_differences
from fxai.report.outcome import first_value, is_feasible, metrics_of
from fxai.report.results import jsonable
from fxai.report.summary import MAIN_METRICS
from fxai.report.tables import print_facts, print_list, print_table
from fxai.report.terminal import make_console
from fxai.report.text import (
    NOTHING,
    TOO_FEW_TRADES,
    clean,
    count,
    done_of,
    duration,
    metric,
    number,
    short_names,
    signed,
)
from fxai.secrets import redact_url, without_password
from fxai.study.database.reader import reading

TOP = 5
"""Parameters that are named, the most important first."""

_WIDE = 78
"""Columns of a terminal from which all figures stand in the table."""


def print_results(
    storage: str,
    results_dir: Path,
    names: Sequence[str] = (),
    *,
    every: bool = False,
    as_json: bool = False,
    console: Console | None = None,
) -> None:
    """Print what studies found; reads only.

    Args:
        storage: their database.
        results_dir: holds a folder for each.
        names: the studies; by default the phases, and all where there are none.
        every: all studies of the database.
        as_json: for programs.
        console: where to print; stdout by default.

    Raises:
        InputError: there is no such database or study.
        StorageError: the database is damaged or cannot be reached.
    """
    with reading(storage) as reader:
        chosen = list(dict.fromkeys(names)) or reader.study_names()
        studies = read_facts(reader, chosen, storage, results_dir)
    phases = [facts for facts in studies if facts.phase is not None]
    if not names and not every and phases:
        studies = sorted(phases, key=lambda facts: facts.phase or 0)
    groups = by_ruler(studies)
    if as_json:
        rulers = {facts.name: ruler for ruler, group in enumerate(groups, 1) for facts in group}
        told = [record_of(facts, rulers[facts.name], groups[rulers[facts.name] - 1]) for facts in studies]
        print(json.dumps({"storage": redact_url(storage), "studies": told}, indent=2, allow_nan=False))
        return
    console = console if console is not None else make_console()
    if not studies:
        console.print("no studies")
        return
    if not names and not every and not phases:
        console.print("No phase has run; these are all studies of the database.")
    for group in groups:
        _print_group(console, group, groups[0][0] if group is not groups[0] else None)
    options = _options(storage, results_dir)
    for group in groups:
        for facts in group:
            _print_study(console, facts, group)
    commands = [command for facts in studies for command in _next(facts, options)]
    if commands:
        print_list(console, "next", commands)


def record_of(facts: Facts, ruler: int, group: Sequence[Facts]) -> dict[str, Any]:
    """A study as `--json` tells it; those of one `ruler`, its `group`, can be compared."""
    outcome, confirmed = facts.outcome, facts.confirmation
    told = {
        "study": facts.name,
        "phase": facts.phase,
        "ruler": ruler,
        "metrics": list(outcome.metric_names),
        "directions": list(outcome.directions),
        "n_trials": facts.spec.get("n_trials"),
        "trials_by_state": dict(sorted(outcome.counts.items())),
        "pruning_rate": facts.pruning_rate,
        "active_s": facts.active_s,
        "in_trials_s": facts.in_trials_s,
        "best_trial": None if outcome.best is None else outcome.best.number,
        "best_value": None if outcome.best is None else first_value(outcome.best),
        "feasible": outcome.best is None or is_feasible(outcome.best),
        "best_params": facts.best_settings,
        "best_metrics": {} if outcome.best is None else metrics_of(outcome.best),
        "default_value": default_of(facts, group),
        "improvement_over_default": gain(outcome, default_of(facts, group)),
        "start_value": outcome.default_value,
        "improvement_over_start": outcome.improvement,
        "pareto_front": [trial.number for trial in outcome.front] if len(outcome.directions) > 1 else None,
        "confirmation": None
        if confirmed is None
        else {
            "seeds": len(confirmed.seeds),
            **confirmed.difference.model_dump(),
        },
        "importances": None
        if facts.insights is None
        else {
            one.name: {"value": one.value, "low": one.low, "high": one.high, "beyond_luck": one.clear}
            for one in facts.insights.importances
        },
        "folder": str(facts.folder),
    }
    return {key: jsonable(value) for key, value in told.items()}


def _print_group(console: Console, group: Sequence[Facts], other_than: Facts | None) -> None:
    """The studies of one ruler in a table; for a second ruler, what tells it from the first."""
    outcome = group[0].outcome
    told = ", ".join(f"{clean(n)} ({d})" for n, d in zip(outcome.metric_names, outcome.directions, strict=True))
    console.print()
    console.print(Text(f"scored by {told}", style="bold"))
    if other_than is not None:
        differs = ruler_differences(other_than, group[0])
        shown = "; ".join(clean(line) for line in differs[:6]) + (" …" if len(differs) > 6 else "")
        console.print(Text(f"Another ruler than above, so values cannot be compared across: {shown}."))
    phases = any(facts.phase is not None for facts in group)
    starts = any(facts.starts_elsewhere for facts in group)
    header = ["study", *(["phase"] if phases else []), *(["start"] if starts else []), "best", "default", "better by"]
    header += ["trials", "pruned", "time"] if _is_wide(console, group) else []
    rows = []
    for facts in group:
        phase = [] if not phases else [NOTHING if facts.phase is None else str(facts.phase)]
        best, default = facts.outcome.best, default_of(facts, group)
        better = gain(facts.outcome, default)
        row = [number(None if best is None else first_value(best)), number(default)]
        row += [NOTHING if better is None else signed(better), *_spent(facts)]
        start = [number(facts.outcome.default_value)] if starts else []
        rows.append([clean(facts.name), *phase, *start, *row][: len(header)])
    print_table(console, header, rows)
    if starts:
        console.print(Text("start: its trial 0; a later phase's is what it inherited. default: the plain base config."))


def _is_wide(console: Console, group: Sequence[Facts]) -> bool:
    """Whether the table has room for what each study spent."""
    return console.width >= _WIDE + (10 if any(facts.starts_elsewhere for facts in group) else 0)


def _spent(facts: Facts) -> list[str]:
    """Trials, the share that was pruned, and the time in which any ran."""
    pruned = NOTHING if facts.pruning_rate is None else f"{100 * facts.pruning_rate:.0f}%"
    time = duration(facts.active_s) if facts.finished else NOTHING
    return [done_of(facts.finished, facts.spec.get("n_trials", "?")), pruned, time]


def _print_study(console: Console, facts: Facts, group: Sequence[Facts]) -> None:
    """What stands behind a study's row: improvement with its spread, top parameters, metrics, files."""
    console.print()
    console.print(Text(clean(facts.name), style="bold"))
    told = [("best", _improvement(facts, default_of(facts, group))), *_top(facts), *_metrics(facts)]
    if not _is_wide(console, group):
        trials, pruned, time = _spent(facts)
        told.append(("trials", f"{trials}, {pruned} pruned, {time}"))
    if len(facts.outcome.directions) > 1:
        told.append(("front", count(len(facts.outcome.front), "trial")))
    told.append(("files", clean(facts.folder, 1000) if facts.folder.is_dir() else "none here"))
    print_facts(console, told)


def _improvement(facts: Facts, default: float | None) -> str:
    outcome, confirmed = facts.outcome, facts.confirmation
    if outcome.best is None:
        return "no trial has completed with a finite value"
    start = "what it inherited" if facts.starts_elsewhere else "the default config"
    if not facts.spec:
        return "FxAI did not make it: what to compare its best with is not known"
    if confirmed is None and (outcome.default is None or outcome.improvement is None):
        return f"{start} gave no value to compare the best trial with"
    if confirmed is None and outcome.default is not None and outcome.best.number == outcome.default.number:
        return f"no trial beat {start}"
    if confirmed is None:
        over = gain(outcome, default)
        gains = [f"{signed(over)} against the default config"] if over is not None and facts.starts_elsewhere else []
        gains += [f"{signed(outcome.improvement or 0.0)} against {start}"]
        return f"{', '.join(gains)}: one seed each, and chosen for it; fresh seeds would show less"
    told = confirmed.difference
    spread = f"95% {signed(told.low)} to {signed(told.high)}"
    chance = f"better in {100 * told.probability_of_improvement:.0f}% of pairs of seeds"
    return f"{signed(told.mean)} on {count(len(confirmed.seeds), 'fresh seed')} each ({spread}), {chance}"


def _top(facts: Facts) -> list[tuple[str, str]]:
    """Parameters told apart from luck, with the best trial's values; none before the study's insights are written."""
    best = facts.best_settings
    if facts.insights is None:
        return []
    names = short_names(best)
    named = [one for one in facts.insights.importances if one.name in best and one.clear][:TOP]
    if not named:
        return [("top", clean(facts.insights.importance_note, 500))] if facts.insights.importance_note else []
    return [("top", ", ".join(f"{names[one.name]} {one.value:.2f} (best {number(best[one.name])})" for one in named))]


def _next(facts: Facts, options: str) -> list[tuple[str, str]]:
    """What would say more about the study."""
    outcome, name = facts.outcome, clean(shlex.quote(facts.name), 300)
    if not facts.spec or outcome.best is None:
        return []
    commands = []
    if facts.confirmation is None and outcome.default is not None and outcome.best.number != outcome.default.number:
        commands.append((f"poe optuna-confirm {name}{options}", "best against default on fresh seeds"))
    if facts.insights is None:
        commands.append((f"poe optuna-plots {name}{options}", "which parameters matter"))
    if len(outcome.directions) > 1 or not facts.folder.is_dir():
        commands.append((f"poe optuna-best {name}{options}", "its best trial, and its files"))
    return commands


def _metrics(facts: Facts) -> list[tuple[str, str]]:
    if facts.outcome.best is None:
        return []
    told = metrics_of(facts.outcome.best)
    shown = [f"{name} {metric(name, told[name])}" for name in MAIN_METRICS if name in told]
    broken = "" if is_feasible(facts.outcome.best) else f" ({TOO_FEW_TRADES}, as all completed trials)"
    return [("best", f"trial {facts.outcome.best.number}{broken}" + (": " + ", ".join(shown) if shown else ""))]


def _options(storage: str, results_dir: Path) -> str:
    told = "" if storage == defaults.STORAGE else f" --storage {shlex.quote(without_password(storage))}"
    return told + ("" if results_dir == Path(defaults.RESULTS) else f" --results-dir {shlex.quote(str(results_dir))}")
