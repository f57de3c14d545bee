"""Each way in which a database can be wrong, found without writing a byte."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

import fakes
import pytest

from fxai.doctor import database
from fxai.doctor.finding import Finding
from fxai.doctor.place import Place, find_place
from fxai.doctor.snapshot import take
from fxai.study.database import mounts
from fxai.study.database.storage import open_storage, opened
from fxai.study.fingerprint import open_study


def found(place: Place) -> list[Finding]:
    return list(database.check(place, {url: take(url) for url in place.urls}))


def at(url: str) -> Place:
    return find_place(None, url, None)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database of one study without trials run."""
    path = tmp_path / "study.db"
    with opened(f"sqlite:///{path}", create=True) as storage:
        open_study(storage, fakes.load(tmp_path), None)
    return path


def test_a_sound_database_is_told_with_its_facts(url: str, tmp_path: Path) -> None:
    with opened(url, create=True) as storage:
        open_study(storage, fakes.load(tmp_path), None)
    (told,) = found(at(url))
    assert told.verdict == "ok"
    assert "1 study, schema v3.2.0.a" in told.text
    kind, number = told.facts["server"].split(" ", 1)
    assert kind == ("SQLite" if url.startswith("sqlite") else "PostgreSQL")
    assert number[0].isdecimal()
    assert told.facts["size_bytes"] > 10_000
    assert told.facts["journal"] == ("wal" if kind == "SQLite" else None)


def test_looking_changes_no_file(file: Path, tmp_path: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.iterdir()}
    found(at(f"sqlite:///{file}"))
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in tmp_path.iterdir()} == before


def test_a_default_that_is_not_there_yet_is_a_note_and_one_that_was_named_is_wrong(tmp_path: Path) -> None:
    (told,) = found(Place())
    assert told.verdict == "note"
    (told,) = found(at("sqlite:///missing.db"))
    assert (told.verdict, told.exit_code) == ("wrong", 3)
    spec = fakes.write_spec(tmp_path)  # its first run makes it
    assert found(find_place(spec, None, None))[0].verdict == "note"
    assert not list(tmp_path.glob("*.db"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:se{cr}et@127.0.0.1:1/db", "the study database failed"),
        ("mysql://me:secret@host/db", "mysql is not supported"),
        ("nonsense", "is not a database URL"),
        ("sqlite://", "names no file"),
    ],
)
def test_what_cannot_be_reached_is_a_finding_without_its_password(url: str, words: str) -> None:
    (told,) = found(at(url))
    assert told.verdict == "wrong"
    assert words in told.text
    assert told.hint
    assert "cr}et" not in told.text + told.hint
    assert "secret" not in told.text + told.hint


def test_damage_is_found_in_head_and_body(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(b"not a database" * 100)
    (told,) = found(at(f"sqlite:///{file}"))
    assert told.verdict == "wrong"
    assert "damaged" in told.text
    # pages 5 and on of 4 KiB: the list of tables on page 1 is whole
    file.write_bytes(whole[: 4 * 4096] + b"\x55" * 8 * 4096 + whole[12 * 4096 :])
    (told,) = found(at(f"sqlite:///{file}"))
    assert told.verdict == "wrong"
    assert "damaged" in told.text
    assert told.exit_code == 3


def test_tables_of_another_optuna_are_wrong_with_the_command_that_upgrades_them(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
        connection.commit()
    (told,) = found(at(f"sqlite:///{file}"))
    assert told.verdict == "wrong"
    assert "v2.6.0.a" in told.text
    assert told.hint is not None
    assert told.hint.startswith("optuna storage upgrade")


def test_an_empty_database_is_a_note_and_another_programs_is_wrong(url: str, tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    file.touch()
    (told,) = found(at(url))
    assert told.verdict == "note"
    assert "the first run makes them" in told.text
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE other (x)")
    (told,) = found(at(f"sqlite:///{file}"))
    assert told.verdict == "wrong"
    assert "not one of studies" in told.text


def test_no_write_ahead_log_is_a_note(file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    told = found(at(f"sqlite:///{file}"))
    assert [one.verdict for one in told] == ["ok", "note"]
    assert "mode delete" in told[1].text


def test_a_log_that_only_grows_is_a_note(file: Path, monkeypatch) -> None:
    monkeypatch.setattr(database, "LOG_BYTES", 1000)
    url = f"sqlite:///{file}"
    storage = open_storage(url, create=False)
    try:
        storage.set_study_user_attr(1, "note", "x" * 5000)
        told = found(at(url))
    finally:
        storage.remove_session()
        storage.engine.dispose()
    assert [one.verdict for one in told] == ["ok", "note"]
    assert "fuser -v" in str(told[1].hint)


def test_a_network_file_system_is_wrong(file: Path, monkeypatch, tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        f"90 22 0:50 / {tmp_path} rw,relatime - nfs4 server:/export rw\n"
    )
    monkeypatch.setattr(mounts, "MOUNTS", table)
    told = found(at(f"sqlite:///{file}"))
    assert [one.verdict for one in told] == ["wrong", "ok"]
    assert "nfs4" in told[0].text
    assert told[0].exit_code == 3


def test_a_writer_does_not_keep_the_doctor_waiting(file: Path) -> None:
    url = f"sqlite:///{file}"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        done: list[Finding] = []
        looking = threading.Thread(target=lambda: done.extend(found(at(url))))
        looking.start()
        looking.join(timeout=20)
        writer.execute("ROLLBACK")
    looking.join()
    assert [one.verdict for one in done] == ["ok"]
