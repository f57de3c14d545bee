"""What an agent has to beat: do nothing, buy and hold, trade as much at random; and what it cannot: hindsight.

Axes: E episodes, T steps.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fxai.config import EnvConfig, TrialConfig
from fxai.config.metrics import BUY_AND_HOLD, DO_NOTHING, HINDSIGHT, RANDOM
from fxai.env.rewards import RewardFunction
from fxai.env.trading import TradingEnv
from fxai.evaluate.episodes import run_tape
from fxai.evaluate.hindsight import hindsight
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


def baselines(
    part: MarketPart, config: EnvConfig, rows_E: Tensor, steps: int, *, turnover: float = USUAL_TURNOVER
) -> dict[str, Paths]:
    """Paths of the baselines over the same episodes and under the same rules.

    `random` is the one of several random traders whose total return is their median; `buy and hold` is left out where
    no level is long.

    Args:
        part: market part that `rows_E` point into.
        config: account rules and reward.
        rows_E: first decision rows.
        steps: bars per episode.
        turnover: notional over equity, mean per bar, that the random traders are to have: the agent's.
    """
    found, draws = _Runs(part, config, rows_E, steps).walk(turnover)
    returns = [float((p.equity_ET[:, -1] / p.equity_ET[:, 0]).mean()) for p in draws]
    median = draws[int(np.argsort(returns)[len(returns) // 2])]
    found[RANDOM] = median
    return {name: found[name] for name in BASELINES if name in found}


def baseline_metrics(
    ruler: TrialConfig, part: MarketPart, bars_per_year: float, *, turnover: float
) -> dict[str, dict[str, float]]:
    """Metrics of the baselines on the episodes that score a study's trials; of `random` the mean of its traders'.

    Args:
        ruler: the study's base config.
        part: validation.
        bars_per_year: annualises.
        turnover: that the random traders are to have.
    """
    fixed, random = _Runs(part, ruler.env, first_rows(ruler, part), ruler.env.max_episode_steps).walk(turnover)
    found = {name: measure(paths, bars_per_year) for name, paths in fixed.items()}
    draws = [measure(paths, bars_per_year) for paths in random]
    found[RANDOM] = {name: float(np.mean([draw[name] for draw in draws])) for name in draws[0]}
    return {name: found[name] for name in BASELINES if name in found}


class _Runs:
    """Tapes walked over the same episodes."""

    def __init__(self, part: MarketPart, config: EnvConfig, rows_E: Tensor, steps: int) -> None:
        cpu = torch.device("cpu")
        self._env = TradingEnv(part, [config], cpu)
        self._reward = RewardFunction([config.reward], cpu)
        self._config, self._rows_E, self._steps = config, rows_E.cpu(), steps

    def walk(self, turnover: float) -> tuple[dict[str, Paths], list[Paths]]:
        """Paths of the fixed tapes and of hindsight by name, and those of independent random traders.

        All are walked together, since a step costs nearly as much for one account as for many.
        """
        episodes = len(self._rows_E)
        draws = int(np.clip(_MOST_STEPS // (episodes * self._steps), 1, DRAWS))
        named = self._fixed() | {HINDSIGHT: hindsight(self._env, self._rows_E, self._steps).action_ET}
        tapes = [*named.values(), random_tape((draws * episodes, self._steps), self._config, turnover)]
        rows_E = self._rows_E.repeat(len(named) + draws)
        together = run_tape(self._env, rows_E, torch.as_tensor(np.concatenate(tapes)), self._reward)
        paths = [together.episodes(slice(i, i + episodes)) for i in range(0, len(rows_E), episodes)]
        return dict(zip(named, paths[: len(named)], strict=True)), paths[len(named) :]

    def _fixed(self) -> dict[str, NDArray[np.int64]]:
        """Do nothing, and hold the highest level from the first fill on, [E, T]."""
        levels = np.asarray(self._config.position_levels)
        shape = (len(self._rows_E), self._steps)
        found = {DO_NOTHING: np.full(shape, int(np.flatnonzero(levels == 0)[0]))}
        if levels.max() > 0:
            found[BUY_AND_HOLD] = np.full(shape, int(levels.argmax()))
        return found


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
    rate = switch_rate(wanted, levels[pool], shape[1])
    tape = _kept(drawn, chance < rate, int(np.flatnonzero(levels == 0)[0]))
    for _ in range(_ADJUSTMENTS):
        found = float(np.abs(np.diff(levels[tape], axis=1, prepend=0.0)).mean())
        if found == 0.0 or abs(found - wanted) <= 0.002 * wanted:
            break
        rate = min(rate * wanted / found, 1.0)
        tape = _kept(drawn, chance < rate, int(np.flatnonzero(levels == 0)[0]))
    return tape


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
