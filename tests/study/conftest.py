"""Helpers of this folder are imported by name, here and in worker processes (spawn hands sys.path on)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages._rdb.storage import _VersionManager

sys.path.insert(0, str(Path(__file__).parent))

from fakes import load

from fxai.study.spec import StudySpec


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    """A study of four quick trials on a database in tmp_path."""
    return load(tmp_path)


@pytest.fixture(scope="session", autouse=True)
def migrations_are_read_once() -> Iterator[None]:
    """Optuna compiles its ten migration scripts each time it opens a database: half the time of these tests."""
    first, scripts = _VersionManager._create_alembic_script, []

    def once(self: _VersionManager) -> object:
        scripts[:] = scripts or [first(self)]
        return scripts[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_VersionManager, "_create_alembic_script", once)
        yield
