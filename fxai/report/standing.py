"""How far a study is: its state, its trials, who runs it, how long it will take, and the command to type next.

Reads records of the database (fxai.study.database.records) and what config/optuna offers; imports neither Optuna nor
the spec.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from fxai import defaults
from fxai.report.outcome import Outcome, first_value, is_feasible, outcome_of
from fxai.secrets import without_password
from fxai.study.confirmed import is_confirmed
from fxai.study.database.reader import Reader
from fxai.study.database.records import State, StudyRecord, TrialRecord, as_study
from fxai.study.owner import ORCHESTRATOR, Owner
from fxai.study.presets import Preset

NOT_STARTED, RUNNING, INTERRUPTED, FINISHED = "not started", "running", "interrupted", "finished"
NEEDS_TRANSFER, WAITS = "needs transfer", "waits"
"""Of a later phase: the ones before it have finished, or have not."""

FOREIGN = "not FxAI's"
"""Another program's study, of which no budget is known."""

SILENT_S = 60.0
"""Without a beat for this long a worker that cannot be asked is taken for dead: GRACE_PERIOD_S of the storage."""

RECENT = 20
"""Finished trials whose length the rest is expected to have."""

_INHERITED = "inherited.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Who runs a trial."""

    trial: int
    """Number of the trial."""

    who: str
    alive: bool | None
    """None where nobody can tell: another program's trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One study at one moment."""

    study: str
    phase: int | None
    state: str
    n_trials: int | None
    """The study's budget; None where it is not known."""

    trials: Mapping[str, int]
    """State → trials: complete, pruned, fail, running, waiting, requeued; only those that there are."""

    metric: str | None
    direction: str | None
    best: float | None
    """Of the (first) metric."""

    best_trial: int | None
    feasible: bool
    """Whether the best trial keeps the study's constraints; false only where no completed trial does."""

    idle_s: float | None
    """Seconds since a trial last started, ended or beat."""

    runners: tuple[Runner, ...]
    eta_s: float | None
    """Seconds to the end of the budget at the pace of the last trials; only while it runs."""

    next: str | None
    """The command that takes it on."""

    @property
    def finished(self) -> int:
        """Trials that the budget has paid for."""
        return sum(self.trials.get(state, 0) for state in ("complete", "pruned", "fail"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a command looks."""

    storage: str
    results_dir: Path
    presets: Mapping[str, Preset]

    def options(self) -> str:
        """What a command needs to look there too."""
        words = [] if self.storage == defaults.STORAGE else ["--storage", shlex.quote(without_password(self.storage))]
        if self.results_dir != Path(defaults.RESULTS):
            words += ["--results-dir", shlex.quote(str(self.results_dir))]
        return "".join(f" {word}" for word in words)


def standings(reader: Reader, place: Place) -> list[Standing]:
    """Every study of the database, and the phases that were not started, in the order of the phases.

    Phases that do not exist are listed where the database is the one that they are kept in, or has one of them.
    """
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    names = reader.study_names()
    records = {name: reader.load(name, place.storage) for name in names}
    for record in records.values():
        reader.complete(record.get_trials(states=(State.RUNNING,)))  # whose owners are asked whether they live
    done = {name for name, record in records.items() if _is_finished(record)}
    listed = [_standing(record, reader.beats(record), now, place) for record in records.values()]
    phases = [preset for preset in place.presets.values() if preset.phase is not None]
    if any(preset.storage == place.storage or preset.study in records for preset in phases):
        listed += [_of_preset(preset, place, done) for preset in phases if preset.study not in records]
    return sorted(listed, key=lambda standing: (standing.phase is None, standing.phase or 0))


def not_begun(place: Place) -> list[Standing]:
    """The phases that are kept in a database that nobody has made yet."""
    phases = [preset for preset in place.presets.values() if preset.phase is not None]
    return [_of_preset(preset, place, set()) for preset in phases if preset.storage == place.storage]


def _standing(record: StudyRecord, beats: Mapping[int, float], now: datetime, place: Place) -> Standing:
    spec = record.user_attrs.get("spec")
    spec = spec if isinstance(spec, dict) else None
    metrics = metric_names(record)
    outcome = outcome_of(as_study(record), metrics)
    n_trials = None if spec is None else spec.get("n_trials")
    running = record.get_trials(states=(State.RUNNING,))
    runners = tuple(_runner(trial, beats.get(trial.trial_id)) for trial in running)
    state = _state(record, outcome, n_trials, runners)
    preset = place.presets.get(record.study_name)
    phase = (spec or {}).get("phase") or (preset.phase if preset is not None and spec is not None else None)
    return Standing(
        study=record.study_name,
        phase=phase if type(phase) is int else None,
        state=state,
        n_trials=n_trials if isinstance(n_trials, int) else None,
        trials={name: count for name, count in sorted(outcome.counts.items()) if count},
        metric=metrics[0] if spec is not None else None,
        direction=outcome.directions[0],
        best=None if outcome.best is None else first_value(outcome.best),
        best_trial=None if outcome.best is None else outcome.best.number,
        feasible=outcome.best is None or is_feasible(outcome.best),
        idle_s=_idle_s(record.trials, beats, now),
        runners=runners,
        eta_s=_eta_s(outcome, n_trials, running, now) if state == RUNNING else None,
        next=_next(record, outcome, state, n_trials, preset, place),
    )


def metric_names(record: StudyRecord) -> list[str]:
    """The metrics' names, as many as there are directions; `value` where nobody has named them."""
    spec = record.user_attrs.get("spec")
    told = spec.get("metric_names") if isinstance(spec, dict) else record.system_attrs.get("study:metric_names")
    many = len(record.directions)
    if isinstance(told, list) and len(told) == many:
        return [str(name) for name in told]
    return ["value"] if many == 1 else [f"value {i}" for i in range(many)]


def _is_finished(record: StudyRecord) -> bool:
    spec = record.user_attrs.get("spec")
    n_trials = spec.get("n_trials") if isinstance(spec, dict) else None
    over = [t for t in record.trials if t.state.is_finished() and "requeued_as" not in t.user_attrs]
    return isinstance(n_trials, int) and len(over) >= n_trials


def _state(record: StudyRecord, outcome: Outcome, n_trials: Any, runners: Iterable[Runner]) -> str:
    holder = _owner(record.user_attrs.get(ORCHESTRATOR))
    if any(runner.alive for runner in runners) or (holder is not None and holder.is_known_alive()):
        return RUNNING
    if not isinstance(n_trials, int):
        return FOREIGN
    if _is_finished(record):
        return FINISHED
    begun = any(state != "waiting" for state, count in outcome.counts.items() if count)
    return INTERRUPTED if begun else NOT_STARTED


def _runner(trial: TrialRecord, beat_s: float | None) -> Runner:
    owner = _owner(trial.user_attrs.get("owner"))
    if owner is None:
        return Runner(trial=trial.number, who="another program", alive=None if beat_s is None else beat_s <= SILENT_S)
    fresh = beat_s is not None and beat_s <= SILENT_S
    alive = owner.is_known_alive() or (fresh and not owner.is_known_dead())
    return Runner(trial=trial.number, who=str(owner), alive=alive)


def _owner(told: Any) -> Owner | None:
    """The owner that an attribute names; databases may hold anything."""
    owner = Owner.from_dict(told) if isinstance(told, dict) else None
    return owner if owner is not None and isinstance(owner.pid, int) else None


def _idle_s(trials: Iterable[TrialRecord], beats: Mapping[int, float], now: datetime) -> float | None:
    moments = [moment for trial in trials for moment in (trial.start_utc, trial.complete_utc) if moment is not None]
    ages = [max(0.0, (now - max(moments)).total_seconds())] if moments else []
    return min([*ages, *beats.values()], default=None)


def _eta_s(outcome: Outcome, n_trials: Any, running: Collection[TrialRecord], now: datetime) -> float | None:
    """The work that is left, at the pace of the last trials, shared by as many workers as run now."""
    ended = [t for t in outcome.trials if t.state.name in ("COMPLETE", "PRUNED") and t.duration is not None]
    if not ended or not running or not isinstance(n_trials, int):
        return None
    ended.sort(key=lambda trial: trial.datetime_complete or datetime.min)
    lengths = [trial.duration.total_seconds() for trial in ended[-RECENT:] if trial.duration is not None]
    each_s = sum(lengths) / len(lengths)
    counts = outcome.counts
    left = n_trials - sum(counts[state] for state in ("complete", "pruned", "fail"))
    spent = [(now - trial.start_utc).total_seconds() for trial in running if trial.start_utc is not None]
    work_s = left * each_s - sum(min(each_s, s) for s in spent)
    return max(0.0, work_s / len(running))


def _next(
    record: StudyRecord, outcome: Outcome, state: str, n_trials: Any, preset: Preset | None, place: Place
) -> str | None:
    name, options = shlex.quote(record.study_name), place.options()
    if state == FOREIGN:
        return None
    if state == RUNNING:
        return f"poe optuna-dashboard{options}"
    if state in (NOT_STARTED, INTERRUPTED):
        origin = place.presets.get(re.sub(r"-\d+$", "", record.study_name))  # of a name that --new-study gave
        if preset is None and origin is None:
            return f"poe optuna-run --spec FILE{options}"
        if preset is None and origin is not None:
            budget = f" --n-trials {n_trials}" if n_trials != origin.n_trials else ""
            return f"poe optuna-run --spec {shlex.quote(str(origin.file))} --study-name {name}{budget}{options}"
        assert preset is not None
        budget = f" --n-trials {n_trials}" if n_trials != preset.n_trials else ""
        return f"{preset.command}{budget}{options}"
    best, folder = outcome.best, place.results_dir / Path(record.study_name).name
    settled = best is None or (best is outcome.default and len(outcome.front) < 2)
    settled = settled or is_confirmed(
        folder, record.study_name, None if best is None else best.number, record.user_attrs.get("data_hash")
    )
    return f"poe {'optuna-best' if settled else 'optuna-confirm'} {name}{options}"


def _of_preset(preset: Preset, place: Place, done: Collection[str]) -> Standing:
    """A phase that does not exist yet."""
    options = place.options()
    state, command = NOT_STARTED, f"{preset.command}{options}"
    if preset.inherits and not (place.results_dir / preset.study / _INHERITED).is_file():
        ready = set(preset.inherits) <= set(done)
        state, command = NEEDS_TRANSFER if ready else WAITS, transfer_command(preset) + options if ready else ""
    return Standing(
        study=preset.study,
        phase=preset.phase,
        state=state,
        n_trials=preset.n_trials,
        trials={},
        metric=None,
        direction=None,
        best=None,
        best_trial=None,
        feasible=True,
        idle_s=None,
        runners=(),
        eta_s=None,
        next=command or None,
    )


def transfer_command(preset: Preset) -> str:
    """What hands the best of the phase before to a phase."""
    phase = preset.phase or 0
    return f"poe optuna-transfer-{phase - 1}to{phase}"
