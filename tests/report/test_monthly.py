from __future__ import annotations

import re

import numpy as np
import pytest

from fxai.report.monthly import monthly_returns, monthly_table
from fxai.report.text import NOTHING


def times(*days: str) -> np.ndarray:
    return np.array(days, dtype="datetime64[ns]").astype(np.int64)


def test_months_run_from_the_last_value_before_them() -> None:
    # January: 100 → 110; February: 110 → 99; March has no bar; April: 99 → 108.9
    got = monthly_returns(
        times("2020-01-10", "2020-01-31T23:00", "2020-02-01T00:00", "2020-02-20", "2020-04-01"),
        np.array([100.0, 110.0, 120.0, 99.0, 108.9]),
    )
    assert list(got) == [2020]
    assert got[2020] == pytest.approx({1: 0.1, 2: -0.1, 4: 0.1, 0: 0.089})


def test_a_year_compounds_its_months_and_the_years_the_whole() -> None:
    rng = np.random.default_rng(0)
    stamps = np.arange(np.datetime64("2018-11-15"), np.datetime64("2021-03-05")).astype("datetime64[ns]")
    equity = np.exp(rng.normal(0, 0.01, len(stamps)).cumsum())
    got = monthly_returns(stamps.astype(np.int64), equity)
    assert list(got) == [2018, 2019, 2020, 2021]
    for months in got.values():
        # (1 + r_1)(1 + r_2) … − 1
        assert np.prod([1 + r for month, r in months.items() if month]) - 1 == pytest.approx(months[0])
    assert np.prod([1 + months[0] for months in got.values()]) == pytest.approx(equity[-1] / equity[0])
    assert sorted(got[2018]) == [0, 11, 12]


def test_an_account_that_lost_all_has_defined_months() -> None:
    got = monthly_returns(times("2020-01-01", "2020-02-01", "2020-03-01"), np.array([1.0, 0.0, 0.0]))
    assert got[2020] == {1: 0.0, 2: -1.0, 3: 0.0, 0: -1.0}


def test_the_table_reads_without_colour() -> None:
    text = monthly_table({2020: {1: 0.0123, 2: -0.05, 3: 0.0, 0: -0.0383}})
    cells = re.findall(r"<td[^>]*>(?:<b>)?([^<]*)", text)
    assert cells == ["2020", "+1.23", "-5.00", "0.00", *[NOTHING] * 9, "-3.83"]
    # blue for a gain, orange for a loss, the deepest of them at 0.6
    assert 'style="background: rgba(0, 114, 178, 0.15)">+1.23' in text
    assert 'style="background: rgba(213, 94, 0, 0.60)">-5.00' in text
