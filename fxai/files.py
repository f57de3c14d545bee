"""Files that are either the old version or the new one, never half of each.

A write goes to a temporary file in the same folder, is flushed to the disk and then renamed over the target.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fxai.errors import FxaiError, InputError, StorageError

_NOT_WRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}
_FULL = {errno.ENOSPC, errno.EDQUOT}


def write_text_atomic(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace `path` by `text` in UTF-8; readers see the old content or the new, never a part.

    Raises:
        InputError: the folder is missing or read-only, or `path` is a symlink.
        StorageError: the disk is full or fails; the old file is still there.
    """
    write_bytes_atomic(path, text.encode("utf-8"), mode)


def write_json_atomic(path: Path, obj: object, mode: int = 0o644) -> None:
    """Replace `path` by `obj` as JSON; NaN and infinity are a ValueError, since JSON has neither.

    Raises: as `write_text_atomic`.
    """
    text = json.dumps(obj, indent=2, allow_nan=False, ensure_ascii=False)
    write_text_atomic(path, text + "\n", mode)


def write_bytes_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace `path` by `data`.

    Raises: as `write_text_atomic`.
    """
    with open_atomic(path, mode) as file:
        file.write(data)


@contextlib.contextmanager
def open_atomic(path: Path, mode: int = 0o644, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write that replaces `path` when the block ends well, and leaves no trace when it does not.

    Args:
        path: what is replaced.
        mode: of the new file.
        durable: wait until it is on the disk; without that, a power cut may leave an empty file.

    Raises: as `write_text_atomic`.
    """
    if path.is_symlink():
        raise _symlink(path)
    with _named_errors(path):
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                os.chmod(temporary, mode)
                yield file
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        if durable:
            _sync_folder(path.parent)


def ensure_writable_dir(path: Path, *, allow_symlink: bool = False) -> Path:
    """Create the folder if it is missing and prove that a file can be written in it.

    Args:
        path: the folder; parents are created too.
        allow_symlink: accept a folder that is itself a symlink, as people make for a results folder on a
            scratch disk; inside the results a symlink is refused.

    Raises:
        InputError: it is a file or a symlink, or cannot be created or written.
        StorageError: the disk is full or fails.
    """
    if path.is_symlink() and not (allow_symlink and path.is_dir()):
        raise _symlink(path)
    if path.exists() and not path.is_dir():
        raise InputError("is a file where a folder is needed", where=str(path), hint="move the file away")
    with _named_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"probe")
            probe.flush()
    return path


def make_dir(path: Path) -> Path:
    """Make a folder and those above it; one that exists stays.

    Raises:
        InputError: it may not be made there.
        StorageError: the disk is full or fails.
    """
    with _named_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


def open_log(path: Path) -> int:
    """A descriptor that adds to a file of text; the file and its folder are made where they are missing.

    Raises:
        InputError: the file or its folder is a symlink, or cannot be written.
        StorageError: the disk is full or fails.
    """
    refuse_links(path.parent, path)
    with _named_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o644)


def refuse_links(*paths: Path) -> None:
    """Refuse what would lead out of the results.

    Raises:
        InputError: one of the paths is a symlink.
    """
    for path in paths:
        if path.is_symlink():
            raise _symlink(path)


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors into those that a person reads."""
    try:
        yield
    except OSError as error:
        raise _named(error, path) from error


def _named(error: OSError, path: Path) -> FxaiError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in _FULL:
        return StorageError(
            f"the disk is full ({reason})",
            where=str(path),
            hint="free some space and run again; what was written before is intact",
        )
    if error.errno in _NOT_WRITABLE:
        return InputError(
            f"cannot be written ({reason})", where=str(path), hint="choose a folder that you may write to"
        )
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return InputError("its folder does not exist", where=str(path), hint=f"create {path.parent}")
    return StorageError(f"cannot be written ({reason})", where=str(path))


def _symlink(path: Path) -> InputError:
    return InputError(
        "is a symbolic link; results are never written through one",
        where=str(path),
        hint="remove the link, or choose another results folder",
    )


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the system can sync a folder."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(handle)
