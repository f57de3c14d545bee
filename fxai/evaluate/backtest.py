"""One agent over a whole market part, instrument by instrument, beside the baselines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fxai.agent.policy import Policy
from fxai.config import EnvConfig, TrialConfig
from fxai.config.metrics import RANDOM
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.baselines import baselines, mean_metrics
from fxai.evaluate.episodes import run_policy
from fxai.evaluate.ledger import Ledger, cost_shares, ledger
from fxai.evaluate.metrics import Paths, measure
from fxai.evaluate.trades import Trades, trades_of
from fxai.market.data import MarketPart

AGENT, DEFAULT = "agent", "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """An account that was stopped."""

    instrument: str
    time_ns: int
    """Bar at whose close it was stopped."""
    bar: int
    """Number of that bar, the first after the first decision being 1."""
    bars: int
    """Of the whole walk."""
    margin_called: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """Paths of the agent and of each baseline; one episode per instrument, over all its bars."""

    part: MarketPart
    env: EnvConfig
    """The account rules of every path."""
    first_I: NDArray[np.int64]
    """Row of each instrument's first decision."""
    paths: dict[str, list[Paths]]
    """The agents and the baselines; one entry per instrument. Of the random traders the one whose total return is the
    median, which is for curves and lists."""
    bars_per_year: float
    draws: list[list[Paths]] = field(default_factory=list)
    """Every random trader; one entry per instrument."""
    hindsight_cut: bool = False
    """Hindsight was stopped somewhere, so that it is no ceiling (`BaselineRuns.cut_E`)."""

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names, in the order of every list here."""
        return self.part.instruments

    @property
    def time_I(self) -> list[NDArray[np.int64]]:
        """UTC nanoseconds of each instrument's equity points, the first decision's bar first."""
        return [self.part.time_N[a:b] for a, b in zip(self.first_I, self.part.offsets_I[1:], strict=True)]

    def runs(self, name: str) -> list[list[Paths]]:
        """What the numbers of a name are the means of: all random traders, else its only run."""
        return self.draws if name == RANDOM and self.draws else [self.paths[name]]

    def metrics(self, name: str) -> dict[str, float]:
        """Metrics over all instruments; of the random traders the means."""
        return mean_metrics([merge(run) for run in self.runs(name)], self.bars_per_year)

    def instrument_metrics(self, name: str) -> dict[str, dict[str, float]]:
        """Metrics of each instrument, annualised by its own calendar."""
        rates = self.part.bars_per_year_I or (self.bars_per_year,) * len(self.instruments)
        measured = [measure(paths, rate) for paths, rate in zip(self.paths[name], rates, strict=True)]
        return dict(zip(self.instruments, measured, strict=True))

    def ledgers(self, name: str) -> list[Ledger]:
        """What each instrument's account held and paid."""
        return self._ledgers(self.paths[name])

    def _ledgers(self, paths_I: list[Paths]) -> list[Ledger]:
        pairs = zip(self.first_I.tolist(), paths_I, strict=True)
        return [ledger(self.part, self.env, first, paths) for first, paths in pairs]

    def cost_shares(self, name: str) -> dict[str, float]:
        """Each cost as a share of the initial capital, the mean over accounts, and over the random traders."""
        return cost_shares([each for run in self.runs(name) for each in self._ledgers(run)])

    def stops(self, name: str) -> list[Stop]:
        """The accounts of `paths` that were stopped."""
        return [
            Stop(
                instrument=self.instruments[i],
                time_ns=int(book.time_T1[-1]),
                bar=len(book.units_T),
                bars=len(self.time_I[i]) - 1,
                margin_called=book.margin_called,
            )
            for i, book in enumerate(self.ledgers(name))
            if book.stopped
        ]

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
    draws: dict[int, list[Paths]] = {}
    cut = False
    for steps, members in same_length.items():
        rows_E = torch.as_tensor(first[members])
        runs = {name: run_policy(each, env, rows_E, steps, reward, reward)[0] for name, each in agents.items()}
        turnover = float(runs[AGENT].traded_ET.sum() / max(runs[AGENT].length_E.sum(), 1))
        beside = baselines(part, config.env, rows_E, steps, turnover=turnover)
        cut |= bool(beside.cut_E.any())
        for position, instrument in enumerate(members):
            one = slice(position, position + 1)
            for name, paths in (runs | beside.paths).items():
                found[name][instrument] = paths.episodes(one)
            draws[instrument] = [draw.episodes(one) for draw in beside.draws]
    traders = [list(of_all) for of_all in zip(*(draws[i] for i in range(len(steps_I))), strict=False)]
    every = {name: [by_instrument[i] for i in range(len(steps_I))] for name, by_instrument in found.items()}
    return Backtest(
        part=part,
        env=config.env,
        first_I=first,
        paths=every | {RANDOM: _median(traders)},
        bars_per_year=bars_per_year,
        draws=traders,
        hindsight_cut=cut,
    )


def _median(traders: list[list[Paths]]) -> list[Paths]:
    """The trader whose total return, the mean over instruments, is the median, of an even number the upper one."""
    gains = [float(np.mean([p.equity_ET[0, -1] / p.equity_ET[0, 0] for p in each])) for each in traders]
    return traders[int(np.argsort(gains, kind="stable")[len(gains) // 2])]


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
