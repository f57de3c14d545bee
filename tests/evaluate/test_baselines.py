"""Baselines under the ruler's own rules and episodes; random traders turn over as much as they are asked to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from env.parts import make_part

from fxai.config import EnvConfig, TrialConfig
from fxai.config.metrics import BUY_AND_HOLD, DO_NOTHING, HINDSIGHT, METRIC_NAMES, RANDOM
from fxai.evaluate import baselines as module
from fxai.evaluate.baselines import baselines, best_of, expected_turnover, random_tape, ruler_baselines, switch_rate
from fxai.evaluate.metrics import measure
from fxai.evaluate.validation import first_rows
from fxai.market.data import MarketPart

LEVELS = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])


def ruler(**env: Any) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "data": {"source": "file", "path": "{instrument}", "instruments": ["A", "B"], "timezone": "UTC"},
            "env": {"max_episode_steps": 128, "spread_bp": 2.0, **env},
            "evaluation": {"warmup_bars": 60},
            "training": {"eval_episodes": 6},
        }
    )


def metrics_of(config: TrialConfig, part: MarketPart, turnover: float = 0.1) -> dict[str, dict[str, float]]:
    return ruler_baselines(config, part, turnover=turnover).metrics(6000.0)


def test_expected_turnover_by_hand():
    # one bar, drawn with chance 0.5 among −1, 0, 1: half of mean |level| = 2/3
    assert expected_turnover(0.5, np.array([-1.0, 0.0, 1.0]), 1) == pytest.approx(1 / 3)
    # two bars, always drawn: first 2/3, then mean |difference| = (0·3 + 1·4 + 2·2)/9 = 8/9; (2/3 + 8/9)/2
    assert expected_turnover(1.0, np.array([-1.0, 0.0, 1.0]), 2) == pytest.approx((2 / 3 + 8 / 9) / 2)
    # two bars, chance 0.5: a first draw in 3 of 4 cases, a second one in 1 of 4: (3/4·2/3 + 1/4·8/9)/2
    assert expected_turnover(0.5, np.array([-1.0, 0.0, 1.0]), 2) == pytest.approx((0.5 + 2 / 9) / 2)


@pytest.mark.parametrize("turnover", [0.0, 0.002, 0.05, 0.6, 0.79])
def test_the_switch_rate_solves_for_the_turnover(turnover):
    assert expected_turnover(switch_rate(turnover, LEVELS, 256), LEVELS, 256) == pytest.approx(turnover, abs=1e-12)


@pytest.mark.parametrize(
    ("turnover", "changes"),
    [
        (0.004, {}),  # about one position an episode
        (0.06, {}),
        (0.5, {}),
        (0.9, {}),  # more than all levels at every bar give (0.8): lowest and highest alone
        (0.3, {"leverage": 4.0}),
        (0.1, {"position_levels": [0.0, 0.5, 1.0]}),
    ],
)
def test_random_traders_turn_over_what_they_are_asked_to(turnover, changes):
    part = make_part([900, 700], seed=2, volatility=0.002)
    config = ruler(early_stop_loss_threshold=1.0, max_drawdown=1.0, **changes)
    found = metrics_of(config, part, turnover)
    assert found[RANDOM]["turnover"] == pytest.approx(turnover, rel=0.02)


def test_more_turnover_than_random_levels_can_have_is_as_near_as_it_gets():
    # flipping between −1 and 1 at every bar is 2 a bar, of which a random draw does half
    tape = random_tape((400, 200), EnvConfig(), 2.0)
    assert set(np.unique(tape)) == {0, 4}
    assert np.abs(np.diff(LEVELS[tape], axis=1)).mean() == pytest.approx(1.0, abs=0.02)


def test_without_turnover_random_traders_do_nothing():
    assert (random_tape((5, 100), EnvConfig(), 0.0) == 2).all()


def test_random_tapes_are_the_same_in_every_report():
    assert (random_tape((50, 100), EnvConfig(), 0.1) == random_tape((50, 100), EnvConfig(), 0.1)).all()


def test_random_is_the_mean_of_several_traders_and_not_one_lucky_draw(monkeypatch):
    part, config = make_part([900, 700], seed=2), ruler()
    mean = metrics_of(config, part)[RANDOM]
    runs = module._Runs(part, config.env, first_rows(config, part), 128)
    draws = [measure(paths, 6000.0) for paths in runs.walk(0.1).draws]
    assert len(draws) == module.DRAWS == 20
    for name in METRIC_NAMES:
        assert mean[name] == pytest.approx(np.mean([d[name] for d in draws]))
    # for a curve, the trader in the middle
    middle = baselines(part, config.env, first_rows(config, part), 128, turnover=0.1).paths[RANDOM]
    rank = sum(d["total_return"] < measure(middle, 6000.0)["total_return"] for d in draws)
    assert rank == 10
    # long paths have fewer traders, so that memory stays bounded
    monkeypatch.setattr(module, "_MOST_STEPS", 6 * 128 * 3)
    assert len(runs.walk(0.1).draws) == 3


def test_baselines_are_measured_on_the_episodes_of_the_ruler():
    part, config = make_part([900, 700], seed=2), ruler(spread_bp=0.0)
    found = metrics_of(config, part)
    assert list(found) == [DO_NOTHING, BUY_AND_HOLD, RANDOM, HINDSIGHT]
    assert all(set(own) == set(METRIC_NAMES) for own in found.values())
    assert all(found[DO_NOTHING][name] == 0.0 for name in ("mean_reward", "total_return", "n_trades", "costs"))
    # six episodes, bought at the open after the first decision and marked at the last close
    rows = first_rows(config, part).numpy()
    gains = [part.close_N[row + 128] / part.open_N[row + 1] - 1 for row in rows]
    assert found[BUY_AND_HOLD]["total_return"] == pytest.approx(np.mean(gains), rel=1e-12)
    assert found[BUY_AND_HOLD]["n_trades"] == 6
    assert found[HINDSIGHT]["total_return"] > max(own["total_return"] for n, own in found.items() if n != HINDSIGHT)


def test_where_no_level_is_long_nothing_can_be_bought():
    part, config = make_part([900, 700], seed=2), ruler(position_levels=[-1.0, -0.5, 0.0])
    assert BUY_AND_HOLD not in metrics_of(config, part)
    assert BUY_AND_HOLD not in baselines(part, config.env, torch.tensor([60]), 100).paths


def test_hindsight_pays_what_everybody_pays():
    part = make_part([900, 700], seed=2, volatility=0.002)
    growth = [metrics_of(ruler(spread_bp=bp), part)[HINDSIGHT]["total_return"] for bp in (0.0, 5.0, 50.0, 5000.0)]
    # dearer trading leaves less; at 25% a side nothing is worth a trade
    assert growth[0] > growth[1] > growth[2] > growth[3] == 0.0


@pytest.mark.parametrize("turnover", [0.00005, 0.0004, 0.003])
def test_of_one_long_episode_the_means_of_random_traders_have_the_turnover_too(turnover):
    # 20 traders of 2,000 bars: 0.00005 a bar is 2 units of level in all, by three of them
    part = make_part([2100], seed=4, volatility=0.001)
    runs = baselines(part, ruler(max_drawdown=1.0).env, torch.tensor([60]), 2000, turnover=turnover)
    assert runs.metrics(6000.0)[RANDOM]["turnover"] == pytest.approx(turnover, rel=0.07)


def test_random_traders_that_nearly_all_stay_flat_are_told():
    part = make_part([700], seed=4)
    config = ruler().env
    rare = baselines(part, config, torch.tensor([60]), 500, turnover=0.0001)
    # 20 · 500 · 0.0001 = one unit of level, at most two entries of a half
    assert rare.idle >= 18
    assert rare.mostly_idle
    assert not rare.paths[RANDOM].opened_ET.any()  # the trader in the middle does nothing
    usual = baselines(part, config, torch.tensor([60]), 500, turnover=0.1)
    assert (usual.idle, usual.mostly_idle) == (0, False)


def test_a_tape_that_is_never_stopped_is_the_ceiling():
    part, config = make_part([900, 700], seed=2), ruler(early_stop_loss_threshold=1.0, max_drawdown=1.0)
    assert not ruler_baselines(config, part, turnover=0.1).cut_E.any()


@pytest.mark.parametrize("levels", [[-1.0, -0.5, 0.0, 0.5, 1.0], [-1.0, 0.0, 1.0]], ids=["halves", "whole"])
def test_where_stops_cut_the_best_tape_the_best_replay_is_kept_and_told(levels):
    # leverage 30, 0.3% a bar, called at 3.3% of the notional: fully invested, a loss of 1% of the equity calls
    stops = {"maintenance_margin": 0.033, "max_drawdown": 0.9, "early_stop_loss_threshold": 0.9}
    config = ruler(leverage=30.0, position_levels=levels, spread_bp=1.0, **stops)
    part = make_part([900, 700], seed=2, volatility=0.003)
    rows = first_rows(config, part)
    found = ruler_baselines(config, part, turnover=1.0)
    env = module._Runs(part, config.env, rows, 128)
    (unbound,) = env._replay([module.hindsight(env._env, rows, 128).action_ET])
    assert found.cut_E.tolist() == unbound.stopped_E.tolist()
    assert found.cut_E.all()
    kept = found.paths[HINDSIGHT].equity_ET[:, -1]
    halves = list(module.smaller(env._env, rows, 128))
    assert len(halves) == len(levels) // 2 - 1
    others = [unbound, *found.draws, *(run for name, run in found.paths.items() if name != HINDSIGHT)]
    for run in [*others, *(env._replay(halves) if halves else [])]:
        assert (kept >= run.equity_ET[:, -1]).all()
    # measured: 86.3 times the capital with half levels, 3.2 with the tape that is stopped
    assert kept.mean() > (20.0 if halves else 1.0) * unbound.equity_ET[:, -1].mean()


def test_the_best_of_several_runs_is_chosen_for_each_episode():
    part, config = make_part([900, 700], seed=2), ruler()
    runs = ruler_baselines(config, part, turnover=0.3).draws
    best = best_of(runs)
    for e in range(6):
        finals = [run.equity_ET[e, -1] for run in runs]
        assert best.equity_ET[e, -1] == max(finals)
        np.testing.assert_array_equal(best.units_ET[e], runs[int(np.argmax(finals))].units_ET[e])
    assert len({int(np.argmax([run.equity_ET[e, -1] for run in runs])) for e in range(6)}) > 1
