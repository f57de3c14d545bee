"""The tracking process: takes events from a pipe and tracks them, whatever W&B needs for that.

It is no member of the terminal's process group: a Ctrl-C does not reach it, and it can be killed with all that wandb
started. The pipe's end, be it the parent's death, is its end.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from fxai.files import open_log
from fxai.study.workers.signals import STOP_SIGNALS
from fxai.tracking.study import TrackedStudy

LONGEST_END_S = 30.0
"""How long the process may live on after its last event, should nobody be there to kill it."""

log = logging.getLogger("fxai.wandb")


def main(study: TrackedStudy, connection: Connection) -> None:
    """Entry point of the process."""
    os.setsid()
    for number in (signal.SIGINT, *STOP_SIGNALS):
        signal.signal(number, signal.SIG_IGN)
    _write_to(study.folder / "logs" / "wandb.log")
    _keep_to_oneself(study)

    def note(text: str) -> None:
        with suppress(OSError):
            connection.send(text)

    try:
        from fxai.tracking.wandb_runs import Runs
    except Exception as error:
        log.exception("wandb cannot be imported")
        note(f"W&B is off: wandb cannot be imported ({type(error).__name__}: {error})")
        return
    runs = Runs(study, note)
    with suppress(EOFError, OSError):
        while (event := connection.recv()) is not None:
            runs.take(event)
    _end_by(LONGEST_END_S)
    runs.close()


def _keep_to_oneself(study: TrackedStudy) -> None:
    """Settings of wandb that are read from the environment alone."""
    os.environ["WANDB_ERROR_REPORTING"] = "false"  # tracebacks and the command line would go to a third party
    os.environ["WANDB_CACHE_DIR"] = str(study.folder / "wandb" / "cache")
    for name in ("WANDB_RUN_ID", "WANDB_RESUME", "WANDB_MODE", "WANDB_DISABLED", "WANDB_SILENT"):
        os.environ.pop(name, None)
    if study.mode == "offline":
        os.environ.pop("WANDB_API_KEY", None)


def _end_by(seconds: float) -> None:
    """Kill this process and what wandb started, if they are still there by then."""
    timer = threading.Timer(seconds, os.killpg, [os.getpid(), signal.SIGKILL])
    timer.daemon = True
    timer.start()


def _write_to(path: Path) -> None:
    """Send all output to a log file: the terminal belongs to the view."""
    handle = open_log(path)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(handle, stream.fileno())
    os.close(handle)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
