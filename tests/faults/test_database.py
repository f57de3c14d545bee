"""The study database goes away, is locked, or is asked by many at once (docs/faults.md B)."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest
from harness import Orchestrator, start
from optuna.trial import FrozenTrial, TrialState
from postgresql import Server
from until_told import END

from fxai.study.storage import load_study, opened

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
