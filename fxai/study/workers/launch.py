"""Run a study: create or resume it, keep its workers alive, and stop them without losing a trial.

The parent trains nothing. It holds the study's lock, shows what its workers tell, and is the only one that reacts to
the terminal's Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from fxai.files import ensure_writable_dir, refuse_links
from fxai.study.database import budget
from fxai.study.database.hosts import check_one_host
from fxai.study.database.mark import beats_elsewhere
from fxai.study.database.storage import opened
from fxai.study.fingerprint import open_study, open_to_join
from fxai.study.names import checked_name
from fxai.study.owner import ORCHESTRATOR, Owner
from fxai.study.recorded import recorded_spec
from fxai.study.spec import StudySpec
from fxai.study.workers.handle import Start
from fxai.study.workers.local import start_process
from fxai.study.workers.lock import held_by, study_lock
from fxai.study.workers.slots import Slot
from fxai.study.workers.supervisor import Supervisor
from fxai.study.workers.worker import WorkerSetup


class View(Protocol):
    """Shows a running study."""

    def start(
        self,
        study_name: str,
        n_trials: int,
        finished: int,
        best: tuple[int, float] | None,
        direction: str,
        metric_name: str,
    ) -> None:
        """Called once, before the first event."""

    def handle(self, event: dict[str, Any]) -> None:
        """Take in one event: study (what it is), trial_started, report, trial_finished, tally (how many trials have
        finished, those of other processes too) or log."""

    def close(self) -> None:
        """Called once, however the run ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run of a study ended."""

    study_name: str
    folder: Path
    """The study's folder below the results folder."""

    n_trials: int
    finished: int
    """Trials that count against the budget, over all runs."""

    added: int
    """Those of this run."""

    signal: int | None
    """The signal that ended it early."""

    killed: bool
    """The signal came twice: workers were killed, nothing else should be written."""

    timed_out: bool

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the run before its budget was spent."""
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """0, 130 after Ctrl-C, 143 after any other request to end."""
        if self.signal is None:
            return 0
        return 130 if self.signal == signal.SIGINT else 143


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """The workers of a run."""

    slots: tuple[Slot, ...] = (Slot(0),)
    """One place for each."""

    start: Start = start_process
    """What starts one."""


def run_study(
    spec: StudySpec,
    results_dir: Path,
    view: View,
    *,
    objective: str | None = None,
    data_hash: str | None = None,
    contents: Mapping[str, str] | None = None,
    crew: Crew | None = None,
) -> RunOutcome:
    """Run the study of a spec until its budget is spent; a study that exists is resumed.

    Args:
        spec: what to run.
        results_dir: the study gets a folder of its name in it.
        view: is told of everything that happens.
        objective: `module:function` in place of the spec's, imported by the workers alone.
        data_hash: of the bars, so that a resume on other bars is refused.
        contents: instrument → what its bars are, in a line, so that the refusal says which differ.
        crew: who runs the trials; one process of this machine if None.

    Raises:
        StudyConflict: the study exists with another meaning, or another process runs it.
        StorageError: database or disk failed.
        InputError: results folder, database or objective cannot be used.
        FxaiError: every worker dies before its first trial, or a trial failed and `catch_exceptions` is false.
    """
    folder = _folder_of(spec, results_dir)
    with study_lock(folder), opened(spec.storage, create=True) as storage:
        study = open_study(storage, spec, data_hash, contents)
        _hold(study, storage, folder, view)
        outcome = _supervised(spec, folder, view, storage, study, objective, crew or Crew(), leads=True)
        if not outcome.killed:
            study.set_user_attr(ORCHESTRATOR, None)
        return outcome


def join_study(
    spec: StudySpec,
    results_dir: Path,
    view: View,
    *,
    objective: str | None = None,
    data_hash: str | None = None,
    contents: Mapping[str, str] | None = None,
    crew: Crew | None = None,
) -> RunOutcome:
    """Help a study that somebody else leads, until nothing is left to start; arguments as of `run_study`.

    What was decided at the study's start holds: budget, sampler, pruner, and what becomes of trials that fail.

    Raises:
        InputError: there is no such study, or this host cannot reach it as it should.
        StudyConflict, StorageError, FxaiError: as `run_study`.
    """
    folder = _folder_of(spec, results_dir)
    with opened(spec.storage) as storage:
        study = open_to_join(storage, spec, data_hash, contents)
        check_one_host(storage, study._study_id)
        decided = recorded_spec(study, spec.storage)
        spec = spec.model_copy(update={name: getattr(decided, name) for name in _DECIDED})
        return _supervised(spec, folder, view, storage, study, objective, crew or Crew(), leads=False)


_DECIDED = ("n_trials", "sampler", "pruner", "catch_exceptions", "stall_s", "oom")
"""What whoever leads a study has said for all of its workers."""


def _folder_of(spec: StudySpec, results_dir: Path) -> Path:
    ensure_writable_dir(results_dir, allow_symlink=True)
    folder = ensure_writable_dir(results_dir / checked_name(spec.study_name, "study_name"))
    inside = [ensure_writable_dir(folder / name) for name in ("logs", "trials")]
    refuse_links(*(path for own in (folder, *inside) for path in own.iterdir()))
    return folder


def _supervised(
    spec: StudySpec,
    folder: Path,
    view: View,
    storage: RDBStorage,
    study: optuna.Study,
    objective: str | None,
    crew: Crew,
    *,
    leads: bool,
) -> RunOutcome:
    before = budget.tally(storage, study._study_id).finished
    setup = WorkerSetup(
        slot=crew.slots[0],
        spec=spec,
        study_seed=int(study.user_attrs["seed"]),
        folder=folder,
        objective=objective or spec.objective,
        crew="" if leads else f"{socket.gethostname()}-{os.getpid()}",
    )
    supervisor = Supervisor(
        setup, storage, study._study_id, view.handle, crew.start, crew.slots, lambda: _best(study), leads
    )
    view.start(spec.study_name, spec.n_trials, before, _best(study), spec.directions[0], spec.metric_names[0])
    view.handle({"kind": "study", "created": study.user_attrs.get("created"), "folder": str(folder)})
    try:
        supervisor.run()
    finally:
        view.close()
    finished = before if supervisor.killed else budget.tally(storage, study._study_id).finished
    return RunOutcome(
        study_name=spec.study_name,
        folder=folder,
        n_trials=spec.n_trials,
        finished=finished,
        added=finished - before,
        signal=supervisor.signal,
        killed=supervisor.killed,
        timed_out=supervisor.timed_out,
    )


def _hold(study: optuna.Study, storage: RDBStorage, folder: Path, view: View) -> None:
    """Say in the database who runs the study: the lock guards the folder, and two may share a database.

    Raises:
        StudyConflict: another process does, from another results folder or another host.
    """
    me = Owner.current()
    holder = Owner.from_dict(study.user_attrs.get(ORCHESTRATOR))
    other = holder if holder != me else None

    def tell(text: str) -> None:
        view.handle({"kind": "log", "text": text})

    if other is not None and (other.is_known_alive() or beats_elsewhere(storage, study._study_id, other, tell)):
        raise held_by(other, folder)
    study.set_user_attr(ORCHESTRATOR, me.as_dict())


def _best(study: optuna.Study) -> tuple[int, float] | None:
    """Number and first value of the best trial so far; an unbeaten one of several objectives has no best."""
    if len(study.directions) > 1 or not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return None
    try:
        best = study.best_trial
    except ValueError:  # none of the completed trials keeps the constraints
        return None
    return best.number, float(best.values[0])
