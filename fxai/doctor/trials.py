"""Studies left in the middle: trials whose worker is gone, queues that nobody serves, marks of dead processes.

The judgement is that of fxai.study.database.budget, made on what was read: a trial is taken back when its worker is
dead on this host, or when it had no beat for GRACE_PERIOD_S.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from fxai.doctor.finding import Finding, note, ok, wrong
from fxai.doctor.place import Place
from fxai.doctor.snapshot import Snapshot
from fxai.report.text import clean, count, duration
from fxai.study.database.records import State, StudyRecord, TrialRecord
from fxai.study.database.storage import GRACE_PERIOD_S
from fxai.study.owner import ORCHESTRATOR, Owner
from fxai.study.presets import presets


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A trial that the database has as running."""

    study: str
    number: int
    owner: Owner | None
    age_s: float | None
    """Since its last beat, or since its start where there was none."""

    @property
    def is_orphan(self) -> bool:
        """Whether budget.reclaim takes it back."""
        dead = self.owner is not None and self.owner.is_known_dead()
        return dead or (self.age_s is not None and self.age_s > GRACE_PERIOD_S)

    def why(self) -> str:
        """What became of its worker."""
        age = "" if self.age_s is None else f", last heard of {duration(self.age_s)} ago"
        if self.owner is None:
            return f"without an owner{age}"
        if self.owner.is_known_dead():
            return f"its worker died ({self.owner}{age})"
        if self.owner.is_known_alive():
            return f"{self.owner} lives and is silent: suspended, or cut off from the database{age}"
        return f"no heartbeat from {self.owner}{age}"


def check(place: Place, snapshots: Iterable[Snapshot]) -> Iterator[Finding]:
    """Every study of every database that could be read."""
    commands = {preset.study: preset.command for preset in presets().values()}
    if place.spec is not None:
        run = f"poe optuna-run --spec {shlex.quote(str(place.spec.path))}"
        commands |= {study.study_name: run for study in place.studies}
    for snapshot in snapshots:
        quiet = True
        for record in snapshot.studies:
            found = list(_of_study(place, record, snapshot.beats, commands))
            quiet = quiet and not found
            yield from found
        if quiet and snapshot.studies:
            busy = sum(len(record.get_trials(states=(State.RUNNING,))) for record in snapshot.studies)
            yield ok("trials", f"none is left behind; {busy} running", running=busy)


def is_own(record: StudyRecord) -> bool:
    """Whether FxAI runs the study; another program's workers need not beat, and are left alone."""
    return isinstance(record.user_attrs.get("spec"), dict)


def running_of(record: StudyRecord, beats: Mapping[int, float]) -> list[Running]:
    """The running trials of a study."""
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    return [
        Running(
            study=record.study_name,
            number=trial.number,
            owner=_owner(trial.user_attrs.get("owner")),
            age_s=beats.get(trial.trial_id, _age_s(trial, now)),
        )
        for trial in record.get_trials(states=(State.RUNNING,))
    ]


def holder_of(record: StudyRecord) -> Owner | None:
    """The process that says it runs the study."""
    return _owner(record.user_attrs.get(ORCHESTRATOR))


def _owner(told: object) -> Owner | None:
    """Databases may hold anything."""
    return Owner.from_dict(told) if isinstance(told, dict) else None


def _age_s(trial: TrialRecord, now: datetime) -> float | None:
    return None if trial.start_utc is None else max(0.0, (now - trial.start_utc).total_seconds())


def _of_study(
    place: Place, record: StudyRecord, beats: Mapping[int, float], commands: Mapping[str, str]
) -> Iterator[Finding]:
    name, own = clean(record.study_name, 64), is_own(record)
    resume = commands.get(record.study_name, "poe optuna-run --spec FILE")
    running = running_of(record, beats)
    for trial in running:
        yield from _of_trial(trial, name, own, f"poe optuna-doctor --repair{place.options}   (or run the study again)")
    holder = holder_of(record)
    alive = (holder is not None and holder.is_known_alive()) or any(not trial.is_orphan for trial in running)
    if holder is not None and holder.is_known_dead():
        text = f"{name} is marked as run by {holder}, which died; the next run does not mind"
        yield note("studies", text, f"poe optuna-doctor --repair{place.options}", study=record.study_name)
    elif holder is not None and not alive:
        text = f"{name} is marked as run by {holder}, and this machine cannot see whether it lives"
        yield note("studies", text, f"look on {holder.host}", study=record.study_name)
    waiting = len(record.get_trials(states=(State.WAITING,)))
    if waiting and not alive:
        verb = "waits" if waiting == 1 else "wait"
        text = f"{name}: {count(waiting, 'trial')} {verb} in the queue, and nobody runs the study"
        yield note("trials", text, resume if own else None, study=record.study_name, waiting=waiting)


def _of_trial(trial: Running, name: str, own: bool, repair: str) -> Iterator[Finding]:
    facts: dict[str, Any] = {
        "study": trial.study,
        "trial": trial.number,
        "owner": None if trial.owner is None else str(trial.owner),
        "age_s": trial.age_s,
    }
    head = f"{name}: trial {trial.number} is RUNNING"
    if not own:
        text = f"{head}: {trial.why()}; the study is another program's, and is not repaired"
        number, study = trial.number, shlex.quote(trial.study)
        hint = f"if that one has ended: optuna tell --study-name {study} --trial-number {number} --state fail"
        if trial.is_orphan:
            yield note("trials", text, hint, **facts)
    elif trial.is_orphan:
        yield wrong("trials", f"{head}: {trial.why()}", repair, **facts)
    elif trial.owner is None:
        yield note("trials", f"{head}: {trial.why()}; another program started it", **facts)
