"""Samplers beside a thousand trials: what they work out from all of them, found quickly.

A sampler is built anew for each trial, so that its points depend on study seed and trial number alone; it cannot
remember what it saw for the last one. What stands here draws the very points that Optuna's classes draw.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

Seen = dict[tuple[str, ...], dict[int, tuple[Any, ...] | None]]
"""Names of parameters → id of a finished trial → Optuna's internal values of them, None where it lacks one."""


class Intersection(IntersectionSearchSpace):
    """Parameters that all finished trials have with one and the same distribution.

    Trials read through `fxai.study.database.rows` share one mapping for one space, so few comparisons are left.
    """

    def calculate(self, study: Study, use_cache: bool = False) -> dict[str, BaseDistribution]:
        """The parameters by name, with their distribution; what it gives depends on the trials alone."""
        states = (TrialState.COMPLETE, TrialState.PRUNED) if self._include_pruned else (TrialState.COMPLETE,)
        trials = study._get_trials(deepcopy=False, states=states, use_cache=use_cache)
        spaces = {id(space): space for space in [trial.distributions for trial in trials]}
        common: dict[str, BaseDistribution] | None = None
        for space in spaces.values():
            if common is None:
                common = dict(space)
            else:
                common = {name: kind for name, kind in common.items() if space.get(name) == kind}
        return {name: copy.deepcopy(kind) for name, kind in sorted((common or {}).items())}


class QuickTPESampler(TPESampler):
    """TPE that asks each finished trial for its values once."""

    seen: Seen | None = None
    """Kept by whoever builds one sampler after the other for one study."""

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, np.ndarray]:
        names = tuple(search_space)
        seen = {} if self.seen is None else self.seen.setdefault(names, {})
        found = []
        for trial in trials:
            trial_id = trial._trial_id
            if trial_id not in seen:
                values = _internal_values(self._get_params(trial, study), search_space)
                if trial.state.is_finished():
                    seen[trial_id] = values
            else:
                values = seen[trial_id]
            if values is not None:
                found.append(values)
        columns = zip(*found, strict=True) if found else ([] for _ in names)
        return {name: np.asarray(column) for name, column in zip(names, columns, strict=True)}


def _internal_values(params: dict[str, Any], space: dict[str, BaseDistribution]) -> tuple[Any, ...] | None:
    if not space.keys() <= params.keys():
        return None
    return tuple(distribution.to_internal_repr(params[name]) for name, distribution in space.items())


def make_quick(sampler: BaseSampler, seen: Seen) -> BaseSampler:
    """Give a sampler what makes it quick beside many trials.

    Args:
        sampler: fresh from `build_sampler`.
        seen: one mapping for all samplers of one study in this process.
    """
    for name, part in vars(sampler).items():
        if type(part) is IntersectionSearchSpace:
            setattr(sampler, name, Intersection(include_pruned=part._include_pruned))
    if type(sampler) is TPESampler:
        sampler.__class__ = QuickTPESampler
        assert isinstance(sampler, QuickTPESampler)
        sampler.seen = seen
    return sampler
