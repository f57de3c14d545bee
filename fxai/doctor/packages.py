"""Python, FxAI and what it depends on: installed versions against the ranges that FxAI asks for."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

import fxai
from fxai.doctor.finding import Finding, note, ok, wrong
from fxai.doctor.place import Place

CONSTRAINTS = Path(fxai.__file__).parents[1] / "constraints.txt"
"""The tested versions; only a clone has the file."""

INSTALL = "pip install -c constraints.txt -e ."

_NAMED = 4
"""Packages that a line names; of more it says how many."""


def check(place: Place) -> list[Finding]:
    """Versions of everything; imports none of it."""
    try:
        own = metadata.distribution("fxai")
    except metadata.PackageNotFoundError:
        text = f"FxAI {fxai.__version__} runs from its folder and is not installed: what it needs is not known"
        return [_python(None), note("FxAI", text, INSTALL), *_constraints()]
    head = f"{fxai.__version__} in {Path(fxai.__file__).parent}"
    if own.version == fxai.__version__:
        told = ok("FxAI", head, version=fxai.__version__)
    else:
        told = note("FxAI", f"{head}; installed as {own.version}", INSTALL, version=fxai.__version__)
    return [_python(own.metadata["Requires-Python"]), told, *_dependencies(own.requires or []), *_constraints()]


def _python(wanted: str | None) -> Finding:
    version = platform.python_version()
    told = f"{version} in {sys.prefix}"
    if wanted is not None and not SpecifierSet(wanted).contains(version, prereleases=True):
        return wrong("Python", f"{told}: FxAI needs {wanted}", "make a .venv with a newer Python, then: " + INSTALL)
    return ok("Python", told, version=version)


def _dependencies(lines: list[str]) -> Iterator[Finding]:
    """One line for all that fit, and one for each that does not."""
    fitting: dict[str, str] = {}
    for line in lines:
        needed = Requirement(line)
        optional = needed.marker is not None and not needed.marker.evaluate({"extra": ""})
        installed = _installed(needed.name)
        wish = f"{needed.name}{needed.specifier}"
        if installed is None:
            if not optional:
                yield wrong("packages", f"{needed.name} is not installed; FxAI needs {wish}", _pip(wish))
        elif not needed.specifier.contains(installed, prereleases=True):
            yield wrong("packages", f"{needed.name} is {installed}; FxAI needs {wish}", _pip(wish))
        else:
            fitting[needed.name] = installed
    main = ", ".join(f"{name} {fitting[name]}" for name in ("optuna", "torch") if name in fitting)
    yield ok("packages", f"{len(fitting)} as FxAI needs them: {main} …", **fitting)


def _pip(wish: str) -> str:
    return f'pip install -c constraints.txt "{wish}"'


def _constraints() -> list[Finding]:
    """Where versions are others than the tested ones; they may work as well."""
    try:
        lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    others = []
    for line in lines:
        try:
            tested = Requirement(line)
        except InvalidRequirement:  # a comment
            continue
        installed = _installed(tested.name) if tested.marker is None or tested.marker.evaluate() else None
        if installed is not None and not tested.specifier.contains(installed, prereleases=True):
            others.append(f"{tested.name} {installed} (tested: {str(tested.specifier).removeprefix('==')})")
    if not others:
        return [ok("versions", "all are those of constraints.txt")]
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    told = f"others than the tested ones: {', '.join(others[:_NAMED])}{more}"
    return [note("versions", told, INSTALL, others=others)]


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
