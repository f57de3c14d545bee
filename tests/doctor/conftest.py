"""Helpers are imported by name: `fakes` from tests/study, `harness` from tests/faults."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "study"), str(TESTS / "faults")]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and a home of nobody, without variables that the doctor listens to."""
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in list(os.environ):
        if name.startswith(("WANDB_", "CUDA_")) or name.endswith("_NUM_THREADS") or name in ("NETRC", "PGPASSFILE"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def url(database_url: str) -> str:
    """An empty database of each kind."""
    return database_url
