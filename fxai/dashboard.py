"""Optuna's dashboard behind a guard: it has no login, and without one any web page could delete a study through it.

Served on loopback only. Requests must name this host (against DNS rebinding), and those that write must come from the
dashboard's own pages.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from fxai.errors import InputError
from fxai.study.storage import open_storage

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_READING = {"GET", "HEAD", "OPTIONS"}
_PORTS_TRIED = 50


class Guard:
    """Lets a request through only if it was meant for this server and, where it writes, sent by its own pages."""

    def __init__(self, app: WsgiApp, hosts: Iterable[str]) -> None:
        """Wrap `app`; `hosts` are the values of the Host header that are ours, with port."""
        self._app = app
        self._hosts = set(hosts)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer 403 or hand the request on."""
        refusal = self._refusal(environ)
        if refusal is None:
            return self._app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [refusal.encode()]

    def _refusal(self, environ: dict[str, Any]) -> str | None:
        host = environ.get("HTTP_HOST", "").lower()
        if host not in self._hosts:
            return "This server does not answer to that host name.\n"
        if environ["REQUEST_METHOD"] in _READING:
            return None
        origin = environ.get("HTTP_ORIGIN")
        # Browsers send Origin with every write across sites; a request without it comes from no web page.
        foreign = origin is not None and origin.lower() != f"http://{host}"
        cross = environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none")
        return "Only the dashboard's own pages may change a study.\n" if foreign or cross else None


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A line for each request would bury everything else."""


def dashboard_server(url: str, host: str, port: int) -> WSGIServer:
    """A server for the studies of a database, listening; `serve_forever` runs it.

    Raises:
        InputError: the database does not exist, the host is not loopback, or the port is taken.
    """
    _check_loopback(host)
    storage = open_storage(url, create=False, readonly=True)
    from optuna_dashboard import wsgi

    names = ("localhost", "127.0.0.1", host.lower())
    guard = Guard(wsgi(storage), [f"{name}:{port}" for name in names])
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
