"""A message by desktop, e-mail or chat when a study ends (`notify_on_complete`), through the library Apprise.

Addresses are Apprise URLs, which hold passwords and tokens: they come from the environment or from a file that nobody
else can read, and are never printed or saved. A message that cannot be sent costs a warning.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import socket
import stat
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fxai.errors import InputError
from fxai.report.text import clean, duration

URLS_VARIABLE = "FXAI_NOTIFY_URLS"
FILE_VARIABLE = "FXAI_NOTIFY_FILE"
DEFAULT_FILE = "~/.config/fxai/notify_urls"

SEND_S = 30.0
"""How long all messages together may take."""


class Notifier:
    """Sends messages to the user's addresses."""

    def __init__(self, urls: tuple[str, ...]) -> None:
        """Take the addresses.

        Raises:
            InputError: Apprise is not installed, or does not know the form of an address.
        """
        if importlib.util.find_spec("apprise") is None:
            raise InputError(
                "notify_on_complete needs the library Apprise, which is not installed",
                hint="pip install -c constraints.txt -e '.[notify]'",
            )
        _silence()
        self._services = []
        for place, url in enumerate(urls, start=1):
            service = _service(url)
            if service is None:
                raise InputError(
                    f"address {place} of {len(urls)}, which begins with {_scheme(url)}, is none that Apprise knows",
                    where=URLS_VARIABLE,
                    hint="an address looks like mailto://user:password@example.org, slack://… or dbus:// for the "
                    "desktop: https://github.com/caronc/apprise lists all",
                )
            self._services.append((_scheme(url), service))

    def send(self, title: str, body: str, *, within_s: float = SEND_S) -> list[str]:
        """Send to every address; returns one warning for each that failed or took too long."""
        done: dict[int, bool] = {}
        threads = []
        for place, (_, service) in enumerate(self._services):
            thread = threading.Thread(
                target=_send_one, args=(service, title, body, done, place), name="fxai-notify", daemon=True
            )
            thread.start()
            threads.append(thread)
        share = within_s / max(1, len(threads))
        for thread in threads:
            thread.join(share)
        return [
            f"the notification by {scheme} {'was refused' if place in done else 'took too long'}"
            for place, (scheme, _) in enumerate(self._services)
            if not done.get(place, False)
        ]


def notifier() -> Notifier:
    """The notifier of this user.

    Raises:
        InputError: no address is given, the file can be read by others, or as `Notifier`.
    """
    return Notifier(_urls(os.environ))


def message(
    study_name: str,
    state: str,
    *,
    elapsed_s: float,
    trials: str = "",
    sentence: str = "",
    error: str = "",
) -> tuple[str, str]:
    """Title and text.

    Args:
        study_name: the study.
        state: `finished`, `interrupted`, `failed` and the like.
        elapsed_s: seconds that the run took.
        trials: how many are done, as `12 of 50`.
        sentence: best beside default.
        error: why it failed.
    """
    lines = [f"trials done: {trials}"] if trials else []
    lines += [clean(text, 1000) for text in (sentence, error and f"error: {error}") if text]
    lines.append(f"after {duration(elapsed_s)} on {socket.gethostname()}")
    return f"FxAI: {clean(study_name)} {state}", "\n".join(lines)


def _urls(env: Mapping[str, str]) -> tuple[str, ...]:
    """Addresses of the environment, else of the file; one per line or separated by blanks and commas."""
    if text := env.get(URLS_VARIABLE, "").strip():
        return _split(text)
    path = Path(env.get(FILE_VARIABLE) or DEFAULT_FILE).expanduser()
    try:
        with path.open(encoding="utf-8") as file:
            if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise InputError(
                    "others can read this file, and its addresses hold passwords",
                    where=str(path),
                    hint=f"chmod 600 {path}",
                )
            found = _split("\n".join(line for line in file.read().splitlines() if not line.lstrip().startswith("#")))
    except FileNotFoundError:
        found = ()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path)) from error
    if not found:
        raise InputError(
            "notify_on_complete is true, and there is no address to send to",
            hint=f"set {URLS_VARIABLE} to Apprise URLs (dbus:// is the desktop, mailto://… e-mail), or write them into "
            f"{DEFAULT_FILE} (mode 600)",
        )
    return found


def _split(text: str) -> tuple[str, ...]:
    """Blanks and line ends separate, and commas before another `scheme://`: a comma may stand in an address."""
    parts = re.split(r"\s+|,(?=\s*[A-Za-z][\w.+-]*://)", text)
    return tuple(part.strip(",") for part in parts if part.strip(","))


def _scheme(url: str) -> str:
    """The part of an address that holds no secret."""
    scheme, separator, _ = url.partition("://")
    return clean(scheme, 20) if separator and re.fullmatch(r"[A-Za-z][\w.+-]*", scheme) else "no scheme://"


def _service(url: str) -> Any:
    """What sends to an address; None where Apprise does not know its form."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of modules that its plugins import
        import apprise

        return apprise.Apprise.instantiate(url, suppress_exceptions=True)


def _send_one(service: Any, title: str, body: str, done: dict[int, bool], place: int) -> None:
    try:
        done[place] = bool(service.notify(title=title, body=body))
    except Exception:
        done[place] = False


def _silence() -> None:
    """Apprise logs addresses, passwords and all."""
    logger = logging.getLogger("apprise")
    logger.handlers[:] = [logging.NullHandler()]
    logger.propagate = False
