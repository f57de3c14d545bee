"""A study whose creation loses its database connection at any commit is created once, with each first trial once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fakes
import pytest

from fxai.study.fingerprint import open_study
from fxai.study.storage import opened


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
