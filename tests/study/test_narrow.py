"""Ranges around what was inherited: the right share, inside the old range, on the old grid."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fxai.study.narrow import narrowed
from fxai.study.space import Parameter


def parameter(**keys: Any) -> Parameter:
    return Parameter.model_validate({"name": "training.x", **keys})


def around(value: float, **keys: Any) -> tuple[float, float]:
    (own,) = narrowed([parameter(**keys)], {"training.x": value})
    assert own.around is None
    return own.bounds


@pytest.mark.parametrize(
    ("value", "keys", "expected"),
    [
        # two tenths of 0 to 1 on either side
        (0.5, {"type": "float", "low": 0, "high": 1, "around": 0.4}, (0.3, 0.7)),
        (0.9, {"type": "float", "low": 0, "high": 1, "around": 0.4}, (0.7, 1.0)),  # cut at the end
        # the range is 4 decades; a quarter of it is a decade, half of that on either side: 0.01 / √10 to 0.01 · √10
        (0.01, {"type": "float_log", "low": 0.0001, "high": 1, "around": 0.25}, (0.01 / 10**0.5, 0.01 * 10**0.5)),
        # 32 / √4 to 32 · √4: half of four doublings is two of them
        (32, {"type": "int_log", "low": 8, "high": 128, "around": 0.5}, (16, 64)),
        # 5 ± 1 on the grid 1, 3, 5, 7, 9: no neighbour within, so the nearest ones
        (5, {"type": "int", "low": 1, "high": 9, "step": 2, "around": 0.25}, (3, 7)),
        (3, {"type": "int", "low": 1, "high": 3, "around": 0.1}, (2, 3)),
        # 0.3 ± 0.25 on tenths
        (0.3, {"type": "float", "low": 0, "high": 1, "step": 0.1, "around": 0.5}, (0.1, 0.5)),
    ],
)
def test_the_share_around_the_value(value: float, keys: dict[str, Any], expected: tuple[float, float]) -> None:
    assert around(value, **keys) == pytest.approx(expected)


def test_without_a_value_the_range_stays_whole() -> None:
    whole = parameter(type="float", low=0, high=1, around=0.5)
    plain = parameter(type="float", low=0, high=1)
    assert narrowed([whole], {"training.y": 0.5}) == (whole,)
    assert narrowed([plain], {"training.x": 0.5}) == (plain,)


def test_choices_have_no_surroundings() -> None:
    with pytest.raises(ValueError, match="categorical has choices, not around"):
        parameter(type="categorical", choices=[1, 2], around=0.5)


@given(low=st.integers(1, 50), size=st.integers(1, 60), step=st.integers(1, 5), data=st.data())
def test_what_is_left_is_a_range_of_the_old_values_with_the_value_in_it(
    low: int, size: int, step: int, data: st.DataObject
) -> None:
    log = data.draw(st.booleans())
    grid = {"type": "int_log"} if log else {"type": "int", "step": step}
    whole = parameter(low=low, high=low + size * (1 if log else step), around=data.draw(st.floats(0.01, 1.0)), **grid)
    value = data.draw(
        st.sampled_from([v for v in range(int(whole.low or 0), int(whole.high or 0) + 1) if whole.contains(v)])
    )
    (own,) = narrowed([whole], {"training.x": value})
    assert own.contains(value)
    assert all(whole.contains(end) for end in own.bounds)
    assert own.bounds[0] < own.bounds[1]
    Parameter.model_validate(own.model_dump(exclude_defaults=True))  # and a valid parameter by itself


def test_a_share_lies_between_nothing_and_all() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        parameter(type="float", low=0, high=1, around=0.0)
