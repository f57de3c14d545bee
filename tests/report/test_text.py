from __future__ import annotations

import math

import pytest

from fxai.report.text import assignments, clean, count, done_of, duration, metric, number, short_names, signed, wrapped


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


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("costs", 100.0, "> 10,000%"),
        ("costs", -100.0, "< -10,000%"),
        ("costs", 1.1e13, "> 10,000%"),
        ("costs", 99.0, "9900.00%"),
        ("exposure", 100.0, "> 10,000%"),
        ("cagr", math.expm1(math.log1p(100.0)), "> 10,000%"),  # 100 to the last digits
        ("sharpe", 100.0, "> 100"),
        ("sharpe", -100.0, "< -100"),
        ("profit_factor", 100.0, "> 100"),
        ("turnover", 99.0, "99"),
        ("total_return", 100.0, "10000.00%"),  # is not cut
        ("n_trades", 100.0, "100"),
        ("mean_reward", 100.0, "100"),
    ],
)
def test_a_bound_is_not_written_as_a_figure(name: str, value: float, text: str) -> None:
    assert metric(name, value) == text


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


@pytest.mark.parametrize(
    ("finished", "budget", "noun", "text"),
    [
        (3, 20, "", "3 of 20"),
        (8, 8, "trial", "8 of 8 trials"),
        (0, 1, "trial", "0 of 1 trial"),
        (60, 8, "", "60 (budget 8)"),
        (60, 8, "trial", "60 trials (budget 8)"),
        (3, "?", "", "3 of ?"),  # another program's study says no budget
    ],
)
def test_done_of(finished: int, budget: object, noun: str, text: str) -> None:
    assert done_of(finished, budget, noun) == text


def test_wrapped_breaks_at_blanks_alone() -> None:
    # 15 wide: "note: has 50" is 12, with " gaps" 17; later lines begin with two blanks
    assert wrapped("note: has 50 gaps, the longest", 15) == "note: has 50\n  gaps, the\n  longest"
    assert wrapped("note: a/long-and-longer/path.csv read", 15) == "note:\n  a/long-and-longer/path.csv\n  read"
