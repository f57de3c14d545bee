"""Real orphans are found and mended; nothing that lives is touched; without need nothing is written."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import fakes
import optuna
import pytest
from harness import resume_here, start, states, wait_for_end

from fxai import cli
from fxai.doctor.place import Place, find_place
from fxai.doctor.repair import repair
from fxai.study.database import budget
from fxai.study.database.mark import clear_dead_mark
from fxai.study.database.storage import load_study, opened
from fxai.study.fingerprint import open_study
from fxai.study.owner import ORCHESTRATOR, Owner

ME = Owner.current()
GONE = Owner(ME.host, ME.pid, (ME.pid_start or 0) + 1, ME.pid_namespace)


def doctor(folder: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict]]:
    """Exit code and findings that are neither ok nor of the machine."""
    code = cli.main(["doctor", "--spec", str(folder / "spec.yaml"), "--json", *options])
    findings = json.loads(capsys.readouterr().out)["findings"]
    studies = ("database", "trials", "studies", "leftovers", "locks")
    return code, [one for one in findings if one["verdict"] != "ok" and one["check"] in studies]


def test_a_trial_of_a_killed_worker_is_found_and_queued_again(tmp_path, capsys) -> None:
    study = start(tmp_path, "waits", n_trials=2)
    go = study.wait_for_go()
    # while it runs there is nothing to find, nor to repair
    assert doctor(tmp_path, "--repair", capsys=capsys) == (0, [])
    assert states(tmp_path) == ["RUNNING"]
    os.kill(go.pid, signal.SIGSTOP)  # so that it cannot release its trial
    study.process.kill()
    os.kill(go.pid, signal.SIGKILL)
    study.finish()
    wait_for_end(go.pid)

    code, found = doctor(tmp_path, capsys=capsys)
    assert code == 3
    assert [(one["check"], one["verdict"]) for one in found] == [("trials", "wrong"), ("studies", "note")]
    assert found[0]["facts"]["trial"] == 0
    assert f"process {go.pid} on" in found[0]["text"]
    assert found[0]["hint"] == f"poe optuna-doctor --repair --spec {tmp_path / 'spec.yaml'}   (or run the study again)"
    assert states(tmp_path) == ["RUNNING"]

    code, found = doctor(tmp_path, "--repair", capsys=capsys)
    assert code == 0
    assert [(one["check"], one["verdict"]) for one in found] == [
        ("trials", "mended"),
        ("studies", "mended"),
        ("trials", "note"),  # the queue, which the next run serves
    ]
    assert found[0]["facts"] == {"study": "fake", "trial": 0, "requeued_as": 1}
    assert states(tmp_path) == ["REQUEUED", "WAITING"]
    resume_here(tmp_path, n_trials=2)
    assert states(tmp_path) == ["REQUEUED", "COMPLETE", "COMPLETE"]
    assert doctor(tmp_path, "--repair", capsys=capsys) == (0, [])


def test_another_programs_trials_are_left_alone(url) -> None:
    with opened(url, create=True) as storage:
        study = optuna.create_study(storage=storage, study_name="foreign")
        trial = study.ask()
        trial.set_user_attr("owner", GONE.as_dict())
        study.set_user_attr(ORCHESTRATOR, GONE.as_dict())
        assert repair(find_place(None, url, None)) == []
        assert load_study(storage, "foreign").trials[0].state.name == "RUNNING"


def test_only_dead_and_silent_trials_are_taken(url, tmp_path) -> None:
    with opened(url, create=True) as storage:
        study = open_study(storage, fakes.load(tmp_path), None)
        for owner in (ME, GONE, ME):
            budget.claim(storage, study._study_id, 9, owner)
        study.set_user_attr(ORCHESTRATOR, ME.as_dict())
        (told,) = repair(find_place(None, url, None))
        assert told.facts == {"study": "fake", "trial": 1, "requeued_as": 3}
        assert [trial.state.name for trial in study.get_trials()] == ["RUNNING", "FAIL", "RUNNING", "WAITING"]
        assert study.user_attrs[ORCHESTRATOR] == ME.as_dict()


def test_a_mark_is_cleared_only_of_a_dead_process(url, tmp_path) -> None:
    with opened(url, create=True) as storage:
        study = open_study(storage, fakes.load(tmp_path), None)
        assert clear_dead_mark(storage, study._study_id) is None
        for holder in (ME, Owner("another-host", 1, 1, 1)):
            study.set_user_attr(ORCHESTRATOR, holder.as_dict())
            assert clear_dead_mark(storage, study._study_id) is None
            assert load_study(storage, "fake").user_attrs[ORCHESTRATOR] == holder.as_dict()
        study.set_user_attr(ORCHESTRATOR, GONE.as_dict())
        assert clear_dead_mark(storage, study._study_id) == GONE
        assert load_study(storage, "fake").user_attrs[ORCHESTRATOR] is None


def test_a_sound_study_is_not_opened_for_writing(tmp_path) -> None:
    url = f"sqlite:///{tmp_path / 'study.db'}"
    with opened(url, create=True) as storage:
        open_study(storage, fakes.load(tmp_path), None)
    with contextlib.closing(sqlite3.connect(tmp_path / "study.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")  # a repair that wrote would wait for it
        assert repair(find_place(None, url, None)) == []


def test_half_written_files_older_than_a_day_are_removed_and_nothing_else(tmp_path) -> None:
    results = tmp_path / "optuna_results"
    study = results / "fake"
    (study / "trials" / "0001").mkdir(parents=True)
    (study / ".lock").touch()
    (results / "notes").mkdir()  # no study's
    old = [
        results / ".a.json.abcd1234.tmp",
        study / ".report.html.x_y0z9aa.tmp",
        study / "trials/0001/.c.csv.00000000.tmp",
    ]
    kept = [
        study / "best.json",
        study / "x.tmp",
        study / ".report.tmp",
        results / "notes" / ".a.json.abcd1234.tmp",
        study / ".young.json.abcd1234.tmp",
    ]
    for path in [*old, *kept]:
        path.write_text("half")
        age_s = 3600 * (23 if "young" in path.name else 25)
        os.utime(path, (time.time() - age_s,) * 2)
    outside = tmp_path / ".outside.json.abcd1234.tmp"
    outside.write_text("half")
    link = study / ".link.json.abcd1234.tmp"
    link.symlink_to(outside)
    assert sorted(one.facts["file"] for one in repair(Place(urls=()))) == sorted(
        str(path.relative_to(tmp_path)) for path in old
    )
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in [*kept, outside, link])
