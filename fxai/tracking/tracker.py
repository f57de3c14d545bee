"""A view that tracks the study in W&B beside the view that shows it.

The study's loop only puts events into a queue. A thread passes them to a process of its own, which may hang, fail or
be killed without a trial noticing.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from fxai.errors import FxaiError
from fxai.files import ensure_writable_dir
from fxai.study.spec import StudySpec
from fxai.study.workers.launch import View
from fxai.study.workers.signals import interrupt_blocked
from fxai.tracking.credentials import HINT, effective_mode
from fxai.tracking.process import main
from fxai.tracking.study import TrackedStudy

QUEUE_SIZE = 10_000
"""Events that may wait for W&B; what comes beyond is dropped."""

CLOSE_S = 20.0
"""How long the end of a study waits for W&B."""

SAY_AFTER_S = 2.0
"""A wait that takes longer is announced."""

Say = Callable[[str], None]


def tracked(view: View, spec: StudySpec, folder: Path, say: Say, *, warn: Say | None = None) -> View:
    """The view, tracked where the spec's section `wandb` and the credentials say so.

    Args:
        view: what shows the study.
        spec: the study.
        folder: its folder; W&B's files go below it.
        say: takes the one line about why it is off.
        warn: takes what goes wrong; by default the view does, as lines of its log.

    Raises:
        InputError: `wandb.mode: online` without credentials.
    """
    settings = spec.base.wandb
    mode = effective_mode(settings)
    if mode == "disabled":
        if settings.mode == "auto":
            say(f"note: W&B is off, there are no credentials ({HINT})")
        return view
    study = TrackedStudy(
        study_name=spec.study_name,
        folder=folder.absolute(),
        mode=mode,
        project=settings.project,
        entity=settings.entity,
        group=settings.group or spec.study_name,
        tags=settings.tags,
        base=spec.base.model_dump(mode="json", exclude={"wandb"}),
        metric_names=spec.metric_names,
        directions=spec.directions,
        parameters=tuple(parameter.name for parameter in spec.parameters),
    )
    return Tracker(view, study, warn)


class Tracker:
    """Passes what it is told to a view, and to the tracking process.

    Args:
        view: what shows the study.
        study: what is tracked.
        warn: takes what goes wrong; by default the view does.
        size: events that may wait.
        close_s: how long the end may wait.
    """

    def __init__(
        self,
        view: View,
        study: TrackedStudy,
        warn: Say | None = None,
        *,
        size: int = QUEUE_SIZE,
        close_s: float = CLOSE_S,
        target: Callable[[TrackedStudy, Connection], None] = main,
    ) -> None:
        self.view = view
        self.study = study
        self._warn = warn or self._log
        self._close_s = close_s
        self._target = target
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(size)
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._dropped = 0
        self._lost = False
        """The process is gone before its time."""

    def start(
        self,
        study_name: str,
        n_trials: int,
        finished: int,
        best: tuple[int, float] | None,
        direction: str,
        metric_name: str,
    ) -> None:
        """Start the process and the view."""
        self.view.start(study_name, n_trials, finished, best, direction, metric_name)
        try:
            ensure_writable_dir(self.study.folder / "wandb")
            self._start_process()
        except (FxaiError, OSError) as error:
            self._process = None
            self._warn(f"W&B is off: {' '.join(str(error).split())}")

    def handle(self, event: dict[str, Any]) -> None:
        """Take in one event."""
        if self._process is not None and event.get("kind") != "log" and not self._lost:
            try:
                self._queue.put_nowait(event)
            except queue.Full:
                self._dropped += 1
                if self._dropped == 1:
                    self._warn(f"W&B is {self._queue.maxsize} events behind; what comes now is dropped")
        self.view.handle(event)
        self._pass_on()

    def close(self) -> None:
        """Wait a little for what is on its way to W&B, then end; Ctrl-C ends the waiting."""
        try:
            if self._process is not None:
                self._end(self._process)
        finally:
            self.view.close()

    def _start_process(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=self._target, args=(self.study, theirs), name="fxai-wandb", daemon=True)
        with interrupt_blocked():
            self._process.start()
        theirs.close()
        threading.Thread(target=self._feed, args=(self._connection,), name="fxai-wandb", daemon=True).start()

    def _feed(self, connection: Connection) -> None:
        """Pass events on; this thread may wait for the process as long as it likes."""
        with suppress(OSError):
            while True:
                event = self._queue.get()
                connection.send(event)
                if event is None:
                    return
        self._lost = True

    def _end(self, process: SpawnProcess) -> None:
        deadline = time.monotonic() + self._close_s
        try:
            if not self._lost:
                self._queue.put(None, timeout=self._close_s)
            process.join(min(SAY_AFTER_S, self._close_s))
            if process.is_alive():
                self._log(f"waiting for W&B, {self._close_s:g} s at most; Ctrl-C ends the waiting")
                process.join(max(0.0, deadline - time.monotonic()))
        except (queue.Full, KeyboardInterrupt):
            pass
        self._pass_on()
        if process.is_alive():
            _kill(process)
            folder = self.study.folder / "wandb"
            self._warn(
                f"W&B had not taken in everything after {self._close_s:g} s; what it had is in files: "
                f"wandb sync {folder}/*run-*"
            )
        elif process.exitcode:
            self._warn(f"W&B's process ended with exit code {process.exitcode} ({self.study.folder}/logs/wandb.log)")

    def _pass_on(self) -> None:
        """What the process has to say; only the study's own thread talks to the view."""
        with suppress(EOFError, OSError):
            while self._connection is not None and self._connection.poll():
                self._warn(self._connection.recv())

    def _log(self, text: str) -> None:
        self.view.handle({"kind": "log", "text": text})


def _kill(process: SpawnProcess) -> None:
    """The process and all that wandb started."""
    assert process.pid is not None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:  # it had no group of its own yet
        process.kill()
    process.join()
