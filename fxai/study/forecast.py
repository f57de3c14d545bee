"""What a study will cost before it is run: trainings, env steps, time on this machine, disk.

Points are drawn from the space at random, which a sampler that learns will not do: an approximation, as is the
pruner's share.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from fxai import yaml_strict
from fxai.config.trial import TrialConfig
from fxai.errors import ConfigError
from fxai.study.pruners import brackets, first_acting_step, report_steps
from fxai.study.space import Parameter, apply, suggest
from fxai.study.spec import StudySpec

DRAWS = 200
"""Random points whose mean stands for a trial."""

# measured on databases and folders of studies (docs/decisions.md); an approximation
TRIAL_BYTES, PARAMETER_BYTES, REPORT_BYTES = 8000, 190, 40
"""In SQLite: a trial with its attributes, and what each parameter and each report adds."""
RESULT_BYTES, CURVE_ROW_BYTES, EQUITY_ROW_BYTES = 6800, 240, 97
"""A trial in the results' JSON, a row of its learning_curve.csv, a row (bar) of its equity.csv."""
STUDY_BYTES = 10_300_000
"""Plots and report.html, each with the plotting library in it or beside it."""

_HEAVY = (
    "model.d_model",
    "model.n_layers",
    "model.window",
    "model.ff_multiplier",
    "model.head_width",
    "training.n_epochs",
    "training.n_segments",
    "training.accounts_per_segment",
    "training.rollout_steps",
    "training.total_updates",
)
"""What makes a training long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What one study will cost."""

    env_steps: int
    """Of all trials, none stopped early."""
    kept: float | None
    """Share of the updates that pruning leaves to do, by `kept_by`; None where that depends on the values alone."""
    reports: int
    """Of a whole trial."""
    disk_bytes: int


def env_steps_of(config: TrialConfig) -> int:
    """Env steps of a whole training."""
    t = config.training
    return t.n_seeds * t.n_segments * t.transitions_per_segment * t.total_updates


def forecast(spec: StudySpec) -> Forecast:
    """What can be said without training anything."""
    draws = drawn_configs(spec)
    reports = len(report_steps(spec.base.training))
    return Forecast(
        env_steps=round(spec.n_trials * sum(env_steps_of(config) for config in draws) / len(draws)),
        kept=kept_by(spec),
        reports=reports,
        disk_bytes=STUDY_BYTES + spec.n_trials * _bytes_of_trial(spec, reports),
    )


def _bytes_of_trial(spec: StudySpec, reports: int) -> int:
    config = len(yaml_strict.dump(spec.base.model_dump(mode="json")).encode())
    in_database = TRIAL_BYTES + PARAMETER_BYTES * len(spec.parameters) + REPORT_BYTES * reports
    curves = CURVE_ROW_BYTES * spec.base.training.total_updates + EQUITY_ROW_BYTES * spec.ruler.env.max_episode_steps
    return in_database + config + RESULT_BYTES + curves


def kept_by(spec: StudySpec) -> float | None:
    """Share of the updates left to do when the pruner stops as many as it is made to, where it first can.

    The median pruner is taken to stop half of the trials, a percentile pruner all beyond its percentile, the halving
    ones all but one in `reduction_factor` at each rung. What the others stop depends on the values.
    """
    pruner, training = spec.pruner, spec.base.training
    total, first = training.total_updates, first_acting_step(spec.pruner, training)
    if pruner.type == "NopPruner" or first is None:
        return 1.0
    factor = pruner.options.get("reduction_factor")
    if pruner.type == "SuccessiveHalvingPruner":
        return _halving(first, factor or 4, total)
    if pruner.type == "HyperbandPruner":
        return sum(share * _halving(rung, factor or 3, total) for rung, share in brackets(pruner, training))
    if pruner.type not in ("MedianPruner", "PercentilePruner"):
        return None
    spared: float = min(pruner.options.get("n_startup_trials", 5), spec.n_trials) / spec.n_trials
    going_on = float(pruner.options.get("percentile", 50.0)) / 100.0
    return spared + (1.0 - spared) * (going_on + (1.0 - going_on) * first / total)


def _halving(rung: float, factor: int, total: int) -> float:
    """Mean share of a trial's updates when one in `factor` goes on at each rung."""
    share, done, going_on = 0.0, 0.0, 1.0
    while rung < total:
        share += going_on * (rung - done)
        done, going_on, rung = rung, going_on / factor, rung * factor
    return (share + going_on * (total - done)) / total


def drawn_configs(spec: StudySpec, draws: int = DRAWS) -> list[TrialConfig]:
    """Effective configs of random points; those that do not go together are left out."""
    source, configs = random.Random(0), [spec.base]
    for _ in range(draws):
        try:
            configs.append(apply(spec.base, suggest(cast(Any, _Draw(source)), spec.parameters)))
        except ConfigError:
            continue
    return configs[1:] or configs


class _Draw:
    """Stands for an Optuna trial whose sampler is random."""

    def __init__(self, source: random.Random) -> None:
        self._source = source

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._source.choice(choices)

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        if step is not None:
            return min(high, low + step * self._source.randint(0, round((high - low) / step)))
        return float(low * (high / low) ** self._source.random() if log else self._source.uniform(low, high))

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        if log:
            return int(min(high, max(low, round(low * (high / low) ** self._source.random()))))
        return low + step * self._source.randint(0, (high - low) // step)


def largest_config(spec: StudySpec) -> TrialConfig:
    """The longest training of the space, as far as its heaviest values go together."""
    values: dict[str, Any] = {}
    config = spec.base
    for parameter in spec.parameters:
        if parameter.name not in _HEAVY or parameter.when:
            continue
        values[parameter.name] = _largest(parameter)
        try:
            config = apply(spec.base, values)
        except ConfigError:
            del values[parameter.name]
    return config


def _largest(parameter: Parameter) -> Any:
    return max(cast(Sequence[Any], parameter.choices)) if parameter.choices is not None else parameter.bounds[1]


def work_of(config: TrialConfig) -> float:
    """Multiplications of an update in some unit: each epoch three times those of the walk, forward and back."""
    m, t = config.model, config.training
    encoder = m.n_layers * (m.d_model**2 * (4 + 2 * m.ff_multiplier) + 2 * m.d_model * m.window)
    head = m.head_width * (m.d_model + m.head_width)
    bars = t.n_segments * t.rollout_steps * t.n_seeds
    return float(bars * (encoder + t.accounts_per_segment * head) * (1 + 3 * t.n_epochs))
