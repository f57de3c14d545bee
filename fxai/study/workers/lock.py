"""One orchestrator per study: a lock that the system drops when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from fxai.errors import StorageError, StudyConflict
from fxai.study.owner import Owner

LOCK_NAME = ".lock"


@contextlib.contextmanager
def study_lock(folder: Path) -> Iterator[None]:
    """Hold the study folder for this process.

    Raises:
        StudyConflict: another process holds it; the message names that process.
        StorageError: the folder's file system has no locks.
    """
    path = folder / LOCK_NAME
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise held_by(_read_holder(path), folder) from None
        except OSError as error:
            raise no_locks(path, error) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(Owner.current().as_dict()).encode(), 0)
        yield
    finally:
        os.close(handle)  # the file stays: removing it would let a third process lock another one of the same name


def no_locks(path: Path, error: OSError) -> StorageError:
    """The error for a file system without locks: some NFS and Lustre mounts."""
    return StorageError(
        f"files cannot be locked here ({error.strerror})",
        where=str(path),
        hint="keep the results on another file system: --results-dir",
    )


def held_by(holder: Owner | None, folder: Path) -> StudyConflict:
    """The error for a study that somebody else runs."""
    return StudyConflict(
        f"study {folder.name} is already being run by {holder or 'another process'}",
        where=str(folder),
        hint="help it with --join, wait for it, stop it (Ctrl-C there), or run under another name with --study-name",
    )


def _read_holder(path: Path) -> Owner | None:
    try:
        return Owner.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None  # caught between lock and write
