"""Reward terms of your own: functions in Python files that `env.reward.plugins` lists ("Your own term" in
docs/trading_model.md).

A config names the files and is loaded without them; they are executed where rewards are made, once in a process.
All that a file does wrong is an InputError with its line.  Nothing here needs torch, so that the parent of a study can
compare hashes at once.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from fxai.config.reward import name_fault
from fxai.errors import InputError

Function = TypeVar("Function", bound=Callable[..., Any])

_MARK = "__fxai_coefficients__"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomTerm:
    """A term that a file registers."""

    function: Callable[..., Any]
    """(Outcome, Coefficients) → Tensor."""
    defaults: dict[str, float]
    """Its coefficients where `env.reward.custom` does not set them."""
    path: Path
    where: str
    """`file:line` of the function."""


def reward_term(**coefficients: float) -> Callable[[Function], Function]:
    """Make a function a reward term: `@reward_term(my_coefficient=0.1)`.

    Args:
        coefficients: those that the term reads, with their defaults; `env.reward.custom` sets them, and a study may
            search `env.reward.custom.NAME`.

    Raises:
        ValueError: a name or a default that cannot be.
        TypeError: it stands on something else than a function.
    """
    for name, value in coefficients.items():
        if fault := name_fault(name):
            raise ValueError(f"{name!r} cannot be the name of a coefficient: {fault}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise ValueError(f"the default of {name} must be a finite number, got {value!r}")

    def mark(function: Function) -> Function:
        if not isinstance(function, FunctionType):
            raise TypeError(f"@reward_term(…) belongs above a function, not a {type(function).__name__}")
        setattr(function, _MARK, {name: float(value) for name, value in coefficients.items()})
        return function

    return mark


def load_terms(plugins: Sequence[str]) -> tuple[CustomTerm, ...]:
    """The terms of all files, in the order of the list and of each file.

    Raises:
        InputError: a file is missing, cannot be executed or registers nothing; or a coefficient is declared twice.
    """
    terms = tuple(term for name in plugins for term in _executed(Path(name).absolute(), name))
    declared: dict[str, str] = {}
    for term in terms:
        for name in term.defaults:
            if name in declared:
                raise InputError(
                    f"coefficient {name} is declared twice, first at {declared[name]}",
                    where=term.where,
                    hint="give it another name: each coefficient belongs to one term",
                )
            declared[name] = term.where
    return terms


def content_hash(plugin: str) -> str:
    """SHA-256 of a file, so that a study is not resumed with other terms than its trials had.

    Raises:
        InputError: there is no such file.
    """
    return hashlib.sha256(_read(Path(plugin), plugin)).hexdigest()


def fault_of(error: BaseException, path: Path, shown: str, function_line: str | None = None) -> InputError:
    """What went wrong in a file of the user's, without a traceback.

    The place is the deepest line of that file; where the error met none, that of the function.
    """
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    text = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return InputError(
        f"{type(error).__name__}: {text}" if text else type(error).__name__,
        where=f"{shown}:{lines[-1]}" if lines else function_line or shown,
        hint='the file is listed in env.reward.plugins; see "Your own term" in docs/trading_model.md',
    )


def _read(path: Path, shown: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else f"{error.strerror}".lower()
        raise InputError(
            f"cannot read this file of env.reward.plugins: {reason}",
            where=shown,
            hint="write its path relative to the folder in which the command runs",
        ) from None


@cache
def _executed(path: Path, shown: str) -> tuple[CustomTerm, ...]:
    """Execute a file, once in this process: an edit must not change the terms in the middle of a study."""
    source = _read(path, shown)
    module = ModuleType(f"fxai_plugin_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses, for one, look their module up
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[module.__name__]
        raise fault_of(error, path, shown) from None
    terms = tuple(
        CustomTerm(
            function=value,
            defaults=getattr(value, _MARK),
            path=path,
            where=f"{shown}:{value.__code__.co_firstlineno}",
        )
        for name, value in vars(module).items()
        if isinstance(value, FunctionType) and hasattr(value, _MARK)
        # neither what the file imports nor a second name of the same function
        if value.__module__ == module.__name__ and value.__name__ == name
    )
    if not terms:
        raise InputError(
            "registers no reward term",
            where=shown,
            hint="put @reward_term(...) of fxai.env.plugins above a function of (outcome, coefficients)",
        )
    return terms
