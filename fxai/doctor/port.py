"""The dashboard's port: free, or who has it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

from fxai.doctor.finding import Finding, note, ok
from fxai.doctor.place import Place

HOST = "127.0.0.1"

_LISTENS = "0A"
"""State of a listening socket in /proc/net/tcp."""

_TRIED = 50


def check(place: Place) -> list[Finding]:
    """Binds the port for a moment, as the dashboard would."""
    if is_free(place.port):
        return [ok("dashboard", f"port {place.port} is free", port=place.port)]
    who = _holder(place.port)
    told = f"port {place.port} is in use" + ("" if who is None else f" by {who}")
    free = next((port for port in range(place.port + 1, min(place.port + _TRIED, 65536)) if is_free(port)), None)
    hint = None if free is None else f"poe optuna-dashboard --port {free}   (or it is your dashboard)"
    return [note("dashboard", told, hint, port=place.port, held_by=who)]


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as http.server does
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str | None:
    """The process that listens there; None where this user cannot see it. Its arguments may hold secrets."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for handles in Path("/proc").glob("[0-9]*/fd"):
        if any(_link(handle) in sockets for handle in _inside(handles)):
            process = handles.parent
            try:
                name = (process / "comm").read_text(encoding="utf-8", errors="replace").strip()
            except OSError:
                continue
            return f"process {process.name} ({name})"
    return None


def _inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in map(str.split, lines):
            if row[3] == _LISTENS and int(row[1].rpartition(":")[2], 16) == port:
                yield row[9]


def _inside(folder: Path) -> list[str]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError:  # another user's process, or one that has ended
        return []


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
