"""Atomic writes: the old file or the new one, and errors a person can act on."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from fxai.errors import InputError, StorageError
from fxai.files import ensure_writable_dir, open_atomic, write_bytes_atomic, write_json_atomic, write_text_atomic


def test_text_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text_atomic(path, "old")
    write_text_atomic(path, "né\n")
    assert path.read_bytes() == b"n\xc3\xa9\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_mode_is_what_was_asked(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "a", "x")
    write_text_atomic(tmp_path / "b", "x", mode=0o600)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600


def test_json_keeps_order_and_refuses_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json_atomic(path, {"b": 1, "a": [0.1]})
    assert list(json.loads(path.read_text())) == ["b", "a"]
    with pytest.raises(ValueError, match="Out of range"):
        write_json_atomic(path, {"b": float("nan")})
    assert json.loads(path.read_text())["b"] == 1


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StorageError),
        (errno.EDQUOT, StorageError),
        (errno.EIO, StorageError),
        (errno.EROFS, InputError),
        (errno.EACCES, InputError),
    ],
)
def test_a_failed_write_keeps_the_old_file_and_names_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[Exception]
) -> None:
    path = tmp_path / "a.txt"
    write_text_atomic(path, "old")

    def fail(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind, match=os.strerror(number)) as caught:
        write_text_atomic(path, "new")
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_an_interrupt_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes_atomic(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_symlink_is_never_written_through(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(InputError, match="symbolic link"):
        write_text_atomic(link, "x")
    assert target.read_text() == "precious"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="its folder does not exist"):
        write_text_atomic(tmp_path / "no" / "a", "x")


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = ensure_writable_dir(tmp_path / "a" / "b")
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    assert ensure_writable_dir(folder) == folder


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(InputError, match="file where a folder is needed"):
        ensure_writable_dir(tmp_path / "a")
    with pytest.raises(InputError, match="folder does not exist"):
        ensure_writable_dir(tmp_path / "a" / "b")


def test_a_linked_folder_is_refused_unless_allowed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    with pytest.raises(InputError, match="symbolic link"):
        ensure_writable_dir(link)
    assert ensure_writable_dir(link, allow_symlink=True) == link
    (tmp_path / "real").rmdir()
    with pytest.raises(InputError, match="symbolic link"):
        ensure_writable_dir(link, allow_symlink=True)


def test_a_folder_that_cannot_be_written_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("fxai.files.tempfile.TemporaryFile", read_only)
    with pytest.raises(InputError, match="Read-only file system"):
        ensure_writable_dir(tmp_path)


@pytest.mark.parametrize("durable", [True, False])
def test_a_block_that_fails_leaves_the_old_file_and_no_trace(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "a.bin"
    with open_atomic(path, 0o600, durable=durable) as file:
        file.write(b"old")

    def half_way() -> None:
        with open_atomic(path, durable=durable) as file:
            file.write(b"new")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        half_way()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
