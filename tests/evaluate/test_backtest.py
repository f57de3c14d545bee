"""A backtest over instruments of different lengths: the same accounts, however the walk is cut or batched."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from env.parts import make_part

from fxai.agent.policy import Policy
from fxai.config import TrialConfig
from fxai.env.rewards import RewardFunction
from fxai.env.trading import ACCOUNT_FEATURES, TradingEnv
from fxai.evaluate import episodes
from fxai.evaluate.backtest import AGENT, DEFAULT, Backtest, backtest, merge
from fxai.evaluate.episodes import run_policy
from fxai.evaluate.metrics import Paths, measure

CPU = torch.device("cpu")
WINDOW = 8


def config(**env: object) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "data": {"source": "file", "path": "{instrument}", "instruments": ["A", "B", "C"], "timezone": "UTC"},
            "env": {"max_episode_steps": 64, **env},
            "evaluation": {"warmup_bars": WINDOW},
            "model": {"window": WINDOW, "d_model": 16, "n_heads": 2, "head_width": 16},
            "training": {"rollout_steps": 32, "batch_size": 256, "eval_episodes": 5, "device": "cpu"},
        }
    )


def policy(seed: int) -> Policy:
    """Untrained, its weights scaled up so that it moves between levels."""
    made = Policy(
        config().model,
        n_features=3,
        n_account=len(ACCOUNT_FEATURES),
        n_actions=5,
        generators=[torch.Generator().manual_seed(seed)],
        device=CPU,
    )
    made.weights_PN.mul_(3.0)
    return made


LENGTHS = (300, 250, 300)


def walked(default: Policy | None = None, **env: object) -> Backtest:
    return backtest(policy(0), make_part(LENGTHS, own_spreads=True), config(**env), 6000.0, default=default)


def same(a: Paths, b: Paths) -> None:
    for field in fields(Paths):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name), err_msg=field.name)


def test_paths_do_not_depend_on_how_the_walk_is_cut(monkeypatch):
    whole = walked(max_drawdown=0.05)
    monkeypatch.setattr(episodes, "STRETCH", 37)
    cut = walked(max_drawdown=0.05)
    assert any(paths.stopped_E.any() for paths in whole.paths[AGENT])
    assert list(whole.paths) == list(cut.paths)
    for name, each in whole.paths.items():
        for a, b in zip(each, cut.paths[name], strict=True):
            same(a, b)


def test_each_instrument_is_walked_as_if_alone():
    run = walked()
    part, own = make_part(LENGTHS, own_spreads=True), config()
    env, reward = TradingEnv(part, [own.env], CPU), RewardFunction([own.env.reward], CPU)
    for i, first in enumerate(run.first_I.tolist()):
        steps = LENGTHS[i] - WINDOW
        (alone,) = run_policy(policy(0), env, torch.tensor([first]), steps, reward, reward)
        np.testing.assert_allclose(run.paths[AGENT][i].equity_ET, alone.equity_ET, rtol=1e-12)
        assert len(run.time_I[i]) == steps + 1
        assert run.time_I[i][0] == part.time_N[part.offsets_I[i] + WINDOW - 1]


def test_the_default_agent_stands_beside_the_agent():
    alone, both = walked(), walked(default=policy(1))
    assert list(both.paths)[:2] == [AGENT, DEFAULT]
    assert DEFAULT not in alone.paths
    for i in range(3):
        same(both.paths[AGENT][i], alone.paths[AGENT][i])
    assert both.metrics(DEFAULT) != both.metrics(AGENT)


def test_random_traders_turn_over_what_the_agent_does():
    run = walked()
    # 20 random traders of three instruments over 242 bars or more each
    assert len(run.draws) == 20
    assert run.metrics("random")["turnover"] == pytest.approx(run.metrics(AGENT)["turnover"], rel=0.06)


def test_numbers_of_random_are_means_of_all_traders_and_its_curve_is_the_median():
    run = walked()
    each = [measure(merge(draw), 6000.0) for draw in run.draws]
    found = run.metrics("random")
    for name in ("n_trades", "total_return", "turnover", "costs"):
        assert found[name] == pytest.approx(np.mean([own[name] for own in each]))
    gains = sorted(own["total_return"] for own in each)
    # of 20 the upper of the two in the middle
    assert measure(merge(run.paths["random"]), 6000.0)["total_return"] == gains[10]
    assert gains[0] < gains[10] < gains[-1]


def test_costs_of_random_are_means_of_all_traders_as_the_metric_is():
    run = walked(commission_bp=1.0)
    for name in run.paths:
        assert sum(run.cost_shares(name).values()) == pytest.approx(run.metrics(name)["costs"], rel=1e-9, abs=1e-12)


def test_stops_are_told_with_their_bar():
    run = walked(max_drawdown=0.05)
    stops = run.stops(AGENT)
    assert [stop.instrument for stop in stops] == ["PAIR0", "PAIR1", "PAIR2"]
    for i, stop in enumerate(stops):
        (equity,) = run.paths[AGENT][i].equity_ET
        # the first close that is 5% below the peak, before what closing pays
        assert stop.bar == run.paths[AGENT][i].length_E[0]
        assert stop.bars == LENGTHS[i] - WINDOW == len(equity) - 1
        assert stop.time_ns == run.time_I[i][stop.bar]
        assert not stop.margin_called
        assert 1 - equity[stop.bar] / equity[: stop.bar + 1].max() >= 0.05
        assert (1 - equity[: stop.bar] / np.maximum.accumulate(equity[: stop.bar]) < 0.05).all()
        assert set(equity[stop.bar :]) == {equity[-1]}
    assert run.stops("do nothing") == []


def test_a_margin_call_is_told():
    run = walked(leverage=20.0, maintenance_margin=0.04, max_drawdown=1.0, early_stop_loss_threshold=1.0)
    assert any(stop.margin_called for stop in run.stops(AGENT))


def test_every_curve_reconciles_with_its_trades():
    run = walked(financing={"long_bp_per_day": 2.0, "short_bp_per_day": 1.0})
    for name, each in run.paths.items():
        for paths, trades in zip(each, run.trades(name), strict=True):
            gained = paths.equity_ET[0, -1] - paths.equity_ET[0, 0]
            assert trades.pnl_K.sum() == pytest.approx(gained, rel=1e-9, abs=1e-8)
            assert len(trades) == paths.opened_ET.sum()
            assert trades.costs_K.sum() == pytest.approx(paths.cost_ET.sum(), rel=1e-9, abs=1e-9)
