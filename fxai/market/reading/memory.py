"""Will it fit? Memory is estimated before a large file is read (F59)."""

from __future__ import annotations

from pathlib import Path

from fxai.errors import DataError

BYTES_PER_ROW = 250
"""Besides the columns themselves: prices, checks and features of one bar, at their peak (measured)."""

BYTES_PER_CELL = {"text": 40, "parquet": 20, "json": 270}
"""Of each cell of the file while it is read, at the peak (measured)."""

SHARE = 0.8
"""Of the memory that is free, what one file may take."""


def available_bytes() -> int | None:
    """Memory that can still be taken, within the limit of the container; None where nobody tells."""
    free = _meminfo("/proc/meminfo")
    limit, used = _number("/sys/fs/cgroup/memory.max"), _number("/sys/fs/cgroup/memory.current")
    if limit is not None and used is not None:
        within = max(limit - used, 0)
        return within if free is None else min(free, within)
    return free


def check_fits(rows: int, cells_per_row: int, kind: str, where: str) -> None:
    """Refuse a file whose bars would not fit into memory.

    Args:
        rows: bars, may be an estimate.
        cells_per_row: columns that are read.
        kind: `text` or `parquet`.
        where: the file.
    """
    free = available_bytes()
    need = rows * (BYTES_PER_ROW + cells_per_row * BYTES_PER_CELL[kind])
    if free is None or need <= SHARE * free:
        return
    raise DataError(
        f"{rows:,} bars need about {need / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free",
        where=where,
        hint="cut the file to fewer years, use coarser bars, or run fewer workers (n_jobs)",
    )


def unpacked_limit() -> int | None:
    """Bytes that a packed file may unpack to; None where nobody tells."""
    free = available_bytes()
    return None if free is None else int(SHARE * free)


def check_unpacked(size: int, where: str) -> None:
    """Refuse a packed file that unpacks to more than memory holds.

    Raises:
        DataError: with both sizes.
    """
    limit = unpacked_limit()
    if limit is None or size <= limit:
        return
    raise DataError(
        f"unpacked, the file is over {size / 2**30:.1f} GiB, and {limit / SHARE / 2**30:.1f} GiB of memory are free",
        where=where,
        hint="unpack it yourself if it is what you think it is, and cut it to fewer years",
    )


def _meminfo(path: str) -> int | None:
    try:
        lines = Path(path).read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max": no limit
        return None
