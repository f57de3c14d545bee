"""The server of the dashboard: on loopback only, with the errors of a taken port or a missing database in words."""

from __future__ import annotations

import errno
import ipaddress
import socket
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, BinaryIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import get_storage

from fxai.dashboard.extras import Extras
from fxai.dashboard.guard import Guard
from fxai.errors import InputError
from fxai.study.storage import open_storage

_PORTS_TRIED = 50

UPLOADS = "_dashboard_uploads"
"""Folder beside the studies' folders for files that a person uploads in the dashboard."""


class Uploads(FileSystemArtifactStore):
    """Keeps what a person uploads; its folder is made with the first file."""

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Keep a file."""
        self._base_path.mkdir(parents=True, exist_ok=True)
        super().write(artifact_id, content_body)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A line for each request would bury everything else."""


def dashboard_server(url: str, host: str, port: int, results_dir: Path) -> WSGIServer:
    """A server for the studies of a database, listening; `serve_forever` runs it.

    Args:
        url: the database; it exists.
        host: a loopback address.
        port: to listen on.
        results_dir: holds the studies' folders, whose files the dashboard shows; it may be missing.

    Raises:
        InputError: the database does not exist, the host is not loopback, or the port is taken.
    """
    _check_loopback(host)
    # Optuna's cache over the database: of trials that have ended nothing is read twice
    storage = get_storage(open_storage(url, create=False, readonly=True))
    from optuna_dashboard import wsgi

    uploads = Uploads(results_dir / UPLOADS)
    app = Extras(wsgi(storage, artifact_store=uploads), storage, url, results_dir)
    guard = Guard(app, [f"{name}:{port}" for name in ("localhost", "127.0.0.1", host.lower())])
    try:
        return make_server(host, port, guard, server_class=_Server, handler_class=_QuietHandler)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        free = _free_port(host, port)
        reason = "in use" if error.errno == errno.EADDRINUSE else "reserved for the system"
        raise InputError(f"port {port} is {reason}", where="dashboard", hint=f"try --port {free}") from error


def _check_loopback(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise InputError(
            f"{host} can be reached by others, and the dashboard has no login",
            where="dashboard",
            hint="keep 127.0.0.1 and use a tunnel: ssh -L 8052:127.0.0.1:8052 THIS_MACHINE",
        )


def _free_port(host: str, taken: int) -> int:
    for port in range(max(taken, 1024) + 1, taken + _PORTS_TRIED):
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise InputError(f"no free port from {taken} to {taken + _PORTS_TRIED}", where="dashboard")
