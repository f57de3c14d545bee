"""A worker as the parent holds it, whatever runs it: a process of this machine, or an actor of a Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Protocol

from fxai.study.owner import Owner
from fxai.study.workers.worker import WorkerSetup


class Process(Protocol):
    """What runs a worker."""

    def is_alive(self) -> bool:
        """Whether it has not ended."""

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most `timeout` seconds."""

    def kill(self) -> None:
        """End it at once."""

    def how_it_ended(self) -> str:
        """For a sentence that begins with the worker: "was killed by SIGKILL"."""

    def is_blameless(self) -> bool:
        """Whether it ended for a reason that no trial can have been."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a launcher gives back."""

    process: Process
    connection: Connection
    """Events come out of it and "stop" and "drain" go in; it ends when the worker does."""

    owner: Owner | None
    """Who will hold its trials; None where the worker has to say so itself."""


Start = Callable[[WorkerSetup], Started]
"""A launcher: starts one worker and returns without waiting for it."""


@dataclass(slots=True)
class Handle:
    """One worker and what is known of it."""

    setup: WorkerSetup
    process: Process
    connection: Connection
    owner: Owner | None
    had_trial: bool = False
    farewell: str | None = None
    """Why it ended by itself; None as long as it has not said so."""
    eof: bool = False
    trial: int | None = None
    """Number of the trial that it runs."""
    moved_at: float = field(default_factory=time.monotonic)
    """When it last told of a trial; its beat proves that it lives, not that it gets on."""
    hung: str | None = None
    """Why it was killed, if it was for getting nowhere."""

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

    @property
    def has_left(self) -> bool:
        """Whether it says no more; its process may live on, kept by a thread of an objective or by a broken GPU."""
        return self.eof or self.farewell is not None

    def end(self, patience_s: float) -> None:
        """Wait for its end, then make it end."""
        self.process.join(max(0.0, patience_s))
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def note(self, event: dict[str, Any]) -> None:
        """Remember what an event says of the worker."""
        self.moved_at = time.monotonic()
        if event["kind"] == "hello":
            self.owner = self.owner or Owner.from_dict(event["owner"])
        elif event["kind"] == "trial_started":
            self.had_trial = True
            self.trial = event["number"]
        elif event["kind"] == "trial_finished":
            self.trial = None

    def hangs(self, longest_s: float | None) -> bool:
        """Whether its trial has not moved for so long, which is told once; None: it never hangs."""
        idle_s = time.monotonic() - self.moved_at
        if longest_s is None or self.trial is None or self.hung is not None or idle_s <= longest_s:
            return False
        self.hung = f"was killed: no update of trial {self.trial} for {longest_s:g} s (stall_s)"
        return True

    def how_it_ended(self) -> str:
        """As of its process, unless it was killed for a reason."""
        return self.hung or self.process.how_it_ended()
