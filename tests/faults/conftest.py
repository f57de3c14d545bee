"""Helpers are imported by name: `harness` from here, `fakes` from tests/study."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "study"))
sys.path.insert(0, str(Path(__file__).parent))

from harness import STARTED


@pytest.fixture(autouse=True)
def no_orchestrator_outlives_its_test() -> Iterator[None]:
    """Kill what a failed test has left; its workers end by themselves."""
    yield
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.communicate()
    STARTED.clear()
