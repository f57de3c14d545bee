"""What is read without Optuna is what Optuna reads: same trials, states, values, attributes, constraints."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial
from sqlalchemy.engine import make_url

from fxai.errors import InputError, StorageError
from fxai.report.outcome import outcome_of
from fxai.study.database.reader import JUDGED, SCHEMA, reading
from fxai.study.database.records import Direction, State, as_study
from fxai.study.database.storage import load_study, open_storage, opened

SPACE = {
    "training.learning_rate": FloatDistribution(1e-5, 1e-2, log=True),
    "env.spread_bp": FloatDistribution(0.0, 1.0, step=0.25),
    "model.n_layers": IntDistribution(1, 4),
    "training.batch_size": IntDistribution(16, 256, log=True),
    "model.kind": CategoricalDistribution([True, None, "a b", 2, 2.5]),
}
PARAMS = {
    "training.learning_rate": 3.3e-4,
    "env.spread_bp": 0.75,
    "model.n_layers": 3,
    "training.batch_size": 65,
    "model.kind": None,
}


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def fill(storage: RDBStorage) -> None:
    """A study with every kind of trial, one of two objectives, one without trials, one of another program's name."""
    study = optuna.create_study(storage=storage, study_name="all kinds", direction="minimize")
    study.set_user_attr("spec", {"n_trials": 9, "names": ["é", None]})
    storage.set_study_system_attr(study._study_id, "study:metric_names", ["loss"])
    for value in (0.5, 0.1, -1e-300, 1e300, 1 / 3, math.inf, -math.inf):
        study.add_trial(create_trial(value=value, params=PARAMS, distributions=SPACE))
    reports = {1: 0.5, 2: math.nan, 7: math.inf, 9: -math.inf, 10: 0.25}
    told: dict[str, Any] = {"metrics": {"sharpe": 1.5}, "failure": None, "seed": 4, "error": "\x1b[2J 雪"}
    study.add_trial(create_trial(state=TrialState.PRUNED, value=0.25, intermediate_values=reports, user_attrs=told))
    study.add_trial(create_trial(state=TrialState.PRUNED))
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"requeued_as": 10, "attempt": 1}))
    again = {"requeue_of": 9, "default": True, "failure": "nan"}
    study.add_trial(create_trial(value=-5.0, user_attrs=again, constraints={"min_trades": 3.0, "b:c": -1.0}))
    study.add_trial(create_trial(value=-4.0, system_attrs={"constraints": [0.0, 0.5]}))
    study.enqueue_trial({"training.learning_rate": 0.001}, user_attrs={"seed": 1})
    study.enqueue_trial({"model.n_layers": 2})
    running = study.ask(SPACE)  # the first one of the queue
    running.set_user_attr("owner", {"host": "here", "pid": 1, "pid_start": None, "pid_namespace": None})
    storage.record_heartbeat(running._trial_id)
    both = optuna.create_study(storage=storage, study_name="two", directions=["maximize", "minimize"])
    for values in [(1.0, 2.0), (3.0, 4.0), (0.0, 9.0), (3.0, math.inf)]:
        both.add_trial(create_trial(values=values))
    optuna.create_study(storage=storage, study_name="'; DROP TABLE studies; --\x1b[31m")


PARTS = (
    "number",
    "values",
    "params",
    "user_attrs",
    "system_attrs",
    "intermediate_values",
    "constraints",
    "datetime_start",
    "datetime_complete",
    "duration",
)


def seen(trial: Any, parts: tuple[str, ...] = PARTS) -> dict[str, str]:
    """The parts of a trial as text, which tells 1 from 1.0 and True, and finds NaN equal to NaN."""
    return {"state": trial.state.name, **{part: repr(getattr(trial, part)) for part in parts}}


def sorted_attrs(found: dict[str, str], trial: Any) -> dict[str, str]:
    ordered = {part: repr(sorted(getattr(trial, part).items())) for part in ("user_attrs", "system_attrs")}
    reports = repr(sorted(trial.intermediate_values.items()))
    return {**found, **ordered, "constraints": repr(sorted(trial.constraints.items())), "intermediate_values": reports}


@pytest.fixture
def filled(database_url: str) -> str:
    with opened(database_url, create=True) as storage:
        fill(storage)
    return database_url


def test_every_trial_is_as_optuna_reads_it(filled: str) -> None:
    with opened(filled, readonly=True) as storage, reading(filled) as reader:
        assert reader.study_names() == [study.study_name for study in storage.get_all_studies()]
        for name in reader.study_names():
            theirs, mine = load_study(storage, name), reader.load(name, filled)
            reader.complete(mine.trials)
            assert [d.name for d in mine.directions] == [d.name for d in theirs.directions]
            assert mine.user_attrs == theirs.user_attrs
            assert mine.system_attrs == storage.get_study_system_attrs(theirs._study_id)
            assert mine.study_id == theirs._study_id
            assert len(mine.trials) == len(theirs.trials)
            for own, other in zip(mine.trials, theirs.trials, strict=True):
                assert sorted_attrs(seen(own), own) == sorted_attrs(seen(other), other)


def test_without_the_rest_the_judgement_is_the_same(filled: str) -> None:
    with opened(filled, readonly=True) as storage, reading(filled) as reader:
        for name, metrics in (("all kinds", ["loss"]), ("two", ["a", "b"])):
            theirs, mine = (
                outcome_of(load_study(storage, name), metrics),
                outcome_of(as_study(reader.load(name, filled)), metrics),
            )
            assert mine.counts == theirs.counts
            for part in ("completed", "front"):
                numbers = [trial.number for trial in getattr(mine, part)]
                assert numbers == [trial.number for trial in getattr(theirs, part)]
            assert (mine.best and mine.best.number, mine.default_value, mine.improvement) == (
                theirs.best and theirs.best.number,
                theirs.default_value,
                theirs.improvement,
            )
    # trials 5 and 6 are infinite, 10 failed inside, 11 breaks a constraint: of 0.5, 0.1, -1e-300, 1e300, 1/3
    # the least is trial 2; trial 10 is the default, which trial 9 was to be
    with reading(filled) as reader:
        outcome = outcome_of(as_study(reader.load("all kinds", filled)), ["loss"])
    assert outcome.best is not None
    assert (outcome.best.number, outcome.default_value) == (2, -5.0)


def test_only_what_is_asked_for_is_completed(filled: str) -> None:
    with reading(filled) as reader:
        study = reader.load("all kinds", filled)
        pruned = study.trials[7]
        assert (pruned.params, pruned.intermediate_values, pruned.user_attrs, pruned.whole) == ({}, {}, {}, False)
        assert set(study.trials[10].user_attrs) == {"requeue_of", "default", "failure"} <= set(JUDGED)
        reader.complete([pruned, None])
    assert pruned.whole
    assert pruned.user_attrs["metrics"] == {"sharpe": 1.5}
    assert study.trials[0].params == {}
    assert study.get_trials(states=(State.RUNNING,)) == [t for t in study.trials if t.state is State.RUNNING]


def test_a_beat_has_an_age(filled: str) -> None:
    with reading(filled) as reader:
        study = reader.load("all kinds", filled)
        [(key, age)] = reader.beats(study).items()
    [running] = study.get_trials(states=(State.RUNNING,))
    assert key == running.trial_id
    assert 0 <= age < 600  # written by this test, and not by another time zone's clock


def test_states_and_directions_are_optunas() -> None:
    assert {s.name: s.value for s in State} == {s.name: s.value for s in TrialState}
    assert {d.name: d.value for d in Direction} == {d.name: d.value for d in optuna.study.StudyDirection}
    assert [s.is_finished() for s in State] == [TrialState[s.name].is_finished() for s in State]


def test_the_schema_is_that_of_the_installed_optuna(tmp_path: Path) -> None:
    assert RDBStorage(url_of(tmp_path / "new.db")).get_head_version() == SCHEMA


def test_an_unknown_study_lists_those_that_exist(filled: str) -> None:
    with reading(filled) as reader, pytest.raises(InputError, match="no study is called 'three'") as caught:
        reader.load("three", filled)
    assert caught.value.hint is not None
    assert "all kinds, two" in caught.value.hint


def test_one_snapshot_however_long_it_is_open(filled: str) -> None:
    with reading(filled) as reader:
        before = reader.study_names()
        with opened(filled) as storage:
            optuna.create_study(storage=storage, study_name="later")
        assert reader.study_names() == before
    with reading(filled) as reader:
        assert reader.study_names() == [*before, "later"]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "study.db"
    with opened(url_of(path), create=True) as storage:
        optuna.create_study(storage=storage, study_name="known")
    return path


def test_a_reader_waits_for_no_writer_and_no_writer_for_it(database: Path) -> None:
    other = sqlite3.connect(database, timeout=0.0, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with reading(url_of(database)) as reader:
        assert reader.study_names() == ["known"]
        other.execute("UPDATE studies SET study_name = 'new'")
        other.execute("COMMIT")
        assert reader.study_names() == ["known"]
    other.close()


def test_looking_leaves_nothing_behind(database: Path) -> None:
    before = {path.name: path.read_bytes() for path in database.parent.iterdir()}
    with reading(url_of(database)) as reader:
        reader.load("known", "")
    assert {path.name: path.read_bytes() for path in database.parent.iterdir()} == before


def test_nothing_can_be_written_through_it(database: Path) -> None:
    with pytest.raises(StorageError, match="readonly"), reading(url_of(database)) as reader:
        reader._rows("DELETE FROM studies")


def test_what_a_killed_program_left_in_its_log_is_read(database: Path) -> None:
    script = (
        f"import os, sqlite3; c = sqlite3.connect({str(database)!r});"
        "c.execute(\"UPDATE studies SET study_name = 'k'\"); c.commit(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    assert database.with_name("study.db-wal").stat().st_size > 0
    with reading(url_of(database)) as reader:
        assert reader.study_names() == ["k"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_read(database: Path) -> None:
    database.parent.chmod(0o500)
    try:
        with reading(url_of(database)) as reader:
            assert reader.study_names() == ["known"]
    finally:
        database.parent.chmod(0o700)


@pytest.mark.parametrize("damage", ["garbage", "truncated", "scribbled"])
def test_a_damaged_file_is_named_and_left_as_it_is(database: Path, damage: str) -> None:
    whole = database.read_bytes()
    broken = {
        "garbage": b"this is no database at all " * 1000,
        "truncated": whole[: len(whole) // 2],
        "scribbled": whole[:4096] + b"\xff" * 8192 + whole[4096 + 8192 :],
    }[damage]
    database.write_bytes(broken)
    with pytest.raises(StorageError, match="is damaged") as caught, reading(url_of(database)) as reader:
        reader.load("known", "")
    assert caught.value.where == str(database)
    assert database.read_bytes() == broken


def test_reading_a_database_that_this_process_has_open_keeps_its_locks(database: Path) -> None:
    # as in test_storage: a descriptor of our own, closed, would let the next program fold our log
    storage = open_storage(url_of(database), create=True)
    storage.get_all_studies()
    with reading(url_of(database)) as reader:
        reader.study_names()
    other = f"import sqlite3; c = sqlite3.connect({str(database)!r}); c.execute('PRAGMA user_version = 1'); c.close()"
    subprocess.run([sys.executable, "-c", other], check=True)
    assert database.with_name("study.db-wal").exists()
    storage.engine.dispose()


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "music.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    connection.close()
    with pytest.raises(StorageError, match="not one of studies"), reading(url_of(path)):
        pass
    (tmp_path / "empty.db").touch()
    with pytest.raises(StorageError, match="not one of studies"), reading(url_of(tmp_path / "empty.db")):
        pass


def test_another_optuna_version_names_the_upgrade_command(database: Path) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v3.0.0.a'")
    connection.close()
    with pytest.raises(StorageError, match="another Optuna version") as caught, reading(url_of(database)):
        pass
    assert caught.value.hint is not None
    assert caught.value.hint.startswith(f"optuna storage upgrade --storage {url_of(database)}")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("mysql://user:secret@host/db", "mysql is not supported"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://", "names no file"),
        ("nonsense", "is not a database URL"),
        ("sqlite:///typo.db", "there is no such study database"),
    ],
)
def test_what_cannot_be_opened_is_an_error_and_nothing_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=what) as caught, reading(text):
        pass
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_default_database_of_a_new_folder_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught, reading("sqlite:///optuna_studies.db"):
        pass
    assert caught.value.hint is not None
    assert "poe optuna-demo" in caught.value.hint


@pytest.mark.parametrize("name", ["a b.db", "a%20b.db", "é#.db", "x.db?timeout=3"])
def test_a_url_names_the_file_that_sqlalchemy_takes(tmp_path: Path, name: str) -> None:
    text = url_of(tmp_path) + f"/{name}"
    taken = Path(make_url(text).database or "")
    with pytest.raises(InputError) as caught, reading(text):
        pass
    assert caught.value.where == str(taken)


def test_a_slash_too_many_is_no_host(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    with opened(f"sqlite:////{file}", create=True) as storage:  # five slashes in all
        optuna.create_study(storage=storage, study_name="known")
    assert file.exists()
    with reading(f"sqlite:////{file}") as reader:
        assert reader.study_names() == ["known"]


def test_a_password_stays_hidden_where_the_server_cannot_be_reached() -> None:
    pytest.importorskip("psycopg")
    with (
        pytest.raises(StorageError, match="database failed") as caught,
        reading("postgresql://me:secret@127.0.0.1:1/db"),
    ):
        pass
    assert "secret" not in str(caught.value)


def test_without_its_driver_postgresql_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match="psycopg"), reading("postgresql://me@host/db"):
        pass


def test_pauses_are_no_active_time() -> None:
    from fxai.study.database.records import TrialRecord, active_time

    noon = datetime(2026, 1, 1, 12)

    def ran(start_min: int, end_min: int | None) -> TrialRecord:
        end = None if end_min is None else noon + timedelta(minutes=end_min)
        return TrialRecord(
            trial_id=0, number=0, state=State.COMPLETE, start_utc=noon + timedelta(minutes=start_min), complete_utc=end
        )

    # 0-10 and 5-20 overlap, 20-30 follows at once, then nobody until 100; one that has not ended has no length
    spans = active_time([ran(100, 101), ran(0, 10), ran(5, 20), ran(20, 30), ran(6, 7), ran(200, None)])
    assert [(end - start) / timedelta(minutes=1) for start, end in spans] == [30.0, 1.0]
