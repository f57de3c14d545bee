"""What weights keep of their bars: the parts as they were cut, and where a bar of today lies in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fxai.config.data import DataConfig
from fxai.market.data import load_market
from fxai.market.features import LOOKBACK
from fxai.market.synthetic import ar1_bars
from fxai.market.trained_on import TrainedOn, trained_on

HOUR_NS = 3_600 * 10**9


def kept(**spans: dict[str, tuple[int, int]]) -> TrainedOn:
    return TrainedOn.model_validate({"data_hash": "", "timeframe_s": 3600.0, "spans": spans})


def test_the_parts_are_those_of_the_market_the_sealed_test_among_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    ar1_bars(1000, 0.1).to_csv(path)
    data = DataConfig.model_validate(
        {"source": "file", "path": str(path), "instruments": ["A"], "timezone": "UTC", "split": {"purge_bars": 10}}
    )
    whole = load_market(data, parts=("train", "validation", "test"))
    told = trained_on(load_market(data))
    expected = {part.name: (int(part.time_N[0]), int(part.time_N[-1])) for part in whole.parts}
    assert told.spans == {"A": expected}
    assert (told.data_hash, told.timeframe_s) == (whole.data_hash, 3600.0)
    # 1,000 hours, so 999 from the first to the last: validation begins after 0.7 · 999 = 699.3 hours, 10 bars before it
    # are purged; test after 849.15
    first = int(whole.parts[0].time_N[0]) - LOOKBACK * HOUR_NS
    hours = {name: tuple((t - first) // HOUR_NS for t in span) for name, span in told.spans["A"].items()}
    assert hours == {"train": (64, 689), "validation": (700, 839), "test": (850, 999)}


SPANS = {"train": (10, 19), "validation": (22, 29), "test": (32, 40)}


def test_a_bar_lies_in_the_part_that_began_last_before_it() -> None:
    #          before | train  purged | validation purged | test | after
    times = np.array([9, 10, 19, 20, 21, 22, 29, 31, 32, 40, 41, 50])
    assert kept(A=SPANS).count(times, "A") == {"before": 1, "train": 4, "validation": 3, "test": 2, "after": 2}


def test_without_a_name_the_earliest_part_of_any_instrument_counts() -> None:
    later = {"train": (15, 20), "validation": (25, 29), "test": (35, 60)}
    told = kept(A=SPANS, B=later)
    times = np.array([9, 10, 23, 33, 50, 61])
    assert told.count(times) == {"before": 1, "train": 1, "validation": 1, "test": 2, "after": 1}
    assert told.count(times, "B") == {"before": 2, "train": 1, "validation": 1, "test": 1, "after": 1}
    assert (told.sealed(), told.sealed("A")) == ((32, 60), (32, 40))
    assert (told.last_ns(), told.last_ns("A")) == (60, 40)


def test_a_part_without_bars_takes_none() -> None:
    told = kept(A={"train": (10, 19), "validation": (22, 29)})
    assert told.count(np.array([15, 25, 29, 30])) == {"before": 0, "train": 1, "validation": 2, "test": 0, "after": 1}
    assert told.sealed() is None
    told = kept(A={"train": (10, 19), "test": (32, 40)})
    assert told.count(np.array([15, 25, 32])) == {"before": 0, "train": 2, "validation": 0, "test": 1, "after": 0}


@pytest.mark.parametrize("spans", [{}, {"A": {}}, {"A": {"test": (1, 2)}}, {"A": {"train": (2, 1)}}])
def test_spans_that_are_no_split_are_refused(spans: dict[str, dict[str, tuple[int, int]]]) -> None:
    with pytest.raises(ValueError, match=r"spans|train"):
        kept(**spans)
