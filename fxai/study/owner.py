"""Who holds a trial or a study: which process on which host, and whether it still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ORCHESTRATOR = "orchestrator"
"""User attribute of a study: the Owner that leads it, or null when nobody does."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One process. A process id alone is used again; with its start time it is not."""

    host: str
    pid: int
    pid_start: int | None
    """Clock ticks from boot to the start of the process; None where the system does not tell."""

    pid_namespace: int | None
    """Containers count process ids separately; None where the system does not tell."""

    boot: str | None = None
    """Of the host: two machines may have one name; None where the system, or a record of an earlier version, does not
    tell."""

    @classmethod
    def current(cls) -> Owner:
        """The calling process."""
        return cls(socket.gethostname(), os.getpid(), _start_ticks(os.getpid()), _namespace(), _boot())

    @classmethod
    def of_child(cls, pid: int) -> Owner:
        """A process that the caller started and has not waited for yet."""
        return cls(socket.gethostname(), pid, _start_ticks(pid), _namespace(), _boot())

    @classmethod
    def from_dict(cls, data: dict[str, Any] | None) -> Owner | None:
        """Read back what `as_dict` wrote; None for anything else."""
        try:
            owner = cls(**data) if data else None
        except TypeError:
            return None
        return owner if owner is None or isinstance(owner.pid, int) else None

    def as_dict(self) -> dict[str, Any]:
        """For a user attribute or a lock file."""
        return asdict(self)

    def is_known_dead(self) -> bool:
        """True only where this host can be sure; a process elsewhere is judged by its heartbeat."""
        if not self.is_of_this_host():
            return False
        if self.pid_start is not None and _stat_fields(self.pid):
            return _start_ticks(self.pid) != self.pid_start
        return not _exists(self.pid)  # of another user's process /proc may show nothing (hidepid)

    def is_known_alive(self) -> bool:
        """True only where this host can be sure; without a start time the id may be another process's by now."""
        return self.is_of_this_host() and self.pid_start is not None and _start_ticks(self.pid) == self.pid_start

    def is_known_awake(self) -> bool:
        """True only where this host can be sure that it lives and nobody has suspended it."""
        return self.is_known_alive() and (_stat_fields(self.pid) or ["T"])[0] not in ("T", "t")

    def is_of_this_host(self) -> bool:
        """Whether its process id is one of ours. After a restart of the host it is not: beats tell then."""
        here = Owner.current()
        same = (self.host, self.pid_namespace) == (here.host, here.pid_namespace)
        return same and self.boot in (None, here.boot)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _start_ticks(pid: int) -> int | None:
    """Field 22 of /proc/<pid>/stat, None for a process that is gone or a zombie (it holds nothing any more)."""
    fields = _stat_fields(pid)
    return None if not fields or fields[0] in ("Z", "X") else int(fields[19])


def _stat_fields(pid: int) -> list[str]:
    """/proc/<pid>/stat from field 3, the state, on; empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _namespace() -> int | None:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return None


def _boot() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
