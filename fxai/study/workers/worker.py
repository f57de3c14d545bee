"""What a worker does: reclaim, claim, train, report, tell, until the budget is spent or it is asked to stop.

Optuna's own `optimize` is not used; docs/faults.md lists what it loses.
"""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from fxai.config import TrialConfig
from fxai.errors import ConfigError, FxaiError, InputError, StorageError
from fxai.secrets import redact
from fxai.study.database import budget
from fxai.study.database.storage import DATABASE_ERRORS, load_study, open_storage, storage_errors
from fxai.study.database.worker_storage import WorkerStorage
from fxai.study.fingerprint import check_plugins
from fxai.study.objective import DeviceLost, OutOfMemory, load_objective, shrunk
from fxai.study.owner import Owner
from fxai.study.pruners import build_pruner
from fxai.study.recorded import recorded_budget
from fxai.study.samplers import build_sampler
from fxai.study.sampling import Seen, make_quick
from fxai.study.spec import StudySpec
from fxai.study.trial_files import drop_checkpoints, trial_folder
from fxai.study.workers.heart import Heart
from fxai.study.workers.slots import Slot
from fxai.study.workers.trial import Emit, Stopped, TrialRun, Verdict
from fxai.study.workers.turns import turn_to_draw

INTERRUPTED = "interrupted: the study was stopped"

_NOT_THE_TRIALS_FAULT = (Stopped, UpdateFinishedTrialError, DeviceLost, InputError, StorageError, *DATABASE_ERRORS)

log = logging.getLogger("fxai.worker")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSetup:
    """All that a worker is told; it travels through a pipe, never through the process list."""

    slot: Slot
    spec: StudySpec
    study_seed: int
    folder: Path
    """The study's folder."""

    objective: str
    """`module:function`."""

    crew: str = ""
    """Tells the workers that joined a study from those of the process that leads it."""

    @property
    def index(self) -> int:
        """Of its slot: among the workers of one parent."""
        return self.slot.index

    @property
    def name(self) -> str:
        """Among all workers of the study."""
        return f"{self.crew}-{self.index}" if self.crew else str(self.index)

    @property
    def log_path(self) -> Path:
        """Where the worker's output goes."""
        return self.folder / "logs" / f"worker-{self.name}.log"


class _Smaller(Exception):
    """The trial ran out of memory and is to be run again with less."""

    def __init__(self, reason: str, steps: int) -> None:
        super().__init__(reason)
        self.reason, self.steps = reason, steps


class Worker:
    """Runs trials of one study in this process."""

    def __init__(self, setup: WorkerSetup, emit: Emit, stop: Event, drain: Event) -> None:
        """Open the study and import the objective.

        Args:
            setup: what to run.
            emit: receives events for the parent.
            stop: release the running trial and end.
            drain: finish the running trial and end.
        """
        self.setup = setup
        self.spec = setup.spec
        self._emit = emit
        self._stop = stop
        self._drain = drain
        self._trial_id: int | None = None
        self._attrs: dict[str, Any] = {}
        self._unfit: str | None = None
        """Why this process should run no other trial."""
        self._owner = Owner.current()
        self._seen: Seen = {}
        with storage_errors(self.spec.storage):
            self.storage = open_storage(self.spec.storage, create=False, check=False)
            self._memory = WorkerStorage(self.storage)
            self.study = load_study(
                self.storage, self.spec.study_name, pruner=build_pruner(self.spec.pruner), through=self._memory
            )
        check_plugins(self.study, self.spec)
        self._objective = load_objective(setup.objective, self.spec.metric_names[0])
        self._heart = Heart(self.storage)

    def run(self) -> str:
        """Run trials; returns why there are no more: `stopped`, `drained` or `budget`; or why another process must go
        on with them: `spent` after one ran out of memory, `device lost`."""
        with storage_errors(self.spec.storage):
            try:
                return self._loop()
            except Stopped:
                return "stopped"

    def release(self) -> None:
        """Hand the running trial, if there is one, back to the queue; any thread may call this."""
        if self._trial_id is not None:
            self._release(self._trial_id, INTERRUPTED)

    def _loop(self) -> str:
        study_id = self.study._study_id
        while not self._stop.is_set():
            if self._drain.is_set():
                return "drained"
            for taken in budget.reclaim(self.storage, study_id):
                self._taken_back(taken)
            trial_id = budget.claim(self.storage, study_id, self._n_trials(), self._owner)
            if trial_id is None:
                return "budget"
            self._trial_id = trial_id
            self._heart.watch(trial_id, beaten=True)
            try:
                self._run_trial(trial_id, self._memory.adopt(study_id, trial_id).number)
            finally:
                self._heart.watch(None)
                self._memory.disown()
                self._trial_id = None
            if self._unfit is not None:
                return self._unfit
        return "stopped"

    def _n_trials(self) -> int:
        """The study's budget; whoever leads it may have begun again with another since this worker joined."""
        return recorded_budget(self.study, self.spec.n_trials) if self.setup.crew else self.spec.n_trials

    def _run_trial(self, trial_id: int, number: int) -> None:
        started = time.monotonic()
        log.info("trial %d", number)
        self._attrs = {}
        try:
            verdict = self._train(trial_id, number)
            values = self._tell(trial_id, number, verdict)
        except Stopped:
            self._release(trial_id, INTERRUPTED)
            raise
        except UpdateFinishedTrialError:
            self._log(f"trial {number} was reclaimed while this worker was away; its result is dropped")
            return
        except _Smaller as smaller:
            self._release(trial_id, smaller.reason, gradient_accumulation_steps=smaller.steps)
            return
        except DeviceLost as error:
            self._unfit = "device lost"
            self._release(trial_id, _one_line(error), blame=True)
            return
        except (InputError, StorageError) as error:  # every other trial would meet it too
            self._release(trial_id, error.what)
            raise
        drop_checkpoints(trial_folder(self.setup.folder, number))
        self._finished(number, verdict, values, time.monotonic() - started)
        if verdict.state == TrialState.FAIL and not self.spec.catch_exceptions:
            raise FxaiError(
                f"trial {number} failed: {verdict.error}",
                where=str(self.setup.log_path),
                hint="catch_exceptions: true lets the study go on after a failed trial",
            )

    def _train(self, trial_id: int, number: int) -> Verdict:
        """Run the objective; what it raises becomes a FAIL."""
        turn = ExitStack()
        run: TrialRun | None = None
        try:
            turn.enter_context(turn_to_draw(self.setup.folder, self.spec.sampler.type))
            run = TrialRun(
                self._optuna_trial(trial_id, number),
                self.spec,
                self.setup.folder,
                seed=self._seed(trial_id, number),
                emit=self._emit,
                stopped=self._stop.is_set,
                flush=lambda: self._has_drawn(turn),
            )
            self._attrs = run.attrs
            return run.run(self._objective)
        except ConfigError as error:  # these parameters do not go together; others may
            return Verdict(TrialState.FAIL, error=_one_line(error))
        except OutOfMemory as error:
            return self._out_of_memory(trial_id, number, error, None if run is None else run.config)
        except _NOT_THE_TRIALS_FAULT:
            raise
        except Exception as error:
            log.exception("trial %d failed", number)
            return Verdict(TrialState.FAIL, error=_one_line(error))
        finally:
            turn.close()

    def _out_of_memory(self, trial_id: int, number: int, error: OutOfMemory, config: TrialConfig | None) -> Verdict:
        """Record how much a trial took. Its memory ends with this process: what frees all of it surely.

        Raises:
            _Smaller: the trial is to be tried again with smaller micro-batches.
        """
        log.exception("trial %d ran out of memory", number)
        self._unfit = "spent"
        self._attrs["oom"] = {"device": error.device, "peak_bytes": error.peak_bytes, "total_bytes": error.total_bytes}
        reason = f"oom: {_one_line(error)}"
        if self.spec.oom == "fail":
            return Verdict(TrialState.FAIL, error=reason)
        steps = None if config is None else shrunk(config)
        if steps is None:
            return Verdict(TrialState.FAIL, error=f"{reason}; its micro-batches are of one segment already")
        budget.set_trial_attrs(self.storage, trial_id, self._attrs)
        raise _Smaller(f"{reason}; tried again with gradient_accumulation_steps {steps}", steps)

    def _has_drawn(self, turn: ExitStack) -> None:
        """Write what was drawn; others may draw from now on."""
        self._memory.flush()
        turn.close()

    def _optuna_trial(self, trial_id: int, number: int) -> optuna.Trial:
        """A trial object for a claimed trial, as `study.ask` makes one."""
        sampler = build_sampler(
            self.spec.sampler, self.spec.parameters, budget.sampler_seed(self.setup.study_seed, number)
        )
        self.study.sampler = make_quick(sampler, self._seen)
        self.study._thread_local.cached_all_trials = None
        return optuna.Trial(self.study, trial_id)

    def _seed(self, trial_id: int, number: int) -> int:
        """The seed that a repeated trial brings along, else one from its number; recorded before the training."""
        seed = self._memory.get_trial_user_attrs(trial_id).get("seed")
        if seed is None:
            seed = budget.trial_seed(self.setup.study_seed, number)
            self._memory.set_trial_user_attr(trial_id, "seed", seed)
        return int(seed)

    def _tell(self, trial_id: int, number: int, verdict: Verdict) -> list[float] | None:
        """Store the result; returns the stored values, which a pruned trial has too.

        Raises:
            UpdateFinishedTrialError: the trial was taken away from this worker.
        """
        for key, value in {**self._attrs, "error": verdict.error}.items():
            self._memory.set_trial_user_attr(trial_id, key, value)
        told = self.study.tell(number, verdict.values, state=verdict.state, skip_if_finished=True)
        if told.state != verdict.state:
            raise UpdateFinishedTrialError
        return None if told.values is None else list(told.values)

    def _finished(self, number: int, verdict: Verdict, values: list[float] | None, duration_s: float) -> None:
        log.info("trial %d: %s after %.1f s", number, verdict.state.name, duration_s)
        self._emit(
            {
                "kind": "trial_finished",
                "number": number,
                "state": verdict.state.name,
                "value": values[0] if values else None,
                "values": values,
                "error": verdict.error,
                "feasible": verdict.feasible,
                "duration_s": duration_s,
            }
        )

    def _release(self, trial_id: int, reason: str, *, blame: bool = False, **changed: Any) -> None:
        """Hand the trial back to the queue, unless somebody did already; `changed` attributes are those of the next."""
        taken = budget.requeue(self.storage, trial_id, reason, blame=blame, changed=changed)
        if taken is not None:
            self._taken_back(taken)

    def _taken_back(self, taken: budget.Requeued) -> None:
        """Tell of a trial that was taken from its worker; one that failed for good needs its checkpoint no more."""
        if taken.requeued_as is None:
            drop_checkpoints(trial_folder(self.setup.folder, taken.number))
        self._emit(taken.event())

    def _log(self, text: str) -> None:
        log.info(text)
        self._emit({"kind": "log", "text": text})


def _one_line(error: Exception) -> str:
    text = redact(" ".join(str(error).split()))  # it goes into the database, W&B and pages
    return text if isinstance(error, FxaiError) else f"{type(error).__name__}: {text}"
