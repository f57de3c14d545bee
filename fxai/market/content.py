"""What bars are, in a hash and in words: whether two runs saw the same, and which instrument differs.

Where files lie and how they are read is left out: bars that come out alike are the same data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from fxai.config.data import FILE_OPTIONS, DataConfig
from fxai.market.bars import Bars
from fxai.market.clock import stamp

SHOWN_DIGITS = 12
"""Hexadecimal digits of a hash that a person compares."""


def hash_bars(bars: Mapping[str, Bars], data: DataConfig) -> str:
    """SHA-256 of the settings and of all bars (`Market.data_hash`)."""
    return join({name: digest_of(each) for name, each in bars.items()}, data)


def digest_of(bars: Bars) -> str:
    """SHA-256 of one instrument's bars, hexadecimal."""
    digest = hashlib.sha256()
    for column, values_N in {"time": bars.time_N, **bars.arrays()}.items():
        digest.update(f"\n{column} {len(values_N)}\n".encode())
        digest.update(np.ascontiguousarray(values_N, dtype=values_N.dtype.newbyteorder("<")).data)
    return digest.hexdigest()


def join(digests: Mapping[str, str], data: DataConfig) -> str:
    """`hash_bars` of instruments whose own digests are known: bars are read through once."""
    settings = data.model_dump(mode="json", exclude=set(FILE_OPTIONS))
    return hashlib.sha256(json.dumps([settings, list(digests.items())], sort_keys=True).encode()).hexdigest()


def contents(bars: Mapping[str, Bars], digests: Mapping[str, str]) -> dict[str, str]:
    """One line per instrument: number of bars, first and last time, and the first digits of their own SHA-256."""
    told = {}
    for name, each in bars.items():
        first, last = stamp(int(each.time_N[0])), stamp(int(each.time_N[-1]))
        told[name] = f"{len(each):,} bars from {first} to {last} (SHA-256 {digests[name][:SHOWN_DIGITS]}…)"
    return told
