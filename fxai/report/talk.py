"""Talk to the person at the terminal, on stderr; data goes to stdout."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Talk goes to stderr, without control characters; on a terminal notes are broken at blanks.

    Errors and hints are not: they hold commands and places, which must be copied as they are.
    """
    from fxai.report.text import clean, wrapped  # pydantic comes with it: help answers sooner without

    for line in text.splitlines():
        told = clean(line, 1000)
        if told.startswith(("note: ", "warning: ")) and sys.stderr.isatty():
            told = wrapped(told, _width_of_stderr())
        print(told, file=sys.stderr)


def _width_of_stderr() -> int:
    """shutil would ask stdout, which may be a file."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
