"""Episodes draw an instrument and a start: every row at which an episode fits, all with the same chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fxai.agent.rollout import _StartDraw
from fxai.config import EnvConfig
from fxai.env.trading import TradingEnv
from fxai.market.synthetic import ar1_bars, market_from_bars

RANGES = st.lists(st.tuples(st.integers(0, 50), st.integers(-5, 30)), min_size=1, max_size=6)


def fitting(lengths: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Instruments end to end with a hole before each; a length of 0 or less leaves no room for an episode."""
    ranges, end = [], 0
    for hole, length in lengths:
        ranges.append((end + hole, end + hole + length))
        end += hole + max(length, 0)
    return ranges


@settings(max_examples=200, deadline=None)
@given(lengths=RANGES)
def test_each_fitting_row_is_drawn_by_exactly_one_number(lengths: list[tuple[int, int]]):
    # the draw is a uniform whole number below the count of rows; that it is a bijection onto them makes them uniform
    ranges = fitting(lengths)
    rows = [row for low, high in ranges for row in range(low, high)]
    if not rows:
        with pytest.raises(ValueError, match="no instrument has room"):
            _StartDraw(ranges)
        return
    with pytest.MonkeyPatch.context() as patch:
        asked = []

        def every(total: int, shape: tuple[int, ...], generator: torch.Generator | None = None) -> torch.Tensor:
            asked.append(total)
            return torch.arange(total)

        patch.setattr(torch, "randint", every)
        drawn = _StartDraw(ranges)(1, torch.Generator())
    assert asked == [len(rows)]
    assert drawn.tolist() == rows


def test_instruments_are_drawn_by_how_many_rows_they_have():
    # 300 and 100 rows: a quarter of 40,000 draws is 10,000 ± 4 · √(40,000 · 0.25 · 0.75) = 346
    drawn = _StartDraw([(10, 310), (400, 500)])(40_000, torch.Generator().manual_seed(0)).numpy()
    assert abs(int((drawn >= 400).sum()) - 10_000) < 346
    assert not ((drawn >= 310) & (drawn < 400)).any()
    # within the first, each tenth holds a tenth of some 30,000: 3,000 ± 4 · √(30,000 · 0.1 · 0.9) = 208
    counts, _ = np.histogram(drawn[drawn < 310], bins=10, range=(10, 310))
    assert (np.abs(counts - 3000) < 300).all()


@settings(max_examples=30, deadline=None)
@given(late=st.integers(0, 500), steps=st.integers(1, 60), window=st.integers(1, 40), seed=st.integers(0, 99))
def test_no_episode_nor_its_window_crosses_into_another_instrument(late: int, steps: int, window: int, seed: int):
    market = market_from_bars({"A": ar1_bars(1500, 0.1), "B": ar1_bars(1500, 0.1, seed=1)[late:]})
    part = market.train
    assert part is not None
    env = TradingEnv(part, [EnvConfig()], torch.device("cpu"))
    rows = _StartDraw(env.starts(steps, window))(500, torch.Generator().manual_seed(seed)).numpy()
    first, last = rows - (window - 1), rows + steps  # the oldest bar seen and the bar of the last fill and close
    instrument = np.searchsorted(part.offsets_I, first, side="right")
    np.testing.assert_array_equal(np.searchsorted(part.offsets_I, last, side="right"), instrument)
