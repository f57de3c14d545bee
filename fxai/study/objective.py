"""What a worker asks of an objective: a request goes in, reports come out.

The objective knows nothing of Optuna: it yields one Report per update, and the worker decides what becomes of
them. Closing the iterator ends the training. A function that has nothing to report on its way may return its metrics,
or the one number that the study is about ("Your own objective" in docs/guide.md).
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fxai.config import TrialConfig
from fxai.errors import FxaiError, InputError

if TYPE_CHECKING:
    from fxai.evaluate.curve import EquityCurve

DEFAULT_OBJECTIVE = "fxai.study.ppo:objective"
"""The PPO training; resolved inside the worker process, so that nothing else imports torch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """One training that a trial asks for."""

    number: int
    """The trial's number in its study."""

    config: TrialConfig
    """The effective configuration: base, overrides, sampled parameters and seed."""

    ruler: TrialConfig
    """The study's base configuration: the evaluation that all trials are measured with."""

    seed: int
    """From (study seed, trial number); a trial that is run again keeps it."""

    folder: Path
    """The trial's own folder; it exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one update gave."""

    step: int
    """Update, 1-based, strictly increasing."""

    total_steps: int
    """Updates of the whole training."""

    env_steps: int = 0
    """Environment steps so far."""

    metrics: dict[str, float] | None = None
    """All metrics of the evaluation; None where this update was not evaluated."""

    train: dict[str, float] = field(default_factory=dict)
    """Losses, entropy and the like."""

    device: str = "cpu"
    """Where the training runs, for example `cpu` or `cuda:0 NVIDIA H100`."""

    instruments: dict[str, dict[str, float]] | None = None
    """Metrics of each instrument's own episodes, told with the last evaluation where there are several instruments."""

    equity: EquityCurve | None = field(default=None, compare=False)
    """Equity over the episodes of the evaluation; the last one told is kept in the trial's equity.csv."""

    failure: str | None = None
    """Why every member stopped as non-finite; the metrics are then finite floor values, and no report follows."""


Objective = Callable[[TrialRequest], Iterator[Report]]

_NAME = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)", re.ASCII)


def source_of(name: str) -> Path:
    """The file of an objective, which is not executed; a module is looked for here, then among installed packages.

    Raises:
        InputError: the name has another form, or there is no such module.
    """
    module, _ = _parts(name)
    top, *rest = module.split(".")
    places = [Path.cwd() / top]
    found = importlib.util.find_spec(top) if top not in sys.modules else sys.modules[top].__spec__
    if found is not None and found.origin is not None:
        places.append(Path(found.origin).parent if found.submodule_search_locations else Path(found.origin))
    for place in places:
        deep = place.with_suffix("").joinpath(*rest)
        for file in (deep.with_suffix(".py"), deep / "__init__.py"):
            if file.is_file():
                return file
    raise InputError(
        f"objective {name}: there is no module {module}",
        hint=f"put {module.replace('.', '/')}.py into the folder in which the command runs",
    )


def load_objective(name: str, metric_name: str = "mean_reward") -> Objective:
    """Import `module:function`, from the folder in which the command runs or from an installed package.

    Args:
        name: of the function.
        metric_name: what a single number that the function returns is.

    Raises:
        InputError: the name has another form, or nothing of that name can be imported.
    """
    module_name, function_name = _parts(name)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except Exception as error:  # whatever the user's file raises
        raise InputError(f"objective {name} cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise InputError(f"objective {name} is not a function")

    def objective(request: TrialRequest) -> Iterator[Report]:
        given = function(request)
        return given if isinstance(given, Iterator) else iter([_only_report(given, name, metric_name)])

    return objective


def _only_report(given: object, name: str, metric_name: str) -> Report:
    """The report of a function that returned its result."""
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        given = {metric_name: given}
    if not isinstance(given, Mapping):
        raise FxaiError(
            f"objective {name} must yield reports, or return metrics or a number; it returned {given!r:.60}"
        )
    return Report(step=1, total_steps=1, metrics={str(key): float(value) for key, value in given.items()})


def _parts(name: str) -> tuple[str, str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"objective {name!r} is not of the form module:function")
    return match[1], match[2]
