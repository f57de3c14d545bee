"""What luck alone gives: the spread of trials that are alike, the best of many equal ones, two groups that differ.

Shapes: as in `fxai.report.insights.sample`. Values are losses, less is better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from fxai.report.insights.sample import Floats, Sample

FEWEST = 8
"""Trials from which a spread is estimated."""

_NEIGHBOURS_OF = 1000
"""Trials among which neighbours are looked for."""

_NORMAL = NormalDist()
_MAD = 1.4826
"""Standard deviation over median absolute deviation, of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How far trials with like parameters lie apart."""

    deviation: float
    """One standard deviation of a trial's value."""

    repeats: bool
    """From trials with equal parameters; else from nearest neighbours, in which parameters' effects have a part."""


def spread_of(sample: Sample, weight_P: Floats | None = None) -> Spread | None:
    """The spread of a trial's value among trials that are alike; None where there are too few.

    Args:
        sample: the study.
        weight_P: how much each parameter counts in what is alike; all alike by default.
    """
    sample = sample.sound
    if len(sample.trials) < FEWEST:
        return None
    unit = float(np.abs(sample.loss_N).max()) or 1.0  # squares of values near the largest float would overflow
    position_NP, loss_N = sample.positions_NP, sample.loss_N / unit
    repeated = _of_repeats(position_NP, loss_N)
    weight_P = np.ones(position_NP.shape[1]) if weight_P is None else weight_P + 0.2 / len(weight_P)
    near = _NEIGHBOURS_OF
    alike = _of_neighbours(sample, position_NP[-near:], loss_N[-near:], weight_P) if repeated is None else repeated
    return Spread(alike * unit, repeated is not None) if alike * unit < 1e300 else None


def _of_repeats(position_NP: Floats, loss_N: Floats, fewest: int = 5) -> float | None:
    """Pooled standard deviation of trials with equal parameters; None with fewer than `fewest` degrees of freedom."""
    _, group_N = np.unique(np.nan_to_num(position_NP, nan=-1.0), axis=0, return_inverse=True)
    group_N = group_N.reshape(-1)
    size_G = np.bincount(group_N)
    freedom = int((size_G - 1).sum())
    if freedom < fewest:
        return None
    mean_G = np.bincount(group_N, weights=loss_N) / size_G
    return math.sqrt(float(np.square(loss_N - mean_G[group_N]).sum()) / freedom)


def _of_neighbours(sample: Sample, position_NP: Floats, loss_N: Floats, weight_P: Floats) -> float:
    """From the difference to the nearest neighbour: the median, so that a few that broke off do not count."""
    distance_NN = np.zeros((len(loss_N), len(loss_N)))
    for i, parameter in enumerate(sample.parameters):
        here_N = position_NP[:, i]
        apart_NN = np.abs(here_N[:, None] - here_N[None, :])
        if parameter.choices is not None:
            apart_NN = np.minimum(apart_NN, 1.0)  # two choices are as far apart as any two
        missing_N = np.isnan(here_N)
        differ_NN = (missing_N[:, None] != missing_N[None, :]).astype(float)
        distance_NN += weight_P[i] * np.where(np.isnan(apart_NN), differ_NN, np.square(apart_NN))
    np.fill_diagonal(distance_NN, np.inf)
    difference_N = np.abs(loss_N - loss_N[distance_NN.argmin(axis=1)])
    return float(_MAD * np.median(difference_N) / math.sqrt(2.0))


def lucky_gain(many: int, quantile: float | None = None) -> float:
    """By how many standard deviations the best of `many` equal trials beats one more of them; normal values.

    The mean, or a quantile of it. P(best − other ≤ g) = ∫ Φ(d + g)^many φ(d) dd.
    """
    other_D = np.linspace(-8.0, 8.0, 401)
    mass_D = np.exp(-np.square(other_D) / 2.0)
    mass_D /= mass_D.sum()
    gain_G = np.linspace(-6.0, 12.0, 1801)
    cdf_D = np.array([_NORMAL.cdf(x) for x in np.linspace(-14.0, 20.0, 3401)])
    place_GD = np.round((gain_G[:, None] + other_D[None, :] + 14.0) * 100.0).astype(int)
    below_G = np.power(cdf_D[np.clip(place_GD, 0, 3400)], many) @ mass_D
    if quantile is not None:
        return float(gain_G[np.searchsorted(below_G, quantile)])
    return float(gain_G[:-1] @ np.diff(below_G))


def less(a: Floats, b: Floats) -> float:
    """p of Mann and Whitney's test that `a` tends to be less than `b`; normal approximation with ties."""
    m, n = len(a), len(b)
    if m == 0 or n == 0:
        return 1.0
    both = np.concatenate([a, b])
    _, inverse, size = np.unique(both, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2.0)[inverse.reshape(-1)]
    above = float(rank[:m].sum() - m * (m + 1) / 2.0)  # pairs in which `a` is the larger one
    total = m + n
    variance = m * n / 12.0 * (total + 1 - float((size**3 - size).sum()) / (total * (total - 1)))
    if variance <= 0.0:
        return 1.0
    return _NORMAL.cdf((above - m * n / 2.0 + 0.5) / math.sqrt(variance))


def apart(a: Floats, b: Floats) -> float:
    """p of the same test in both directions."""
    return min(1.0, 2.0 * min(less(a, b), less(b, a)))


def rank_correlation(a: Floats, b: Floats) -> tuple[float, float]:
    """Spearman's correlation and the upper end of its 95% interval (Fisher's z, Fieller's factor 1.06)."""
    rank_a, rank_b = (_mean_ranks(x) for x in (a, b))
    if len(a) < 4 or rank_a.std() == 0.0 or rank_b.std() == 0.0:
        return 0.0, 1.0
    rho = float(np.corrcoef(rank_a, rank_b)[0, 1])
    z = math.atanh(min(max(rho, -0.999999), 0.999999))
    return rho, math.tanh(z + 1.96 * math.sqrt(1.06 / (len(a) - 3)))


def _mean_ranks(values: Floats) -> Floats:
    _, inverse, size = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(size) - (size - 1) / 2.0)[inverse.reshape(-1)]
    return ranks
