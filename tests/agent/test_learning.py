"""The agent against markets whose best policy is known in closed form."""

from __future__ import annotations

import numpy as np
import torch

from fxai.agent.policy import Policy
from fxai.agent.train import train
from fxai.config import TrialConfig
from fxai.evaluate.metrics import Paths
from fxai.evaluate.validation import Evaluator, episode_rows
from fxai.market.data import Market
from fxai.market.synthetic import ar1_bars, market_from_bars, white_noise_bars

SEEDS = range(5)
WARMUP, EPISODE, EPISODES = 128, 256, 12


def config(spread_bp: float, updates: int) -> TrialConfig:
    """The defaults: 16 segments × 8 accounts × 128 bars = 16,384 env steps per update."""
    return TrialConfig.model_validate(
        {
            "data": {"source": "file", "path": "X", "instruments": ["X"], "timezone": "UTC"},
            "env": {"spread_bp": spread_bp, "max_episode_steps": EPISODE},
            "training": {"total_updates": updates, "eval_episodes": EPISODES, "device": "cpu"},
        }
    )


def validation_paths(market: Market, own: TrialConfig) -> list[Paths]:
    """Train every seed at once, then walk the validation episodes."""
    evaluator = Evaluator(own, market.validation, market.bars_per_year)
    result: list[Paths] = []

    def evaluate(policy: Policy) -> list[dict[str, float]]:
        result[:] = evaluator.paths(policy)
        return [{}] * policy.population

    *_, last = train([own] * len(SEEDS), list(SEEDS), market.train, evaluate)
    assert last.env_steps // len(SEEDS) <= 400_000
    return result


def test_ar1_without_costs_reaches_90_per_cent_of_the_optimum():
    # r_t = φ r_{t−1} + ε: no level in [−1, 1] expects a higher return than sign(φ r_{t−1}), which expects |φ r_{t−1}|.
    # The share of that expectation that the agent's exposure earns, Σ exposure·φ r / Σ |φ r|, is free of ε.
    torch.set_num_threads(1)
    phi = 0.2
    market = market_from_bars({"X": ar1_bars(24_000, phi, seed=1)})
    # 24 updates × 16,384 = 393,216 env steps
    paths = validation_paths(market, config(spread_bp=0.0, updates=24))
    part = market.validation
    forecast = phi * np.diff(np.log(part.close_N), prepend=np.nan)
    rows = episode_rows([(WARMUP - 1, len(part.close_N) - EPISODE)], EPISODES).numpy()
    forecast_ET = np.stack([forecast[r : r + EPISODE] for r in rows])
    shares = [float((p.exposure_ET * forecast_ET).sum() / np.abs(forecast_ET).sum()) for p in paths]
    assert np.median(shares) >= 0.9, shares


def test_white_noise_with_costs_is_left_alone():
    # nothing predicts the next return and every trade costs 1 bp: the best is to hold still
    torch.set_num_threads(1)
    market = market_from_bars({"X": white_noise_bars(24_000, seed=3)})
    paths = validation_paths(market, config(spread_bp=2.0, updates=12))
    turnover = [float(p.traded_ET.mean()) for p in paths]
    gain = [float((p.equity_ET[:, -1] / p.equity_ET[:, 0]).mean() - 1) for p in paths]
    # a policy that picks levels at random trades 0.8 of its equity per bar
    assert max(turnover) < 0.02, turnover
    # holding a level over 256 bars of 10 bp noise: standard deviation 1.6%, of the mean over 12 episodes 0.46%
    assert max(gain) < 3 * 0.0046, gain
