"""What words on the command line may be; argparse prints the errors."""

from __future__ import annotations

import argparse
from datetime import date

from fxai.secrets import ELSEWHERE, has_password


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def port(text: str) -> int:
    """A port."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"must be a port from 1 to 65535, got {text!r}")
    return int(text)


def day(text: str) -> str:
    """A day of the calendar, as it was written."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a day of the calendar, YYYY-MM-DD, got {text!r}") from None


def number(text: str) -> float | str:
    """A number where it is one; what is wrong with other words, the settings know."""
    try:
        return float(text)
    except ValueError:
        return text


def seconds(text: str) -> float:
    """A number of seconds above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text!r}")
    return value


def database(url: str) -> str:
    """The URL of a database, without a password: every user of a machine can read the command line of a program."""
    if has_password(url):
        raise argparse.ArgumentTypeError(
            "holds a password, and every user of this machine can read the command line of a program: leave it out and "
            f"{ELSEWHERE}; and choose another password, this one was seen"
        )
    return url
