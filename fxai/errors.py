"""The errors that a person reads: what is wrong, where, and what to do.

FxaiError            1  a bug, or a failure without a better class
├─ InputError        2  a spec, config, argument or data file that cannot be used
│  ├─ ConfigError       … in a YAML file
│  └─ DataError         … in price data
├─ StorageError      3  the study database or the disk
└─ StudyConflict     4  the study exists and differs, or somebody else holds it

The number is the exit code of the command line.
"""

from __future__ import annotations


class FxaiError(Exception):
    """Base of all errors that the command line prints without a traceback.

    Args:
        what: one sentence, what is wrong.
        where: file, line or YAML path; printed before `what`.
        hint: what to do about it; printed on a line of its own.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\nhint: {self.hint}" if self.hint else head

    def __reduce__(self) -> tuple[object, ...]:
        """Errors travel from a worker process to its parent."""
        return _rebuild, (type(self), self.what, self.where, self.hint)


def _rebuild(cls: type[FxaiError], what: str, where: str | None, hint: str | None) -> FxaiError:
    return cls(what, where=where, hint=hint)


class InputError(FxaiError):
    """Something that the user gave cannot be used."""

    exit_code = 2


class ConfigError(InputError):
    """A YAML file, or a value in it, cannot be used."""


class DataError(InputError):
    """Price data cannot be used."""


class StorageError(FxaiError):
    """The study database, or the disk under the results, failed."""

    exit_code = 3


class StudyConflict(FxaiError):
    """The study exists with another meaning, or is held by somebody else."""

    exit_code = 4
