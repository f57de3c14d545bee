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


def _never() -> bool:
    return False


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
    """The trial's own folder; it exists. Files `checkpoint*` in it are handed to the trial that repeats a trial which
    was cut short, and removed when a trial ends."""

    checkpoint_s: float | None = 20.0
    """Seconds of training between two checkpoints; None for none while it runs."""

    stopping: Callable[[], bool] = _never
    """Whether the worker was asked to stop: asked when the iterator is closed, which a pruned trial's is too."""


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

    elapsed_s: float | None = field(default=None, compare=False)
    """Seconds of training so far, those before a checkpoint included; None for the worker's own clock."""

    continued_from: int | None = field(default=None, compare=False)
    """The update of the checkpoint from which this report is told once more; None of a report that is new."""

    failure: str | None = None
    """Why every member stopped as non-finite; the metrics are then finite floor values, and no report follows."""


class OutOfMemory(FxaiError):
    """A training that needs more memory than there is."""

    def __init__(self, device: str, peak_bytes: int | None, total_bytes: int | None, segments: int) -> None:
        """Say where and how much.

        Args:
            device: `cpu` or `cuda:N`.
            peak_bytes: what the training took at most, on a CPU its whole process; None where nobody tells.
            total_bytes: what the device has, on a CPU the machine or the container; None where nobody tells.
            segments: of the largest micro-batch, `TrainingConfig.segments_per_micro_batch`.
        """
        self.device, self.peak_bytes, self.total_bytes, self.segments = device, peak_bytes, total_bytes, segments
        peak = "" if peak_bytes is None else f": peak {_gib(peak_bytes)}"
        total = "" if peak_bytes is None or total_bytes is None else f" of {_gib(total_bytes)}"
        super().__init__(f"out of memory on {device}{peak}{total}")

    def __reduce__(self) -> tuple[object, ...]:
        """It travels from a worker process to its parent."""
        return OutOfMemory, (self.device, self.peak_bytes, self.total_bytes, self.segments)


class DeviceLost(FxaiError):
    """A device that this process cannot use any more: nothing but a new process helps."""

    def __init__(self, device: str, reason: str) -> None:
        """Say which and why, each in one line."""
        self.device, self.reason = device, reason
        super().__init__(f"{device} is lost to this process: {reason}")

    def __reduce__(self) -> tuple[object, ...]:
        """It travels from a worker process to its parent."""
        return DeviceLost, (self.device, self.reason)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def shrunk(config: TrialConfig) -> int | None:
    """`gradient_accumulation_steps` of a training that needs less memory: twice as many.

    Returns:
        None where a micro-batch is one segment already.
    """
    training = config.training
    if training.segments_per_micro_batch == 1:
        return None
    return min(2 * training.gradient_accumulation_steps, training.segments_per_batch)


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
