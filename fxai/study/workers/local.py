"""Workers as processes of this machine, each in its slot."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess

from fxai.study.owner import Owner
from fxai.study.workers.handle import Started
from fxai.study.workers.process import main
from fxai.study.workers.signals import interrupt_blocked
from fxai.study.workers.worker import WorkerSetup


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """A child of this process."""

    process: SpawnProcess

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self.process.join(timeout)

    def kill(self) -> None:
        """SIGKILL, which also ends one that is suspended."""
        self.process.kill()

    def how_it_ended(self) -> str:
        """By a signal, or with an exit code."""
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def is_blameless(self) -> bool:
        """A process that dies may have been killed by what it ran: by the system, for its memory."""
        return False


def start_process(setup: WorkerSetup) -> Started:
    """Start a worker. It cannot receive the terminal's Ctrl-C, not even while it starts."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=main, args=(setup, theirs), name=f"fxai-worker-{setup.name}")
    with interrupt_blocked(), _environment(setup.slot.environment):
        process.start()
    theirs.close()
    assert process.pid is not None
    return Started(LocalProcess(process), mine, Owner.of_child(process.pid))


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """What a child started meanwhile inherits: libraries read it at import, before any code of the worker runs."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
