"""Eight workers on near-empty trials: the database stands it without a word (`benchmarks/load.py` runs 2,000)."""

from __future__ import annotations

import load
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_eight_workers_at_full_speed_run_each_trial_once(kind: str, request: pytest.FixtureRequest) -> None:
    if kind == "postgresql":
        request.getfixturevalue("postgresql_process")  # skips where there can be none
    line = load.whole_study(kind, workers=8, n_trials=300, sampler="RandomSampler")
    assert "300 trials, each once, no draw double, nothing in the logs" in line
