"""Workers as actors of a real Ray cluster of two node processes, on a real PostgreSQL (docs/guide.md, Ray)."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fakes
import pytest
from harness import Orchestrator, names_of_states

from fxai.study.database.storage import load_study, opened

NODES = Path(__file__).parent / "ray_nodes.py"

NO_STATISTICS = {"RAY_USAGE_STATS_ENABLED": "0"}

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed")


class Nodes:
    """The cluster."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(NODES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env={**os.environ, **NO_STATISTICS, **environment},
        )
        self.address = self._said()

    def lose_one(self) -> None:
        """Kill a node, with all that runs on it."""
        assert self._process.stdin is not None
        self._process.stdin.write("lose\n")
        self._process.stdin.flush()
        assert self._said() == "lost"

    def end(self) -> None:
        self._process.communicate()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    path = os.pathsep.join([fakes.__file__.rpartition(os.sep)[0], *sys.path])
    cluster = Nodes({"FXAI_TEST_GO": str(tmp_path / "go"), "PYTHONPATH": path})
    yield cluster
    cluster.end()


def test_trials_of_a_lost_node_run_again_on_the_other(tmp_path: Path, nodes: Nodes, postgresql_url: str) -> None:
    spec = fakes.load(tmp_path, n_trials=4, n_jobs=3, storage=postgresql_url)
    options = ("--launcher", "ray", "--ray-address", nodes.address)
    study = Orchestrator(tmp_path, "fakes:opens_later", options, NO_STATISTICS)
    # one actor on each node; a third has no place
    assert {study.wait_for_go().trial, study.wait_for_go().trial} == {0, 1}
    nodes.lose_one()
    study.wait_for_line("requeued")
    (tmp_path / "open").touch()
    code, output = study.finish()
    assert code == 0, output
    assert "Traceback" not in output
    assert "raylet" not in output
    assert "was lost with its node" in output
    with opened(spec.storage, readonly=True) as storage:
        trials = load_study(storage, spec.study_name).get_trials()
    assert sorted(names_of_states(trials)) == ["COMPLETE"] * 4 + ["REQUEUED"]
    assert len({trial.user_attrs["owner"]["pid"] for trial in trials}) == 2
    logs = list((tmp_path / "results" / "fake" / "logs").iterdir())
    assert len(logs) == 2


def test_ctrl_c_gives_the_trials_of_actors_back(tmp_path: Path, nodes: Nodes, postgresql_url: str) -> None:
    spec = fakes.load(tmp_path, n_trials=4, n_jobs=1, storage=postgresql_url)
    study = Orchestrator(tmp_path, "fakes:waits", ("--launcher", "ray", "--ray-address", nodes.address), NO_STATISTICS)
    study.wait_for_go()
    study.interrupt()
    code, output = study.finish()
    assert code == 130, output
    with opened(spec.storage, readonly=True) as storage:
        assert names_of_states(load_study(storage, spec.study_name).get_trials()) == ["REQUEUED", "WAITING"]


@pytest.mark.parametrize(
    ("options", "storage", "words"),
    [
        (("--launcher", "ray"), None, "a Ray cluster needs PostgreSQL"),
        (("--ray-address", "127.0.0.1:1"), None, "is of no use without --launcher ray"),
    ],
)
def test_what_does_not_go_with_ray_is_said(options, storage, words, tmp_path: Path) -> None:
    fakes.write_spec(tmp_path)
    code, output = Orchestrator(tmp_path, "fakes:quadratic", options).finish()
    assert code == 2, output
    assert words in output


def test_a_cluster_that_is_not_there_is_said(tmp_path: Path, postgresql_url: str) -> None:
    fakes.write_spec(tmp_path, storage=postgresql_url)
    options = ("--launcher", "ray", "--ray-address", "127.0.0.1:1")
    code, output = Orchestrator(tmp_path, "fakes:quadratic", options).finish()
    assert code == 2, output
    assert "no Ray cluster answers at 127.0.0.1:1" in output
    assert "ray start --head" in output
    assert "Traceback" not in output


def test_a_cluster_that_ends_under_a_study_is_said_and_the_trial_goes_back(
    tmp_path: Path, nodes: Nodes, postgresql_url: str
) -> None:
    spec = fakes.load(tmp_path, n_trials=2, n_jobs=1, storage=postgresql_url)
    study = Orchestrator(tmp_path, "fakes:waits", ("--launcher", "ray", "--ray-address", nodes.address), NO_STATISTICS)
    study.wait_for_go()
    nodes.end()
    code, output = study.finish()
    assert code == 3, output  # Ray alone would end the process after a minute, with 1
    assert f"the Ray cluster is gone: nothing answers at {nodes.address}" in output
    assert "Traceback" not in output
    with opened(spec.storage, readonly=True) as storage:
        assert names_of_states(load_study(storage, spec.study_name).get_trials()) == ["REQUEUED", "WAITING"]
