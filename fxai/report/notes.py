"""Notes in Markdown for a trial and for a study: what came out, why it ended so, and how to go on from it.

Names, errors and the like may hold anything: they stand in code spans, where Markdown sees no markup.
"""

from __future__ import annotations

import math
import shlex
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from optuna.trial import FrozenTrial, TrialState

from fxai.report.outcome import Outcome, duration_s, first_value, is_feasible, metrics_of
from fxai.report.text import clean, count, duration, metric, number
from fxai.study.trial_files import trial_folder

if TYPE_CHECKING:
    from fxai.study.spec import StudySpec

_TOLD = ("mean_reward", "total_return", "sharpe", "max_drawdown", "profit_factor", "win_rate", "n_trades", "turnover")
"""Metrics of a note, after those that the study is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notebook:
    """A study as its notes see it; `of_trial` is asked for each trial."""

    spec: StudySpec
    outcome: Outcome
    folder: Path
    """The study's results folder, as a command is to name it."""
    ranks: Mapping[int, int]
    """Completed trial → its place by the first metric, 1 the best; those that break a constraint come last."""
    medians: Mapping[int, tuple[float, int]]
    """Report step → the median of what the trials reported there, and how many did."""

    def of_trial(self, trial: FrozenTrial, pictures: Iterable[tuple[str, str]] = ()) -> str:
        """The note of a trial; `pictures` are (name, address) to be shown in it."""
        parts = [self._headline(trial), *self._reasons(trial), _table(self._columns(trial), self.outcome.metric_names)]
        parts += [f"![{name}]({address})" for name, address in pictures]
        parts += [_facts(trial), self._commands(trial)]
        return "\n\n".join(part for part in parts if part)

    def _headline(self, trial: FrozenTrial) -> str:
        if trial.state is not TrialState.COMPLETE or trial.values is None:
            return f"**{_STATES[trial.state]}**{self._cut_short(trial)}"
        name = _code(self.outcome.metric_names[0])
        told = f"**{name} {number(first_value(trial))}**"
        if trial.number in self.ranks:
            told += f", place {self.ranks[trial.number]} of {count(len(self.ranks), 'completed trial')}"
        return told + self._beside_default(trial)

    def _beside_default(self, trial: FrozenTrial) -> str:
        default = self.outcome.default
        if default is None:
            return "."
        if default.number == trial.number:
            return f"; this is the {self.outcome.start}, with which all others are compared."
        return f"; the {self.outcome.start} (trial {default.number}) has {number(first_value(default))}."

    def _cut_short(self, trial: FrozenTrial) -> str:
        if trial.state not in (TrialState.PRUNED, TrialState.RUNNING) or not trial.intermediate_values:
            return "."
        step = max(trial.intermediate_values)
        name, value = _code(self.outcome.metric_names[0]), trial.intermediate_values[step]
        told = f" at update {step}" if trial.state is TrialState.PRUNED else f", last evaluated at update {step}"
        told += f": {name} {number(value)}"
        median, many = self.medians.get(step, (math.nan, 0))
        if many > 1:
            told += f" there, where the median of {count(many, 'trial')} is {number(median)}"
        return told + "."

    def _reasons(self, trial: FrozenTrial) -> list[str]:
        attrs, said = trial.user_attrs, []
        if self.outcome.best is not None and trial.number == self.outcome.best.number:
            said.append("**The best trial of the study.**")
        elif len(self.outcome.directions) > 1 and any(trial.number == own.number for own in self.outcome.front):
            said.append("**On the Pareto front.**")
        if attrs.get("error"):
            said.append(f"Error: {_code(attrs['error'])}")
        if attrs.get("failure"):
            said.append(f"The training diverged: {_code(attrs['failure'])}; the values are those of a floor.")
        if trial.state is TrialState.COMPLETE and not is_feasible(trial):
            least = self.spec.ruler.evaluation.min_trades
            said.append(
                f"It closes fewer trades than `evaluation.min_trades` ({least}): best only if all others do so."
            )
        if attrs.get("requeued_as") is not None:
            said.append(f"Its parameters were queued again as trial {_code(attrs['requeued_as'])}.")
        if attrs.get("requeue_of") is not None:
            after = f" It went on after update {_code(attrs['continued_from'])}." if "continued_from" in attrs else ""
            said.append(f"It repeats trial {_code(attrs['requeue_of'])}, which was cut short.{after}")
        return said

    def _columns(self, trial: FrozenTrial) -> dict[str, dict[str, float]]:
        told = {"this trial": trial}
        if self.outcome.default is not None and self.outcome.default.number != trial.number:
            told[self.outcome.start] = self.outcome.default
        return {name: metrics_of(each) for name, each in told.items()}

    def _commands(self, trial: FrozenTrial) -> str:
        if trial.user_attrs.get("config_file") is None or not trial.state.is_finished() or not self.spec.of_ppo:
            return ""
        own = trial_folder(self.folder, trial.number)
        config, out = shlex.quote(str(own / "config.yaml")), own / "trained"
        ruler = shlex.quote(str(self.folder / "ruler.yaml"))
        seeds = trial.params.get("training.n_seeds", self.spec.base.training.n_seeds)
        weights = shlex.quote(str(out / ("weights.safetensors" if seeds == 1 else "weights_0.safetensors")))
        lines = [_command("poe train", f"--config {config}", f"--ruler {ruler}", f"--out {shlex.quote(str(out))}")]
        if self.spec.of_market:
            options = (f"--config {config}", f"--ruler {ruler}", f"--weights {weights}")
            lines.append(_command("poe backtest", *options))
        does = "Train it again and trade it" if len(lines) > 1 else "Train it again"
        return "\n".join([f"{does}:", "", "```sh", *lines, "```"])


_STATES = {
    TrialState.COMPLETE: "Complete",
    TrialState.PRUNED: "Pruned",
    TrialState.FAIL: "Failed",
    TrialState.RUNNING: "Running",
    TrialState.WAITING: "Waiting",
}


def notebook(spec: StudySpec, outcome: Outcome, folder: Path) -> Notebook:
    """What the notes of a study's trials need to know of all of them."""
    sign = -1.0 if outcome.directions[0] == "maximize" else 1.0
    ordered = sorted(
        outcome.completed, key=lambda trial: (not is_feasible(trial), sign * first_value(trial), trial.number)
    )
    reported: dict[int, list[float]] = defaultdict(list)
    for trial in outcome.trials:
        for step, value in trial.intermediate_values.items():
            if math.isfinite(value):
                reported[step].append(value)
    return Notebook(
        spec=spec,
        outcome=outcome,
        folder=folder,
        ranks={trial.number: place for place, trial in enumerate(ordered, start=1)},
        medians={step: (statistics.median(values), len(values)) for step, values in reported.items()},
    )


def study_note(spec: StudySpec, outcome: Outcome, said: Sequence[str], links: Iterable[tuple[str, str]] = ()) -> str:
    """The note of a study: its best trial beside the default, what to make of it, and its files."""
    parts = []
    if outcome.best is not None:
        name = _code(outcome.metric_names[0])
        headline = f"**Best: trial {outcome.best.number}, {name} {number(first_value(outcome.best))}**"
        default = outcome.default_value
        parts.append(headline + ("." if default is None else f"; {outcome.start} {number(default)}."))
        columns = {"best": metrics_of(outcome.best)}
        if outcome.default is not None:
            columns[outcome.start] = metrics_of(outcome.default)
        parts.append(_table(columns, outcome.metric_names))
    parts += [_plain(sentence) for sentence in said]
    parts += [f"[{name}]({address})" for name, address in links]
    return "\n\n".join(part for part in parts if part)


def _table(columns: Mapping[str, Mapping[str, float]], first: Sequence[str]) -> str:
    names = [name for name in dict.fromkeys([*first, *_TOLD]) if any(name in own for own in columns.values())]
    if not names:
        return ""
    lines = [f"| metric | {' | '.join(columns)} |", "| --- |" + " ---: |" * len(columns)]
    for name in names:
        lines.append(f"| {_code(name)} | {' | '.join(metric(name, own.get(name)) for own in columns.values())} |")
    return "\n".join(lines)


def _facts(trial: FrozenTrial) -> str:
    attrs = trial.user_attrs
    told = []
    if (seconds := duration_s(trial)) is not None:
        told.append(f"{duration(seconds)}")
    if isinstance(attrs.get("env_steps"), int):
        told.append(f"{attrs['env_steps']:,} env steps")
    if isinstance(attrs.get("env_steps_per_s"), (int, float)):
        told.append(f"{attrs['env_steps_per_s']:,.0f} a second")
    if attrs.get("device"):
        told.append(f"on {_code(attrs['device'])}")
    if attrs.get("seed") is not None:
        told.append(f"seed {_code(attrs['seed'])}")
    return ", ".join(told) + "." if told else ""


def _command(name: str, *options: str) -> str:
    """An option a line: the dashboard's page becomes as wide as the widest line."""
    return " \\\n  ".join([name, *options])


def _code(text: object) -> str:
    """`text` in a code span; a backtick would end it, and a bar a table's cell."""
    return f"`{clean(text, 300).replace('`', chr(39)).replace('|', '¦') or ' '}`"


def _plain(text: str) -> str:
    """A sentence of which no part is markup."""
    return "".join("\\" + ch if ch in "\\`*_[]<>#|~!" else ch for ch in clean(text, 1000))
