"""One line of the doctor: what was looked at, how it is, and the command that mends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from fxai.errors import FxaiError, InputError, StorageError

Verdict = Literal["ok", "note", "wrong", "mended"]

STORED = ("database", "disk", "trials", "studies", "locks")
"""Checks whose troubles a run would end with as a StorageError; those of all others are an InputError's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one look at one thing gave."""

    check: str
    """What was looked at, in a word or two."""

    verdict: Verdict
    """`wrong` stops or endangers a study; `note` is worth knowing; `mended` was wrong until now."""

    text: str
    hint: str | None = None
    """What to type or to do."""

    facts: dict[str, Any] = field(default_factory=dict)
    """The figures in `text`, for scripts; what JSON can hold."""

    @property
    def exit_code(self) -> int:
        """That of the error which a run would meet; 0 for what is not wrong."""
        if self.verdict != "wrong":
            return 0
        return StorageError.exit_code if self.check in STORED else InputError.exit_code


def ok(check: str, text: str, **facts: Any) -> Finding:
    """Nothing to do."""
    return Finding(check=check, verdict="ok", text=text, facts=facts)


def note(check: str, text: str, hint: str | None = None, **facts: Any) -> Finding:
    """No fault, and worth knowing."""
    return Finding(check=check, verdict="note", text=text, hint=hint, facts=facts)


def wrong(check: str, text: str, hint: str, **facts: Any) -> Finding:
    """A fault, which always comes with what mends it."""
    return Finding(check=check, verdict="wrong", text=text, hint=hint, facts=facts)


def mended(check: str, text: str, **facts: Any) -> Finding:
    """A fault that was there until now."""
    return Finding(check=check, verdict="mended", text=text, facts=facts)


def of_error(check: str, error: FxaiError, hint: str) -> Finding:
    """An error that another command would end with.

    Args:
        check: what was looked at.
        error: what was met.
        hint: what to do where the error does not say.
    """
    text = f"{error.where}: {error.what}" if error.where else error.what
    return wrong(check, text, error.hint or hint)
