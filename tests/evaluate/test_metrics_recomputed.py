"""Every metric of walked accounts, worked out once more with plain loops and pandas, path by path."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from env.parts import make_part

from fxai.config import EnvConfig
from fxai.config.metrics import METRIC_NAMES
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.episodes import run_tape
from fxai.evaluate.metrics import Paths, measure

CPU = torch.device("cpu")
BARS_PER_YEAR = 6200.0
STEPS = 60


def walked(**changes: Any) -> tuple[Paths, EnvConfig]:
    """Twelve episodes of levels drawn at random, some of which a tight stop ends."""
    config = EnvConfig.model_validate({"spread_bp": 3.0, "early_stop_loss_threshold": 0.04, **changes})
    part = make_part([300, 260], seed=8, volatility=0.006, own_spreads=True)
    env, reward = TradingEnv(part, [config], CPU), RewardFunction([config.reward], CPU)
    rng = np.random.default_rng(5)
    drawn = rng.integers(len(config.position_levels), size=(12, STEPS))
    kept = np.maximum.accumulate(np.where(rng.random((12, STEPS)) < 0.3, np.arange(STEPS), 0), axis=1)
    rows = torch.tensor([*range(10, 210, 34), *range(310, 490, 30)])
    return run_tape(env, rows, torch.as_tensor(np.take_along_axis(drawn, kept, axis=1)), reward), config


def trades(paths: Paths, episode: int) -> Iterator[tuple[float, int]]:
    """Gain and bars of each trade; that they are right is held by tests of the account."""
    for t in range(STEPS):
        if paths.closed_ET[episode, t]:
            yield float(paths.closed_gain_ET[episode, t]), int(paths.closed_bars_ET[episode, t])
    if paths.open_E[episode]:
        yield float(paths.open_gain_E[episode]), int(paths.open_bars_E[episode])


def underwater(equity: list[float]) -> tuple[float, int]:
    """Depth and length of the deepest drawdown, walking bar by bar."""
    deepest, longest, peak, since = 0.0, 0, equity[0], 0
    for t, value in enumerate(equity):
        if value >= peak:
            peak, since = value, t
        elif 1 - value / peak > deepest:
            deepest = 1 - value / peak
            longest = next((later - since for later in range(t, len(equity)) if equity[later] >= peak), None) or (
                len(equity) - 1 - since
            )
    return deepest, longest


def recomputed(paths: Paths) -> dict[str, float]:
    """All metrics, from each path cut at the end of its episode."""
    cut = [paths.equity_ET[e, : n + 1].tolist() for e, n in enumerate(paths.length_E)]
    bars = [b / a - 1 for equity in cut for a, b in pairwise(equity)]
    series = pd.Series(bars)
    down = math.sqrt(sum(min(r, 0.0) ** 2 for r in bars) / len(bars))
    years = len(bars) / BARS_PER_YEAR
    growth = math.prod(equity[-1] / equity[0] for equity in cut) ** (1 / years) - 1
    deepest, length = max((underwater(equity) for equity in cut), key=lambda pair: pair[0])
    told = [trade for e in range(len(cut)) for trade in trades(paths, e)]
    won, lost = sum(max(g, 0.0) for g, _ in told), -sum(min(g, 0.0) for g, _ in told)
    live = [(e, t) for e, n in enumerate(paths.length_E) for t in range(n)]
    return {
        "mean_reward": statistics.fmean(100 * sum(b / a - 1 for a, b in pairwise(q)) for q in cut),
        "total_return": statistics.fmean(q[-1] / q[0] - 1 for q in cut),
        "cagr": growth,
        "sharpe": series.mean() / series.std() * math.sqrt(BARS_PER_YEAR),
        "sortino": series.mean() / down * math.sqrt(BARS_PER_YEAR),
        "calmar": growth / deepest,
        "max_drawdown": deepest,
        "max_drawdown_bars": length,
        "win_rate": sum(g > 0 for g, _ in told) / len(told),
        "profit_factor": won / lost,
        "expectancy": sum(g for g, _ in told) / len(told),
        "turnover": sum(paths.traded_ET[e, t] for e, t in live) / len(live),
        "exposure": sum(abs(paths.exposure_ET[e, t]) for e, t in live) / len(live),
        "n_trades": len(told),
        "holding_bars": sum(b for _, b in told) / len(told),
        "costs": statistics.fmean(sum(paths.cost_ET[e]) / 10_000.0 for e in range(len(cut))),
        "mean_shaped_reward": statistics.fmean(100 * sum(b / a - 1 for a, b in pairwise(q)) for q in cut),
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"position_levels": [0.0, 1.0], "leverage": 2.0},
        {"financing": {"long_bp_per_day": 5.0, "short_bp_per_day": -2.0}, "early_stop_loss_threshold": 0.5},
    ],
    ids=["stops", "long-only", "financing"],
)
def test_metrics_equal_a_plain_recomputation(changes):
    paths, config = walked(**changes)
    assert (paths.length_E < STEPS).any() == (config.early_stop_loss_threshold < 0.1)  # the tight stop ends some
    got, want = measure(paths, BARS_PER_YEAR), recomputed(paths)
    assert set(got) == set(METRIC_NAMES) == set(want)
    for name in METRIC_NAMES:
        assert got[name] == pytest.approx(want[name], rel=1e-9), name


def test_costs_grow_with_the_commission_by_what_is_traded():
    never = {"position_levels": [-1.0, 0.0, 1.0], "early_stop_loss_threshold": 1.0, "max_drawdown": 1.0}
    (cheap, _), (dear, _) = walked(**never), walked(**never, commission_bp=10.0)
    more = measure(dear, BARS_PER_YEAR)["costs"] - measure(cheap, BARS_PER_YEAR)["costs"]
    # 10 bp of all that was traded: shares of an equity that stays within some per cent of the capital
    assert more == pytest.approx(10e-4 * dear.traded_ET.sum(1).mean(), rel=0.1)
