"""The login: a form for people, `Authorization: Bearer TOKEN` for programs.

A browser gets a cookie that is drawn by lot and says nothing about the token. It is good until the server ends, until
SESSION_S without a request, or until the person logs out. The token is never part of an address.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote

from fxai.dashboard.guard import Environ, WsgiApp, drain, refuse
from fxai.dashboard.login_page import PAGE_HEADERS, form_page, inside_page
from fxai.dashboard.throttle import Throttle
from fxai.dashboard.token import Token
from fxai.report.talk import say

LOGIN, LOGOUT, HOME = "/login", "/logout", "/dashboard"

SESSION_S = 7 * 24 * 3600.0

_SESSIONS = 1000
"""Sessions at a time; one more ends the one that was used the longest ago."""

_FORM_BYTES = 8192

_QUIET_S = 60.0
"""Seconds between two lines about wrong tokens."""

_PLACE = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path of ours: `//host` and `/\\host` would lead elsewhere."""


class Sessions:
    """Who is logged in. Only hashes of the cookies are kept, so that looking one up tells nothing by its time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells seconds."""
        self._clock, self._lock = clock, threading.Lock()
        self._used_at: dict[bytes, float] = {}

    def open(self) -> str:
        """A new session; returns its cookie."""
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            self._used_at[_hash(cookie)] = self._clock()
            while len(self._used_at) > _SESSIONS:
                del self._used_at[next(iter(self._used_at))]
        return cookie

    def knows(self, cookie: str) -> bool:
        """Whether the cookie is that of an open session; that counts as its use."""
        key, now = _hash(cookie), self._clock()
        with self._lock:
            used_at = self._used_at.pop(key, None)
            if used_at is None or now - used_at > SESSION_S:
                return False
            self._used_at[key] = now
        return True

    def close(self, cookie: str) -> None:
        """The session, if there is one, is over."""
        with self._lock:
            self._used_at.pop(_hash(cookie), None)


class Login:
    """Asks for the token before anything else is answered."""

    def __init__(self, app: WsgiApp, token: Token, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Wrap `app`; cookies belong to a host with all its ports, so the name of this one's holds the port."""
        self._app, self._token, self._cookie = app, token, f"fxai_dashboard_{port}"
        self._sessions, self._throttle, self._clock = Sessions(clock), Throttle(clock), clock
        self._judging = threading.Lock()
        self._told_at = -math.inf

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, or hand the request on where it is from somebody who is logged in."""
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if path == LOGIN and method == "POST":
            return self._log_in(environ, start_response)
        if path == LOGOUT and method == "POST":
            return self._log_out(environ, start_response)
        bearer = re.fullmatch(r"(?i:bearer) +(\S+) *", environ.get("HTTP_AUTHORIZATION", ""))
        if bearer is not None:
            if refusal := self._judge(bearer[1], environ):
                return refuse(environ, start_response, *refusal)
        elif not any(map(self._sessions.knows, self._cookies(environ))):
            return self._ask(environ, start_response)
        if path == LOGIN and method in ("GET", "HEAD"):
            return _show(environ, start_response, HTTPStatus.OK, inside_page())
        return self._app(environ, _for_nobody_else(start_response))

    def _judge(self, text: str, environ: Environ) -> tuple[HTTPStatus, str, list[tuple[str, str]]] | None:
        """None for the token; else status, reason and headers."""
        address = environ.get("REMOTE_ADDR", "")
        with self._judging:  # one after the other, or right tokens side by side would use up the tries
            wait_s = self._throttle.take(address)
            if not wait_s and self._token.matches(text):
                self._throttle.give_back(address)
                return None
        if wait_s:
            self._tell(address)
            reason = f"Too many wrong tokens from this address: wait {wait_s} s and try again."
            return HTTPStatus.TOO_MANY_REQUESTS, reason, [("Retry-After", str(wait_s))]
        return HTTPStatus.UNAUTHORIZED, "This is not the token.", _CHALLENGE

    def _tell(self, address: str) -> None:
        now = self._clock()
        if now - self._told_at >= _QUIET_S:
            self._told_at = now
            say(f"warning: wrong tokens from {address}: it has to wait between tries")

    def _log_in(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            fields = parse_qs(drain(environ, _FORM_BYTES).decode("latin-1"), max_num_fields=4)
        except ValueError:
            fields = {}
        target = _own(fields.get("next", [HOME])[0])
        if refusal := self._judge(fields.get("token", [""])[0].strip(), environ):
            status, reason, headers = refusal
            return _show(environ, start_response, status, form_page(target, reason, _is_open(environ)), headers)
        told = [("Location", target), ("Set-Cookie", self._set_cookie(environ, self._sessions.open()))]
        start_response("303 See Other", [*told, ("Cache-Control", "no-store")])
        return []

    def _log_out(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        drain(environ)
        for cookie in self._cookies(environ):
            self._sessions.close(cookie)
        gone = f"{self._set_cookie(environ, '')}; Max-Age=0"
        start_response("303 See Other", [("Location", LOGIN), ("Set-Cookie", gone), ("Cache-Control", "no-store")])
        return []

    def _ask(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The form for a browser that wants a page, a line for the rest; both in place of what was asked for."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD") or "text/html" not in environ.get("HTTP_ACCEPT", ""):
            reason = f"Log in at {LOGIN}, or send the header Authorization: Bearer TOKEN."
            return refuse(environ, start_response, HTTPStatus.UNAUTHORIZED, reason, _CHALLENGE)
        path, query = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
        asked = quote(path.encode("latin-1")) + (f"?{query}" if query else "")
        target = HOME if path in (LOGIN, LOGOUT) else _own(asked)
        page = form_page(target, "", _is_open(environ))
        return _show(environ, start_response, HTTPStatus.UNAUTHORIZED, page, _CHALLENGE)

    def _cookies(self, environ: Environ) -> list[str]:
        """Every value that a request has for our cookie."""
        pairs = (part.strip().partition("=") for part in environ.get("HTTP_COOKIE", "").split(";"))
        return [value for name, _, value in pairs if name == self._cookie]

    def _set_cookie(self, environ: Environ, value: str) -> str:
        # a page behind a proxy that speaks TLS says so in its Origin
        secure = "; Secure" if environ.get("HTTP_ORIGIN", "").startswith("https://") else ""
        return f"{self._cookie}={value}; Path=/; HttpOnly; SameSite=Strict{secure}"


_CHALLENGE = [("WWW-Authenticate", 'Bearer realm="FxAI dashboard"')]


def _own(target: str) -> str:
    return target if _PLACE.fullmatch(target) else HOME


def _is_open(environ: Environ) -> bool:
    """Whether the token would cross a network as it is; a tunnel or a proxy comes from this machine."""
    address = environ.get("REMOTE_ADDR", "").removeprefix("::ffff:")
    return not (address.startswith("127.") or address == "::1")


def _show(
    environ: Environ,
    start_response: Callable[..., Any],
    status: HTTPStatus,
    page: str,
    headers: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    start_response(f"{status.value} {status.phrase}", [*PAGE_HEADERS, *headers])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [page.encode()]


def _for_nobody_else(start_response: Callable[..., Any]) -> Callable[..., Any]:
    """What one person was shown, no cache on the way may keep for another."""

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        kept = [(key, value) for key, value in headers if key.lower() != "cache-control"]
        return start_response(status, [*kept, ("Cache-Control", "private, no-cache")], *more)

    return start


def _hash(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("latin-1", "replace")).digest()
