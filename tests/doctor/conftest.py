"""Helpers are imported by name: `fakes` from tests/study, `harness` from tests/faults."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Iterator
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


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database; PostgreSQL's is made for the test on the server that FXAI_TEST_POSTGRESQL names."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'study.db'}"
        return
    psycopg = pytest.importorskip("psycopg")
    server = os.environ.get("FXAI_TEST_POSTGRESQL")
    if not server:
        pytest.skip("FXAI_TEST_POSTGRESQL names no server")
    name = f"fxai_test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"{server.rpartition('/')[0]}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
