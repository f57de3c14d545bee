"""Pruners: which a spec may name, whether they can ever act, and Optuna's objects for them.

Report steps are update numbers: eval_frequency, 2 × eval_frequency, … and total_updates at the end.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fxai.config.load import Where
from fxai.config.training import TrainingConfig
from fxai.errors import ConfigError
from fxai.study.options import Component, Option, PrunerSpec, check_component
from fxai.yaml_strict import Place

if TYPE_CHECKING:
    import optuna

_STARTUP = Option(kind=int, default=5, low=0)
_WARMUP = Option(kind=int, default=0, low=0)
_INTERVAL = Option(kind=int, default=1, low=1)
_MIN_TRIALS = Option(kind=int, default=1, low=1)
_BOOTSTRAP = Option(kind=int, default=0, low=0)
_BY_RANK = {
    "n_startup_trials": _STARTUP,
    "n_warmup_steps": _WARMUP,
    "interval_steps": _INTERVAL,
    "n_min_trials": _MIN_TRIALS,
}

PRUNERS: dict[str, Component] = {
    "MedianPruner": Component(options=_BY_RANK),
    "PercentilePruner": Component(options={"percentile": Option(kind=float, low=0, high=100), **_BY_RANK}),
    "SuccessiveHalvingPruner": Component(
        options={
            "min_resource": Option(kind=int, default="auto", low=1, words=("auto",)),
            "reduction_factor": Option(kind=int, default=4, low=2),
            "min_early_stopping_rate": Option(kind=int, default=0, low=0),
            "bootstrap_count": _BOOTSTRAP,
        }
    ),
    "HyperbandPruner": Component(
        options={
            "min_resource": Option(kind=int, default=1, low=1),
            "max_resource": Option(kind=int, default="auto", low=1, words=("auto",)),
            "reduction_factor": Option(kind=int, default=3, low=2),
            "bootstrap_count": _BOOTSTRAP,
        }
    ),
    "ThresholdPruner": Component(
        options={
            "lower": Option(kind=float, default=None),
            "upper": Option(kind=float, default=None),
            "n_warmup_steps": _WARMUP,
            "interval_steps": _INTERVAL,
        }
    ),
    "PatientPruner": Component(
        options={
            "wrapped_pruner": Option(kind=dict, default=None),
            "patience": Option(kind=int, low=0),
            "min_delta": Option(kind=float, default=0.0, low=0),
        }
    ),
    "WilcoxonPruner": Component(
        options={
            "p_threshold": Option(kind=float, default=0.1, low=0, high=1),
            "n_startup_steps": Option(kind=int, default=2, low=0),
        }
    ),
    "NopPruner": Component(),
}


def parse_pruner(raw: Mapping[str, Any], *, where: Where, place: Place) -> tuple[PrunerSpec, list[str]]:
    """Check the mapping `pruner` of a spec; returns it with warnings.

    Raises:
        ConfigError: unknown class or option, or options that do not go together.
    """
    name, options, notes = check_component("pruner", PRUNERS, raw, where=where, place=place)
    if fault := _options_fault(name, options):
        raise ConfigError(f"pruner: {name} {fault}", where=where(place))
    if name == "WilcoxonPruner":
        notes.append(
            f"{where(place)}: pruner: WilcoxonPruner takes reports for independent problems; here they are one "
            "learning curve"
        )
    if options.get("wrapped_pruner") is not None:
        inner = (*place, "wrapped_pruner")
        options["wrapped_pruner"], more = parse_pruner(options["wrapped_pruner"], where=where, place=inner)
        notes += more
    return PrunerSpec(type=name, options=options), notes


def _options_fault(name: str, options: Mapping[str, Any]) -> str | None:
    lower, upper = options.get("lower"), options.get("upper")
    if name == "ThresholdPruner" and lower is None and upper is None:
        return "needs lower or upper"
    if lower is not None and upper is not None and lower > upper:
        return f"has lower {lower} above upper {upper}"
    if options.get("bootstrap_count", 0) > 0:
        resource = {"SuccessiveHalvingPruner": "min_resource", "HyperbandPruner": "max_resource"}[name]
        if options.get(resource, "auto") == "auto":
            return f"with bootstrap_count needs {resource} as a number"
    largest = options.get("max_resource", "auto")
    if name == "HyperbandPruner" and largest != "auto" and largest < options.get("min_resource", 1):
        return f"has max_resource {largest} below min_resource {options.get('min_resource', 1)}"
    return None


def report_steps(training: TrainingConfig) -> list[int]:
    """The updates after which a trial reports its value."""
    regular = list(range(training.eval_frequency, training.total_updates + 1, training.eval_frequency))
    return regular if regular and regular[-1] == training.total_updates else [*regular, training.total_updates]


def check_schedule(
    spec: PrunerSpec, training: TrainingConfig, n_trials: int, *, where: Where, place: Place
) -> list[str]:
    """Warnings about a pruner and the schedule of reports and trials.

    Raises:
        ConfigError: the pruner can never stop a trial.
    """
    if reason := never_fires(spec, training):
        raise ConfigError(
            f"pruner: {spec.type} can never stop a trial: {reason}",
            where=where(place),
            hint=f"report steps are update numbers (total_updates {training.total_updates}, eval_frequency "
            f"{training.eval_frequency}): evaluate more often, lower the pruner's steps, or use NopPruner",
        )
    notes = _bracket_notes(spec, training, where(place)) if spec.type == "HyperbandPruner" else []
    startup = spec.options.get("n_startup_trials", 5 if spec.type in ("MedianPruner", "PercentilePruner") else 0)
    if startup >= n_trials:
        return [
            f"{where(place)}: pruner: {spec.type} starts after {startup} finished trials, and the study has "
            f"{n_trials}: it will stop none"
        ]
    return notes


def never_fires(spec: PrunerSpec, training: TrainingConfig) -> str | None:
    """Why a pruner could never stop a trial with this evaluation schedule; None if it could.

    Stopping at the last report saves nothing, so the last report does not count.
    """
    if spec.type == "NopPruner" or _acting_steps(spec, training):
        return None
    steps = report_steps(training)[:-1]
    if not steps:
        return f"a trial reports only once, at its end, update {training.total_updates}"
    needed, first = _reports_needed(spec), _first_step(spec, training)
    if needed is None:
        return f"no number of reports gets its p-value below {spec.options['p_threshold']:g}"
    if len(steps) < needed:
        return f"it needs {needed} reports, and a trial makes {len(steps)} before its end"
    if steps[-1] < first:
        return f"it waits until update {first}; the last report before a trial's end is at update {steps[-1]}"
    wrapped = spec.options["wrapped_pruner"]  # of the others at least the last report would have been left
    if wrapped.type == "NopPruner":
        return "it stops a trial only where the pruner that it wraps would, and NopPruner stops none"
    return never_fires(wrapped, training) or (
        f"after {needed} reports, from update {steps[needed - 1]} on, {wrapped.type} looks at no other"
    )


def first_acting_step(spec: PrunerSpec, training: TrainingConfig) -> int | None:
    """The first update after which the pruner could stop a trial, given trials enough to compare it with; None if it
    never could."""
    return next(iter(_acting_steps(spec, training)), None)


def _acting_steps(spec: PrunerSpec, training: TrainingConfig) -> list[int]:
    """The updates before a trial's end after which it could stop one that it has let pass so far (Optuna's `prune`)."""
    steps, options = report_steps(training)[:-1], spec.options
    needed, first = _reports_needed(spec), _first_step(spec, training)
    if spec.type == "NopPruner" or needed is None:
        return []
    acting = [step for step in steps[needed - 1 :] if step >= first]
    if spec.type in _IN_INTERVALS:
        warmup, interval = options.get("n_warmup_steps", 0), options.get("interval_steps", 1)
        before = dict(zip(steps, [-1, *steps], strict=False))
        acting = [step for step in acting if before[step] < (step - warmup) // interval * interval + warmup]
    wrapped = options.get("wrapped_pruner")
    if wrapped is not None:
        acting = [step for step in acting if step in _acting_steps(wrapped, training)]
    return acting


_IN_INTERVALS = ("MedianPruner", "PercentilePruner", "ThresholdPruner")
"""They look at the first report of each `interval_steps` after the warm-up."""

_MAX_REPORTS = 100


def _reports_needed(spec: PrunerSpec) -> int | None:
    """Reports that a trial must have made before the pruner can stop it; None where none are enough."""
    if spec.type == "PatientPruner":
        return int(spec.options["patience"]) + 2
    if spec.type == "WilcoxonPruner":
        # n reports that are all worse than the best trial's have the p-value 2⁻ⁿ, and there is none smaller
        threshold = spec.options.get("p_threshold", 0.1)
        enough = next((n for n in range(1, _MAX_REPORTS) if 0.5**n < threshold), None)
        return None if enough is None else max(2, int(spec.options.get("n_startup_steps", 2)), enough)
    return 1


def _first_step(spec: PrunerSpec, training: TrainingConfig) -> int:
    """The first update at which the pruner looks at a trial; of Hyperband's brackets the earliest one's."""
    options = spec.options
    if spec.type in ("SuccessiveHalvingPruner", "HyperbandPruner"):
        smallest = options.get("min_resource", "auto" if spec.type == "SuccessiveHalvingPruner" else 1)
        if smallest == "auto":  # Optuna takes a hundredth of the first finished trial's steps
            smallest = max(training.total_updates // 100, 1)
        return int(smallest * options.get("reduction_factor", 4) ** options.get("min_early_stopping_rate", 0))
    return int(options.get("n_warmup_steps", 0))


def brackets(spec: PrunerSpec, training: TrainingConfig) -> list[tuple[int, float]]:
    """Hyperband's brackets: the update of each one's first rung, and its share of the trials."""
    smallest, factor = spec.options.get("min_resource", 1), spec.options.get("reduction_factor", 3)
    largest = spec.options.get("max_resource", "auto")
    if largest == "auto":  # Optuna takes the last step of the first finished trials, and one more
        largest = training.total_updates + 1
    count = math.floor(math.log(largest / smallest, factor)) + 1
    budgets = [math.ceil(count * factor ** (count - 1 - i) / (count - i)) for i in range(count)]
    return [(smallest * factor**i, budget / sum(budgets)) for i, budget in enumerate(budgets)]


def _bracket_notes(spec: PrunerSpec, training: TrainingConfig, at: str) -> list[str]:
    """A warning where most trials fall into brackets whose first rung a trial reaches only at its end."""
    steps = report_steps(training)[:-1]
    spared = sum(share for first, share in brackets(spec, training) if first > steps[-1])
    if spared <= 0.5:
        return []
    return [
        f"{at}: pruner: HyperbandPruner will stop none of {spared:.0%} of the trials, those of brackets whose "
        f"first rung "
        f"lies after update {steps[-1]}, the last report before a trial's end: lower max_resource or min_resource"
    ]


def build_pruner(spec: PrunerSpec) -> optuna.pruners.BasePruner:
    """Optuna's pruner for a spec.

    Raises:
        ConfigError: Optuna refuses the options.
    """
    import optuna

    options = dict(spec.options)
    if spec.type == "PatientPruner":
        wrapped = options.get("wrapped_pruner")
        options["wrapped_pruner"] = None if wrapped is None else build_pruner(wrapped)
    with warnings.catch_warnings():  # experimental and deprecated: the spec's warnings have said so
        warnings.simplefilter("ignore")
        try:
            pruner = getattr(optuna.pruners, spec.type)(**options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"pruner: {spec.type}: {error}") from error
    assert isinstance(pruner, optuna.pruners.BasePruner)
    return pruner
