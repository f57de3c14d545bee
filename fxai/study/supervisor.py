"""The parent's loop over its workers: start, listen, replace the dead, stop."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage

from fxai.errors import FxaiError
from fxai.study import budget
from fxai.study.owner import Owner
from fxai.study.process import EXIT_GRACE_S, STOP_GRACE_S, main
from fxai.study.signals import STOP_SIGNALS, interrupt_blocked, signal_pipe
from fxai.study.storage import hurry
from fxai.study.worker import INTERRUPTED, WorkerSetup

TICK_S = 1.0
"""Longest sleep of the loop; a death is normally seen at once, through the end of the pipe."""

KILL_AFTER_S = STOP_GRACE_S + EXIT_GRACE_S + 2.0
"""After a stop a worker is killed when it has not ended by then."""

HARD_EXIT_S = 1.5
"""After the second signal the parent ends by then, whatever its main thread is doing."""

MAX_QUICK_DEATHS = 3
"""Workers in a row that may die before their first trial."""

LOG_TAIL = 20

Handle = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class _Worker:
    """One process and what is known of it."""

    setup: WorkerSetup
    process: SpawnProcess
    connection: Connection
    owner: Owner
    had_trial: bool = False
    farewell: str | None = None
    """Why it ended by itself; None as long as it has not said so."""
    eof: bool = False

    def tell(self, word: str) -> None:
        """Send "stop" or "drain"; one that is gone needs neither."""
        with suppress(OSError):
            self.connection.send(word)

    def hear(self) -> dict[str, Any] | None:
        """The next event; None when there is none for now, or `eof` none any more."""
        try:
            return self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            self.eof = True
            return None


@dataclass(slots=True)
class Supervisor:
    """Runs the workers of one study in this process."""

    setup: WorkerSetup
    storage: RDBStorage
    study_id: int
    handle: Handle
    n_workers: int = 1
    signal: int | None = None
    """First signal that asked for the end."""
    killed: bool = False
    timed_out: bool = False
    _workers: list[_Worker] = field(default_factory=list)
    _error: FxaiError | None = None
    _quick_deaths: Counter[int] = field(default_factory=Counter)
    """By worker index; none once any worker has started a trial."""
    _drain_at: float | None = None
    _kill_at: float | None = None

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
        for index in range(min(self.n_workers, self._to_start())):
            self._start(index)
        while self._workers and not self.killed:
            ready = wait([wake, *(worker.connection for worker in self._workers)], timeout=self._patience_s())
            if wake in ready:
                wake.recv()
                self._log("stopping: running trials go back to the queue; once more kills them")
                self._stop_all()
            for worker in list(self._workers):
                self._listen(worker)
                if not self.killed and (worker.eof or not worker.process.is_alive()):
                    self._bury(worker)
            self._look_at_the_clock()
        if self.killed:  # not the trials' fault; HARD_EXIT_S ends this if the database is locked
            gone: dict[Owner | None, str] = {worker.owner: INTERRUPTED for worker in self._workers}
            self._end_all()
            self._reclaim(gone, blame=False)

    def _start(self, index: int) -> None:
        """Start a worker. It cannot receive the terminal's Ctrl-C, not even while it starts."""
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe()
        setup = replace(self.setup, index=index)
        process = context.Process(target=main, args=(setup, theirs), name=f"fxai-worker-{index}")
        with interrupt_blocked():
            process.start()
        theirs.close()
        assert process.pid is not None
        self._workers.append(_Worker(setup, process, mine, Owner.of_child(process.pid)))

    def _listen(self, worker: _Worker) -> None:
        """Take all that the worker has sent."""
        while (event := worker.hear()) is not None:
            self._take(worker, event)

    def _take(self, worker: _Worker, event: dict[str, Any]) -> None:
        kind = event["kind"]
        if kind == "bye":
            worker.farewell = event["reason"]
        elif kind == "fatal":
            worker.farewell = "fatal"
            self._fail(event["error"])
        else:
            if kind == "trial_started":
                worker.had_trial = True
                self._quick_deaths.clear()
            self.handle(event)

    def _bury(self, worker: _Worker) -> None:
        """A worker has ended: see to its trial, and replace it if it should have gone on."""
        worker.process.join(KILL_AFTER_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        self._listen(worker)
        worker.connection.close()
        self._workers.remove(worker)
        how = _how_it_ended(worker.process.exitcode)
        self._reclaim({worker.owner: f"its worker {how}"}, worker=worker.setup.index, blame=self._kill_at is None)
        if self._ending() or worker.farewell in ("budget", "drained", "fatal"):
            return
        if worker.farewell is None:
            self._log(f"worker {worker.setup.index} {how}")
            self._note_death(worker, how)
        if not self._ending() and self._to_start() > 0:
            self._start(worker.setup.index)

    def _note_death(self, worker: _Worker, how: str) -> None:
        if worker.had_trial:
            return
        self._quick_deaths[worker.setup.index] += 1
        if self._quick_deaths[worker.setup.index] >= MAX_QUICK_DEATHS:
            lines = "\n".join(f"  {line}" for line in _tail(worker.setup.log_path))
            self._fail(
                FxaiError(
                    f"{MAX_QUICK_DEATHS} workers in a row ended before their first trial; the last one {how}. "
                    f"End of its log:\n{lines}",
                    where=str(worker.setup.log_path),
                )
            )

    def _to_start(self) -> int:
        """Trials that the budget still allows to start."""
        count = budget.tally(self.storage, self.study_id)
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

    def _reclaim(self, gone: dict[Owner | None, str], *, worker: int = 0, blame: bool = True) -> None:
        """Take back the trials of workers that are gone, and tell the view."""
        for taken in budget.reclaim(self.storage, self.study_id, gone, blame=blame):
            self.handle({**taken.event(), "worker": worker})

    def _log(self, text: str) -> None:
        self.handle({"kind": "log", "text": text})

    def _watch(self, signals: int, waker: Connection) -> None:
        """First signal: wake the loop, which stops the workers. Second: kill, without waiting for the loop."""
        with open(signals, "rb", buffering=0) as pipe:
            while number := pipe.read(1)[0]:
                if number not in (signal.SIGINT, *STOP_SIGNALS):
                    continue
                if self.signal is not None:
                    self._kill_all()
                else:
                    self.signal = number
                    hurry(self.storage, KILL_AFTER_S)
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
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _tail(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL:]
    except OSError:
        return ["(no log was written)"]
