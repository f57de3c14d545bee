"""Connections that wait for their server, transactions of which only the answer was lost (docs/faults.md F18, F19)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fakes
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from postgresql import Server
from sqlalchemy import text

from fxai import cli
from fxai.errors import StorageError
from fxai.study.database import budget, outage
from fxai.study.database.postgresql import hint_for, in_short, lost, passes
from fxai.study.database.storage import hurry, open_storage, opened, storage_errors
from fxai.study.database.worker_storage import WorkerStorage
from fxai.study.fingerprint import open_study
from fxai.study.owner import Owner
from fxai.study.workers.heart import Heart

ME = Owner.current()
ELSEWHERE = Owner("another-host", 1, 1, 1)


@pytest.fixture
def storage(postgresql_url: str) -> Iterator[RDBStorage]:
    with opened(postgresql_url, create=True) as storage:
        yield storage


@pytest.fixture
def study(storage: RDBStorage, postgresql_url: str, tmp_path: Path) -> optuna.Study:
    """A new study: trial 0, the defaults, waits."""
    return open_study(storage, fakes.load(tmp_path, storage=postgresql_url), None)


def cut(storage: RDBStorage, *, committed: bool, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Break the connection once, at the next commit: before the server has heard of it, or before it has answered."""
    psycopg = pytest.importorskip("psycopg")
    commit, done = storage.engine.dialect.do_commit, list[str]()

    def broken(connection: Any) -> None:
        if done:
            return commit(connection)
        done.append("cut")
        if committed:
            commit(connection)
        connection.dbapi_connection.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(storage.engine.dialect, "do_commit", broken)
    return done


both = pytest.mark.parametrize("committed", [False, True], ids=["before the commit", "after the commit"])


@both
def test_a_claim_that_broke_off_takes_one_trial(
    storage: RDBStorage, study: optuna.Study, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = cut(storage, committed=committed, monkeypatch=monkeypatch)
    trial_id = budget.claim(storage, study._study_id, 4, ME)
    assert done == ["cut"]
    [trial] = study.get_trials()
    assert (trial._trial_id, trial.state) == (trial_id, TrialState.RUNNING)


@both
def test_a_trial_given_back_over_a_broken_connection_waits_once(
    storage: RDBStorage, study: optuna.Study, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial_id = budget.claim(storage, study._study_id, 4, ME)
    assert trial_id is not None
    done = cut(storage, committed=committed, monkeypatch=monkeypatch)
    taken = budget.requeue(storage, trial_id, "stopped", blame=False)
    assert done == ["cut"]
    assert taken == budget.Requeued(0, 1, "stopped")
    assert [trial.state for trial in study.get_trials()] == [TrialState.FAIL, TrialState.WAITING]


@both
@pytest.mark.parametrize("last", ["flush", "report", "finish"])
def test_what_a_worker_writes_over_a_broken_connection_is_there_once(
    storage: RDBStorage, study: optuna.Study, last: str, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = WorkerStorage(storage)
    trial_id = budget.claim(storage, study._study_id, 4, ME)
    assert trial_id is not None
    memory.adopt(study._study_id, trial_id)
    memory.set_trial_param(trial_id, "x", 0.25, FloatDistribution(0.0, 1.0))
    memory.set_trial_user_attr(trial_id, "seed", 4)
    done = cut(storage, committed=committed, monkeypatch=monkeypatch)
    write: Callable[[], object] = {
        "flush": memory.flush,
        "report": partial(memory.set_trial_intermediate_value, trial_id, 1, 3.0),
        "finish": partial(memory.set_trial_state_values, trial_id, TrialState.COMPLETE, [1.5]),
    }[last]
    write()
    assert done == ["cut"]
    trial = storage.get_trial(trial_id)
    assert (trial.params, trial.user_attrs["seed"]) == ({"x": 0.25}, 4)
    assert trial.intermediate_values == ({1: 3.0} if last == "report" else {})
    assert (trial.state, trial.values) == (
        (TrialState.COMPLETE, [1.5]) if last == "finish" else (TrialState.RUNNING, None)
    )


@both
def test_a_trial_that_another_process_ended_meanwhile_is_not_taken_for_ones_own(
    storage: RDBStorage, study: optuna.Study, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = WorkerStorage(storage)
    trial_id = budget.claim(storage, study._study_id, 4, ME)
    assert trial_id is not None
    memory.adopt(study._study_id, trial_id)
    budget.requeue(storage, trial_id, "no heartbeat", blame=True)
    done = cut(storage, committed=committed, monkeypatch=monkeypatch)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        memory.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.5])
    assert done == []  # it came to no commit
    assert storage.get_trial(trial_id).state == TrialState.FAIL


@both
def test_optunas_own_calls_go_on_over_a_broken_connection(
    storage: RDBStorage, study: optuna.Study, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = cut(storage, committed=committed, monkeypatch=monkeypatch)
    study.set_user_attr("note", {"a": 1})
    assert done == ["cut"]
    assert study.user_attrs["note"] == {"a": 1}


@both
def test_a_queued_trial_waits_once(
    storage: RDBStorage, study: optuna.Study, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = cut(storage, committed=committed, monkeypatch=monkeypatch)
    study.enqueue_trial({"training.learning_rate": 0.001}, user_attrs={"why": "a hunch"})
    assert done == ["cut"]
    assert [trial.user_attrs for trial in study.get_trials()] == [{"default": True}, {"why": "a hunch"}]


def test_a_connection_that_died_in_the_pool_is_replaced(
    postgresql_server: Server, storage: RDBStorage, study: optuna.Study
) -> None:
    postgresql_server.restart()
    assert len(study.get_trials()) == 1
    assert budget.tally(storage, study._study_id).waiting == 1


def test_whoever_waits_goes_on_when_the_server_is_back_and_it_is_said_once(
    postgresql_server: Server, storage: RDBStorage, study: optuna.Study, caplog: pytest.LogCaptureFixture
) -> None:
    trial_id = budget.claim(storage, study._study_id, 4, ME)
    assert trial_id is not None
    noticed = threading.Event()
    caplog.handler.addFilter(lambda record: noticed.set() or True)
    postgresql_server.stop()
    heart = Heart(storage, interval_s=0.05)
    heart.watch(trial_id)  # beats at once, in its own thread
    found: list[budget.Tally] = []
    threads = [threading.Thread(target=lambda: found.append(budget.tally(storage, study._study_id))) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert noticed.wait(30)
    postgresql_server.start()
    for thread in threads:
        thread.join(30)
    heart.close()
    assert [count.running for count in found] == [1, 1, 1]
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 2, said
    assert said[0].startswith("the study database does not answer (Connection refused")
    assert said[1].startswith("the study database answers again")


def test_a_server_that_stays_away_is_given_up_with_what_to_do(
    postgresql_server: Server, storage: RDBStorage, study: optuna.Study
) -> None:
    postgresql_server.stop()
    hurry(storage, 0.3)
    with pytest.raises(StorageError, match="failed: Connection refused\n") as caught, storage_errors(storage.url):
        budget.tally(storage, study._study_id)
    assert caught.value.exit_code == 3


def test_who_runs_trials_waits_longer_than_who_looks(postgresql_url: str, storage: RDBStorage) -> None:
    assert storage.connector.patience_s == outage.OUTAGE_S  # type: ignore[attr-defined]
    with opened(postgresql_url, readonly=True) as looks, opened(postgresql_url, readonly=True, patience_s=0.0) as never:
        assert looks.connector.patience_s == outage.START_S  # type: ignore[attr-defined]
        assert never.connector.patience_s == 0.0  # type: ignore[attr-defined]


def set_beat_back(storage: RDBStorage, trial_id: int, seconds: int) -> None:
    with storage.engine.begin() as connection:
        connection.execute(
            text("UPDATE trial_heartbeats SET heartbeat = heartbeat - make_interval(secs => :s) WHERE trial_id = :id"),
            {"s": seconds, "id": trial_id},
        )


def test_no_trial_is_reclaimed_because_the_database_was_away(
    storage: RDBStorage, study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial_id = budget.claim(storage, study._study_id, 4, ELSEWHERE)
    assert trial_id is not None
    set_beat_back(storage, trial_id, 65)  # the grace period is 60 s
    # the server that the tests have started is younger than that: its clients could not beat
    assert budget.reclaim(storage, study._study_id) == []
    monkeypatch.setattr("fxai.study.database.budget.was_away", lambda *_: False)
    [taken] = budget.reclaim(storage, study._study_id)
    assert "no heartbeat from process 1 on another-host" in taken.reason


def test_a_process_that_was_cut_off_itself_blames_nobody(
    postgresql_server: Server, storage: RDBStorage, study: optuna.Study
) -> None:
    connector = storage.connector  # type: ignore[attr-defined]
    assert not connector.was_away(60.0)
    connector._note_away("no route to host")
    connector._note_back()
    assert connector.was_away(60.0)
    assert not connector.was_away(0.0)


def run_cli(folder: Path, url: str) -> int:
    path = fakes.write_spec(folder, storage=url)
    path.chmod(0o600)
    return cli.main(["--spec", str(path), "--results-dir", str(folder / "results")])


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> None:
    """No prices are read."""
    from types import SimpleNamespace

    market = SimpleNamespace(
        notes=(), derived=(), data_hash="bars", contents={}, check_execution=lambda execution: None, validation=None
    )
    monkeypatch.setattr("fxai.market.data.load_market", lambda *_, **__: market)


@pytest.mark.usefixtures("bars")
def test_f19_a_server_that_is_down_at_the_start_is_waited_for_and_then_3(
    postgresql_server: Server,
    postgresql_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(outage, "START_S", 2.0)
    postgresql_server.stop()
    assert run_cli(tmp_path, postgresql_url.replace("postgres@", "postgres:s3cret@")) == 3
    told = capsys.readouterr().err + caplog.text
    assert told.count("the study database does not answer (Connection refused): trying again for") == 1
    assert f"postgresql://postgres:***@127.0.0.1:{postgresql_server.port}/" in told
    assert "hint: start the server, or correct host and port in storage" in told
    assert "s3cret" not in told


@pytest.mark.usefixtures("bars")
@pytest.mark.parametrize("wrong", ["password", "database", "user", "none"])
def test_what_no_waiting_changes_is_said_at_once(
    postgresql_server: Server,
    postgresql_url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    wrong: str,
) -> None:
    user = postgresql_server.new_user("right")
    url, what, hint = {
        "password": (postgresql_server.url("postgres", user, "wr0ng"), "password authentication failed", "PGPASSWORD"),
        "none": (postgresql_server.url("postgres", user), "no password supplied", "PGPASSWORD"),
        "user": (postgresql_server.url("postgres", "nobody", "wr0ng"), "password authentication failed", "PGPASSWORD"),
        "database": (postgresql_server.url("nowhere"), 'database "nowhere" does not exist', "createdb"),
    }[wrong]
    assert run_cli(tmp_path, url) == 3
    err = capsys.readouterr().err
    assert what in err
    assert hint in err
    assert "wr0ng" not in err
    assert caplog.text == ""  # nothing was waited for


@pytest.mark.parametrize(
    ("reason", "waits"),
    [
        ('connection to server at "h" (1.2.3.4), port 5432 failed: FATAL:  the database system is starting up', True),
        ('connection to server at "h", port 5432 failed: FATAL:  sorry, too many clients already', True),
        ('connection to server at "h", port 5432 failed: Connection refused\n\tIs the server running', True),
        ("connection timeout expired", True),
        ("failed to resolve host 'h': [Errno -3] Temporary failure in name resolution", True),
        ("failed to resolve host 'h': [Errno -2] Name or service not known", False),
        ('connection to server at "h", port 5432 failed: FATAL:  role "x" does not exist', False),
        # of two addresses of a name one refuses, and the other answers: the answer counts
        (
            'at "::1", port 1 failed: Connection refused\nat "127.0.0.1" failed: FATAL:  database "x" does not exist',
            False,
        ),
        ("fe_sendauth: no password supplied", False),
    ],
)
def test_what_is_waited_for(reason: str, waits: bool) -> None:
    assert passes(reason) is waits


@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        ("consuming input failed: server closed the connection unexpectedly", True),
        ("the connection is closed", True),
        # this one there never was: whoever made it has waited for it already
        (
            'connection failed: connection to server at "h", port 1 failed: server closed the connection unexpectedly',
            False,
        ),
        ('relation "trials" does not exist', False),
    ],
)
def test_what_is_done_again(reason: str, ended: bool) -> None:
    assert lost(reason) is ended


def test_a_reason_is_one_short_line_with_a_remedy() -> None:
    reason = (
        'connection failed: connection to server at "h", port 5432 failed: FATAL:  sorry, too many clients already\n'
    )
    assert in_short(reason) == "sorry, too many clients already"
    assert "max_connections" in str(hint_for(reason))
    assert in_short("") == "no reason given"
    assert hint_for("something new") is None


def test_beats_are_in_utc_whatever_the_server_and_the_user_have(
    postgresql_server: Server, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    storage = open_storage(postgresql_url, create=True)
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW TIME ZONE").scalar() == "UTC"
    storage.engine.dispose()
