"""The study database goes away, is locked, or is asked by many at once (docs/faults.md B)."""

from __future__ import annotations

import json
import os
import select
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import fakes
import pytest
from harness import LONGEST_S, Orchestrator, run, start
from optuna.trial import FrozenTrial, TrialState
from postgresql import Server
from until_told import END

from fxai.study.database.storage import load_study, opened
from fxai.study.fingerprint import open_study

AWAY = "the study database does not answer"
BACK = "the study database answers again"


def trials_of(url: str) -> list[FrozenTrial]:
    with opened(url, readonly=True) as storage:
        return load_study(storage, "fake").get_trials()


def lives_on(study: Orchestrator, seconds: float) -> None:
    """Let an outage last."""
    ended = os.pidfd_open(study.process.pid)
    over, _, _ = select.select([ended], [], [], seconds)
    os.close(ended)
    assert not over, study.kill_and_read()


def log_of_worker(folder: Path) -> str:
    return (folder / "results/fake/logs/worker-0.log").read_text()


@pytest.mark.parametrize("objective", ["objective", "silent"])
def test_f18_a_trial_survives_a_restart_of_its_database(
    tmp_path: Path, postgresql_server: Server, postgresql_url: str, objective: str
) -> None:
    study = start(tmp_path, f"until_told:{objective}", storage=postgresql_url, n_trials=2)
    running = study.wait_for_go()
    postgresql_server.restart()
    (tmp_path / END).touch()
    study.wait_for_go()
    code, output = study.finish()
    assert code == 0, output
    first, second = trials_of(postgresql_url)
    assert (first.state, second.state) == (TrialState.COMPLETE, TrialState.COMPLETE)
    assert first.user_attrs["owner"]["pid"] == running.pid
    assert first.value == second.value == 1.0
    assert log_of_worker(tmp_path).count(AWAY) <= 1


def test_f18_a_trial_survives_twenty_seconds_without_its_database(
    tmp_path: Path, postgresql_server: Server, postgresql_url: str
) -> None:
    study = start(tmp_path, "until_told:objective", storage=postgresql_url, n_trials=2)
    running = study.wait_for_go()
    postgresql_server.stop()
    lives_on(study, 20.0)
    postgresql_server.start()
    (tmp_path / END).touch()
    study.wait_for_go()
    code, output = study.finish()
    assert code == 0, output
    assert [trial.state for trial in trials_of(postgresql_url)] == [TrialState.COMPLETE] * 2
    assert trials_of(postgresql_url)[0].user_attrs["owner"]["pid"] == running.pid
    log = log_of_worker(tmp_path)
    assert (log.count(AWAY), log.count(BACK)) == (1, 1), log  # once, and not with every try
    assert "Traceback" not in log


def test_f18_a_run_that_is_stopped_while_its_database_is_away_ends_and_a_resume_is_exact(
    tmp_path: Path, postgresql_server: Server, postgresql_url: str
) -> None:
    study = start(tmp_path, "until_told:objective", storage=postgresql_url, n_trials=2)
    study.wait_for_go()
    postgresql_server.stop()
    study.interrupt()
    code, output = study.finish()
    assert code == 3, output
    assert "the study database failed: Connection refused" in output
    assert "Traceback" not in output
    postgresql_server.start()
    assert [trial.state for trial in trials_of(postgresql_url)] == [TrialState.RUNNING]
    code, output = run(tmp_path, "quadratic", storage=postgresql_url, n_trials=2)
    assert code == 0, output
    # its worker is known to be dead, so nothing waits for the grace period
    assert [trial.state.name for trial in trials_of(postgresql_url)] == ["FAIL", "COMPLETE", "COMPLETE"]


def test_f18_connections_cut_again_and_again_cost_no_trial_and_double_none(
    tmp_path: Path, postgresql_server: Server, postgresql_url: str
) -> None:
    study = start(tmp_path, "slow", "--n-jobs", "2", storage=postgresql_url, n_trials=60)
    name = postgresql_url.rpartition("/")[2]
    cut = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'"
    ended, n_cut = os.pidfd_open(study.process.pid), 0
    while not select.select([ended], [], [], 0.5)[0]:
        n_cut += postgresql_server.execute(cut)[0][0]
    os.close(ended)
    code, output = study.finish()
    assert code == 0, output
    trials = trials_of(postgresql_url)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 60
    assert all(trial.intermediate_values == {1: 0.0} for trial in trials)
    assert n_cut > 3  # or nothing was tried


def at_once(folder: Path, what: str, n_processes: int) -> list[Any]:
    """What each of several processes found that began in the same moment."""
    command = [sys.executable, str(Path(__file__).parent / "many.py"), what, str(folder / "spec.yaml")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(n_processes)]  # type: ignore[call-overload]
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [process.communicate(timeout=LONGEST_S) for process in processes]
    assert [process.returncode for process in processes] == [0] * n_processes, found
    return [json.loads(out) for out, _ in found]


def test_f16_twenty_queued_trials_go_to_four_processes_once_each(tmp_path: Path, database_url: str) -> None:
    fakes.write_spec(tmp_path, storage=database_url, n_trials=20)
    spec = fakes.load(tmp_path, storage=database_url, n_trials=20)
    with opened(database_url, create=True) as storage:
        study = open_study(storage, spec, "bars")
        for _ in range(19):  # beside trial 0
            study.enqueue_trial({"training.learning_rate": 0.001})
    taken = at_once(tmp_path, "claim", 4)
    assert sorted(number for numbers in taken for number in numbers) == list(range(20))
    assert {trial.state for trial in trials_of(database_url)} == {TrialState.RUNNING}


def test_f17_parents_that_create_the_same_study_at_once_share_it(tmp_path: Path, database_url: str) -> None:
    fakes.write_spec(tmp_path, storage=database_url, enqueue=[{"training.learning_rate": 0.001}])
    assert at_once(tmp_path, "create", 4) == ["fake"] * 4
    trials = trials_of(database_url)
    # once the defaults, once what is enqueued
    assert [trial.system_attrs["fixed_params"]["training.learning_rate"] for trial in trials] == [3e-4, 0.001]
    with opened(database_url, readonly=True) as storage:
        assert "spec_fingerprint" in load_study(storage, "fake").user_attrs
    assert not list(tmp_path.glob(".*"))  # no lock or draft stays


LOCKED_S = 7.0
"""SQLite gives up after 5 s where nobody says otherwise; FxAI after 180."""


def test_f15_a_lock_held_by_another_program_fails_nothing(tmp_path: Path) -> None:
    study = start(tmp_path, "until_told:objective", n_trials=3)
    study.wait_for_go()
    other = sqlite3.connect(tmp_path / "study.db", timeout=LONGEST_S, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    (tmp_path / END).touch()
    lives_on(study, LOCKED_S)
    other.execute("ROLLBACK")
    other.close()
    for _ in range(2):
        study.wait_for_go()
    code, output = study.finish()
    assert code == 0, output
    assert [trial.state for trial in trials_of(f"sqlite:///{tmp_path / 'study.db'}")] == [TrialState.COMPLETE] * 3
    assert "ERROR" not in log_of_worker(tmp_path)


def test_f15_a_database_without_a_log_may_be_locked_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with opened(f"sqlite:///{path}", create=True):
        pass
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode=DELETE")  # as plain Optuna makes one; a lock then keeps readers out too
    other.execute("BEGIN EXCLUSIVE")
    study = start(tmp_path, "quadratic", n_trials=2)
    lives_on(study, LOCKED_S)
    other.execute("ROLLBACK")
    other.close()
    code, output = study.finish()
    assert code == 0, output
    assert [trial.state for trial in trials_of(f"sqlite:///{path}")] == [TrialState.COMPLETE] * 2


def test_f27_a_finished_study_gets_no_trial_more_on_postgresql(tmp_path: Path, postgresql_url: str) -> None:
    for _ in range(2):
        code, output = run(tmp_path, "quadratic", storage=postgresql_url, n_trials=2)
        assert code == 0, output
        assert len(trials_of(postgresql_url)) == 2
