"""How long trainings of a study take on this machine: a few real updates of two of its configs, some seconds."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from statistics import median

from fxai.agent.process import prepare_process
from fxai.agent.seeding import member_seeds
from fxai.agent.train import train
from fxai.config.trial import TrialConfig
from fxai.study.forecast import drawn_configs, largest_config, work_of
from fxai.study.ppo import arena_of
from fxai.study.pruners import report_steps
from fxai.study.spec import StudySpec

MAX_S = 3.5
"""For each of the two configs, beside its first update and evaluation."""

_MANY = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds of whole trainings on one core."""

    default_trial_s: float
    mean_trial_s: float
    largest_trial_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """Seconds of an update, and of an evaluation."""

    update_s: float
    evaluation_s: float


def calibrate(spec: StudySpec) -> Cost:
    """Train a little of the default and of the largest config.

    The time of an update in between is taken to grow with its multiplications (`work_of`): an approximation.
    """
    prepare_process()
    largest = largest_config(spec)
    low = _pace(spec.base, spec.ruler)
    high = low if largest == spec.base else _pace(largest, spec.ruler)
    low_work, high_work = work_of(spec.base), work_of(largest)
    slope = max(0.0, (high.update_s - low.update_s) / (high_work - low_work)) if high_work > low_work else 0.0

    def trial_s(config: TrialConfig) -> float:
        update_s = max(0.2 * low.update_s, low.update_s + slope * (work_of(config) - low_work))
        share = min(1.0, max(0.0, (work_of(config) - low_work) / max(high_work - low_work, 1.0)))
        evaluation_s = low.evaluation_s + share * (high.evaluation_s - low.evaluation_s)
        return config.training.total_updates * update_s + len(report_steps(config.training)) * evaluation_s

    draws = drawn_configs(spec)
    return Cost(
        default_trial_s=trial_s(spec.base),
        mean_trial_s=sum(map(trial_s, draws)) / len(draws),
        largest_trial_s=trial_s(largest),
    )


def _pace(config: TrialConfig, ruler: TrialConfig) -> _Pace:
    """Train until the time is up, every second update evaluated; the first of each kind only warms up."""
    short = config.training.model_copy(update={"total_updates": _MANY, "eval_frequency": 2})
    config = config.model_copy(update={"training": short})
    arena = arena_of(config, ruler)
    plain: list[float] = []
    evaluated: list[float] = []
    with closing(train(arena.members, member_seeds(0, short.n_seeds), arena.train, arena.evaluate)) as training:
        started = before = time.monotonic()
        for progress in training:
            now = time.monotonic()
            (evaluated if progress.scores is not None else plain).append(now - before)
            before = now
            if len(plain) >= 2 and len(evaluated) >= 2 and now - started > MAX_S:
                break
    update_s = median(plain[1:])
    return _Pace(update_s=update_s, evaluation_s=max(0.0, median(evaluated[1:]) - update_s))
