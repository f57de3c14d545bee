"""The completed trials of a study as arrays, for the statistics behind the insights.

Shapes: N trials in order of number, P searched parameters, B shuffles, G cells of a parameter's grid.
Positions are on a parameter's own scale: 0 is its low end, 1 its high end, logarithmic where it is searched so; of a
categorical the index of the choice. NaN where a conditional parameter was not searched.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from fxai.report.outcome import Outcome, first_value, is_feasible
from fxai.study.space import Parameter

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BLOCK = 20
"""Neighbouring trials that a shuffle may swap. A sampler learns: late trials are better and lie closer together in
every parameter, also in those that do nothing; a shuffle over the whole study would take that for an effect. Blocks
of 10 see less of what is there, of 30 more of what is not (docs/decisions.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the completed trials of a study tried and were worth, by the first metric."""

    parameters: tuple[Parameter, ...]
    """Those with more than one value that at least one completed trial has."""

    trials: tuple[FrozenTrial, ...]
    positions_NP: Floats
    rank_N: Floats
    """0 is best; equal values share a rank. Trials that broke off or break a constraint come after all others."""

    loss_N: Floats
    """The first metric, its sign turned so that less is better."""

    sound_N: Bools
    """Which trials neither broke off nor break a constraint."""

    @property
    def sound(self) -> Sample:
        """Without the trials that are not."""
        return self if self.sound_N.all() else self.kept(np.flatnonzero(self.sound_N))

    def top(self, share: float) -> Bools:
        """The best `share` of the trials, ties with the last of them included, as Optuna counts."""
        if not self.trials:
            return np.zeros(0, dtype=np.bool_)
        last = math.ceil(share * len(self.trials)) - 1
        top_N: Bools = self.rank_N <= np.partition(self.rank_N, last)[last]
        return top_N

    def thinned(self, most: int) -> Sample:
        """At most `most` trials: whole blocks, evenly spaced over the study."""
        many = len(self.trials)
        if many <= most:
            return self
        starts = blocks(many - many % BLOCK)
        kept = [starts[i] for i in np.linspace(0, len(starts) - 1, most // BLOCK).round().astype(int)]
        index = np.add.outer(kept, np.arange(BLOCK)).reshape(-1)
        return self.kept(index)

    def kept(self, index_N: NDArray[np.int64]) -> Sample:
        """The trials of these places."""
        return Sample(
            parameters=self.parameters,
            trials=tuple(self.trials[i] for i in index_N),
            positions_NP=self.positions_NP[index_N],
            rank_N=self.rank_N[index_N],
            loss_N=self.loss_N[index_N],
            sound_N=self.sound_N[index_N],
        )

    def column(self, name: str) -> Floats:
        """Positions of one parameter."""
        index = next(i for i, parameter in enumerate(self.parameters) if parameter.name == name)
        column_N: Floats = self.positions_NP[:, index]
        return column_N


def sample_of(outcome: Outcome, parameters: Sequence[Parameter]) -> Sample:
    """The completed trials of a study as arrays."""
    trials = outcome.completed
    sign = -1.0 if outcome.directions[0] == "maximize" else 1.0
    loss_N = np.array([sign * first_value(trial) for trial in trials], dtype=float)
    tried = [p for p in parameters if p.size != 1 and any(p.name in trial.params for trial in trials)]
    columns = [[position(p, trial.params.get(p.name)) for trial in trials] for p in tried]
    sound_N = np.array([not trial.user_attrs.get("failure") and is_feasible(trial) for trial in trials], dtype=np.bool_)
    return Sample(
        parameters=tuple(tried),
        trials=trials,
        positions_NP=np.array(columns, dtype=float).reshape(len(tried), len(trials)).T,
        rank_N=_ranks(loss_N, sound_N),
        loss_N=loss_N,
        sound_N=sound_N,
    )


def position(parameter: Parameter, value: Any) -> float:
    """Where a value lies on its parameter's own scale; NaN for one that the parameter cannot take."""
    if parameter.choices is not None:
        same = (i for i, choice in enumerate(parameter.choices) if choice == value and type(choice) is type(value))
        return float(next(same, math.nan))
    if not isinstance(value, (int, float)) or not parameter.bounds[0] <= value <= parameter.bounds[1]:
        return math.nan
    low, high = parameter.bounds
    if parameter.type.endswith("_log"):
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def value_at(parameter: Parameter, place: float) -> float:
    """The number at a position of a range, not rounded to its steps."""
    low, high = parameter.bounds
    if parameter.type.endswith("_log"):
        return float(low * (high / low) ** place)
    return float(low + place * (high - low))


def centred(values_NK: Floats) -> Floats:
    """Columns less their mean in each block."""
    starts = blocks(len(values_NK))
    sizes = np.diff([*starts, len(values_NK)])
    mean_K = np.add.reduceat(values_NK, starts, axis=0) / sizes[:, None]
    rest: Floats = values_NK - np.repeat(mean_K, sizes, axis=0)
    return rest


def shuffled(values_N: Floats, times: int, seed: int) -> Floats:
    """[times, N] copies of a row in which each block is shuffled."""
    generator = np.random.default_rng(seed)
    starts = blocks(values_N.size)
    copies_BN = np.tile(values_N, (times, 1))
    for start, end in zip(starts, [*starts[1:], values_N.size], strict=True):
        copies_BN[:, start:end] = generator.permuted(copies_BN[:, start:end], axis=1)
    return copies_BN


def blocks(many: int) -> list[int]:
    """Where each block of BLOCK neighbours begins; a short rest belongs to the last one."""
    return list(range(0, many - BLOCK + 1, BLOCK)) or [0]


def _ranks(loss_N: Floats, sound_N: Bools) -> Floats:
    """Dense ranks by (unsound, loss)."""
    pairs = np.stack([~sound_N, loss_N], axis=1) if loss_N.size else np.zeros((0, 2))
    _, rank_N = np.unique(pairs, axis=0, return_inverse=True)
    return np.asarray(rank_N, dtype=float).reshape(-1)
