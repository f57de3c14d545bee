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
from fxai.config import EnvConfig, TrialConfig
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.baselines import baselines
from fxai.evaluate.episodes import run_policy
from fxai.evaluate.ledger import Ledger, ledger
from fxai.evaluate.metrics import Paths, measure
from fxai.evaluate.trades import Trades, trades_of
from fxai.market.data import MarketPart

AGENT, DEFAULT = "agent", "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Paths of the agent and of each baseline; one episode per instrument, over all its bars."""

    part: MarketPart
    env: EnvConfig
    """The account rules of every path."""
    first_I: NDArray[np.int64]
    """Row of each instrument's first decision."""
    paths: dict[str, list[Paths]]
    """The agents and the baselines; one entry per instrument."""
    bars_per_year: float

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names, in the order of every list here."""
        return self.part.instruments

    @property
    def time_I(self) -> list[NDArray[np.int64]]:
        """UTC nanoseconds of each instrument's equity points, the first decision's bar first."""
        return [self.part.time_N[a:b] for a, b in zip(self.first_I, self.part.offsets_I[1:], strict=True)]

    def metrics(self, name: str) -> dict[str, float]:
        """Metrics over all instruments."""
        return measure(merge(self.paths[name]), self.bars_per_year)

    def instrument_metrics(self, name: str) -> dict[str, dict[str, float]]:
        """Metrics of each instrument, annualised by its own calendar."""
        rates = self.part.bars_per_year_I or (self.bars_per_year,) * len(self.instruments)
        measured = [measure(paths, rate) for paths, rate in zip(self.paths[name], rates, strict=True)]
        return dict(zip(self.instruments, measured, strict=True))

    def ledgers(self, name: str) -> list[Ledger]:
        """What each instrument's account held and paid."""
        pairs = zip(self.first_I.tolist(), self.paths[name], strict=True)
        return [ledger(self.part, self.env, first, paths) for first, paths in pairs]

    def trades(self, name: str) -> list[Trades]:
        """Each instrument's trades."""
        return [trades_of(each) for each in self.ledgers(name)]

    def portfolio(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Times and the mean over instruments of equity relative to its start; an instrument keeps its last value
        between its bars."""
        return self._mean([p.equity_ET[0] / p.equity_ET[0, 0] for p in self.paths[name]], 1.0)

    def exposure(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Times, and the means over instruments of the notional over equity: signed, and without sign."""
        held = [np.append(0.0, p.exposure_ET[0]) for p in self.paths[name]]
        times, net = self._mean(held, 0.0)
        return times, net, self._mean([np.abs(each) for each in held], 0.0)[1]

    def _mean(
        self, values_I: list[NDArray[np.float64]], before: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The mean over instruments at every time at which any has a bar; `before` its first, one counts so much."""
        times = np.unique(np.concatenate(self.time_I))
        total = np.zeros(len(times))
        for own, values in zip(self.time_I, values_I, strict=True):
            place = np.searchsorted(own, times, side="right") - 1
            total += np.where(place < 0, before, values[place.clip(0)])
        return times, total / len(values_I)


def backtest(
    policy: Policy, part: MarketPart, config: TrialConfig, bars_per_year: float, *, default: Policy | None = None
) -> Backtest:
    """Walk every instrument of a part from the end of the warm-up to its last bar.

    Args:
        policy: of population 1.
        part: the bars.
        config: its `env` gives account rules and reward, its `evaluation` the warm-up.
        bars_per_year: annualises the metrics.
        default: the default config's agent, walked beside it.
    """
    agents = {AGENT: policy} | ({} if default is None else {DEFAULT: default})
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
        runs = {name: run_policy(each, env, rows_E, steps, reward, reward)[0] for name, each in agents.items()}
        turnover = float(runs[AGENT].traded_ET.sum() / max(runs[AGENT].length_E.sum(), 1))
        runs |= baselines(part, config.env, rows_E, steps, turnover=turnover)
        for name, paths in runs.items():
            for position, instrument in enumerate(members):
                found[name][instrument] = paths.episodes(slice(position, position + 1))
    return Backtest(
        part=part,
        env=config.env,
        first_I=first,
        paths={name: [by_instrument[i] for i in range(len(steps_I))] for name, by_instrument in found.items()},
        bars_per_year=bars_per_year,
    )


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
