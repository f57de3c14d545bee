"""Files that were parsed before are not parsed again (`fxai.market.cache`); what they hold is judged anew each time.

Parsing 5 million lines takes fourteen times as long as hashing them and reading the entry. An entry belongs to the
content of a file, its path, the options it is read with and the rules of the zone among them. It holds all bars of the
file, as the file does.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from fxai.config.data import FILE_OPTIONS, DataConfig
from fxai.market import cache
from fxai.market.reading.raw import Origin, RawBars, Source
from fxai.market.reading.readers import read_raw
from fxai.market.reading.zones import clock_rules, find_zone

WORTH_BYTES = 4 * 2**20
"""Smaller files are parsed in a tenth of a second."""

BLOCK = 2**20


def cached_raw(path: Path, data: DataConfig) -> RawBars:
    """`read_raw`, or what it returned before for the same content and options.

    Raises:
        DataError: as `read_raw`.
    """
    before = _identity(path)
    if before is None or cache.folder() is None:
        return read_raw(path, data)
    try:
        content = _sha256(path)
    except OSError:
        return read_raw(path, data)  # which says what is wrong with the file
    options = data.model_dump(mode="json", include=set(FILE_OPTIONS) - {"path"})
    settings = {"path": str(path), "content": content, "options": options, "clock": _clock(data.timezone)}
    name = cache.entry_name("bars", settings, {})
    if name is None:
        return read_raw(path, data)
    if (entry := cache.load(name)) is not None and (known := _from_entry(entry)) is not None:
        return known
    raw = read_raw(path, data)
    if _identity(path) == before:  # else it was written meanwhile, and the content may be another
        cache.store(name, _to_entry(raw))
    return raw


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written; None for what is not worth keeping."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns) if status.st_size >= WORTH_BYTES else None


def _clock(timezone: str | None) -> str | None:
    """Of the rules by which the config's zone changes its clocks; formats that name a zone name one that never does."""
    if timezone is None:
        return None
    return hashlib.sha256(clock_rules(find_zone(timezone, "data.timezone").zone.key)).hexdigest()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _to_entry(raw: RawBars) -> cache.Entry:
    order_N = raw.source.order_N
    return cache.Entry(
        arrays={
            "time": raw.time_N,
            **({} if order_N is None else {"order": order_N}),
            **{f"number {role}": values_N for role, values_N in raw.numbers.items()},
        },
        facts={
            "name": raw.source.name,
            "first_line": raw.source.first_line,
            "quoted": raw.quoted,
            "notes": raw.notes,
            "format": raw.origin.format,
            "timezone": raw.origin.timezone,
            "details": raw.origin.details,
        },
    )


def _from_entry(entry: cache.Entry) -> RawBars | None:
    """None for an entry that is not of this shape."""
    facts, arrays = entry.facts, entry.arrays
    try:
        return RawBars(
            source=Source(name=facts["name"], first_line=facts["first_line"], order_N=arrays.get("order")),
            time_N=arrays["time"],
            numbers={key.removeprefix("number "): v for key, v in arrays.items() if key.startswith("number ")},
            quoted=facts["quoted"],
            notes=tuple(facts["notes"]),
            origin=Origin(format=facts["format"], timezone=facts["timezone"], details=tuple(facts["details"])),
        )
    except (KeyError, TypeError):
        return None
