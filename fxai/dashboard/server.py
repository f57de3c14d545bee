"""The server of the dashboard: what stands before Optuna's application, and errors of port and database in words."""

from __future__ import annotations

import errno
import socket
import sys
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, BinaryIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from optuna.artifacts import FileSystemArtifactStore
from optuna.storages import RDBStorage, get_storage
from sqlalchemy import event

from fxai.dashboard.access import Access
from fxai.dashboard.extras import Extras
from fxai.dashboard.guard import ARRIVED_AT, Guard, ReadOnly, WsgiApp
from fxai.dashboard.login import Login
from fxai.errors import InputError
from fxai.study.database.storage import open_storage

_PORTS_TRIED = 50

_ASKING_S, _ANSWERING_S = 30.0, 600.0
"""How long a client may be silent before its request is whole, and take to send a file or to read an answer."""

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

    def server_bind(self) -> None:
        """Bind without HTTPServer's question to the name service who we are: it may take its time to fail."""
        if self.address_family == socket.AF_INET6 and self.server_address[0] == "::":
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # all addresses are also those of IPv4
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away or falls silent is no fault of ours."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Server6(_Server):
    address_family = socket.AF_INET6


class _QuietHandler(WSGIRequestHandler):
    timeout = _ASKING_S

    def get_environ(self) -> dict[str, Any]:
        """The request, and where it came to."""
        self.connection.settimeout(_ANSWERING_S)
        return {**super().get_environ(), ARRIVED_AT: str(self.connection.getsockname()[0])}

    def log_message(self, format: str, *args: Any) -> None:
        """A line for each request would bury everything else."""


def dashboard_server(url: str, access: Access, results_dir: Path) -> WSGIServer:
    """A server for the studies of a database, listening; `serve_forever` runs it.

    Args:
        url: the database; it exists.
        access: where to listen, and who may come.
        results_dir: holds the studies' folders, whose files the dashboard shows; it may be missing.

    Raises:
        InputError: the database does not exist, or address and port are not to be had.
    """
    database = open_storage(url, create=False, readonly=True)
    if not access.writes:
        _never_write(database)
    # Optuna's cache over the database: of trials that have ended nothing is read twice
    storage = get_storage(database)
    from optuna_dashboard import wsgi

    uploads = Uploads(results_dir / UPLOADS)
    app: WsgiApp = Extras(wsgi(storage, artifact_store=uploads), storage, url, results_dir)
    if not access.writes:
        app = ReadOnly(app)
    if access.token is not None:
        app = Login(app, access.token, access.port)
    server = _listening(access)
    server.set_app(Guard(app, access))
    return server


def _never_write(database: RDBStorage) -> None:
    """The second lock of a read-only dashboard: the database itself refuses."""
    word = (
        "PRAGMA query_only=ON" if database.engine.dialect.name == "sqlite" else "SET default_transaction_read_only=on"
    )

    @event.listens_for(database.engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(word)
        cursor.close()
        if database.engine.dialect.name != "sqlite":
            connection.commit()  # a setting made in a transaction that is rolled back is gone

    database.engine.dispose()  # connections from before


def _listening(access: Access) -> _Server:
    kind = _Server6 if ":" in access.address else _Server
    try:
        return kind((access.address, access.port), _QuietHandler)
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            hint = "0.0.0.0 listens at all addresses of this machine; `ip address` lists them"
            raise InputError(f"this machine has no address {access.address}", where="--host", hint=hint) from error
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        free = _free_port(kind.address_family, access.address, access.port)
        reason = "in use" if error.errno == errno.EADDRINUSE else "reserved for the system"
        raise InputError(f"port {access.port} is {reason}", where="dashboard", hint=f"try --port {free}") from error


def _free_port(family: int, host: str, taken: int) -> int:
    for port in range(max(taken, 1024) + 1, min(taken + _PORTS_TRIED, 65536)):
        with socket.socket(family) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise InputError(f"no free port from {taken} to {taken + _PORTS_TRIED}", where="dashboard")
