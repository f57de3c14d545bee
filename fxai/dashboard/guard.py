"""Who gets in. Optuna's dashboard has no login, and without a guard any web page could delete a study through it.

Requests must name this host (against DNS rebinding), and those that write must come from the dashboard's own pages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from fxai.dashboard.access import Access

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

FILE_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:"
)
"""Content security policy of files: a page among them is shown as one of nobody's, which reaches neither the dashboard
nor the network."""

ARRIVED_AT = "fxai.arrived_at"
"""Key in the environment of a request: this machine's address that it came to."""

_READING = {"GET", "HEAD", "OPTIONS"}
"""Methods that change nothing in optuna-dashboard; a test asks all its routes."""

_DRAINED = 64 * 1024
"""Bytes of a refused request that are read: a connection closed before would lose the answer too."""


class Guard:
    """Lets a request through only if it was meant for this server and, where it writes, sent by its own pages."""

    def __init__(self, app: WsgiApp, access: Access) -> None:
        """Wrap `app`."""
        self._app, self._access = app, access

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer 403 or hand the request on."""
        refusal = self._refusal(environ)
        if refusal is None:
            return self._app(environ, _for_own_pages(start_response, environ.get("PATH_INFO", "")))
        return refuse(environ, start_response, HTTPStatus.FORBIDDEN, refusal)

    def _refusal(self, environ: Environ) -> str | None:
        host = environ.get("HTTP_HOST", "").lower()
        schemes = self._access.schemes(host, environ.get(ARRIVED_AT, ""))
        if not schemes:
            return self._access.refusal(host)
        if environ["REQUEST_METHOD"] in _READING:
            return None
        origin = environ.get("HTTP_ORIGIN")
        # Browsers send Origin with every write across sites; a request without it comes from no web page.
        foreign = origin is not None and origin.lower() not in [f"{scheme}://{host}" for scheme in schemes]
        cross = environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none")
        return "Only the dashboard's own pages may change a study." if foreign or cross else None


class ReadOnly:
    """Lets only requests through that change nothing."""

    def __init__(self, app: WsgiApp) -> None:
        """Wrap `app`."""
        self._app = app

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer 403 or hand the request on."""
        if environ["REQUEST_METHOD"] in _READING:
            return self._app(environ, start_response)
        reason = "This dashboard is read-only; --allow-writes starts one in which studies can be changed."
        return refuse(environ, start_response, HTTPStatus.FORBIDDEN, reason)


def refuse(
    environ: Environ,
    start_response: Callable[..., Any],
    status: HTTPStatus,
    reason: str,
    headers: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    """Answer with a reason: in the words that the dashboard's pages show, or as text."""
    drain(environ)
    api = environ.get("PATH_INFO", "").startswith("/api/")
    body = (json.dumps({"reason": reason}) if api else reason + "\n").encode()
    mime = "application/json" if api else "text/plain; charset=utf-8"
    told = [("Content-Type", mime), ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store")]
    start_response(f"{status.value} {status.phrase}", [*told, *headers])
    return [body]


def drain(environ: Environ, limit: int = _DRAINED) -> bytes:
    """Read what the client sent, up to `limit` bytes; nothing of one that does not say how much, or that stops."""
    length = environ.get("CONTENT_LENGTH") or ""
    if not re.fullmatch(r"[0-9]{1,15}", length):
        return b""
    try:
        return bytes(environ["wsgi.input"].read(min(int(length), limit)))
    except OSError:
        return b""


def _for_own_pages(start_response: Callable[..., Any], path: str) -> Callable[..., Any]:
    """Headers that optuna-dashboard lacks, or has for the whole world.

    No page of another origin may read artifacts (Access-Control-Allow-Origin: *) or show the dashboard in a frame, and
    an artifact that somebody uploaded has no more rights than a file has.
    """

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        kept = [(key, value) for key, value in headers if not key.lower().startswith("access-control-")]
        added = [("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "SAMEORIGIN")]
        if path.startswith("/artifacts/") and not any(key.lower() == "content-security-policy" for key, _ in kept):
            added.append(("Content-Security-Policy", FILE_POLICY))
        return start_response(status, [*kept, *added], *more)

    return start
