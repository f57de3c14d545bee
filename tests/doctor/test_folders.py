"""Locks and leftovers in the folders of studies."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fxai.doctor import folders
from fxai.doctor.finding import Finding
from fxai.doctor.place import Place
from fxai.study.workers.lock import study_lock


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folder of a study that was run."""
    folder = tmp_path / "optuna_results" / "fake"
    folder.mkdir(parents=True)
    with study_lock(folder):
        pass
    return folder


def found(check: str) -> list[Finding]:
    return [one for one in folders.check(Place()) if one.check == check]


def test_a_lock_file_that_nobody_holds_is_in_order(study) -> None:
    (told,) = found("locks")
    assert told.verdict == "ok"
    assert told.text == "1 lock file, none is held: they stay for the next run"


@pytest.mark.skipif(not folders.LOCKS.exists(), reason="this system does not list its locks")
def test_who_holds_a_lock_is_told_without_touching_it(study) -> None:
    with study_lock(study):
        (told,) = found("locks")
    assert told.text == f"held: optuna_results/fake/.lock by process {os.getpid()}"


def test_a_lock_of_another_user_is_wrong(study, monkeypatch) -> None:
    monkeypatch.setattr(folders.os, "access", lambda path, mode: False)
    told = found("locks")[0]
    assert told.verdict == "wrong"
    assert told.hint == "sudo chown -R $USER optuna_results/fake"


def test_old_half_written_files_are_a_note_and_stay(study) -> None:
    assert found("leftovers")[0].verdict == "ok"
    path = study / ".report.html.abcd1234.tmp"
    path.write_bytes(b"x" * 2_000_000)
    assert found("leftovers")[0].verdict == "ok"  # may be written just now
    os.utime(path, (time.time() - 2 * folders.OLD_S,) * 2)
    (told,) = found("leftovers")
    assert told.verdict == "note"
    assert "1 half-written file of killed processes, 2.0 MB" in told.text
    assert told.hint == "poe optuna-doctor --repair"
    assert path.exists()


def test_a_database_that_was_never_finished_is_a_note(tmp_path) -> None:
    draft = tmp_path / ".optuna_studies.db.x1y2z3a4" / folders.DRAFT
    draft.parent.mkdir()
    draft.touch()
    assert [one.verdict for one in found("leftovers")] == ["ok"]
    os.utime(draft, (time.time() - 2 * folders.OLD_S,) * 2)
    told = found("leftovers")[1]
    assert told.verdict == "note"
    assert told.hint == "rm -r .optuna_studies.db.x1y2z3a4"
