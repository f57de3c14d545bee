"""One agent over a whole market part, instrument by instrument, beside the baselines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fxai.agent.policy import Policy
from fxai.config import TrialConfig
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.baselines import baselines
from fxai.evaluate.episodes import run_policy
from fxai.evaluate.metrics import Paths, measure
from fxai.market.data import MarketPart

AGENT = "agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Paths of the agent and of each baseline; one episode per instrument, over all its bars."""

    instruments: tuple[str, ...]
    time_I: list[NDArray[np.int64]]
    """UTC nanoseconds of each instrument's equity points, the first decision's close first."""
    paths: dict[str, list[Paths]]
    """`agent` and the baselines; one entry per instrument."""
    bars_per_year: float

    def metrics(self, name: str) -> dict[str, float]:
        """Metrics over all instruments."""
        return measure(merge(self.paths[name]), self.bars_per_year)

    def instrument_metrics(self, name: str) -> dict[str, dict[str, float]]:
        """Metrics of each instrument."""
        measured = [measure(paths, self.bars_per_year) for paths in self.paths[name]]
        return dict(zip(self.instruments, measured, strict=True))

    def portfolio(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Times and the mean over instruments of equity relative to its start; an instrument keeps its last value
        between its bars."""
        times = np.unique(np.concatenate(self.time_I))
        total = np.zeros(len(times))
        for own, paths in zip(self.time_I, self.paths[name], strict=True):
            equity = paths.equity_ET[0] / paths.equity_ET[0, 0]
            place = np.searchsorted(own, times, side="right") - 1
            total += np.where(place < 0, 1.0, equity[place.clip(0)])
        return times, total / len(self.time_I)


def backtest(policy: Policy, part: MarketPart, config: TrialConfig, bars_per_year: float) -> Backtest:
    """Walk every instrument of a part from the end of the warm-up to its last bar.

    Args:
        policy: of population 1.
        part: the bars.
        config: its `env` gives account rules and reward, its `evaluation` the warm-up.
        bars_per_year: annualises the metrics.
    """
    env = TradingEnv(part, [config.env], policy.device)
    reward = RewardFunction([config.env.reward], policy.device)
    offsets = part.offsets_I
    first = offsets[:-1] + config.evaluation.warmup_bars - 1
    steps_I = (offsets[1:] - 1 - first).tolist()
    same_length: dict[int, list[int]] = defaultdict(list)
    for i, steps in enumerate(steps_I):
        same_length[steps].append(i)

    found: dict[str, dict[int, Paths]] = defaultdict(dict)
    for steps, members in same_length.items():
        rows_E = torch.as_tensor(first[members])
        runs = {AGENT: run_policy(policy, env, rows_E, steps, reward, reward)[0]}
        runs |= baselines(part, config.env, rows_E, steps)
        for name, paths in runs.items():
            for position, instrument in enumerate(members):
                found[name][instrument] = one_episode(paths, position)
    return Backtest(
        instruments=part.instruments,
        time_I=[part.time_N[a : a + n + 1] for a, n in zip(first, steps_I, strict=True)],
        paths={name: [by_instrument[i] for i in range(len(steps_I))] for name, by_instrument in found.items()},
        bars_per_year=bars_per_year,
    )


def one_episode(paths: Paths, episode: int) -> Paths:
    """A single episode as paths of its own."""
    return Paths(**{f.name: getattr(paths, f.name)[episode : episode + 1] for f in fields(Paths)})


def merge(parts: Sequence[Paths]) -> Paths:
    """Episodes of several lengths as one; what is missing at the end stays at the last equity, and is not live."""
    longest = max(p.reward_ET.shape[1] for p in parts)

    def column(name: str) -> Any:
        arrays = [getattr(p, name) for p in parts]
        if arrays[0].ndim == 1:
            return np.concatenate(arrays)
        if name == "equity_ET":
            missing = [longest + 1 - a.shape[1] for a in arrays]
            return np.concatenate(
                [np.pad(a, ((0, 0), (0, n)), mode="edge") for a, n in zip(arrays, missing, strict=True)]
            )
        return np.concatenate([np.pad(a, ((0, 0), (0, longest - a.shape[1]))) for a in arrays])

    return Paths(**{f.name: column(f.name) for f in fields(Paths)})
