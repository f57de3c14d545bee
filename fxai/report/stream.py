"""A text stream that never hurts the run that writes to it.

A closed pipe (`… | head`), a lost terminal or a full disk behind a redirect ends the talking, not the study.
A character that the stream's encoding lacks is written as a plain one.
"""

from __future__ import annotations

import contextlib
import os
from typing import TextIO

_PLAIN = str.maketrans({"–": "-", "·": "|", "…": "...", "×": "x", "−": "-", "→": "->", "≥": ">="})


class SteadyStream:
    """Wraps a stream; `alive` turns False at its first error, and everything later is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.alive = True
        self.encoding: str = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write what the encoding can hold."""
        if self.alive:
            try:
                self._stream.write(self._encodable(text))
            except (OSError, ValueError):  # ValueError: the stream is closed
                self._give_up()
        return len(text)

    def flush(self) -> None:
        """Push written text out."""
        if self.alive:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._give_up()

    def isatty(self) -> bool:
        """Whether a person is likely to be looking at it."""
        try:
            return self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """The file descriptor beneath."""
        return self._stream.fileno()

    def _encodable(self, text: str) -> str:
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return text.translate(_PLAIN).encode(self.encoding, "replace").decode(self.encoding)
        return text

    def _give_up(self) -> None:
        """Point the descriptor at nothing, so that Python's own flush at exit does not fail either."""
        self.alive = False
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
