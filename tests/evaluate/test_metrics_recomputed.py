"""Every metric of walked accounts, worked out once more with plain loops and pandas, path by path.

Their trades are those of the ledger, which knows equity, units and prices alone.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
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
from fxai.evaluate.ledger import ledger
from fxai.evaluate.metrics import Paths, measure, trade_bars, trade_gains
from fxai.evaluate.trades import OPEN, Trades, trades_of

CPU = torch.device("cpu")
BARS_PER_YEAR = 6200.0
STEPS = 60


def walked(**changes: Any) -> tuple[Paths, EnvConfig, list[Trades]]:
    """Twelve episodes of levels drawn at random, some of which a tight stop ends."""
    config = EnvConfig.model_validate({"spread_bp": 3.0, "early_stop_loss_threshold": 0.04, **changes})
    part = make_part([300, 260], seed=8, volatility=0.006, own_spreads=True)
    env, reward = TradingEnv(part, [config], CPU), RewardFunction([config.reward], CPU)
    rng = np.random.default_rng(5)
    drawn = rng.integers(len(config.position_levels), size=(12, STEPS))
    kept = np.maximum.accumulate(np.where(rng.random((12, STEPS)) < 0.3, np.arange(STEPS), 0), axis=1)
    rows = torch.tensor([*range(10, 210, 34), *range(310, 490, 30)])
    paths = run_tape(env, rows, torch.as_tensor(np.take_along_axis(drawn, kept, axis=1)), reward)
    each = [paths.episodes(slice(e, e + 1)) for e in range(len(rows))]
    return paths, config, [trades_of(ledger(part, config, row, p)) for row, p in zip(rows.tolist(), each, strict=True)]


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


def recomputed(paths: Paths, trades: list[Trades]) -> dict[str, float]:
    """All metrics."""
    cut = paths.equity_ET.tolist()  # after a stop, nothing is held and equity stays
    bars = [b / a - 1 for equity in cut for a, b in pairwise(equity)]
    series = pd.Series(bars)
    down = math.sqrt(sum(min(r, 0.0) ** 2 for r in bars) / len(bars))
    years = len(bars) / BARS_PER_YEAR
    growth = math.prod(equity[-1] / equity[0] for equity in cut) ** (1 / years) - 1
    deepest, length = max((underwater(equity) for equity in cut), key=lambda pair: pair[0])
    told = [(gain, int(bars)) for each in trades for gain, bars in zip(each.gain_K, each.bars_K, strict=True)]
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
        "stopped": sum(n < STEPS for n in paths.length_E) / len(cut),
        "win_rate": sum(g > 0 for g, _ in told) / len(told),
        "profit_factor": won / lost,
        "expectancy": sum(g for g, _ in told) / len(told),
        "turnover": sum(paths.traded_ET[e, t] for e, t in live) / len(live),
        "exposure": sum(abs(paths.exposure_ET[e, t]) for e, t in live) / len(live),
        "n_trades": len(told),
        "n_closed": sum(reason != OPEN for each in trades for reason in each.reason_K),
        "holding_bars": sum(b for _, b in told) / len(told),
        "costs": statistics.fmean(sum(paths.cost_ET[e]) / 10_000.0 for e in range(len(cut))),
        "mean_shaped_reward": statistics.fmean(100 * sum(b / a - 1 for a, b in pairwise(q)) for q in cut),
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"position_levels": [-1.0, 0.0, 1.0], "early_stop_loss_threshold": 0.01, "leverage": 3.0},
        {"position_levels": [0.0, 1.0], "leverage": 2.0},
        {"financing": {"long_bp_per_day": 5.0, "short_bp_per_day": -2.0}, "early_stop_loss_threshold": 0.5},
    ],
    ids=["stops", "many-stops", "long-only", "financing"],
)
def test_metrics_equal_a_plain_recomputation(changes):
    paths, config, trades = walked(**changes)
    assert (paths.length_E < STEPS).any() == (config.early_stop_loss_threshold < 0.1)  # the tight stop ends some
    got, want = measure(paths, BARS_PER_YEAR), recomputed(paths, trades)
    assert set(got) == set(METRIC_NAMES) == set(want)
    for name in METRIC_NAMES:
        assert got[name] == pytest.approx(want[name], rel=1e-9), name


def test_costs_grow_with_the_commission_by_what_is_traded():
    never = {"position_levels": [-1.0, 0.0, 1.0], "early_stop_loss_threshold": 1.0, "max_drawdown": 1.0}
    (cheap, _, _), (dear, _, _) = walked(**never), walked(**never, commission_bp=10.0)
    more = measure(dear, BARS_PER_YEAR)["costs"] - measure(cheap, BARS_PER_YEAR)["costs"]
    # 10 bp of all that was traded: shares of an equity that stays within some per cent of the capital
    assert more == pytest.approx(10e-4 * dear.traded_ET.sum(1).mean(), rel=0.1)


def test_trades_of_the_metrics_are_the_ledgers_where_a_flip_is_stopped_in_its_bar():
    # closes 1.0, 1.1, 2.5: long from the open of bar 1 (1.0), short from that of bar 2 (1.1), which loses 1.4/1.1
    config = EnvConfig.model_validate({"spread_bp": 0.0, "position_levels": [-1.0, 0.0, 1.0]})
    prices = np.array([1.0, 1.1, 2.5, 2.5])
    part = replace(make_part([4]), close_N=prices, open_N=np.array([1.0, 1.0, 1.1, 2.5]))
    env, reward = TradingEnv(part, [config], CPU), RewardFunction([config.reward], CPU)
    paths = run_tape(env, torch.tensor([0]), torch.tensor([[2, 0, 0]]), reward)
    assert trades_of(ledger(part, config, 0, paths)).gain_K == pytest.approx([0.1, -1.0])
    got = measure(paths, BARS_PER_YEAR)
    assert (got["n_trades"], got["n_closed"], got["win_rate"]) == (2, 2, 0.5)
    assert got["profit_factor"] == pytest.approx(0.1)
    assert got["expectancy"] == pytest.approx(-0.45)


def test_trades_of_the_metrics_are_the_ledgers_on_tapes_with_many_stops():
    # 5% a bar at leverage 4, flips at most bars: accounts last some bars each, and often die in a bar of a flip
    changes = {"leverage": 4.0, "early_stop_loss_threshold": 0.3, "position_levels": [-1.0, 0.0, 1.0]}
    config = EnvConfig.model_validate({"spread_bp": 5.0, **changes})
    part = make_part([700], seed=3, volatility=0.05)
    env, reward = TradingEnv(part, [config], CPU), RewardFunction([config.reward], CPU)
    rows = torch.arange(5, 605, 2)
    tapes = torch.as_tensor(np.random.default_rng(1).integers(3, size=(len(rows), 40)))
    paths = run_tape(env, rows, tapes, reward)
    in_one_bar = 0
    for e, row in enumerate(rows.tolist()):
        own = paths.episodes(slice(e, e + 1))
        told = trades_of(ledger(part, config, row, own))
        np.testing.assert_allclose(np.sort(trade_gains(own)), np.sort(told.gain_K), rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(np.sort(trade_bars(own)), np.sort(told.bars_K))
        in_one_bar += bool(own.stopped_E[0] and own.closed_ET[0, own.length_E[0] - 1] and own.last_E[0])
    assert paths.stopped_E.mean() > 0.9
    assert in_one_bar > 30
