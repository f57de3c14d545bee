"""What a worker asks of an objective: a request goes in, reports come out.

The objective knows nothing of Optuna: it yields one Report per update, and the worker decides what becomes of
them. Closing the iterator ends the training.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from fxai.config import TrialConfig
from fxai.errors import InputError

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

    env_steps: int
    """Environment steps so far."""

    metrics: dict[str, float] | None
    """All metrics of the evaluation; None where this update was not evaluated."""

    train: dict[str, float]
    """Losses, entropy and the like."""

    device: str
    """Where the training runs, for example `cpu` or `cuda:0 NVIDIA H100`."""

    instruments: dict[str, dict[str, float]] | None = None
    """Metrics of each instrument's own episodes, told with the last evaluation where there are several instruments."""

    failure: str | None
    """Why every member stopped as non-finite; the metrics are then finite floor values, and no report follows."""


Objective = Callable[[TrialRequest], Iterator[Report]]


def load_objective(name: str) -> Objective:
    """Import `module:function`.

    Raises:
        InputError: the name has another form, or nothing of that name can be imported.
    """
    module_name, colon, function_name = name.partition(":")
    if not (module_name and colon and function_name):
        raise InputError(f"objective {name!r} is not of the form module:function")
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"objective {name} cannot be imported: {error}") from error
    if not callable(function):
        raise InputError(f"objective {name} is not a function")
    return cast(Objective, function)
