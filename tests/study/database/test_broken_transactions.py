"""Transactions on PostgreSQL that break off: those that create a study, and one whose process is suspended in it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fakes
import pytest

from fxai.study.database import budget, outage
from fxai.study.database.storage import opened, writing
from fxai.study.fingerprint import open_study
from fxai.study.owner import Owner


@pytest.mark.parametrize("committed", [False, True], ids=["before the commit", "after the commit"])
@pytest.mark.parametrize("commits", range(8))
def test_f18_a_study_whose_creation_broke_off_is_created_once(
    postgresql_url: str, tmp_path: Path, commits: int, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    psycopg = pytest.importorskip("psycopg")
    spec = fakes.load(tmp_path, storage=postgresql_url, enqueue=[{"training.learning_rate": 0.001}])
    spec = spec.model_copy(update={"load_if_exists": False})
    cuts, left = list[str](), iter(range(commits))
    with opened(postgresql_url, create=True) as storage:
        commit = storage.engine.dialect.do_commit

        def broken(connection: Any) -> None:
            if cuts or next(left, None) is not None:
                return commit(connection)
            cuts.append("cut")
            if committed:
                commit(connection)
            connection.dbapi_connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(storage.engine.dialect, "do_commit", broken)
        study = open_study(storage, spec, None)
        trials = study.get_trials()
    assert cuts == ["cut"]
    assert [trial.system_attrs["fixed_params"]["training.learning_rate"] for trial in trials] == [3e-4, 0.001]
    assert [trial.user_attrs for trial in trials] == [{"default": True}, {}]


def test_f7_a_process_that_is_suspended_in_a_transaction_keeps_nobody_waiting_for_ever(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "IDLE_S", 1)
    spec = fakes.load(tmp_path, storage=postgresql_url)
    suspended = threading.Event()
    began = threading.Event()
    tries = list[bool]()
    with opened(postgresql_url, create=True) as storage, opened(postgresql_url) as others:
        study = open_study(storage, spec, None)

        def hold(again: bool) -> int:
            with writing(storage) as connection:
                budget._hold(connection, study._study_id)
                tries.append(again)
                if not again:
                    began.set()
                    suspended.wait(60)
                return int(connection.exec_driver_sql("SELECT 1").scalar_one())

        with ThreadPoolExecutor() as pool:
            held = pool.submit(outage.whole, hold)
            assert began.wait(60)
            assert budget.claim(others, study._study_id, 4, Owner.current()) is not None  # waits for a second
            suspended.set()
            assert held.result(60) == 1  # and whoever comes back does its transaction again
    assert tries == [False, True]
