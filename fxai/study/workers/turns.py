"""Workers draw one after the other where a sampler hands out places of one sequence.

Optuna's grid, QMC and brute force read which places are taken, and write down theirs a moment later: two workers at
once would take the same.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from fxai.study.workers.lock import no_locks

IN_TURNS = ("GridSampler", "QMCSampler", "BruteForceSampler")
"""The others draw from a seed of the trial's own, and need no turns."""

LOCK_NAME = ".draw.lock"

LONGEST_TURN_S = 60.0
POLL_S = 0.01

log = logging.getLogger("fxai.worker")


@contextlib.contextmanager
def turn_to_draw(folder: Path, sampler: str) -> Iterator[None]:
    """Wait for the other workers of the study's folder on this machine to have drawn and written; the system ends the
    turn of one that dies.

    Raises:
        StorageError: there can be no lock in the folder.
    """
    if sampler not in IN_TURNS:
        yield
        return
    path = folder / LOCK_NAME
    with contextlib.ExitStack() as turn:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            turn.callback(os.close, handle)
            _wait(handle)
        except OSError as error:
            raise no_locks(path, error) from error
        yield


def _wait(handle: int) -> None:
    """Until the lock is ours. Whoever is suspended in its turn is passed over: a point drawn twice is no great loss."""
    deadline = time.monotonic() + LONGEST_TURN_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                log.warning("another worker has been drawing for %.0f s; its turn is over", LONGEST_TURN_S)
                return
            time.sleep(POLL_S)
