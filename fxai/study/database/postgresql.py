"""What a PostgreSQL server answers, in words: whether waiting helps, and what else does.

The driver gives no code for a connection that could not be made, only libpq's text.
"""

from __future__ import annotations

import re

from fxai.secrets import without_password

_FOR_A_WHILE = (
    "starting up",
    "shutting down",
    "not yet accepting connections",
    "in recovery mode",
    "terminating connection",
    "too many clients",
    "too many connections",
    "remaining connection slots",
)
"""What a server says that will take connections soon."""

_FOR_GOOD = ("Name or service not known", "No address associated", "no password supplied", "certificate", "SSL")
"""What libpq says, before a server could, that no waiting changes."""

_LOST = (
    "server closed the connection",
    "consuming input failed",
    "the connection is closed",
    "the connection is lost",
    "could not receive data",
    "could not send data",
    "connection has been closed",
    "SYSCALL error",
    "Connection reset",
    "Broken pipe",
)
"""What the driver says when a connection ends that there was."""

_TRY = re.compile(r"^.*?connection to server (?:at|on socket) .*? failed: ", re.DOTALL)

_HINTS = (
    (
        "password",
        "give the password in PGPASSWORD, or in ~/.pgpass with mode 0600 (one that others can read is ignored)",
    ),
    ("no pg_hba.conf entry", "the server's pg_hba.conf must allow this user, host and database"),
    ('database "', "create it: createdb NAME"),
    ('role "', "create the user: createuser NAME"),
    ("permission denied for schema", "give the database to the user: ALTER DATABASE NAME OWNER TO USER"),
    ("too many clients", "raise the server's max_connections, or run fewer workers (--n-jobs); each takes two"),
    (
        "remaining connection slots",
        "raise the server's max_connections, or run fewer workers (--n-jobs); each takes two",
    ),
    ("resolve host", "correct the host's name in storage"),
    ("translate host", "correct the host's name in storage"),
    ("refused", "start the server, or correct host and port in storage"),
    ("No such file", "start the server, or write its host into storage"),
    ("timeout", "is the host right, and does its firewall let you in?"),
    ("No space left", "free some space on the server and run again; what was written before is intact"),
)


def for_optuna(url: str) -> str:
    """The URL as Optuna's own commands take it, without its password; they would look for psycopg2."""
    return without_password(url).replace("postgresql://", "postgresql+psycopg://")


def passes(reason: str) -> bool:
    """Whether a connection that failed for this reason may succeed later."""
    answers = [line for line in reason.splitlines() if "FATAL:" in line]
    if answers:  # the server is there
        return all(any(words in line for words in _FOR_A_WHILE) for line in answers)
    return not any(words in reason for words in _FOR_GOOD)


def lost(reason: str) -> bool:
    """Whether a connection that there was has ended, by what the driver says."""
    return not reason.startswith(("connection failed", "connection is bad")) and any(words in reason for words in _LOST)


def in_short(reason: str) -> str:
    """The first line of what the driver says, without what every such line begins with."""
    line = (_TRY.sub("", reason).strip().splitlines() or ["no reason given"])[0]
    return line.removeprefix("FATAL:").strip()


def hint_for(reason: str) -> str | None:
    """What to do about an error; None where its text has to do."""
    return next((hint for words, hint in _HINTS if words in reason), None)
