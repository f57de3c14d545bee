from __future__ import annotations

import math

import pytest

from fxai.report.text import assignments, clean, count, duration, metric, number, short_names, signed


def test_clean_shows_what_a_terminal_would_obey() -> None:
    assert clean("a\x1b[31mred\x07\x9b2J") == "a\\x1b[31mred\\x07\\x9b2J"


def test_clean_shows_bidirectional_overrides_and_zero_width_characters() -> None:
    assert clean("a\u202eb\u200bc") == "a\\u202eb\\u200bc"


def test_clean_keeps_other_languages_and_puts_all_on_one_line() -> None:
    assert clean("Größe\t東京\nx") == "Größe 東京 x"


def test_clean_cuts_with_an_ellipsis_to_exactly_the_limit() -> None:
    assert clean("abcdef", 4) == "abc…"
    assert clean("abcd", 4) == "abcd"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (True, "true"),
        (4096, "4096"),
        (0.00032, "0.00032"),
        (0.000012, "1.2e-05"),
        (123456.7, "123457"),
        (0.41234567, "0.4123"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("gelu", "gelu"),
        ([0.1, 2], "[0.1, 2]"),
    ],
)
def test_number(value: object, text: str) -> None:
    assert number(value) == text


def test_signed_always_has_a_sign() -> None:
    assert signed(0.5) == "+0.5"
    assert signed(-0.5) == "-0.5"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (math.inf, "–"),
        (0.04, "0.0s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.6, "1m 00s"),  # rounds to 60 s
        (190.0, "3m 10s"),
        (7500.0, "2h 05m"),  # 7200 + 300
        (273_600.0, "3d 04h"),  # 3 × 86,400 + 4 × 3,600
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_metrics_in_their_units() -> None:
    assert metric("max_drawdown", 0.0834) == "8.34%"
    assert metric("n_trades", 120.0) == "120"
    assert metric("n_trades", 12.5) == "12.5"
    assert metric("sharpe", 1.23456) == "1.235"
    assert metric("cagr", -0.0327) == "-3.27%"
    assert metric("expectancy", 0.000213) == "0.021%"  # two digits where two decimals would show nothing
    assert metric("expectancy", 0.0) == "0.00%"
    assert metric("total_return", 99.5) == "9950.00%"
    assert metric("total_return", 1.368e18) == "1.37e+20%"  # hindsight over ten years of hours
    assert metric("holding_bars", 12.25) == "12.2"
    assert metric("win_rate", math.nan) == "nan"
    assert metric("win_rate", None) == "–"


def test_count_agrees_with_its_number() -> None:
    assert [count(0, "trial"), count(1, "trial"), count(2, "trial")] == ["0 trials", "1 trial", "2 trials"]


def test_short_names_take_as_many_parts_as_tell_names_apart() -> None:
    names = ["training.learning_rate", "env.reward.scale", "env.costs.scale", "a.scale.x"]
    assert list(short_names(names).values()) == ["learning_rate", "reward.scale", "costs.scale", "x"]


def test_short_name_of_a_name_that_ends_another() -> None:
    # `seed` ends `training.seed`: no part of it can be left out of either
    assert short_names(["seed", "training.seed"]) == {"seed": "seed", "training.seed": "training.seed"}


def test_assignments_use_short_names() -> None:
    assert assignments({"training.learning_rate": 3e-4, "model.d_model": 64}) == "learning_rate=0.0003 d_model=64"
