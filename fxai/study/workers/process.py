"""The worker as a process: its pipe to the parent, its signals, its log file, its end.

The parent holds the other end of the pipe: it receives events and sends "stop" or "drain" (finish this trial, start no
other); its death is the pipe's end.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from fxai.errors import FxaiError
from fxai.files import open_log
from fxai.study.owner import Owner
from fxai.study.workers.signals import STOP_SIGNALS, signal_pipe
from fxai.study.workers.worker import Worker, WorkerSetup

STOP_GRACE_S = 4.0
"""How long a training may take to come to its next report after a stop; then its trial is released without it."""

EXIT_GRACE_S = 4.0
"""How long releasing may take; the process ends after the sum of both whatever happens."""

log = logging.getLogger("fxai.worker")


def main(setup: WorkerSetup, connection: Connection) -> None:
    """Entry point of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the parent's affair
    with signal_pipe(STOP_SIGNALS) as signals:
        code = serve(setup, connection, signals)
    sys.exit(code)


def serve(setup: WorkerSetup, connection: Connection, signals: int | None = None) -> int:
    """Run a worker in this process, which is its own; returns the exit code.

    Args:
        setup: what to run.
        connection: to the parent.
        signals: of `signal_pipe`; None where somebody else hears the process's signals.
    """
    _write_to(setup.log_path)
    setup.slot.settle()
    log.info("worker %s: process %d, %s", setup.name, os.getpid(), setup.slot)
    mailbox = Mailbox(connection, setup.index)
    mailbox.emit({"kind": "hello", "owner": Owner.current().as_dict()})
    listener = Listener(mailbox, signals)
    try:
        listener.worker = Worker(setup, mailbox.emit, listener.stop, listener.drain)
        reason = listener.worker.run()
        listener.released.set()
        mailbox.emit({"kind": "bye", "reason": reason})
    except FxaiError as error:
        log.exception("the worker gives up")
        mailbox.emit({"kind": "fatal", "error": error})
        return 1
    finally:
        listener.released.set()
    return listener.exit_code


class Mailbox:
    """The worker's end of the pipe; several threads send."""

    def __init__(self, connection: Connection, index: int) -> None:
        self.connection = connection
        self._index = index
        self._lock = threading.Lock()

    def emit(self, event: dict[str, Any]) -> None:
        """Send an event; without a parent it is lost, and the listening thread deals with that."""
        try:
            with self._lock:
                self.connection.send({**event, "worker": self._index})
        except OSError:
            log.info("nobody listens to %s", event["kind"])


class Listener:
    """A thread that waits for the parent's word, its death, or a signal; a training deep in C code cannot delay it."""

    def __init__(self, mailbox: Mailbox, signals: int | None) -> None:
        self.stop = threading.Event()
        self.drain = threading.Event()
        self.released = threading.Event()
        """Set when the worker holds no trial any more and is about to end."""
        self.worker: Worker | None = None
        self.exit_code = 0
        self._mailbox = mailbox
        self._signals = signals
        threading.Thread(target=self._run, name="listen", daemon=True).start()

    def _run(self) -> None:
        ends = [end for end in (self._mailbox.connection, self._signals) if end is not None]
        while not self.stop.is_set():
            for ready in wait(ends):
                if ready is self._mailbox.connection:
                    self._hear()
                elif not self._see():
                    return
        deadline = threading.Timer(STOP_GRACE_S + EXIT_GRACE_S, os._exit, [self.exit_code])
        deadline.daemon = True
        deadline.start()
        if not self.released.wait(STOP_GRACE_S):
            self._abandon()

    def _hear(self) -> None:
        try:
            message = self._mailbox.connection.recv()
        except (EOFError, OSError):
            log.warning("the parent process is gone")
            message = "stop"
        (self.drain if message == "drain" else self.stop).set()

    def _see(self) -> bool:
        """Take a signal; False when the main thread is done."""
        assert self._signals is not None
        number = os.read(self._signals, 1)
        if number in (b"", b"\0"):
            return False
        if number[0] in STOP_SIGNALS:
            self.exit_code = 128 + signal.SIGTERM
            self.stop.set()
        return True

    def _abandon(self) -> None:
        """Release the trial over the head of a training that does not come back, and end the process."""
        try:
            if self.worker is not None:
                self.worker.release()
            self._mailbox.emit({"kind": "bye", "reason": "stopped"})
        finally:
            os._exit(self.exit_code)


def _write_to(path: Path) -> None:
    """Send all output, that of C code and of crashes included, to a log file."""
    handle = open_log(path)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(handle, stream.fileno())
    os.close(handle)
    faulthandler.enable()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
