"""What is annualised is annualised by the bars' own calendar."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fxai.agent.policy import Policy
from fxai.config import TrialConfig
from fxai.env.trading import ACCOUNT_FEATURES
from fxai.evaluate.backtest import backtest
from fxai.evaluate.metrics import measure
from fxai.evaluate.validation import Evaluator
from fxai.market.data import MarketPart
from fxai.market.synthetic import ar1_bars, market_from_bars


def untrained(own: TrialConfig, part: MarketPart) -> Policy:
    return Policy(
        own.model,
        n_features=len(part.feature_names),
        n_account=len(ACCOUNT_FEATURES),
        n_actions=len(own.env.position_levels),
        generators=[torch.Generator().manual_seed(0)],
        device=torch.device("cpu"),
    )


def test_each_instrument_by_its_own_calendar():
    # one instrument trades at all hours, the other on weekdays only: a ratio per bar is worth √(bars per year) a year
    walk = ar1_bars(3000, 0.1, sigma=1e-3)
    hours = ar1_bars(5000, 0.0).index
    week = walk.set_axis(hours[hours.day_of_week < 5][:3000])
    market = market_from_bars({"ALWAYS": walk, "WEEK": week})
    part = market.validation
    assert part is not None
    rates = part.bars_per_year_I
    assert rates[0] == pytest.approx(8766.0)  # 24 · 365.25
    # 3,000 hours are 25 weeks of 120: 2,999 steps in 24 weeks and 119 hours
    assert rates[1] == pytest.approx(2999 / (24 * 168 + 119) * 8766)
    own = TrialConfig.model_validate({
        "data": {"source": "file", "path": "{instrument}", "instruments": ["ALWAYS", "WEEK"], "timezone": "UTC"},
        "model": {"window": 8, "d_model": 8, "n_heads": 2, "n_layers": 1, "head_width": 8},
        "evaluation": {"warmup_bars": 8},
    })  # fmt: skip
    policy = untrained(own, part)
    run = backtest(policy, part, own, market.bars_per_year)
    each = run.instrument_metrics("buy and hold")
    for name, rate, paths in zip(run.instruments, rates, run.paths["buy and hold"], strict=True):
        assert each[name]["sharpe"] == pytest.approx(measure(paths, 1.0)["sharpe"] * np.sqrt(rate))
    unknown = replace(run, part=replace(part, bars_per_year_I=()))
    assert unknown.instrument_metrics("buy and hold")["WEEK"]["sharpe"] == pytest.approx(
        measure(run.paths["buy and hold"][1], market.bars_per_year)["sharpe"]
    )


def test_each_instruments_episodes_by_its_own_calendar():
    hours = ar1_bars(5000, 0.0).index
    week = ar1_bars(3000, 0.1, sigma=1e-3).set_axis(hours[hours.day_of_week < 5][:3000])
    market = market_from_bars({"ALWAYS": ar1_bars(4200, 0.1, sigma=1e-3), "WEEK": week})  # both last 25 weeks
    part = market.validation
    assert part is not None
    own = TrialConfig.model_validate({
        "data": {"source": "file", "path": "{instrument}", "instruments": ["ALWAYS", "WEEK"], "timezone": "UTC"},
        "env": {"max_episode_steps": 128, "spread_bp": 0.0},
        "model": {"window": 8, "d_model": 8, "n_heads": 2, "n_layers": 1, "head_width": 8},
        "training": {"eval_episodes": 4},
        "evaluation": {"warmup_bars": 8},
    })  # fmt: skip
    policy = untrained(own, part)
    with torch.no_grad():
        policy.parameters["head.out.bias"][:, 4] = 50.0  # always long
    evaluate = Evaluator(own, part, market.bars_per_year)
    evaluate(policy)
    (each,) = evaluate.by_instrument()
    (paths,) = evaluate.paths(policy)
    for place, name in enumerate(part.instruments):
        episodes = paths.episodes(np.array([2 * place, 2 * place + 1]))
        expected = measure(episodes, 1.0)["sharpe"] * np.sqrt(part.bars_per_year_I[place])
        assert each[name]["sharpe"] == pytest.approx(expected)
        assert expected != 0
