"""The records of a W&B run file, read without wandb's own reader: LevelDB's log format around protobuf messages.

A 7-byte header, then blocks of 32 KiB; a record is CRC-32C (4 bytes), length (2), type (1: whole, 2: first, 3: middle,
4: last piece) and its data.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

KEY = "0123456789abcdef0123456789abcdef5ec4e75ec"
"""Has the form of an API key, and is none."""

BLOCK = 32 * 1024


def records(path: Path) -> Iterator[Record]:
    """Every record of a file."""
    data, at, pieces = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:  # no header fits into the rest of a block
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if kind == 0:
            break
        pieces += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield Record.FromString(pieces)
            pieces = b""


@dataclass
class StoredRun:
    """What a run's file says."""

    id: str = ""
    name: str = ""
    project: str = ""
    group: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    host: str = ""


def read_run(path: Path) -> StoredRun:
    """The run of a `.wandb` file."""
    run = StoredRun()
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            told = record.run
            run.id, run.name, run.project, run.group = told.run_id, told.display_name, told.project, told.run_group
            run.tags, run.host = list(told.tags), told.host
            _update(run.config, told.config.update)
        elif kind == "config":
            _update(run.config, record.config.update)
        elif kind == "history":
            row: dict[str, Any] = {}
            _update(row, record.history.item)
            run.history.append({**row, "_step": record.history.step.num})
        elif kind == "summary":
            _update(run.summary, record.summary.update)
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def read_runs(folder: Path) -> dict[str, StoredRun]:
    """All runs below a study's folder by their name."""
    found = [read_run(path) for path in sorted(folder.glob("wandb/*run-*/run-*.wandb"))]
    assert len({run.name for run in found}) == len(found)
    return {run.name: run for run in found}


def _update(target: dict[str, Any], items: Any) -> None:
    for item in items:
        key = item.key or "/".join(item.nested_key)
        target[key] = json.loads(item.value_json)
