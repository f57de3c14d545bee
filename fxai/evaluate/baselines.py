"""What an agent has to beat: do nothing, buy and hold, trade as much at random; and what it cannot: hindsight.

Axes: E episodes, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fxai.config import EnvConfig, TrialConfig
from fxai.config.metrics import BUY_AND_HOLD, DO_NOTHING, HINDSIGHT, RANDOM
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.episodes import run_tape
from fxai.evaluate.hindsight import hindsight, smaller
from fxai.evaluate.metrics import Paths, measure
from fxai.evaluate.validation import first_rows
from fxai.market.data import MarketPart

RANDOM_SEED = 20_260_101
"""The random traders are the same in every report."""

DRAWS = 20
"""Random traders; one alone may be lucky."""

_MOST_STEPS = 2_000_000
"""Account steps that the random traders may take together; on longer paths there are fewer of them."""

_ADJUSTMENTS = 12
"""Of the chance to switch; each takes most of what is left of the difference."""

BASELINES = (DO_NOTHING, BUY_AND_HOLD, RANDOM, HINDSIGHT)
"""In the order in which they are shown."""

USUAL_TURNOVER = 0.1
"""Of the random traders where no agent tells one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRuns:
    """What the baselines did over the same episodes, E each."""

    paths: dict[str, Paths]
    """One run of each, for curves: of the random traders the one whose total return is their median."""
    draws: tuple[Paths, ...]
    """All random traders."""
    cut_E: NDArray[np.bool_]
    """The tape that hindsight finds for the episode without thinking of stops is stopped: what `paths` has of it is
    then the best of the replays that were tried, and no ceiling."""

    @property
    def idle(self) -> int:
        """How many of the random traders never trade."""
        return sum(not draw.opened_ET.any() for draw in self.draws)

    @property
    def mostly_idle(self) -> bool:
        """At least half of the random traders never trade: their median does nothing."""
        return 2 * self.idle >= len(self.draws)

    def metrics(self, bars_per_year: float) -> dict[str, dict[str, float]]:
        """Metrics of each; of the random traders the means."""
        return {
            name: mean_metrics(self.draws if name == RANDOM else [paths], bars_per_year)
            for name, paths in self.paths.items()
        }


def mean_metrics(runs: Sequence[Paths], bars_per_year: float) -> dict[str, float]:
    """The mean of each metric over several runs."""
    measured = [measure(paths, bars_per_year) for paths in runs]
    return {name: float(np.mean([own[name] for own in measured])) for name in measured[0]}


def median_run(runs: Sequence[Paths]) -> Paths:
    """The run whose total return is the median, of an even number the upper one."""
    returns = [float((p.equity_ET[:, -1] / p.equity_ET[:, 0]).mean()) for p in runs]
    return runs[int(np.argsort(returns, kind="stable")[len(returns) // 2])]


def baselines(
    part: MarketPart, config: EnvConfig, rows_E: Tensor, steps: int, *, turnover: float = USUAL_TURNOVER
) -> BaselineRuns:
    """The baselines over the same episodes and under the same rules; no buy and hold where no level is long.

    Args:
        part: market part that `rows_E` point into.
        config: account rules and reward.
        rows_E: first decision rows.
        steps: bars per episode.
        turnover: notional over equity, mean per bar, that the random traders are to have: the agent's.
    """
    return _Runs(part, config, rows_E, steps).walk(turnover)


def ruler_baselines(ruler: TrialConfig, part: MarketPart, *, turnover: float) -> BaselineRuns:
    """The baselines over the episodes that score a study's trials.

    Args:
        ruler: the study's base config.
        part: validation.
        turnover: that the random traders are to have.
    """
    return baselines(part, ruler.env, first_rows(ruler, part), ruler.env.max_episode_steps, turnover=turnover)


class _Runs:
    """Tapes walked over the same episodes."""

    def __init__(self, part: MarketPart, config: EnvConfig, rows_E: Tensor, steps: int) -> None:
        cpu = torch.device("cpu")
        self._env = TradingEnv(part, [config], cpu)
        self._reward = RewardFunction([config.reward], cpu)
        self._config, self._rows_E, self._steps = config, rows_E.cpu(), steps

    def walk(self, turnover: float) -> BaselineRuns:
        """All tapes are walked together, since a step costs nearly as much for one account as for many."""
        episodes = len(self._rows_E)
        count = int(np.clip(_MOST_STEPS // (episodes * self._steps), 1, DRAWS))
        named = self._fixed() | {HINDSIGHT: hindsight(self._env, self._rows_E, self._steps).action_ET}
        random = np.split(random_tape((count * episodes, self._steps), self._config, turnover), count)
        runs = self._replay([*named.values(), *random])
        found = dict(zip(named, runs[: len(named)], strict=True))
        draws = runs[len(named) :]
        cut_E = found[HINDSIGHT].stopped_E
        if cut_E.any():
            tried = list(smaller(self._env, self._rows_E, self._steps))
            found[HINDSIGHT] = best_of([*runs, *(self._replay(tried) if tried else [])])
        found[RANDOM] = median_run(draws)
        return BaselineRuns(
            paths={name: found[name] for name in BASELINES if name in found}, draws=tuple(draws), cut_E=cut_E
        )

    def _replay(self, tapes: Sequence[NDArray[np.int64]]) -> list[Paths]:
        """Tapes [E, T] under all rules."""
        episodes = len(self._rows_E)
        rows_E = self._rows_E.repeat(len(tapes))
        together = run_tape(self._env, rows_E, torch.as_tensor(np.concatenate(tapes)), self._reward)
        return [together.episodes(slice(i, i + episodes)) for i in range(0, len(rows_E), episodes)]

    def _fixed(self) -> dict[str, NDArray[np.int64]]:
        """Do nothing, and hold the highest level from the first fill on, [E, T]."""
        levels = np.asarray(self._config.position_levels)
        shape = (len(self._rows_E), self._steps)
        found = {DO_NOTHING: np.full(shape, int(np.flatnonzero(levels == 0)[0]))}
        if levels.max() > 0:
            found[BUY_AND_HOLD] = np.full(shape, int(levels.argmax()))
        return found


def best_of(runs: Sequence[Paths]) -> Paths:
    """Of several runs over the same episodes, the one with the highest final equity in each."""
    final_RE = np.stack([run.equity_ET[:, -1] for run in runs])
    best_E, episode_E = final_RE.argmax(axis=0), np.arange(final_RE.shape[1])
    return Paths(**{f.name: np.stack([getattr(run, f.name) for run in runs])[best_E, episode_E] for f in fields(Paths)})


def random_tape(shape: tuple[int, int], config: EnvConfig, turnover: float) -> NDArray[np.int64]:
    """Levels drawn at random and kept for a while, int64 [E, T], that turn over as much as is asked for.

    An account starts flat and draws a level anew with some chance at each bar: that of `switch_rate`, adjusted until
    these very draws have the turnover, since few draws may be far from what is expected of them. The draw is among
    all levels, or among the lowest and the highest where all levels at every bar are not enough. More than those two
    at every bar (levels −1 and 1: 1.0 per bar) it cannot turn over.
    """
    rng = np.random.default_rng(RANDOM_SEED)
    levels = np.asarray(config.position_levels)
    wanted = turnover / config.leverage
    pool = np.arange(len(levels))
    if wanted > expected_turnover(1.0, levels, shape[1]):
        pool = np.array([levels.argmin(), levels.argmax()])
    drawn, chance = pool[rng.integers(len(pool), size=shape)], rng.random(shape)
    rate, flat = switch_rate(wanted, levels[pool], shape[1]), int(np.flatnonzero(levels == 0)[0])
    best, apart, low, high = np.full(shape, flat), wanted, 0.0, 1.0
    for _ in range(_ADJUSTMENTS):
        tape = _kept(drawn, chance < rate, flat)
        found = float(np.abs(np.diff(levels[tape], axis=1, prepend=0.0)).mean())
        if abs(found - wanted) < apart:
            best, apart = tape, abs(found - wanted)
        if apart <= 0.002 * wanted:
            break
        low, high = (rate, high) if found < wanted else (low, rate)
        guess = rate * wanted / found if found else 0.0
        rate = guess if low < guess < high else (low + high) / 2  # few draws: turnover rises in steps
    return best


def _kept(drawn: NDArray[np.int64], switch: NDArray[np.bool_], flat: int) -> NDArray[np.int64]:
    """What was drawn at the latest switch; flat before the first."""
    latest = np.maximum.accumulate(np.where(switch, np.arange(drawn.shape[1]), -1), axis=1)
    return np.where(latest >= 0, np.take_along_axis(drawn, latest.clip(0), axis=1), flat).astype(np.int64)


def switch_rate(turnover: float, levels: NDArray[np.float64], steps: int) -> float:
    """The chance per bar of drawing a new level at which `expected_turnover` is the one given; 1 where none is."""
    low, high = 0.0, 1.0
    for _ in range(60):  # bisection: it rises with the chance
        middle = (low + high) / 2
        low, high = (middle, high) if expected_turnover(middle, levels, steps) < turnover else (low, middle)
    return high


def expected_turnover(rate: float, levels: NDArray[np.float64], steps: int) -> float:
    """Mean turnover per bar, at leverage 1, of an account that starts flat and draws a level anew with a chance.

    The first draw moves it from flat by A = mean |level|, any later one by D = mean |level − other level|. Of `steps`
    bars rate·T see a draw, and one of them, with chance 1 − (1 − rate)^T, is the first. The drift of a position
    between its fills is left out.
    """
    first, later = float(np.abs(levels).mean()), float(np.abs(levels[:, None] - levels).mean())
    ever = 1.0 - (1.0 - rate) ** steps
    return (ever * first + (rate * steps - ever) * later) / steps
