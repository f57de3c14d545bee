"""What is said of bars where a study finds others than it began with."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from fxai.config.data import DataConfig
from fxai.market.bars import Bars
from fxai.market.content import contents, digest_of, hash_bars, join

HOUR_NS = 3_600_000_000_000
MIDNIGHT_NS = 1_262_563_200_000_000_000
"""2010-01-04, a Monday: 14,613 days after 1970, × 86,400 s."""


def hours(n: int) -> Bars:
    time_N = MIDNIGHT_NS + HOUR_NS * np.arange(n, dtype=np.int64)
    return Bars(time_N=time_N, close_N=np.linspace(1.0, 2.0, n))


def told(bars: Bars) -> str:
    return contents({"A": bars}, {"A": digest_of(bars)})["A"]


def test_a_line_has_the_number_the_range_and_the_first_digits_of_the_hash():
    bars = hours(1200)
    # each column under a heading of name and length, then its little-endian bytes
    text = b"\ntime 1200\n" + bars.time_N.astype("<i8").tobytes()
    text += b"\nclose 1200\n" + bars.close_N.astype("<f8").tobytes()
    digits = hashlib.sha256(text).hexdigest()[:12]
    # 1,199 hours after midnight are 49 days and 23 hours
    line = f"1,200 bars from 2010-01-04 to 2010-02-22 23:00:00 (SHA-256 {digits}…)"
    assert told(bars) == line


def test_the_line_tells_one_bar_less_and_one_price_more():
    bars = hours(10)
    less = bars.rows(0, 9)
    close_N = bars.close_N.copy()
    close_N[4] += 1e-9
    other = replace(bars, close_N=close_N)
    same, short, moved = map(told, (bars, less, other))
    assert len({same, short, moved}) == 3
    assert short.startswith("9 bars from 2010-01-04 to 2010-01-04 08:00:00 ")
    assert same.partition("(")[0] == moved.partition("(")[0]


def test_the_hash_of_all_bars_is_of_settings_and_instruments():
    data = DataConfig(source="ecb", instruments=("EURUSD",))
    one = {"EURUSD": hours(10)}
    assert hash_bars(one, data) == hash_bars({"EURUSD": hours(10)}, data)
    assert hash_bars(one, data) == join({"EURUSD": digest_of(hours(10))}, data)
    assert hash_bars(one, data) != hash_bars({"GBPUSD": hours(10)}, data)
    assert hash_bars(one, data) != hash_bars({"EURUSD": hours(9)}, data)
    assert hash_bars(one, data) != hash_bars(one, data.model_copy(update={"start": "2010-01-04"}))
