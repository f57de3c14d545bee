"""Is a study's best config really better than the default? Both trained again with seeds that the study never used.

A study shows the highest of many noisy scores, which is too high. Fresh seeds take the luck of the training out of the
comparison; the luck of the validation bars stays, since the same bars chose the best config.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydantic

from fxai.config import TrialConfig
from fxai.config.base import Settings
from fxai.errors import FxaiError
from fxai.files import refuse_links, write_json_atomic
from fxai.study.confirmed import CONFIRMATION
from fxai.study.objective import DEFAULT_OBJECTIVE, TrialRequest, load_objective
from fxai.study.spec import StudySpec

if TYPE_CHECKING:
    from fxai.agent.train import Progress

FORMAT = 1
"""Version of the file's structure."""

METHOD = (
    "Welch's t interval for the difference of two means, unpaired: Welch 1947, Biometrika 34; "
    "probability of improvement: the share of pairs of seeds in which the best config wins, Mann and Whitney 1947"
)

_SPAWN_KEY = 0xC0F1
"""Sets these seeds apart from those of trials, whose keys are (number, stream)."""

_LONGEST_SEARCH = 1000

Tell = Callable[[str, int, int, Sequence[float] | None], None]
"""(config's name, update, updates, value of each seed where it was evaluated): what is known on the way."""

Metrics = dict[str, list[float]]
"""Metric → its value with each seed."""


class Difference(Settings):
    """How much better the best config is than the default, positive is better in either direction."""

    mean: float
    low: float
    high: float
    """Ends of the 95% interval."""
    probability_of_improvement: float


class Confirmation(Settings):
    """What confirmation.json holds."""

    format: int
    study: str
    spec_hash: str
    data_hash: str | None
    trial: int
    """The best trial."""
    own_value: float
    """The value for which the study chose it."""
    seeds: list[int]
    metric: str
    direction: str
    default: list[float]
    """The default config's value with each seed."""
    best: list[float]
    """The best config's value with each seed."""
    metrics: dict[str, Metrics]
    """`default` and `best`: every metric with each seed."""
    min_trades: int
    """Closed trades below which a training counts as doing next to nothing."""
    difference: Difference
    method: str
    created: str
    """When, UTC."""

    @property
    def selection(self) -> float:
        """By how much better the best trial looked when it was chosen than it is with fresh seeds, on average."""
        luck = self.own_value - float(np.mean(self.best))
        return luck if self.direction == "maximize" else -luck

    def idle(self, which: str) -> int:
        """With how many seeds a config closes fewer trades than `min_trades`."""
        return sum(closed < self.min_trades for closed in self.metrics[which].get("n_closed", ()))


def load_confirmation(folder: Path) -> Confirmation | None:
    """The file in a study's folder; None where there is none that can be read: `optuna-confirm` writes it again."""
    try:
        told = Confirmation.model_validate_json((folder / CONFIRMATION).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, pydantic.ValidationError):
        return None
    return told if told.format == FORMAT else None


def write_confirmation(folder: Path, confirmation: Confirmation) -> Path:
    """Write the file.

    Raises:
        StorageError, InputError: the disk is full, or the folder cannot be written to.
    """
    path = folder / CONFIRMATION
    write_json_atomic(path, confirmation.model_dump(mode="json"))
    return path


def fresh_seeds(study_seed: int, used: Iterable[int], count: int) -> list[int]:
    """Seeds from the study's own, none of them among the seeds of its trials; the same at every call.

    Args:
        study_seed: of the study.
        used: seeds of its trials.
        count: how many.
    """
    taken, fresh = set(used), []
    drawn = np.random.SeedSequence(study_seed, spawn_key=(_SPAWN_KEY,)).generate_state(count + _LONGEST_SEARCH)
    for seed in map(int, drawn):
        if seed not in taken:
            taken.add(seed)
            fresh.append(seed)
        if len(fresh) == count:
            return fresh
    raise FxaiError(f"there are no {count} seeds that the study has not used")


def compare(default: Sequence[float], best: Sequence[float], direction: str) -> Difference:
    """How much better the best config is.

    The seeds are independent draws for either config. That both use the same ones pairs nothing: two trainings of
    different configs share no more than the first random numbers. A percentile bootstrap of five seeds would be too
    narrow: docs/decisions.md, "Confirmation".

    Args:
        default: value of the default config with each seed, at least two.
        best: that of the best config.
        direction: `maximize` or `minimize`.
    """
    sign = 1.0 if direction == "maximize" else -1.0
    x, y = sign * np.asarray(best, dtype=float), sign * np.asarray(default, dtype=float)
    mean = float(x.mean() - y.mean())
    half = _half_width(x, y)
    wins = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    return Difference(mean=mean, low=mean - half, high=mean + half, probability_of_improvement=float(wins.mean()))


def _half_width(x: Any, y: Any) -> float:
    """Half of Welch's 95% interval; 0 where neither config varies."""
    from scipy.special import stdtrit

    squares = np.array([x.var(ddof=1) / len(x), y.var(ddof=1) / len(y)])
    error = math.sqrt(float(squares.sum()))
    if error == 0.0:
        return 0.0
    freedom = float(squares.sum() ** 2 / (squares**2 / [len(x) - 1, len(y) - 1]).sum())
    return float(stdtrit(freedom, 0.975)) * error


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrained:
    """What one config scores with each seed."""

    rows: list[dict[str, float]]
    """Metrics of each seed."""

    @property
    def metrics(self) -> Metrics:
        """Each metric over the seeds; one that is not finite with some seed is left out."""
        names = [name for name in self.rows[0] if all(math.isfinite(row.get(name, math.nan)) for row in self.rows)]
        return {name: [row[name] for row in self.rows] for name in names}


def retrain(
    spec: StudySpec, config: TrialConfig, seeds: Sequence[int], folder: Path, name: str, tell: Tell
) -> Retrained:
    """Train a config once with each seed and score it with the study's ruler.

    Args:
        spec: the study.
        config: what is trained.
        seeds: each as it would be `training.seed`, of one training.
        folder: for what an objective of the user's own writes.
        name: of the config, for `tell`.
        tell: is told after every update.
    """
    single = config.model_copy(update={"training": config.training.model_copy(update={"n_seeds": 1})})
    if spec.objective == DEFAULT_OBJECTIVE:
        return Retrained(rows=_as_population(spec, single, seeds, name, tell))
    return Retrained(rows=[_by_objective(spec, single, seed, folder, name, tell) for seed in seeds])


def _as_population(
    spec: StudySpec, config: TrialConfig, seeds: Sequence[int], name: str, tell: Tell
) -> list[dict[str, float]]:
    """All seeds at once: a member's result does not depend on its neighbours."""
    from fxai.agent.process import prepare_process
    from fxai.agent.seeding import member_seeds
    from fxai.agent.train import train
    from fxai.study.ppo import arena_of, member_scores

    prepare_process()
    many = config.model_copy(update={"training": config.training.model_copy(update={"n_seeds": len(seeds)})})
    arena = arena_of(many, spec.ruler)
    members = [member_seeds(seed, 1)[0] for seed in seeds]
    last: Progress | None = None
    with closing(train(arena.members, members, arena.train, arena.evaluate)) as training:
        for last in training:
            scores = member_scores(last)
            told = None if scores is None else [row[spec.metric_names[0]] for row in scores]
            tell(name, last.update, last.total_updates, told)
    rows = None if last is None else member_scores(last)
    assert rows is not None, "the last update is always evaluated"
    return rows


def _by_objective(
    spec: StudySpec, config: TrialConfig, seed: int, folder: Path, name: str, tell: Tell
) -> dict[str, float]:
    seeded = config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})
    own = folder / "confirm" / f"{name}_{seed}"
    refuse_links(own.parent, own)
    own.mkdir(parents=True, exist_ok=True)
    request = TrialRequest(number=0, config=seeded, ruler=spec.ruler, seed=seed, folder=own, checkpoint_s=None)
    metrics: Mapping[str, float] | None = None
    for report in load_objective(spec.objective, spec.metric_names[0])(request):
        metrics = report.metrics or metrics
        told = None if report.metrics is None else [report.metrics[spec.metric_names[0]]]
        tell(f"{name}, seed {seed}", report.step, report.total_steps, told)
        if report.failure is not None:
            break
    if metrics is None:
        raise FxaiError(f"the objective ended without an evaluated report for {name}, seed {seed}")
    return dict(metrics)
