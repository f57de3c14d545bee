"""What is printed when a run ends, and by `best STUDY`: the result beside the default config, honestly.

Data goes to the console that the caller gives (stdout); nothing here computes, `outcome` does.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from fxai import defaults
from fxai.config.load import get_dotted
from fxai.config.metrics import BUY_AND_HOLD, DO_NOTHING
from fxai.report.baselines import Baselines, load_baselines
from fxai.report.front import front_line, print_front
from fxai.report.outcome import Outcome, duration_s, metrics_of, outcome_of, speed
from fxai.report.results import REPORT, best_config_path, sentences
from fxai.report.tables import print_facts, print_list, print_table
from fxai.report.terminal import make_console
from fxai.report.text import NOTHING, clean, count, done_of, duration, metric, number, signed
from fxai.secrets import without_password

if TYPE_CHECKING:
    import optuna

    from fxai.study.spec import StudySpec

MAIN_METRICS = ("mean_reward", "total_return", "sharpe", "max_drawdown", "n_trades", "turnover")
"""Shown for best, default and baselines whatever the study optimises."""

SAME_COMMAND = "interrupted: the same command goes on where it stopped"

_HEADERS = {DO_NOTHING: "do\nnothing", BUY_AND_HOLD: "buy and\nhold"}
"""Names of baselines on two lines."""

_MEDIUM, _WIDE = 60, 78
"""Columns of a terminal from which more metrics of an instrument are shown, and from which the baselines stand in the
same table as best and default."""


def print_summary(
    study: optuna.Study,
    spec: StudySpec,
    folder: Path,
    paths: Sequence[Path],
    *,
    elapsed_s: float | None = None,
    interrupted: bool = False,
    resume: str | None = None,
    console: Console | None = None,
) -> None:
    """Print the end of a run: trials, best beside default, what to make of it, files, and what to do next.

    Args:
        study: the study as it is now.
        spec: its spec.
        folder: the study's results folder.
        paths: files written, to be named.
        elapsed_s: seconds of this run; None leaves it out.
        interrupted: the run was stopped before its budget was used up.
        resume: how it then goes on, where not by the same command.
        console: where to print; stdout by default.
    """
    console = console if console is not None else make_console()
    outcome = outcome_of(study, spec.metric_names)
    console.print()
    _print_trials(console, outcome, spec, elapsed_s, (resume or SAME_COMMAND) if interrupted else None)
    _print_result(console, study, spec, folder, outcome)
    if paths:
        print_list(console, "written", _written(paths))
    again = [(f"poe optuna-best {shlex.quote(spec.study_name)}{_places(spec, folder)}", "see this again")]
    print_list(console, "next", [*again, *next_commands(outcome, spec, folder)])


def _written(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """The pages and files that most want next, then how many more there are."""
    first = [path for path in paths if path.name == REPORT or path.name.endswith("_best_config.yaml")]
    first = sorted(first or paths[:1], key=lambda path: path.name != REPORT)
    rest = [path for path in paths if path not in first]
    more = [(f"{rest[0].parent}{os.sep}", f"{count(len(rest), 'more file')}: results, plots, insights")] if rest else []
    told = {REPORT: "all of it on one page"}
    return [(str(path), told.get(path.name, "")) for path in first] + more


def print_best(
    study: optuna.Study,
    spec: StudySpec,
    folder: Path,
    outcome: Outcome | None = None,
    *,
    console: Console | None = None,
) -> None:
    """Print the best parameters beside the defaults, and where the config that trains them is."""
    console = console if console is not None else make_console()
    outcome = outcome or outcome_of(study, spec.metric_names)
    console.print(Text(f"study {clean(spec.study_name)}", style="bold"))
    _print_result(console, study, spec, folder, outcome)
    _print_instruments(console, outcome)
    print_front(console, outcome)
    print_list(console, "next", next_commands(outcome, spec, folder))


def next_commands(outcome: Outcome, spec: StudySpec, folder: Path) -> list[tuple[str, str]]:
    """Commands worth trying now, each with what it does."""
    commands = []
    if spec.of_market and outcome.best is not None and outcome.best is not outcome.default:
        confirm = f"poe optuna-confirm {shlex.quote(spec.study_name)}{_places(spec, folder)}"
        commands.append((confirm, "best against default on fresh seeds"))
    if outcome.best is not None and spec.of_ppo:
        config, out = best_config_path(spec, folder), folder / "best"
        seeds = outcome.best.params.get("training.n_seeds", spec.base.training.n_seeds)
        weights = out / ("weights.safetensors" if seeds == 1 else "weights_0.safetensors")
        train = f"poe train --config {shlex.quote(str(config))}"
        backtest = f"poe backtest --config {shlex.quote(str(config))} --weights {shlex.quote(str(weights))}"
        commands.append((f"{train} --out {shlex.quote(str(out))}", "train the best config"))
        if spec.of_market:
            commands.append((backtest, "and trade it"))
    return [*commands, (f"poe optuna-dashboard{_places(spec, folder)}", "look at every trial in the browser")]


def _storage(spec: StudySpec) -> str:
    """The option that names the study's database; a password in it stays hidden and is the user's to fill in."""
    return "" if spec.storage == defaults.STORAGE else f" --storage {shlex.quote(without_password(spec.storage))}"


def _places(spec: StudySpec, folder: Path) -> str:
    results = "" if folder.parent == Path(defaults.RESULTS) else f" --results-dir {shlex.quote(str(folder.parent))}"
    return _storage(spec) + results


def _print_trials(
    console: Console, outcome: Outcome, spec: StudySpec, elapsed_s: float | None, resume: str | None
) -> None:
    counts = outcome.counts
    done = counts["complete"] + counts["pruned"] + counts["fail"]
    told = [f"{counts['complete']} complete", f"{counts['pruned']} pruned", f"{counts['fail']} failed"]
    told += [f"{counts[state]} {state}" for state in ("running", "waiting", "requeued") if counts[state]]
    in_trials = sum(duration_s(trial) or 0.0 for trial in outcome.trials)
    times = [f"{duration(in_trials)} in trials"]
    if elapsed_s is not None:
        times.insert(0, f"{duration(elapsed_s)} this run")
    steps = speed(outcome.trials)
    how = "" if resume is None else f", {clean(resume, 1000)}"
    console.print(Text(f"study {clean(spec.study_name)}{how}", style="bold"), soft_wrap=True)
    print_facts(
        console,
        [
            ("trials", f"{done_of(done, spec.n_trials)}: {', '.join(told)}"),
            ("time", ", ".join(times)),
            ("speed", NOTHING if steps is None else f"{steps:,.0f} env steps/s per worker"),
        ],
    )


def _print_result(console: Console, study: optuna.Study, spec: StudySpec, folder: Path, outcome: Outcome) -> None:
    best, baselines = outcome.best, load_baselines(study, spec, folder)
    start = outcome.start_word
    if best is not None:
        name = clean(outcome.metric_names[0])
        value = f"{name} {number(best.values[0])} ({outcome.directions[0]}) in trial {best.number}"
        if outcome.improvement is not None and best is not outcome.default:
            value += f", {signed(outcome.improvement)} better than the {start}" if outcome.improvement > 0 else ""
        facts = [("best", value)]
        if len(outcome.directions) > 1:
            facts.append(("front", front_line(outcome)))
        print_facts(console, facts)
        print_table(console, ["parameter", "best", start], _parameter_rows(outcome, spec))
        scored = "on validation" if spec.of_market else "as scored"
        for table in _metric_tables(outcome, baselines, console.width, scored, start):
            print_table(console, *table)
    console.print()
    for sentence in sentences(study, spec, folder, outcome):
        console.print(Text(clean(sentence, 1000)))


def _parameter_rows(outcome: Outcome, spec: StudySpec) -> list[list[str]]:
    if outcome.best is None:
        return []
    defaults = {name: get_dotted(spec.base, name) for name in outcome.best.params}
    return [[clean(name), number(value), number(defaults[name])] for name, value in outcome.best.params.items()]


def _metric_tables(
    outcome: Outcome, baselines: Baselines | None, width: int, scored: str, start: str
) -> list[tuple[list[str], list[list[str]]]]:
    """Best and default beside the baselines, in a table of their own where the terminal is narrow."""
    if outcome.best is None:
        return []
    trials = {
        name: {**metrics_of(trial), **dict(zip(outcome.metric_names, trial.values, strict=True))} if trial else {}
        for name, trial in (("best", outcome.best), (start, outcome.default))
    }
    names = [name for name in dict.fromkeys([*outcome.metric_names, *MAIN_METRICS]) if name in trials["best"]]
    others = {} if baselines is None else {_HEADERS.get(n, n): own for n, own in baselines.metrics.items()}
    groups = [{**trials, **others}] if width >= _WIDE else [trials, others]
    return [
        (
            [scored, *group],
            [[clean(name), *(metric(name, column.get(name)) for column in group.values())] for name in names],
        )
        for group in groups
        if group
    ]


def _print_instruments(console: Console, outcome: Outcome) -> None:
    """The best trial's metrics on each instrument's own episodes; nothing where there is one instrument."""
    told = outcome.best.user_attrs.get("instruments") if outcome.best is not None else None
    if not isinstance(told, dict) or not told:
        return
    names = [name for name in MAIN_METRICS[: 5 if console.width >= _MEDIUM else 3] if name in next(iter(told.values()))]
    rows = [[clean(each), *(metric(name, own.get(name)) for name in names)] for each, own in told.items()]
    print_table(console, ["best on", *(name.replace("_", "_\n", 1) for name in names)], rows)
