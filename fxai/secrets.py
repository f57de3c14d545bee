"""Keep passwords out of everything that is printed or saved."""

from __future__ import annotations

import re

_PASSWORD = re.compile(r"^(?P<head>[A-Za-z][\w+.-]*://[^:/@]*:)(?P<secret>.*)(?P<tail>@.*)$", re.DOTALL)
"""Greedy up to the last @: a password with an unescaped @ or / is hidden whole, if need be with the host."""

_QUERY = re.compile(r"(?i)([?&](?:[\w-]*pass(?:word|wd)?|token|secret|api_?key)=)[^&#\s]*")

_DATABASE_URL = re.compile(r"(?i)\b(?:postgres|postgresql|mysql|mariadb|redis|rediss)(?:\+\w+)?://[^\n]*")


def redact_url(url: str) -> str:
    """Return the URL with its password, and secrets in its query, replaced by ***."""
    return _QUERY.sub(r"\1***", _PASSWORD.sub(r"\g<head>***\g<tail>", url))


def has_password(url: str) -> bool:
    """Whether the URL carries a password."""
    return redact_url(url) != url


def redact(text: str) -> str:
    """Return the text with the password of every database URL in it replaced by ***.

    For messages of other libraries and tracebacks. A line is hidden up to its last @: rather too much than too
    little.
    """
    return _DATABASE_URL.sub(lambda match: redact_url(match.group()), text)
