"""Versions: installed, asked for, tested."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from fxai.doctor import packages
from fxai.doctor.finding import Finding
from fxai.doctor.place import Place


def found(check: str) -> list[Finding]:
    return [one for one in packages.check(Place()) if one.check == check]


def needs(monkeypatch: pytest.MonkeyPatch, *lines: str, python: str = ">=3.10") -> None:
    """FxAI as if it asked for these."""

    own = SimpleNamespace(version="0.1.0", requires=list(lines), metadata={"Requires-Python": python})
    real = metadata.distribution
    monkeypatch.setattr(packages.metadata, "distribution", lambda name: own if name == "fxai" else real(name))


def test_this_environment_has_what_fxai_needs() -> None:
    (told,) = found("packages")
    assert told.verdict == "ok"
    assert told.facts["optuna"] == metadata.version("optuna")


def test_a_package_that_is_missing_or_too_old_is_wrong_and_an_extra_may_be_missing(monkeypatch) -> None:
    needs(monkeypatch, "numpy<1", "no-such-package>=2", "optuna>=5", 'other-missing>=1; extra == "bench"')
    old, missing, rest = found("packages")
    assert old.text == f"numpy is {metadata.version('numpy')}; FxAI needs numpy<1"
    assert old.hint == 'pip install -c constraints.txt "numpy<1"'
    assert (missing.verdict, missing.text) == (
        "wrong",
        "no-such-package is not installed; FxAI needs no-such-package>=2",
    )
    assert rest.verdict == "ok"
    assert "1 as FxAI needs them" in rest.text


def test_a_python_that_is_too_old_is_wrong(monkeypatch) -> None:
    needs(monkeypatch, python=">=4")
    (told,) = found("Python")
    assert told.verdict == "wrong"
    assert "FxAI needs >=4" in told.text


def test_other_versions_than_the_tested_ones_are_a_note(monkeypatch, tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    own = metadata.version("optuna")
    file.write_text(f"# tested\nnumpy==0.1\nno-such-package==1\noptuna=={own}\npyyaml==1 ; python_version < '3'\n")
    monkeypatch.setattr(packages, "CONSTRAINTS", file)
    (told,) = found("versions")
    assert told.verdict == "note"
    assert told.text == f"others than the tested ones: numpy {metadata.version('numpy')} (tested: 0.1)"
    file.write_text(f"optuna=={own}\n")
    assert found("versions")[0].verdict == "ok"
    file.unlink()
    assert found("versions") == []


def test_fxai_that_is_not_installed_is_a_note(monkeypatch) -> None:
    real = metadata.distribution
    monkeypatch.setattr(packages.metadata, "distribution", lambda name: real("no-such" if name == "fxai" else name))
    (told,) = found("FxAI")
    assert told.verdict == "note"
    assert found("packages") == []
