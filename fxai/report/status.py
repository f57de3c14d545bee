"""What `status` prints: each study and phase of a database, how far it is, and what to type next."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from fxai import defaults
from fxai.report.standing import RUNNING, Place, Standing, not_begun, standings
from fxai.report.tables import print_list, print_table
from fxai.report.terminal import PIPE, make_console
from fxai.report.text import NOTHING, TOO_FEW_TRADES, clean, done_of, duration, number
from fxai.secrets import redact_url
from fxai.study.database.reader import reading, sqlite_exists
from fxai.study.presets import presets

_WIDE = 100
"""Columns of a terminal from which a study is one row of a table; below, it is a few lines."""

_WORDS = {"fail": "failed", "requeued": "run again"}


def print_status(
    storage: str,
    results_dir: Path = Path(defaults.RESULTS),
    *,
    as_json: bool = False,
    console: Console | None = None,
) -> None:
    """Print the studies of a database; reads only.

    Raises:
        InputError: there is no such database.
        StorageError: it is damaged or cannot be reached.
    """
    place = Place(storage=storage, results_dir=results_dir, presets=presets())
    found = [] if sqlite_exists(storage) is not False else not_begun(place)
    if not found:
        with reading(storage) as reader:
            found = standings(reader, place)
    if as_json:
        print(json.dumps({"storage": redact_url(storage), "studies": [record_of(one) for one in found]}, indent=2))
        return
    if console is None:
        console = make_console()
        console = console if console.is_terminal else make_console(width=PIPE)
    if not found:
        console.print("no studies")
        return
    if console.width >= _WIDE:
        _print_rows(console, found)
    else:
        _print_blocks(console, found)
    commands = [(one.next, "" if one.study in one.next else clean(one.study)) for one in found if one.next is not None]
    if commands:
        print_list(console, "next", commands)


def record_of(standing: Standing) -> dict[str, Any]:
    """A study as `--json` tells it."""
    return {
        "study": standing.study,
        "phase": standing.phase,
        "state": standing.state,
        "n_trials": standing.n_trials,
        "finished": standing.finished,
        "trials_by_state": dict(standing.trials),
        "metric": standing.metric,
        "direction": standing.direction,
        "best_value": standing.best,
        "best_trial": standing.best_trial,
        "feasible": standing.feasible,
        "idle_s": standing.idle_s,
        "workers": [{"trial": r.trial, "process": r.who, "alive": r.alive} for r in standing.runners],
        "eta_s": standing.eta_s,
        "next": standing.next,
    }


def _print_rows(console: Console, found: Sequence[Standing]) -> None:
    phases = any(one.phase is not None for one in found)
    header = ["study", *(["phase"] if phases else []), "state", "done", "trials", "best", "last", "ETA", "run by"]
    rows = []
    for one in found:
        phase = [] if not phases else [NOTHING if one.phase is None else str(one.phase)]
        row = [one.state, _done(one), _trials(one), _best(one), _last(one), _eta(one), _workers(one)]
        rows.append([clean(one.study), *phase, *row])
    print_table(console, header, rows, left=len(header))


def _print_blocks(console: Console, found: Sequence[Standing]) -> None:
    for one in found:
        phase = "" if one.phase is None else f" (phase {one.phase})"
        console.print()
        console.print(Text(f"{clean(one.study)}{phase}: {one.state}", style="bold"))
        told = [f"{_done(one)} trials", _trials(one)]
        facts = [": ".join(part for part in told if part != NOTHING)]
        facts += [f"best {_best(one)}"] if one.best is not None else []
        facts += [f"last activity {_last(one)} ago"] if one.idle_s is not None else []
        facts += [f"ETA {_eta(one)}"] if one.eta_s is not None else []
        facts += [f"run by {_workers(one)}"] if one.runners else []
        for fact in facts:
            console.print(Text(f"  {fact}"))


def _done(one: Standing) -> str:
    return done_of(one.finished, one.n_trials) if one.n_trials is not None else str(one.finished)


def _trials(one: Standing) -> str:
    order = ("complete", "pruned", "fail", "running", "waiting", "requeued")
    told = [f"{one.trials[state]} {_WORDS.get(state, state)}" for state in order if one.trials.get(state)]
    return ", ".join(told) or NOTHING


def _best(one: Standing) -> str:
    if one.best is None:
        return NOTHING
    name = "" if one.metric is None else f"{clean(one.metric, 40)} "
    return f"{name}{number(one.best)} (trial {one.best_trial}{'' if one.feasible else f', {TOO_FEW_TRADES}'})"


def _last(one: Standing) -> str:
    return duration(one.idle_s)


def _eta(one: Standing) -> str:
    return duration(one.eta_s)


def _workers(one: Standing) -> str:
    """The living workers by name where they are few, and the dead, whose trials wait for the next run."""
    alive = [clean(runner.who, 60) for runner in one.runners if runner.alive]
    dead = sum(runner.alive is False for runner in one.runners)
    unknown = sum(runner.alive is None for runner in one.runners)
    told = alive if len(alive) <= 2 else [f"{len(alive)} workers"]
    told += [f"{dead} gone"] if dead else []
    told += [f"{unknown} of another program"] if unknown else []
    return ", ".join(told) or (NOTHING if one.state != RUNNING else "starting or between trials")
