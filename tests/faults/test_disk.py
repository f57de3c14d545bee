"""A disk that is full, or that may not be written (docs/faults.md F20, F21)."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import fakes
import pytest
from harness import Orchestrator, run, states

LIMIT = 300_000
"""Bytes; an empty study database takes 130 kB, and its log grows by some 20 kB with each trial."""


def test_f20_a_full_disk_ends_the_run_with_3_and_leaves_the_database_readable(tmp_path):
    fakes.write_spec(tmp_path, n_trials=300)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    try:
        study = Orchestrator(tmp_path, "fakes:slow")  # it inherits the limit
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    code, output = study.finish()
    assert code == 3, output
    assert "the study database failed" in output
    assert "Traceback" not in output
    assert states(tmp_path)[0] == "COMPLETE"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 160 kB in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160k", "fxai-test", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def check_full(folder: Path, results: Path, code: int, output: str, disk_said: str) -> None:
    """The run ended with 3 and the reason, the trial waits, and every file of results is whole."""
    assert code == 3, output
    assert f"the disk is full ({disk_said})" in output
    assert "free some space and run again" in output
    assert "Traceback" not in output
    assert set(states(folder)) <= {"COMPLETE", "REQUEUED", "WAITING"}
    assert states(folder)[0] == "COMPLETE"
    for path in results.rglob("*.json"):
        json.loads(path.read_text())
    assert not list(results.rglob("*.tmp"))


def test_f20_a_results_folder_on_a_full_disk_ends_the_run_with_3_and_a_resume_completes(tmp_path, small_disk):
    results = small_disk / "results"
    options = ("--results-dir", str(results))
    code, output = run(tmp_path, "quadratic", *options, n_trials=60)
    check_full(tmp_path, results, code, output, "No space left on device")
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    code, output = run(tmp_path, "quadratic", *options, n_trials=60)
    assert code == 0, output
    assert states(tmp_path).count("COMPLETE") == 60
    assert len(json.loads((results / "fake" / "fake_results.json").read_text())["trials"]) >= 60


def test_f20_a_write_for_which_there_is_no_space_ends_the_run_with_3(tmp_path):
    """As above on a machine that mounts nothing: the worker's third config finds the disk full."""
    code, output = run(tmp_path, "full_disk:objective", n_trials=6)
    check_full(tmp_path, tmp_path / "results", code, output, "No space left on device")
    code, output = run(tmp_path, "quadratic", n_trials=6)
    assert code == 0, output
    assert states(tmp_path).count("COMPLETE") == 6


@pytest.mark.parametrize("place", ["/proc/fxai", "/dev/null/results"])
def test_f21_a_results_folder_that_cannot_be_written_is_found_before_trial_0(tmp_path, place):
    code, output = run(tmp_path, "quadratic", "--results-dir", place)
    assert code == 2, output
    assert place in output
    assert "Traceback" not in output
    assert not (tmp_path / "study.db").exists()
