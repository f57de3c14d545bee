"""Keep passwords out of everything that is printed or saved."""

from __future__ import annotations

import re
import stat
from pathlib import Path

_PASSWORD = re.compile(r"^(?P<head>[A-Za-z][\w+.-]*://[^:/@]*:)(?P<secret>.*)(?P<tail>@.*)$", re.DOTALL)
"""Greedy up to the last @: a password with an unescaped @ or / is hidden whole, if need be with the host."""

_QUERY = re.compile(r"(?i)([?&](?:[\w-]*pass(?:word|wd)?|token|secret|api_?key)=)[^&#\s]*")

_DATABASE_URL = re.compile(r"(?i)\b(?:postgres|postgresql|mysql|mariadb|redis|rediss)(?:\+\w+)?://[^\n]*")

_RESERVED = re.compile(r"[@/?#\s]|%(?![0-9A-Fa-f]{2})")

ELSEWHERE = "set PGPASSWORD, or write it into ~/.pgpass (mode 0600)"
"""Where a password of PostgreSQL can be without being seen."""


def redact_url(url: str) -> str:
    """Return the URL with its password, and secrets in its query, replaced by ***."""
    return _QUERY.sub(r"\1***", _PASSWORD.sub(r"\g<head>***\g<tail>", url))


def has_password(url: str) -> bool:
    """Whether the URL carries a password."""
    return redact_url(url) != url


def without_password(url: str) -> str:
    """The URL as a command may name it: without its password, which belongs into PGPASSWORD or ~/.pgpass."""
    bare = redact_url(url).replace(":***@", "@")
    kept = re.sub(r"(?i)([?&])[\w-]*=\*\*\*(?:&|$)", r"\1", bare).rstrip("?&")
    return kept if has_password(url) else url


def unescaped(url: str) -> str | None:
    """The first character of a user name or password that must be percent-encoded; None where all is well.

    Programs disagree about where such a password ends, and the rest of it would be taken for a host.
    """
    login, at, _ = url.partition("://")[2].rpartition("@")
    found = _RESERVED.search(login) if at and not url.startswith("sqlite") else None
    return None if found is None else found.group()


def others_can_read(path: Path) -> str | None:
    """The mode of a file that others than its owner can read or write, as chmod takes it; None of one they cannot."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"{mode:04o}" if mode & 0o077 else None


def redact(text: str) -> str:
    """Return the text with the password of every database URL in it replaced by ***.

    For messages of other libraries and tracebacks. A line is hidden up to its last @: rather too much than too
    little.
    """
    return _DATABASE_URL.sub(lambda match: redact_url(match.group()), text)
