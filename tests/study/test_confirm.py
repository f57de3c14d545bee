"""Default and best over fresh seeds: the arithmetic, the seeds, and that a training is what a trial would be."""

from __future__ import annotations

import numpy as np
import pytest
from chained import BEST_OF_SMALL, spec_of, write_specs
from scipy import stats

from fxai.study import space
from fxai.study.confirm import (
    CONFIRMATION,
    FORMAT,
    METHOD,
    Confirmation,
    compare,
    fresh_seeds,
    load_confirmation,
    retrain,
    write_confirmation,
)
from fxai.study.database.budget import trial_seed
from fxai.study.objective import TrialRequest


def test_the_interval_by_hand():
    # means 4 and 1; variances 2 over 2 seeds, so 1 each and a standard error of √2; (1 + 1)² / (1 + 1) = 2 degrees of
    # freedom, whose 97.5% quantile is 4.30265: half a width of 4.30265 × √2 = 6.08487
    got = compare([0.0, 2.0], [3.0, 5.0], "maximize")
    assert got.mean == 3.0
    assert (got.low, got.high) == pytest.approx((3.0 - 6.08487, 3.0 + 6.08487), abs=1e-5)
    assert got.probability_of_improvement == 1.0


def test_the_interval_is_scipys():
    draw = np.random.default_rng(3)
    default, best = draw.normal(0.0, 1.0, 5), draw.normal(0.5, 3.0, 7)
    got = compare(default, best, "maximize")
    theirs = stats.ttest_ind(best, default, equal_var=False).confidence_interval(0.95)
    assert (got.low, got.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    u = stats.mannwhitneyu(best, default).statistic
    assert got.probability_of_improvement == pytest.approx(u / 35)  # of 5 × 7 pairs


def test_less_is_better_where_less_is_wanted():
    more, less = compare([1.0, 2.0], [4.0, 6.0], "maximize"), compare([-1.0, -2.0], [-4.0, -6.0], "minimize")
    assert more == less


def test_values_that_do_not_vary_have_no_width_and_a_tie_counts_half():
    got = compare([1.0, 1.0], [1.0, 1.0], "maximize")
    assert (got.mean, got.low, got.high, got.probability_of_improvement) == (0.0, 0.0, 0.0, 0.5)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    # 1,000 confirmations with five seeds, spreads of 1 and 3, no difference: 95% ± 3 standard errors of 0.7%
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        got = compare(draw.normal(0.0, 1.0, 5), draw.normal(0.0, 3.0, 5), "maximize")
        held += got.low <= 0.0 <= got.high
    assert held / 1000 == pytest.approx(0.95, abs=0.021)


def test_no_seed_of_the_study_is_used_again():
    mine = fresh_seeds(42, [], 5)
    assert len(set(mine)) == 5
    assert fresh_seeds(42, [], 5) == mine
    used = [mine[1], mine[3], *(trial_seed(42, number) for number in range(1000))]
    again = fresh_seeds(42, used, 5)
    assert not set(again) & set(used)
    assert again[:3] == [mine[0], mine[2], mine[4]]
    assert set(fresh_seeds(43, [], 5)).isdisjoint(mine)


def test_a_seed_scores_what_a_trial_of_that_seed_scores(tmp_path):
    from fxai.study.ppo import objective

    spec = spec_of(write_specs(tmp_path), 1)
    config = space.apply(spec.base, BEST_OF_SMALL)
    told: list[tuple[int, int, bool]] = []
    seeds = [7, 8]
    got = retrain(spec, config, seeds, tmp_path, "best", lambda n, u, of, v: told.append((u, of, v is not None)))
    assert told == [(1, 2, True), (2, 2, True)]
    for member, seed in enumerate(seeds):
        *_, last = objective(TrialRequest(number=0, config=config, ruler=spec.ruler, seed=seed, folder=tmp_path))
        assert {name: values[member] for name, values in got.metrics.items()} == pytest.approx(last.metrics, rel=1e-9)


def test_a_function_of_the_users_own_is_called_with_each_seed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_confirm.py").write_text(
        "def score(request):\n"
        "    assert request.folder.is_dir()\n"
        "    return {'mine': request.seed + request.config.training.gamma}\n"
    )
    own = {"objective": "own_confirm:score", "metric_name": "mine", "direction": "maximize"}
    spec = spec_of(write_specs(tmp_path, **own), 1)
    got = retrain(spec, spec.ruler, [1, 2], tmp_path, "default", lambda *_: None)
    assert got.metrics == {"mine": [1.95, 2.95]}  # the default gamma is 0.95


def test_the_file_comes_back_and_a_damaged_one_is_none(tmp_path):
    told = Confirmation(
        format=FORMAT,
        study="one",
        spec_hash="a",
        data_hash=None,
        trial=3,
        own_value=4.0,
        seeds=[1, 2],
        metric="mean_reward",
        direction="maximize",
        default=[0.0, 2.0],
        best=[1.0, 2.0],
        metrics={"default": {"n_closed": [0.0, 12.0]}, "best": {"n_closed": [9.0, 10.0]}},
        min_trades=10,
        difference=compare([0.0, 2.0], [1.0, 2.0], "maximize"),
        method=METHOD,
        created="2026-01-01T00:00:00+00:00",
    )
    assert load_confirmation(tmp_path) is None
    write_confirmation(tmp_path, told)
    assert load_confirmation(tmp_path) == told
    assert told.selection == 4.0 - 1.5  # chosen for 4, 1.5 on average
    assert (told.idle("default"), told.idle("best")) == (1, 1)
    other_way = told.model_copy(update={"direction": "minimize", "own_value": 1.0})
    assert other_way.selection == 0.5  # chosen for 1, where less is better, and 1.5 on average
    (tmp_path / CONFIRMATION).write_text("{")
    assert load_confirmation(tmp_path) is None
