"""Real trainings in real workers that are killed or preempted: the trial goes on where it was (docs/faults.md A)."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from harness import run, start, states, trials
from small import SMALL

from fxai.study.trial_files import checkpoint_update

SMALL_STUDY: dict[str, Any] = {
    "n_trials": 1,
    "training_config": {**SMALL, "training": {**SMALL["training"], "total_updates": 5, "eval_frequency": 2}},
}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same trial, left alone."""
    folder = tmp_path_factory.mktemp("unbroken")
    code, output = run(folder, "fxai.study.ppo:objective", **SMALL_STUDY)
    assert code == 0, output
    [trial] = trials(folder)
    return trial


def same(folder: Path, unbroken: Any, update: int) -> None:
    """The last trial went on after this update, ended as the unbroken one, and left no checkpoint."""
    last = trials(folder)[-1]
    assert states(folder) == ["REQUEUED", "COMPLETE"]
    assert last.user_attrs["continued_from"] == update
    assert last.values == unbroken.values
    assert last.intermediate_values == unbroken.intermediate_values
    assert last.user_attrs["metrics"] == unbroken.user_attrs["metrics"]
    assert not list(folder.glob("results/fake/trials/*/checkpoint*"))


def test_f1_a_killed_worker_loses_what_it_did_since_the_checkpoint_and_no_more(tmp_path, unbroken):
    study = start(tmp_path, "checkpointed:objective", **SMALL_STUDY)
    go = study.wait_for_go()
    # it stands after update 3, and what it wrote last is that after update 2
    assert checkpoint_update(tmp_path / "results/fake/trials/0000") == 2
    os.kill(go.pid, signal.SIGKILL)
    code, output = study.finish()
    assert code == 0, output
    assert "trial 1 started after update 2, where trial 0 was cut short" in output
    same(tmp_path, unbroken, 2)


def test_f6_a_preempted_worker_keeps_its_last_update(tmp_path, unbroken):
    study = start(tmp_path, "checkpointed:objective", **SMALL_STUDY)
    study.wait_for_go()
    os.killpg(study.process.pid, signal.SIGTERM)
    code, output = study.finish()
    assert code == 143, output
    assert states(tmp_path) == ["REQUEUED", "WAITING"]
    # update 4 is at its next look at the stop
    assert checkpoint_update(tmp_path / "results/fake/trials/0000") == 4
    code, output = run(tmp_path, "checkpointed:objective", **SMALL_STUDY)
    assert code == 0, output
    same(tmp_path, unbroken, 4)


def test_f6_a_second_sigterm_takes_nothing_away(tmp_path):
    # SLURM sends SIGTERM to every process of a step, and srun passes on its own
    study = start(tmp_path, "checkpointed:slow_to_stop", **SMALL_STUDY)
    study.wait_for_go()
    os.killpg(study.process.pid, signal.SIGTERM)
    study.wait_for_line("stopping:")
    os.killpg(study.process.pid, signal.SIGTERM)
    (tmp_path / "open").touch()
    code, output = study.finish()
    assert code == 143, output
    assert states(tmp_path) == ["REQUEUED", "WAITING"]
    assert checkpoint_update(tmp_path / "results/fake/trials/0000") == 4
    assert (tmp_path / "results/fake/fake_results.json").exists()
