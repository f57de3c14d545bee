"""A study under fire ends as one in peace (docs/faults.md, Soak); `benchmarks/soak.py` does it for longer."""

from __future__ import annotations

from pathlib import Path

import pytest
import soak
import soak_checks
from postgresql import Server


@pytest.mark.slow
def test_a_study_under_fire_on_sqlite(tmp_path: Path) -> None:
    one = soak.Soak(tmp_path, soak.Database(f"sqlite:///{tmp_path / 'study.db'}"), soak.seed())
    one.run()
    soak_checks.check(one)


@pytest.mark.slow
def test_a_study_under_fire_on_postgresql(tmp_path: Path, postgresql_server: Server) -> None:
    with soak.database_on(postgresql_server) as database:
        one = soak.Soak(tmp_path, database, soak.seed())
        one.run()
        soak_checks.check(one)
