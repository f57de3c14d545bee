"""The parent's loop over its workers: start, listen, replace the dead, stop."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage

from fxai.errors import FxaiError
from fxai.study.database import budget
from fxai.study.database.mark import BEAT, BEAT_S
from fxai.study.database.storage import hurry
from fxai.study.owner import Owner
from fxai.study.trial_files import drop_checkpoints, trial_folder
from fxai.study.workers.handle import Handle, Start
from fxai.study.workers.process import EXIT_GRACE_S, STOP_GRACE_S
from fxai.study.workers.signals import STOP_SIGNALS, signal_pipe
from fxai.study.workers.slots import Slot
from fxai.study.workers.worker import INTERRUPTED, WorkerSetup

TICK_S = 1.0
"""Longest sleep of the loop; a death is normally seen at once, through the end of the pipe."""

KILL_AFTER_S = STOP_GRACE_S + EXIT_GRACE_S + 2.0
"""After a stop a worker is killed when it has not ended by then."""

HARD_EXIT_S = 1.5
"""After the second signal the parent ends by then, whatever its main thread is doing."""

MAX_QUICK_DEATHS = 3
"""Workers in a row that may die before their first trial."""

PAUSE_S = 300.0
"""How long a slot stays empty where that many have died while others run trials: a GPU or a node may be broken."""

LOG_TAIL = 20

LOOK_EVERY_S = BEAT_S
"""How often the parent looks for trials whose workers, its own or others', have stopped beating."""

AT_ONCE = 1000
"""Events of one worker in a round of the loop."""

AWAY_S = 10.0
"""A loop that comes round so late was suspended, and its workers were too: nobody hangs for that."""

Tell = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class Supervisor:
    """Looks after the workers that this process runs for one study."""

    setup: WorkerSetup
    """Of every worker, but for its slot."""
    storage: RDBStorage
    study_id: int
    tell: Tell
    """Takes every event."""
    start: Start
    slots: tuple[Slot, ...]
    best: Callable[[], tuple[int, float] | None] = lambda: None
    """Number and value of the best trial in the database, whoever ran it."""
    leads: bool = True
    """Others may help (`--join`); the one that leads stays until their trials have ended too."""
    signal: int | None = None
    """First signal that asked for the end."""
    killed: bool = False
    timed_out: bool = False
    _workers: list[Handle] = field(default_factory=list)
    _error: FxaiError | None = None
    _quick_deaths: Counter[int] = field(default_factory=Counter)
    """By worker index, since its last trial."""
    _ran: bool = False
    """A worker has started a trial."""
    _paused: dict[Slot, float] = field(default_factory=dict)
    """Slots that stay empty, and until when."""
    _lost: Counter[int] = field(default_factory=Counter)
    """By worker index: processes in a row that lost their device."""
    _drain_at: float | None = None
    _kill_at: float | None = None
    _looked_at: float = field(default_factory=time.monotonic)
    _look_at: float = field(default_factory=lambda: time.monotonic() + LOOK_EVERY_S)
    _beats: int = field(default_factory=lambda: int(time.time()))
    """Larger than those of whoever led the study before."""
    _told: int = -1
    """Finished trials that the view was last told of."""
    _waits: bool = False
    """It has said that it waits for the workers of others."""

    def run(self) -> None:
        """Run workers until the budget is spent, the time is up or a signal comes.

        Raises:
            FxaiError: what a worker could not go on from, or that workers die at their start.
        """
        wake, waker = multiprocessing.Pipe(duplex=False)
        with signal_pipe((signal.SIGINT, *STOP_SIGNALS)) as signals:
            watcher = threading.Thread(target=self._watch, args=(signals, waker), name="signals", daemon=True)
            watcher.start()
            try:
                self._supervise(wake)
            finally:
                self._end_all()
        watcher.join()
        if self._error is not None and not self.killed:
            raise self._error

    def _supervise(self, wake: Connection) -> None:
        self._reclaim({})
        if self.setup.spec.timeout is not None:
            self._drain_at = time.monotonic() + self.setup.spec.timeout
        self._start_up_to(self._to_start())
        while not self.killed and (self._workers or self._waits_for_others()):
            ready = wait([wake, *(worker.connection for worker in self._workers)], timeout=self._patience_s())
            if wake in ready:
                wake.recv()
                kills = "; once more kills them" if self.signal == signal.SIGINT else ""
                self._log(f"stopping: running trials go back to the queue{kills}")
                self._stop_all()
            for worker in list(self._workers):
                self._listen(worker, AT_ONCE)
                if not self.killed and (worker.has_left or not worker.process.is_alive()):
                    self._bury(worker)
            self._look_at_the_clock()
        if self.killed:  # not the trials' fault; HARD_EXIT_S ends this if the database is locked
            gone = {worker.owner: INTERRUPTED for worker in self._workers if worker.owner is not None}
            self._end_all()
            self._reclaim(gone, blame=False)

    def _start_up_to(self, n: int) -> None:
        """Start at most n workers in the slots that are free."""
        taken = {worker.setup.slot for worker in self._workers} | self._resting()
        for slot in [slot for slot in self.slots if slot not in taken][: max(0, n)]:
            self._start(slot)

    def _resting(self) -> set[Slot]:
        return {slot for slot, until in self._paused.items() if time.monotonic() < until}

    def _start(self, slot: Slot) -> None:
        setup = replace(self.setup, slot=slot)
        started = self.start(setup)
        self._workers.append(Handle(setup, started.process, started.connection, started.owner))

    def _waits_for_others(self) -> bool:
        """Whether trials run that other processes hold, which may come back to the queue; nothing runs here."""
        if not self.leads or self._ending():
            return False
        self._reclaim({})
        count = budget.tally(self.storage, self.study_id)  # once: between two, a trial may go back to the queue
        self._start_up_to(self._left(count))
        if count.running and not self._waits and not self._workers:
            self._waits = True
            plural = "trial runs" if count.running == 1 else "trials run"
            self._log(f"{count.running} {plural} in other processes: waiting for them (Ctrl-C ends the wait)")
        return bool(self._workers or count.running)

    def _listen(self, worker: Handle, most: int | None = None) -> None:
        """Take what the worker has sent, at most so many events: one that floods the pipe is not the only one."""
        while most != 0 and (event := worker.hear()) is not None:
            self._take(worker, event)
            most = None if most is None else most - 1

    def _take(self, worker: Handle, event: dict[str, Any]) -> None:
        kind = event["kind"]
        if kind == "bye":
            worker.farewell = event["reason"]
        elif kind == "fatal":
            worker.farewell = "fatal"
            self._fail(event["error"])
        else:
            worker.note(event)
            if kind == "trial_started":
                self._ran = True
                del self._quick_deaths[worker.setup.index]
            if kind != "hello":
                self.tell(event)
            if kind == "trial_finished" and event["state"] in ("COMPLETE", "PRUNED"):
                del self._lost[worker.setup.index]

    def _bury(self, worker: Handle) -> None:
        """A worker has ended: see to its trial, and replace it if it should have gone on."""
        worker.end(KILL_AFTER_S)
        self._listen(worker)
        worker.connection.close()
        self._workers.remove(worker)
        how, index = worker.how_it_ended(), worker.setup.index
        if worker.owner is not None:
            blame = self._kill_at is None and not worker.process.is_blameless()
            self._reclaim({worker.owner: f"its worker {how}"}, worker=index, blame=blame)
        if self._ending() or worker.farewell in ("budget", "drained", "fatal"):
            return
        if worker.farewell is None:
            self._log(f"worker {index} {how}")
            self._note_death(worker, how)
        if worker.farewell == "device lost":
            self._note_lost_device(worker)
        if not self._ending() and worker.setup.slot not in self._resting() and self._to_start() > 0:
            self._start(worker.setup.slot)

    def _note_lost_device(self, worker: Handle) -> None:
        """A new process is the remedy of most such losses; where it is not, trials must not be spent on it."""
        self._log(f"worker {worker.setup.index} lost its device; another process goes on")
        self._lost[worker.setup.index] += 1
        if self._lost[worker.setup.index] >= MAX_QUICK_DEATHS:
            self._fail(
                FxaiError(
                    f"{MAX_QUICK_DEATHS} processes in a row lost their device without finishing a trial",
                    where=str(worker.setup.log_path),
                    hint="poe optuna-doctor says what the GPU is like; the same command goes on with the study",
                )
            )

    def _note_death(self, worker: Handle, how: str) -> None:
        slot, log_path = worker.setup.slot, worker.setup.log_path
        if worker.had_trial:
            return
        self._quick_deaths[slot.index] += 1
        if self._quick_deaths[slot.index] < MAX_QUICK_DEATHS:
            return
        self._paused[slot] = time.monotonic() + PAUSE_S
        if self._ran and len(self._resting()) < len(self.slots):
            self._log(f"worker {slot.index} never comes to a trial, and waits for {PAUSE_S:g} s: {log_path} says why")
            return
        lines = "\n".join(f"  {line}" for line in _tail(log_path))
        self._fail(
            FxaiError(
                f"{MAX_QUICK_DEATHS} workers in a row ended before their first trial; the last one {how}. "
                f"End of its log:\n{lines}",
                where=str(log_path),
            )
        )

    def _to_start(self) -> int:
        """Trials that the budget still allows to start."""
        return self._left(budget.tally(self.storage, self.study_id))

    def _left(self, count: budget.Tally) -> int:
        return self.setup.spec.n_trials - count.finished - count.running

    def _ending(self) -> bool:
        return self._kill_at is not None or self.timed_out

    def _fail(self, error: FxaiError) -> None:
        self._error = self._error or error
        self._stop_all()

    def _stop_all(self) -> None:
        """Ask all workers to release their trials and end."""
        if self._kill_at is None:
            self._kill_at = time.monotonic() + KILL_AFTER_S
        for worker in self._workers:
            worker.tell("stop")

    def _patience_s(self) -> float:
        deadlines = [at - time.monotonic() for at in (self._drain_at, self._kill_at) if at is not None]
        return max(0.0, min([TICK_S, *deadlines]))

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if self._drain_at is not None and now >= self._drain_at:
            self._drain_at = None
            self.timed_out = True
            self._log(f"the time of {self.setup.spec.timeout:g} s is up: running trials finish, no other starts")
            for worker in self._workers:
                worker.tell("drain")
        if self._kill_at is not None and now >= self._kill_at:
            for worker in self._workers:
                worker.process.kill()
        self._kill_the_hung(now)
        self._send_the_idle_home()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY_S
            self._look_around()

    def _look_around(self) -> None:
        """Show that whoever leads lives, and take back the trials of workers that do not."""
        if self.leads:
            self._beats += 1
            self.storage.set_study_user_attr(self.study_id, BEAT, self._beats)
        if not self._ending():
            self._reclaim({})
            self._start_up_to(self._to_start())
        finished = budget.tally(self.storage, self.study_id).finished
        if finished != self._told:  # else the view knows the best itself
            self._told = finished
            self.tell({"kind": "tally", "finished": finished, "best": self.best()})

    def _kill_the_hung(self, now: float) -> None:
        """End workers whose trial has not moved for `stall_s`; their trial is tried again, as after any death."""
        away_s, self._looked_at = now - self._looked_at, now
        for worker in self._workers:
            worker.moved_at += away_s if away_s > AWAY_S else 0.0
            if worker.hangs(self.setup.spec.stall_s):
                worker.process.kill()

    def _send_the_idle_home(self) -> None:
        """End workers that still wait for a place in a cluster when there is nothing left for them to do."""
        waiting = [worker for worker in self._workers if worker.owner is None]
        if waiting and len(waiting) == len(self._workers) and (self.timed_out or self._to_start() <= 0):
            for worker in waiting:
                worker.farewell = "budget"
                worker.process.kill()

    def _reclaim(self, gone: dict[Owner, str], *, worker: int = 0, blame: bool = True) -> None:
        """Take back the trials of workers that are gone, and tell the view."""
        for taken in budget.reclaim(self.storage, self.study_id, gone, blame=blame):
            if taken.requeued_as is None:
                drop_checkpoints(trial_folder(self.setup.folder, taken.number))
            self.tell({**taken.event(), "worker": worker})

    def _log(self, text: str) -> None:
        self.tell({"kind": "log", "text": text})

    def _watch(self, signals: int, waker: Connection) -> None:
        """First signal: wake the loop, which stops the workers. Ctrl-C after it: kill, without waiting for the loop.

        Any other signal may come twice without meaning more: SLURM sends SIGTERM to every process of a step, and srun
        passes on its own. Whoever has no more patience sends SIGKILL.
        """
        with open(signals, "rb", buffering=0) as pipe:
            while number := pipe.read(1)[0]:
                if number not in (signal.SIGINT, *STOP_SIGNALS):
                    continue
                if self.signal is None:
                    self.signal = number
                    hurry(self.storage, KILL_AFTER_S)
                elif number == signal.SIGINT:
                    self._kill_all()
                else:
                    continue
                waker.send("stop")

    def _kill_all(self) -> None:
        self.killed = True
        for worker in list(self._workers):
            worker.process.kill()
        code = 130 if self.signal == signal.SIGINT else 143
        hard_exit = threading.Timer(HARD_EXIT_S, os._exit, [code])
        hard_exit.daemon = True
        hard_exit.start()

    def _end_all(self) -> None:
        """Leave no process behind, whatever brought us here: the closed pipe tells workers to release and end."""
        for worker in self._workers:
            worker.connection.close()
        deadline = time.monotonic() + (0.0 if self.killed else KILL_AFTER_S)
        for worker in self._workers:
            worker.end(deadline - time.monotonic())
        self._workers.clear()


def _tail(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
    except OSError:
        return ["(no log was written)"]
