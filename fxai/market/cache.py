"""Arrays that are dear to make, kept on disk under a hash of all that they are made from.

An entry is one file: a line of JSON (facts; the arrays' names, types and shapes; a checksum), then the numbers.
The cache saves time and changes no result: an entry that is damaged, foreign or of other code is made anew,
and a folder that cannot be read or written is as good as none.

The folder is `$FXAI_CACHE`, else `$XDG_CACHE_HOME/fxai`, else `~/.cache/fxai`; `FXAI_CACHE=off` keeps nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import operator
import os
import platform
import re
import shutil
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from fxai.errors import FxaiError
from fxai.files import open_atomic

Numbers = NDArray[Any]

VARIABLE = "FXAI_CACHE"
"""Environment variable: another folder, or one of OFF in any case."""

OFF = ("off", "0", "no", "none", "false")
"""What keeps nothing; a folder of such a name is `./off`."""

LIMIT_BYTES = 4 * 2**30
"""Of all entries together; the ones not used for longest go first."""

SPARE = 4
"""An entry is kept only where the disk has room for so many of its size."""

FORMAT = "fxai-cache-1"
DTYPES = ("<i8", "<f8", "<f4")
HEADER_BYTES = 65_536
"""Longest first line."""

NAME = re.compile(r"[a-z]+-[0-9a-f]{64}\.cache")
LEFTOVER = re.compile(r"\.[a-z]+-[0-9a-f]+\..*\.tmp")
LEFTOVER_S = 3600.0
"""Age at which a half-written file belongs to a process that died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one file of the cache holds."""

    arrays: dict[str, Numbers]

    facts: dict[str, Any] = field(default_factory=dict)
    """What JSON can hold."""


def folder() -> Path | None:
    """Where entries lie; None where nothing is kept."""
    given = os.environ.get(VARIABLE, "")
    if given.strip().lower() in OFF:
        return None
    try:
        if given:
            return Path(given).expanduser().absolute()
        base = Path(os.environ.get("XDG_CACHE_HOME", ""))
        return (base if base.is_absolute() else Path.home() / ".cache") / "fxai"
    except (RuntimeError, OSError):  # no home, or a folder that is gone
        return None


def entry_name(kind: str, settings: object, arrays: Mapping[str, Numbers]) -> str | None:
    """The file name of what is made from these numbers and settings by this code; None where code cannot be read."""
    if CODE_HASH is None:
        return None
    digest = hashlib.sha256(f"{FORMAT} {kind} {CODE_HASH} {json.dumps(settings, sort_keys=True)}".encode())
    for name, values in arrays.items():
        digest.update(f"\n{name} {values.dtype.str} {values.shape}\n".encode())
        digest.update(np.ascontiguousarray(values).data)
    return f"{kind}-{digest.hexdigest()}.cache"


def load(name: str) -> Entry | None:
    """The entry of that name, None where there is none that can be trusted."""
    home = folder()
    if home is None:
        return None
    try:
        with open(home / name, "rb", opener=_opener) as file:
            entry = _read(file, name)
    except (OSError, ValueError, ArithmeticError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    with contextlib.suppress(OSError):  # a folder that is read-only
        os.utime(home / name)
    return entry


def store(name: str, entry: Entry) -> None:
    """Keep an entry if there is room for it; whatever prevents that is no error."""
    home = folder()
    size = sum(values.nbytes for values in entry.arrays.values())
    if home is None or size > LIMIT_BYTES // 2:
        return
    with contextlib.suppress(OSError, FxaiError):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(home).free < SPARE * size:
            return
        with open_atomic(home / name, 0o600, durable=False) as file:  # the checksum finds what a power cut spoils
            _write(file, name, entry)
        _tidy(home)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _read(file: BinaryIO, name: str) -> Entry:
    """An entry as `_write` leaves it; whatever else raises one of the errors that `load` takes for a miss."""
    status = os.fstat(file.fileno())
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        raise ValueError("another user's file")
    header = json.loads(file.readline(HEADER_BYTES))
    expected = header.pop("crc32")
    checksum = _header_checksum(header)
    layout = [(str(key), str(kind), tuple(operator.index(n) for n in shape)) for key, kind, shape in header["arrays"]]
    if header["name"] != name or any(kind not in DTYPES for _, kind, _ in layout):
        raise ValueError("another entry")
    sizes = [int(kind[2]) * math.prod(shape) for _, kind, shape in layout]
    if min(sizes, default=0) < 0 or file.tell() + sum(sizes) != status.st_size:
        raise ValueError("cut short")
    arrays: dict[str, Numbers] = {}
    for key, kind, shape in layout:
        arrays[key] = np.fromfile(file, dtype=kind, count=math.prod(shape)).reshape(shape)
        checksum = zlib.crc32(arrays[key].data, checksum)
    if checksum != expected:
        raise ValueError("damaged")
    return Entry(arrays=arrays, facts=dict(header["facts"]))


def _write(file: BinaryIO, name: str, entry: Entry) -> None:
    arrays = {key: np.ascontiguousarray(v, dtype=v.dtype.newbyteorder("<")) for key, v in entry.arrays.items()}
    layout = [(key, values.dtype.str, values.shape) for key, values in arrays.items()]
    header: dict[str, Any] = {"name": name, "arrays": layout, "facts": entry.facts}
    checksum = _header_checksum(header)
    for values in arrays.values():
        checksum = zlib.crc32(values.data, checksum)
    line = json.dumps(header | {"crc32": checksum}).encode() + b"\n"
    if len(line) > HEADER_BYTES:
        raise OSError("the facts are too long")
    file.write(line)
    for values in arrays.values():
        file.write(values.data)


def _header_checksum(header: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(header, sort_keys=True).encode())


def _tidy(home: Path) -> None:
    """Drop the entries that were not used for longest until all fit, and what dead processes left half-written."""
    now = time.time()  # compared with the times of files, which a clock set meanwhile may spoil: then less is kept
    entries: list[tuple[float, int, Path]] = []
    for path in home.iterdir():
        with contextlib.suppress(OSError):
            status = path.lstat()
            if NAME.fullmatch(path.name):
                entries.append((status.st_mtime, status.st_size, path))
            elif LEFTOVER.fullmatch(path.name) and now - status.st_mtime > LEFTOVER_S:
                path.unlink()
    kept = 0
    for _, size, path in sorted(entries, reverse=True):
        kept += size
        if kept > LIMIT_BYTES:
            with contextlib.suppress(OSError):  # somebody else was quicker
                path.unlink()


def _code_hash(folder: Path) -> str | None:
    """Of the code that makes what is kept, and of what it calculates with; None where there is no source to hash."""
    try:
        sources = [path.read_bytes() for path in sorted(folder.rglob("*.py"))]
    except OSError:
        return None
    if not sources:
        return None
    versions = f"{np.__version__} {pd.__version__} {pa.__version__} {platform.python_version()} {platform.machine()}"
    digest = hashlib.sha256(versions.encode())
    for source in sources:
        digest.update(source)
    return digest.hexdigest()


CODE_HASH = _code_hash(Path(__file__).parent)
"""Taken when the code is imported, not when it is first needed: a run of hours must not name what it makes after files
that were edited meanwhile."""
