from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from report.known import add, drawn, seen, spec_of
from scipy import stats

from fxai.report.insights.chance import apart, less, lucky_gain, rank_correlation, spread_of


@pytest.mark.parametrize("ties", [False, True], ids=["no_ties", "ties"])
def test_the_two_group_test_is_scipys(ties: bool) -> None:
    generator = np.random.default_rng(5)
    a, b = generator.normal(0.0, 1.0, 14), generator.normal(0.6, 1.0, 23)
    if ties:
        a, b = np.round(a), np.round(b)
    for first, second in ((a, b), (b, a)):
        expected = stats.mannwhitneyu(first, second, alternative="less", method="asymptotic").pvalue
        assert less(first, second) == pytest.approx(expected, rel=1e-9)
    assert apart(a, b) == apart(b, a) == pytest.approx(2.0 * min(less(a, b), less(b, a)))


def test_groups_that_are_all_alike_or_empty_differ_in_nothing() -> None:
    assert less(np.ones(5), np.ones(7)) == 1.0
    assert less(np.array([]), np.ones(7)) == 1.0


def test_the_rank_correlation_is_scipys() -> None:
    generator = np.random.default_rng(2)
    a = generator.normal(size=30)
    b = np.round(a + generator.normal(size=30))
    rho, upper = rank_correlation(a, b)
    assert rho == pytest.approx(stats.spearmanr(a, b).statistic)
    assert upper == pytest.approx(math.tanh(math.atanh(rho) + 1.96 * math.sqrt(1.06 / 27)))  # 30 − 3
    assert rank_correlation(np.ones(9), np.arange(9.0)) == (0.0, 1.0)


def test_the_best_of_equal_trials() -> None:
    assert lucky_gain(1) == pytest.approx(0.0, abs=0.01)
    assert lucky_gain(2) == pytest.approx(1.0 / math.sqrt(math.pi), abs=0.01)  # mean of the larger of two normal values
    values = np.random.default_rng(1).standard_normal((40_000, 51))
    gains = values[:, :50].max(axis=1) - values[:, 50]
    assert lucky_gain(50) == pytest.approx(gains.mean(), abs=0.03)
    assert lucky_gain(50, 0.95) == pytest.approx(np.quantile(gains, 0.95), abs=0.05)


def test_the_spread_of_trials_that_are_alike(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    study = drawn(spec.parameters, 200, lambda _: 5.0, noise=0.3, seed=1)
    _, sample = seen(study, spec.parameters)
    spread = spread_of(sample)
    assert spread is not None
    assert not spread.repeats
    assert spread.deviation == pytest.approx(0.3, rel=0.25)


def test_repeats_show_the_spread_itself(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    study = drawn(spec.parameters, 8, lambda _: 0.0)
    params = study.trials[0].params
    for value in (1.0, 2.0, 3.0, 4.0, 5.0):
        add(study, spec.parameters, params, value)
    _, sample = seen(study, spec.parameters)
    spread = spread_of(sample)
    assert spread is not None
    assert spread.repeats
    # 0, 1, 2, 3, 4, 5: mean 2.5, squares 2 × (6.25 + 2.25 + 0.25) = 17.5, 5 degrees of freedom
    assert spread.deviation == pytest.approx(math.sqrt(17.5 / 5))


def test_values_near_the_largest_float_have_a_spread_or_none(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    near = seen(drawn(spec.parameters, 30, lambda _: 0.0, noise=1e290, seed=1), spec.parameters)[1]
    spread = spread_of(near)
    assert spread is not None
    assert 2e289 < spread.deviation < 5e290
    beyond = seen(drawn(spec.parameters, 30, lambda _: 0.0, noise=5e307, seed=1), spec.parameters)[1]
    assert spread_of(beyond) is None


def test_too_few_trials_have_no_spread(tmp_path: Path) -> None:
    spec = spec_of(tmp_path)
    _, sample = seen(drawn(spec.parameters, 7, lambda _: 0.0), spec.parameters)
    assert spread_of(sample) is None
