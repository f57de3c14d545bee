"""Opening the database: what is refused, and that nothing is created or changed by it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import optuna
import pytest

from fxai.errors import InputError, StorageError
from fxai.study.storage import load_study, open_storage, opened, storage_errors, study_names


def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "study.db"
    with opened(url(path), create=True) as storage:
        optuna.create_study(storage=storage, study_name="known")
    return path


def test_a_missing_database_is_an_error_and_nothing_is_created(tmp_path):
    with pytest.raises(InputError, match="there is no such study database"):
        open_storage(url(tmp_path / "typo.db"), create=False)
    assert list(tmp_path.iterdir()) == []


def test_creating_leaves_one_file_in_write_ahead_mode(tmp_path):
    storage = open_storage(url(tmp_path / "new.db"), create=True)
    with storage.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1  # NORMAL
        # F15: a database that is locked for 60 s fails nothing; SQLite counts in ms
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 180_000
    assert {p.name for p in tmp_path.iterdir()} <= {"new.db", "new.db-wal", "new.db-shm"}


def test_writers_begin_with_the_write_lock_and_readers_without(database):
    writer, reader = open_storage(url(database), create=False), open_storage(url(database), False, readonly=True)
    other = sqlite3.connect(database, timeout=0.0)
    with reader.engine.begin():
        other.execute("BEGIN IMMEDIATE")
        other.rollback()
    with writer.engine.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.close()


def test_eight_first_creators_at_once_all_succeed(tmp_path):
    start, failed = threading.Barrier(8), []

    def creator() -> None:
        start.wait()
        try:
            open_storage(url(tmp_path / "new.db"), create=True).engine.dispose()
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=creator) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert study_names(open_storage(url(tmp_path / "new.db"), create=False)) == []


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("damage", ["garbage", "truncated", "scribbled"])
def test_a_damaged_file_is_named_and_left_as_it_is(database, create, damage):
    whole = database.read_bytes()
    broken = {
        "garbage": b"this is no database at all " * 1000,
        "truncated": whole[: len(whole) // 2],
        "scribbled": whole[:4096] + b"\xff" * 8192 + whole[4096 + 8192 :],
    }[damage]
    database.write_bytes(broken)
    with pytest.raises(StorageError, match="is damaged") as caught:
        open_storage(url(database), create=create)
    assert caught.value.exit_code == 3
    assert "study.db" in str(caught.value)
    assert database.read_bytes() == broken


def test_checking_a_database_that_this_process_has_open_keeps_its_locks(database):
    # Closing any descriptor of a file drops all POSIX locks that the process holds on it. A check that opened the file
    # itself would let the next process believe to be alone: it would fold and delete the log under our connection.
    storage = open_storage(url(database), create=True)
    assert study_names(storage) == ["known"]  # leaves a connection in the pool
    open_storage(url(database), create=True).engine.dispose()
    other = f"import sqlite3; c = sqlite3.connect({str(database)!r}); c.execute('PRAGMA user_version = 1'); c.close()"
    subprocess.run([sys.executable, "-c", other], check=True)
    assert database.with_name("study.db-wal").exists()
    storage.engine.dispose()
    assert not database.with_name("study.db-wal").exists()


def test_another_programs_database_is_refused(tmp_path):
    path = tmp_path / "music.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (title TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StorageError, match="not one of studies"):
        open_storage(url(path), create=True)
    assert path.read_bytes() == before


def test_an_empty_file_is_filled_but_is_no_study_database_to_a_reader(tmp_path):
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(StorageError, match="not one of studies"):
        open_storage(url(path), create=False)
    assert study_names(open_storage(url(path), create=True)) == []


def test_a_database_of_another_optuna_version_names_the_upgrade_command(database):
    connection = sqlite3.connect(database)
    connection.execute("UPDATE alembic_version SET version_num = 'v3.0.0.a'")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="another Optuna version") as caught:
        open_storage(url(database), create=False)
    assert caught.value.hint.startswith(f"optuna storage upgrade --storage {url(database)}")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("mysql://user:secret@host/db", "mysql is not supported"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://", "names no file"),
        ("nonsense", "is not a database URL"),
        ("sqlite:////no/such/folder/a.db", "its folder does not exist"),
    ],
)
def test_other_databases_are_refused_without_their_password(text, what):
    with pytest.raises(InputError, match=what) as caught:
        open_storage(text, create=True)
    assert "secret" not in str(caught.value)


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match="psycopg"):
        open_storage("postgresql://me:se{cr}et@host/db", create=True)


def test_an_unknown_study_lists_those_that_exist(database):
    with pytest.raises(InputError, match="no study is called 'other'") as caught:
        load_study(open_storage(url(database), create=False), "other")
    assert caught.value.hint == "studies in this database: known"


def test_database_errors_are_one_line_without_sql(database):
    storage = open_storage(url(database), create=False)
    with (
        pytest.raises(StorageError, match="no such table: nowhere") as caught,
        storage_errors(storage.url),
        storage.engine.connect() as connection,
    ):
        connection.exec_driver_sql("SELECT * FROM nowhere")
    assert "SELECT" not in str(caught.value)
