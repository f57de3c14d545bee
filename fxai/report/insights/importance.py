"""Which parameters matter: shares of what the search space explains, and a test against luck.

The share is functional ANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014): a forest learns the results from the
parameters, and a parameter's share is how much its mean effect, the others averaged over their whole ranges, varies.
A sampler that has found a good corner tries little else there; the average over ranges takes that out, which Optuna's
default (PED-ANOVA, how the best trials lie among all) does not: docs/decisions.md has the comparison. Results enter by
rank, so that trainings that broke off weigh no more than other bad ones.

Shapes: as in `fxai.report.insights.sample`; K choices or terms of a parameter, L leaves of a tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from fxai.report.insights.sample import Floats, Sample, centred, shuffled
from fxai.study.space import Parameter

BAGS = 12
"""Resampled studies; their spread is the uncertainty of a share."""

TREES = 4
"""Of each resampled study."""

MOST = 400
"""Trials that a tree learns from; of a longer study as many, evenly spaced."""

LEAF = 2
"""Fewest trials in a leaf."""

MOST_TESTED = 2000
"""Trials that the test against luck looks at."""

SHUFFLES = 400
LUCK = 0.05
"""Studies of nothing but noise in which any parameter is called clear."""

_SEED = 20140621
"""Of trees and shuffles: the same study has the same importances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Importances of a sample's parameters, in their order."""

    share_P: Floats
    """They add up to 1."""

    low_P: Floats
    high_P: Floats
    """Four of five resampled studies lie between."""

    clear_P: NDArray[np.bool_]
    """Beyond luck."""

    explained: float
    """R² of the results' normal scores, each predicted by trees that had not seen it; 0 or less: nothing is."""


def measure(sample: Sample) -> Measured | None:
    """Importances of every parameter; None where there are none, or all trials are worth the same."""
    if not sample.parameters or len(np.unique(sample.rank_N)) < 2:
        return None
    bags = [_resampled(sample, np.random.default_rng((_SEED, bag))) for bag in range(BAGS)]
    share_BP = np.stack([share_P for share_P, _ in bags])
    total = share_BP.mean(axis=0).sum()
    if not total > 0.0:
        return None
    mean_P, (low_P, high_P) = share_BP.mean(axis=0), np.quantile(share_BP, [0.1, 0.9], axis=0)
    return Measured(
        share_P=mean_P / total,
        low_P=np.minimum(low_P, mean_P) / total,
        high_P=np.maximum(high_P, mean_P) / total,  # of a skewed few the mean may lie above the quantile
        clear_P=beyond_luck(sample),
        explained=_explained(scores(sample), np.stack([guess_N for _, guess_N in bags])),
    )


def _explained(score_N: Floats, guess_BN: Floats) -> float:
    """Share of the scores' variance that the mean of the guesses explains, where there is one."""
    known_N = ~np.isnan(guess_BN).all(axis=0)
    if not known_N.any() or not np.ptp(score_N[known_N]) > 0.0:
        return 0.0
    missed_N = score_N[known_N] - np.nanmean(guess_BN[:, known_N], axis=0)
    return 1.0 - float(np.square(missed_N).sum() / np.square(score_N[known_N] - score_N[known_N].mean()).sum())


def scores(sample: Sample) -> Floats:
    """[N] normal scores of the ranks: evenly spread, better is higher, mean 0."""
    _, inverse_N, count_G = np.unique(sample.rank_N, return_inverse=True, return_counts=True)
    middle_G = np.cumsum(count_G) - (count_G - 1) / 2.0  # mean place of equal ranks, from 1
    score_G = np.array([-NormalDist().inv_cdf((middle - 0.5) / len(sample.rank_N)) for middle in middle_G])
    score_N = score_G[inverse_N.reshape(-1)]
    return np.asarray(score_N - score_N.mean())


def beyond_luck(sample: Sample) -> NDArray[np.bool_]:
    """[P] whether a parameter explains more than the luckiest of all parameters does where results are shuffled.

    The strongest parameter is tested first, then the next beside it, until one is not beyond luck: two parameters that
    the sampler moved together are not both credited with what one of them did. Comparisons are within blocks of
    neighbouring trials, which were sampled alike (`fxai.report.insights.sample.BLOCK`). The largest of all parameters'
    statistics keeps the chance of any false claim at LUCK (Westfall and Young, 1993).
    """
    sample = sample.thinned(MOST_TESTED)
    score_N = centred(scores(sample)[:, None])[:, 0]
    terms = [centred(_terms(p, x_N)) for p, x_N in zip(sample.parameters, sample.positions_NP.T, strict=True)]
    clear_P = np.zeros(len(terms), dtype=np.bool_)
    if np.square(score_N).sum() < 1e-9:
        return clear_P
    for step in range(len(terms)):
        best = _beyond(score_N, terms, clear_P, seed=_SEED + step)
        if best is None:
            break
        clear_P[best] = True
        score_N = _without(score_N[:, None], _basis(terms[best]))[:, 0]
        terms = [_without(own, _basis(terms[best])) for own in terms]
    return clear_P


def _beyond(score_N: Floats, terms: list[Floats], done_P: NDArray[np.bool_], *, seed: int) -> int | None:
    """The strongest parameter that is left, if luck would not make one as strong."""
    left = [i for i in range(len(terms)) if not done_P[i]]
    score_BN = np.vstack([score_N, shuffled(score_N, SHUFFLES, seed)])
    fit_BP = np.stack([np.square(score_BN @ _basis(terms[i])).sum(axis=1) for i in left], axis=1)
    spread_P = fit_BP[1:].std(axis=0)
    strength_BP = (fit_BP - fit_BP[1:].mean(axis=0)) / np.where(spread_P > 1e-9, spread_P, np.inf)
    bar = np.quantile(strength_BP[1:].max(axis=1), 1.0 - LUCK, method="higher")
    strongest = int(strength_BP[0].argmax())
    return left[strongest] if strength_BP[0, strongest] > bar else None


def _terms(parameter: Parameter, position_N: Floats) -> Floats:
    """[N, K] what a result may depend on: the position and its square, or which choice it is."""
    if parameter.choices is not None:
        chosen_NK: Floats = (position_N[:, None] == np.arange(len(parameter.choices))).astype(float)
        return chosen_NK
    middle_N = np.where(np.isnan(position_N), np.nanmean(position_N), position_N)
    powers = (1, 2) if parameter.size is None or parameter.size > 2 else (1,)
    return np.stack([middle_N**power for power in powers], axis=1)


def _without(own_NK: Floats, basis_NK: Floats) -> Floats:
    """What is left of columns when a basis has explained what it can."""
    rest: Floats = own_NK - basis_NK @ (basis_NK.T @ own_NK)
    return rest


def _basis(own_NK: Floats) -> Floats:
    """Orthonormal columns of the same span; none where nothing is left."""
    left_NK, size_K, _ = np.linalg.svd(own_NK, full_matrices=False)
    basis_NK: Floats = left_NK[:, size_K > 1e-6]
    return basis_NK


def _resampled(sample: Sample, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """[P] shares in one study resampled from this one, and [N] what its trees guess of the trials that it left out."""
    many = len(sample.trials)
    kept_N = np.arange(many) if many <= MOST else np.linspace(0, many - 1, MOST).round().astype(int)
    drawn_N = generator.choice(kept_N, size=len(kept_N))
    left_N = np.setdiff1d(kept_N, drawn_N)
    position_NP, score_N = sample.positions_NP[np.concatenate([drawn_N, left_N])], scores(sample)[drawn_N]
    share_P, guess_N = np.zeros(len(sample.parameters)), np.full(many, np.nan)
    guess_N[left_N] = 0.0
    for _ in range(TREES):
        unit_NP = _unit(sample.parameters, position_NP, generator)
        leaves = _leaves(unit_NP[: len(drawn_N)], score_N, generator)
        share_P += _shares(*leaves)
        guess_N[left_N] += _guessed(unit_NP[len(drawn_N) :], *leaves) / TREES
    return share_P / TREES, guess_N


def _guessed(unit_NP: Floats, low_LP: Floats, high_LP: Floats, value_L: Floats) -> Floats:
    """[N] the value of the leaf in which each trial lies."""
    inside_NL = ((low_LP <= unit_NP[:, None]) & (unit_NP[:, None] <= high_LP)).all(axis=2)
    guessed_N: Floats = value_L[inside_NL.argmax(axis=1)]
    return guessed_N


def _unit(parameters: tuple[Parameter, ...], position_NP: Floats, generator: np.random.Generator) -> Floats:
    """Positions in the unit cube as a tree splits them; choices lie in an order of their own for each tree.

    What a conditional parameter would have been, had it been searched, decides nothing: it is drawn.
    """
    unit_NP: Floats = position_NP.copy()
    for i, parameter in enumerate(parameters):
        missing_N = np.isnan(unit_NP[:, i])
        unit_NP[missing_N, i] = generator.random(missing_N.sum())
        if parameter.choices is not None:
            many = len(parameter.choices)
            unit_NP[missing_N, i] = np.floor(unit_NP[missing_N, i] * many)
            unit_NP[:, i] = (generator.permutation(many)[unit_NP[:, i].astype(int)] + 0.5) / many
    return unit_NP


def _shares(low_LP: Floats, high_LP: Floats, value_L: Floats) -> Floats:
    """[P] variance of each parameter's mean effect over the variance of one tree, by its leaves."""
    wide_LP = high_LP - low_LP
    volume_L = wide_LP.prod(axis=1)
    mean = volume_L @ value_L
    total = volume_L @ (value_L - mean) ** 2
    share_P = np.zeros(low_LP.shape[1])
    if not total > 0.0:
        return share_P
    for i in np.flatnonzero((wide_LP < 1.0).any(axis=0)):  # the others were never split
        edges = np.unique(np.concatenate([low_LP[:, i], high_LP[:, i]]))
        middle = (edges[1:] + edges[:-1]) / 2.0
        inside = (low_LP[:, i, None] <= middle) & (middle < high_LP[:, i, None])
        effect = (volume_L / wide_LP[:, i] * value_L) @ inside
        share_P[i] = (effect - mean) ** 2 @ np.diff(edges) / total
    return share_P


def _leaves(unit_NP: Floats, score_N: Floats, generator: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Boxes of an extremely randomised tree and their mean scores: the best of one random cut in each parameter."""
    parameters = unit_NP.shape[1]
    waiting = [(np.arange(len(score_N)), np.zeros(parameters), np.ones(parameters))]
    leaves = []
    while waiting:
        inside_N, low_P, high_P = waiting.pop()
        found = _cut(unit_NP[inside_N], score_N[inside_N], generator) if len(inside_N) >= 2 * LEAF else None
        if found is None:
            leaves.append((low_P, high_P, float(score_N[inside_N].mean())))
            continue
        i, at, left_N = found
        below_P, above_P = high_P.copy(), low_P.copy()
        below_P[i] = above_P[i] = at
        waiting += [(inside_N[left_N], low_P, below_P), (inside_N[~left_N], above_P, high_P)]
    low_LP, high_LP = (np.array([leaf[end] for leaf in leaves]) for end in (0, 1))
    return low_LP, high_LP, np.array([leaf[2] for leaf in leaves])


def _cut(
    unit_NP: Floats, score_N: Floats, generator: np.random.Generator
) -> tuple[int, float, NDArray[np.bool_]] | None:
    """Parameter, place and trials below it; None where nothing can be told apart."""
    smallest_P, largest_P = unit_NP.min(axis=0), unit_NP.max(axis=0)
    at_P = smallest_P + (largest_P - smallest_P) * generator.random(unit_NP.shape[1])
    below_NP = unit_NP <= at_P
    many, total = len(score_N), score_N.sum()
    below_P, score_P = below_NP.sum(axis=0), score_N @ below_NP
    above_P = many - below_P
    allowed_P = (below_P >= LEAF) & (above_P >= LEAF)
    if not allowed_P.any() or np.ptp(score_N) < 1e-12:
        return None
    explained_P = score_P**2 / np.maximum(below_P, 1) + (total - score_P) ** 2 / np.maximum(above_P, 1)
    best = int(np.where(allowed_P, explained_P, -1.0).argmax())
    return best, float(at_P[best]), below_NP[:, best]
