"""Trials left behind: which, whose, how old; and what is another program's affair."""

from __future__ import annotations

import fakes
import optuna
import pytest
from optuna.storages import RDBStorage
from sqlalchemy import text

from fxai.doctor import trials
from fxai.doctor.finding import Finding
from fxai.doctor.place import find_place
from fxai.doctor.snapshot import Snapshot, take
from fxai.study.database import budget
from fxai.study.database.storage import opened
from fxai.study.fingerprint import open_study
from fxai.study.owner import ORCHESTRATOR, Owner

ME = Owner.current()
GONE = Owner(ME.host, ME.pid, (ME.pid_start or 0) + 1, ME.pid_namespace)
"""Our process id, with another start: a process that lived before us."""
ELSEWHERE = Owner("another-host", 1, 1, 1)


@pytest.fixture
def storage(url, tmp_path):
    with opened(url, create=True) as storage:
        yield storage


@pytest.fixture
def study(storage: RDBStorage, tmp_path) -> optuna.Study:
    """FxAI's, with trial 0 in the queue."""
    return open_study(storage, fakes.load(tmp_path), None)


def found(url: str) -> list[Finding]:
    snapshot = take(url)
    assert isinstance(snapshot, Snapshot), snapshot
    return list(trials.check(find_place(None, url, None), [snapshot]))


def silence(storage: RDBStorage, seconds: int) -> None:
    """Put every beat so far into the past."""
    with storage.engine.begin() as connection:
        now = "datetime('now', '-{} seconds')" if connection.dialect.name == "sqlite" else "now() - interval '{} s'"
        connection.execute(text(f"UPDATE trial_heartbeats SET heartbeat = {now.format(seconds)}"))


def test_a_trial_whose_worker_beats_is_no_finding(url, storage, study) -> None:
    budget.claim(storage, study._study_id, 2, ME)
    (told,) = found(url)
    assert (told.verdict, told.text) == ("ok", "none is left behind; 1 running")


def test_a_trial_of_a_dead_process_is_wrong_with_study_number_owner_and_command(url, storage, study) -> None:
    budget.claim(storage, study._study_id, 2, GONE)
    (told,) = found(url)
    assert told.verdict == "wrong"
    assert told.exit_code == 3
    assert told.text.startswith(f"fake: trial 0 is RUNNING: its worker died (process {ME.pid} on {ME.host}, last heard")
    assert str(told.hint).startswith("poe optuna-doctor --repair --storage ")
    assert {key: told.facts[key] for key in ("study", "trial", "owner")} == {
        "study": "fake",
        "trial": 0,
        "owner": str(GONE),
    }
    assert 0 <= told.facts["age_s"] < 60


@pytest.mark.parametrize(
    ("owner", "words"),
    [(ELSEWHERE, "no heartbeat from process 1 on another-host"), (ME, "lives and is silent")],
    ids=["elsewhere", "suspended"],
)
def test_a_silent_worker_is_wrong_after_the_grace_period(url, storage, study, owner, words) -> None:
    budget.claim(storage, study._study_id, 2, owner)
    silence(storage, 50)
    assert found(url)[0].verdict == "ok"
    silence(storage, 70)
    (told,) = found(url)
    assert told.verdict == "wrong"
    assert words in told.text
    assert told.facts["age_s"] == pytest.approx(70, abs=20)


def test_what_is_called_an_orphan_is_what_a_run_takes_back(url, storage, study) -> None:
    for _ in range(3):
        study.enqueue_trial({})
    for owner in (ME, GONE, ELSEWHERE):
        budget.claim(storage, study._study_id, 9, owner)
    study.ask()  # by no worker
    named = {one.facts["trial"] for one in found(url) if one.verdict == "wrong"}
    assert named == {done.number for done in budget.reclaim(storage, study._study_id)} == {1}


def test_a_running_trial_without_owner_is_a_note(url, storage, study) -> None:
    study.ask()
    (told,) = found(url)
    assert told.verdict == "note"
    assert "without an owner" in told.text


def test_another_programs_trials_are_told_when_they_are_old_and_never_wrong(url, storage) -> None:
    foreign = optuna.create_study(storage=storage, study_name="foreign's")
    foreign.ask()
    assert found(url)[0].verdict == "ok"  # it runs
    with storage.engine.begin() as connection:
        connection.execute(text("UPDATE trials SET datetime_start = '2024-01-01 00:00:00'"))
    (told,) = found(url)
    assert told.verdict == "note"
    assert "another program's" in told.text
    assert "optuna tell --study-name 'foreign'\"'\"'s' --trial-number 0" in str(told.hint)


def test_a_queue_that_nobody_serves_is_a_note(url, study, tmp_path) -> None:
    (told,) = found(url)
    assert told.verdict == "note"
    assert "1 trial waits in the queue" in told.text
    assert told.hint == "poe optuna-run --spec FILE"
    snapshot = take(url)
    assert isinstance(snapshot, Snapshot)
    (told,) = trials.check(find_place(tmp_path / "spec.yaml", None, None), [snapshot])
    assert told.hint == f"poe optuna-run --spec {tmp_path / 'spec.yaml'}"


def test_a_queue_of_a_study_that_runs_is_none(url, study) -> None:
    study.set_user_attr(ORCHESTRATOR, ME.as_dict())
    (told,) = found(url)
    assert told.verdict == "ok"


def test_marks_of_a_dead_process_and_of_one_that_cannot_be_seen_are_notes(url, storage, study) -> None:
    budget.claim(storage, study._study_id, 2, ME)  # nothing waits
    study.set_user_attr(ORCHESTRATOR, GONE.as_dict())
    (told,) = found(url)
    assert told.verdict == "note"
    assert "which died" in told.text
    study.set_user_attr(ORCHESTRATOR, ELSEWHERE.as_dict())
    assert found(url)[0].verdict == "ok"  # its worker beats, so it runs
    silence(storage, 70)
    told = found(url)[-1]
    assert "cannot see whether it lives" in told.text
    assert told.hint == "look on another-host"


@pytest.mark.parametrize(
    "told", [[1], "process 1", {"pid": "1"}, {"host": 1, "pid": "x", "pid_start": 0, "pid_namespace": 0}]
)
def test_an_owner_that_is_none_is_as_good_as_missing(url, storage, study, told) -> None:
    trial = study.ask()
    trial.set_user_attr("owner", told)
    study.set_user_attr(ORCHESTRATOR, told)
    assert [one.verdict for one in found(url)] == ["note"]
