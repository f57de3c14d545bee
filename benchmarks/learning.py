"""How much of a known optimum the agent finds, and whether it leaves alone what cannot be predicted.

Two synthetic markets of 24,000 hourly bars; training, validation and account rules as in any study.

- AR(1) without cost: r_t = φ r_{t−1} + ε. No level in ±1 expects more than sign(φ r_{t−1}), which expects |φ r_{t−1}|.
  Printed is the share of that expectation that the agent's exposure earns, Σ exposure·φ r / Σ |φ r|: free of ε.
- White noise, 2 bp spread: turnover (notional traded over equity, per bar) and the mean gain of an episode.

Both are of validation episodes, one figure per seed; the tests hold bounds on the same figures.

    python benchmarks/learning.py                               # the defaults
    python benchmarks/learning.py --set model.activation=gelu   # any setting, may be repeated
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from fxai import yaml_strict
from fxai.agent.policy import Policy
from fxai.agent.process import prepare_process
from fxai.agent.train import train
from fxai.config import TrialConfig
from fxai.config.load import set_dotted
from fxai.evaluate.metrics import Paths
from fxai.evaluate.validation import Evaluator, episode_rows
from fxai.market.data import Market
from fxai.market.synthetic import ar1_bars, market_from_bars, white_noise_bars

PHI, BARS, EPISODE, EPISODES = 0.2, 24_000, 256, 12


def config(spread_bp: float, updates: int, changes: dict[str, Any] | None = None) -> TrialConfig:
    """The defaults: 16 segments × 8 accounts × 128 bars = 16,384 env steps per update."""
    data: dict[str, Any] = {
        "data": {"source": "file", "path": "X", "instruments": ["X"], "timezone": "UTC"},
        "env": {"spread_bp": spread_bp, "max_episode_steps": EPISODE},
        "training": {"total_updates": updates, "eval_episodes": EPISODES, "device": "cpu"},
    }
    for name, value in (changes or {}).items():
        data = set_dotted(data, name, value)
    return TrialConfig.model_validate(data)


def validation_paths(market: Market, own: TrialConfig, seeds: int) -> tuple[list[Paths], int]:
    """Train every seed at once; the validation paths of each, and the env steps that each took."""
    assert market.train is not None
    assert market.validation is not None
    evaluator = Evaluator(own, market.validation, market.bars_per_year)
    result: list[Paths] = []

    def evaluate(policy: Policy) -> list[dict[str, float]]:
        result[:] = evaluator.paths(policy)
        return [{}] * policy.population

    *_, last = train([own] * seeds, list(range(seeds)), market.train, evaluate)
    return result, last.env_steps // seeds


def ar1_shares(seeds: int, changes: dict[str, Any] | None = None) -> tuple[list[float], int]:
    """Share of the closed-form optimum that each seed finds, and its env steps (24 updates by default)."""
    market = market_from_bars({"X": ar1_bars(BARS, PHI, seed=1)})
    own = config(spread_bp=0.0, updates=24, changes=changes)
    paths, steps = validation_paths(market, own, seeds)
    part = market.validation
    assert part is not None
    forecast = PHI * np.diff(np.log(part.close_N), prepend=np.nan)
    starts = [(own.evaluation.warmup_bars - 1, len(part.close_N) - EPISODE)]
    forecast_ET = np.stack([forecast[r : r + EPISODE] for r in episode_rows(starts, EPISODES).numpy()])
    best = np.abs(forecast_ET).sum()
    return [float((p.exposure_ET * forecast_ET).sum() / best) for p in paths], steps


def white_noise(seeds: int, changes: dict[str, Any] | None = None) -> tuple[list[float], list[float]]:
    """Turnover per bar and mean gain per episode of each seed, after 12 updates by default."""
    market = market_from_bars({"X": white_noise_bars(BARS, seed=3)})
    paths, _ = validation_paths(market, config(spread_bp=2.0, updates=12, changes=changes), seeds)
    turnover = [float(p.traded_ET.mean()) for p in paths]
    return turnover, [float((p.equity_ET[:, -1] / p.equity_ET[:, 0]).mean() - 1) for p in paths]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="change a setting")
    options = parser.parse_args()
    pairs = (text.partition("=") for text in options.set)
    changes = {name: yaml_strict.loads(f"value: {value}", "--set").data["value"] for name, _, value in pairs}
    prepare_process()
    began = time.monotonic()
    shares, steps = ar1_shares(options.seeds, changes)
    seconds = time.monotonic() - began
    print(f"AR(1)        share of the optimum {shown(shares)}  median {np.median(shares):.3f}")
    print(f"             {steps:,} env steps each, {options.seeds * steps / seconds:,.0f} a second together")
    turnover, gain = white_noise(options.seeds, changes)
    print(f"white noise  turnover per bar     {shown(turnover)}\n             gain per episode     {shown(gain)}")


def shown(values: list[float]) -> str:
    return "  ".join(f"{value:.4f}" for value in values)


if __name__ == "__main__":
    main()
