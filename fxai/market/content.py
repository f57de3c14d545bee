"""What bars are, in a hash and in words: whether two runs saw the same, and which instrument differs.

Where files lie and how they are read is left out: bars that come out alike are the same data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from fxai.config.data import FILE_OPTIONS, DataConfig
from fxai.market.bars import Bars
from fxai.market.clock import stamp

SHOWN_DIGITS = 12
"""Hexadecimal digits of a hash that a person compares."""


class _Digest(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...


def hash_bars(bars: Mapping[str, Bars], data: DataConfig) -> str:
    """SHA-256 of the settings and of all bars (`Market.data_hash`)."""
    settings = data.model_dump(mode="json", exclude=set(FILE_OPTIONS))
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, each in bars.items():
        _feed(digest, name, each)
    return digest.hexdigest()


def contents(bars: Mapping[str, Bars]) -> dict[str, str]:
    """One line per instrument: number of bars, first and last time, and the first digits of their own SHA-256."""
    return {name: _content(name, each) for name, each in bars.items()}


def _content(name: str, bars: Bars) -> str:
    digest = hashlib.sha256()
    _feed(digest, name, bars)
    first, last = stamp(int(bars.time_N[0])), stamp(int(bars.time_N[-1]))
    return f"{len(bars):,} bars from {first} to {last} (SHA-256 {digest.hexdigest()[:SHOWN_DIGITS]}…)"


def _feed(digest: _Digest, name: str, bars: Bars) -> None:
    for column, values_N in {"time": bars.time_N, **bars.arrays()}.items():
        digest.update(f"\n{name} {column} {len(values_N)}\n".encode())
        digest.update(np.ascontiguousarray(values_N, dtype=values_N.dtype.newbyteorder("<")).data)
