"""Opening the database: what is refused, and that nothing is created or changed by it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import fakes
import optuna
import pytest

from fxai.errors import InputError, StorageError, StudyConflict
from fxai.study.database import mounts, sqlite
from fxai.study.database.budget import claim
from fxai.study.database.hosts import check_one_host
from fxai.study.database.storage import creating, load_study, open_storage, opened, storage_errors, study_names
from fxai.study.fingerprint import open_study
from fxai.study.owner import Owner


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


def test_f17_only_one_program_at_a_time_creates_a_study(database_url, tmp_path, monkeypatch):
    spec = fakes.load(tmp_path, storage=database_url)
    with opened(database_url, create=True) as storage:
        waits = threading.Event()
        tried = sqlite._locked
        monkeypatch.setattr(sqlite, "_locked", lambda handle: tried(handle) or waits.set())
        with creating(storage):
            other = threading.Thread(target=lambda: open_study(storage, spec, None))
            other.start()
            for _ in range(1000 * database_url.startswith("postgresql")):
                if waits.is_set():
                    break
                with storage.engine.connect() as connection:
                    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                    if connection.exec_driver_sql(waiting).scalar():
                        waits.set()
            assert waits.wait(5)
            assert study_names(storage) == []
        other.join(30)
        assert study_names(storage) == ["fake"]


def mounted(path: Path, kind: str) -> str:
    place = str(path).replace(" ", r"\040")
    return f"22 1 8:1 / / rw - ext4 /dev/sda rw\n36 22 0:35 / {place} rw,relatime shared:1 - {kind} host:/export rw\n"


@pytest.mark.parametrize(
    "kind", ["nfs4", "nfs", "cifs", "smb3", "fuse.sshfs", "9p", "lustre", "gpfs", "beegfs", "ceph"]
)
def test_f23_a_database_on_a_network_file_system_is_refused_with_the_reason(tmp_path, monkeypatch, kind):
    share = tmp_path / "the share"
    (share / "deep").mkdir(parents=True)
    table = tmp_path / "mountinfo"
    table.write_text(mounted(share, kind))
    monkeypatch.setattr(mounts, "MOUNTS", table)
    with pytest.raises(InputError, match=f"lies on {kind}, a network file system: SQLite's write-ahead log") as caught:
        open_storage(url(share / "deep" / "new.db"), create=True)
    assert "or use PostgreSQL" in str(caught.value.hint)
    assert list((share / "deep").iterdir()) == []
    open_storage(url(tmp_path / "beside.db"), create=True).engine.dispose()


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuse.fuse-overlayfs", "fuseblk"])
def test_f23_local_file_systems_and_mounts_over_a_share_are_fine(tmp_path, monkeypatch, kind):
    table = tmp_path / "mountinfo"
    table.write_text(mounted(tmp_path, "nfs4") + mounted(tmp_path, kind).splitlines()[1] + "\n")
    monkeypatch.setattr(mounts, "MOUNTS", table)
    assert mounts.file_system(tmp_path / "new.db") == kind  # the last one hides the one below
    open_storage(url(tmp_path / "new.db"), create=True).engine.dispose()


def test_where_the_system_tells_no_mounts_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "absent")
    open_storage(url(tmp_path / "new.db"), create=True).engine.dispose()


ELSEWHERE = Owner("another-host", 77, 1, 1)


def test_f23_an_sqlite_study_that_lives_on_another_host_is_refused(tmp_path):
    spec = fakes.load(tmp_path)
    with opened(spec.storage, create=True) as storage:
        study = open_study(storage, spec, None)
        study.set_user_attr("orchestrator", Owner("another-host", 5, 1, 1).as_dict())
        check_one_host(storage, study._study_id)  # it may have died: nothing beats
        claim(storage, study._study_id, 4, ELSEWHERE)
        with pytest.raises(
            StudyConflict, match="process 5 on another-host runs this study, and its database is an SQLite"
        ):
            check_one_host(storage, study._study_id)
        study.set_user_attr("orchestrator", None)
        with pytest.raises(StudyConflict, match="process 77 on another-host runs this study"):
            check_one_host(storage, study._study_id)
        with storage.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-61 seconds')")
        check_one_host(storage, study._study_id)


def test_several_workers_of_one_host_and_postgresql_of_any_are_welcome(tmp_path, database_url):
    spec = fakes.load(tmp_path, storage=database_url)
    with opened(database_url, create=True) as storage:
        study = open_study(storage, spec, None)
        owner = Owner.current() if database_url.startswith("sqlite") else ELSEWHERE
        study.set_user_attr("orchestrator", owner.as_dict())
        claim(storage, study._study_id, 4, owner)
        check_one_host(storage, study._study_id)


def test_an_empty_postgresql_database_is_filled_only_by_who_may_create(postgresql_url):
    with pytest.raises(StorageError, match="not one of studies"):
        open_storage(postgresql_url, create=False)
    with opened(postgresql_url, create=True) as storage:
        assert study_names(storage) == []
    with opened(postgresql_url) as storage:
        assert study_names(storage) == []


def test_another_programs_postgresql_database_is_left_alone(postgresql_server, postgresql_url):
    name = postgresql_url.rpartition("/")[2]
    postgresql_server.execute("CREATE TABLE alembic_version (version_num text)", name)
    postgresql_server.execute("INSERT INTO alembic_version VALUES ('1f2e3d')", name)
    with pytest.raises(StorageError, match="not one of studies"):
        open_storage(postgresql_url, create=True)
    assert postgresql_server.execute("SELECT to_regclass('studies')", name) == [(None,)]


def test_f25_a_postgresql_database_of_another_optuna_version_names_the_upgrade_command(
    postgresql_server, postgresql_url
):
    open_storage(postgresql_url, create=True).engine.dispose()
    postgresql_server.execute("UPDATE alembic_version SET version_num = 'v3.0.0.a'", postgresql_url.rpartition("/")[2])
    with pytest.raises(StorageError, match="another Optuna version") as caught:
        open_storage(postgresql_url.replace("postgres@", "postgres:s3cret@"), create=False)
    assert caught.value.exit_code == 3
    bare = postgresql_url.replace("postgresql://", "postgresql+psycopg://")
    assert caught.value.hint.startswith(f"optuna storage upgrade --storage {bare} ")
