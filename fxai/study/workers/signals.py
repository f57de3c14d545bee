"""Signals as bytes in a pipe, so that a thread sees them even while the main thread is deep inside C code."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR2", "SIGHUP") if hasattr(signal, name))
"""What asks a process to hand its work back: SLURM sends SIGTERM or SIGUSR2, a closed terminal SIGHUP."""


@contextlib.contextmanager
def signal_pipe(signals: tuple[int, ...]) -> Iterator[int]:
    """Send these signals into a pipe instead of letting them act; main thread only.

    Yields:
        The pipe's reading end: one byte per signal, its number. A zero byte comes when the block ends.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    previous_writer = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    # What is ignored stays ignored: nohup wants SIGHUP to be, and a shell SIGINT for what it runs in the background.
    heeded = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, _nothing) for number in heeded}
    try:
        yield reader
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous_writer, warn_on_full_buffer=False)
        os.write(writer, b"\0")
        os.close(writer)


@contextlib.contextmanager
def interrupt_blocked() -> Iterator[None]:
    """Hold SIGINT back; a process started meanwhile never receives it, and here it arrives afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _nothing(_signal: int, _frame: object) -> None:
    """A Python handler must exist for the byte to be written."""
