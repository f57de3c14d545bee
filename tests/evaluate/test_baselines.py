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
from fxai.evaluate.baselines import baseline_metrics, baselines, expected_turnover, random_tape, switch_rate
from fxai.evaluate.metrics import measure
from fxai.evaluate.validation import first_rows

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
    found = baseline_metrics(config, part, 6000.0, turnover=turnover)
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
    mean = baseline_metrics(config, part, 6000.0, turnover=0.1)[RANDOM]
    runs = module._Runs(part, config.env, first_rows(config, part), 128)
    draws = [measure(paths, 6000.0) for paths in runs.walk(0.1)[1]]
    assert len(draws) == module.DRAWS == 20
    for name in METRIC_NAMES:
        assert mean[name] == pytest.approx(np.mean([d[name] for d in draws]))
    # for a curve, the trader in the middle
    middle = baselines(part, config.env, first_rows(config, part), 128, turnover=0.1)[RANDOM]
    rank = sum(d["total_return"] < measure(middle, 6000.0)["total_return"] for d in draws)
    assert rank == 10
    # long paths have fewer traders, so that memory stays bounded
    monkeypatch.setattr(module, "_MOST_STEPS", 6 * 128 * 3)
    assert len(runs.walk(0.1)[1]) == 3


def test_baselines_are_measured_on_the_episodes_of_the_ruler():
    part, config = make_part([900, 700], seed=2), ruler(spread_bp=0.0)
    found = baseline_metrics(config, part, 6000.0, turnover=0.1)
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
    assert BUY_AND_HOLD not in baseline_metrics(config, part, 6000.0, turnover=0.1)
    assert BUY_AND_HOLD not in baselines(part, config.env, torch.tensor([60]), 100)


def test_hindsight_pays_what_everybody_pays():
    part = make_part([900, 700], seed=2, volatility=0.002)
    growth = [
        baseline_metrics(ruler(spread_bp=bp), part, 6000.0, turnover=0.1)[HINDSIGHT]["total_return"]
        for bp in (0.0, 5.0, 50.0, 5000.0)
    ]
    # dearer trading leaves less; at 25% a side nothing is worth a trade
    assert growth[0] > growth[1] > growth[2] > growth[3] == 0.0
