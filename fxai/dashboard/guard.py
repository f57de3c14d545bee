"""Who gets in. Optuna's dashboard has no login, and without a guard any web page could delete a study through it.

Requests must name this host (against DNS rebinding), and those that write must come from the dashboard's own pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

FILE_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:"
)
"""Content security policy of files: a page among them is shown as one of nobody's, which reaches neither the dashboard
nor the network."""

_READING = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """Lets a request through only if it was meant for this server and, where it writes, sent by its own pages."""

    def __init__(self, app: WsgiApp, hosts: Iterable[str]) -> None:
        """Wrap `app`; `hosts` are the values of the Host header that are ours, with port."""
        self._app = app
        self._hosts = set(hosts)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer 403 or hand the request on."""
        refusal = self._refusal(environ)
        if refusal is None:
            return self._app(environ, _for_own_pages(start_response, environ.get("PATH_INFO", "")))
        start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [refusal.encode()]

    def _refusal(self, environ: Environ) -> str | None:
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
