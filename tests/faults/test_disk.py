"""A disk that is full (docs/faults.md F20), played by a limit on the size of files."""

from __future__ import annotations

import resource

import fakes
from harness import Orchestrator, states

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
