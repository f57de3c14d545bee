"""What the tracking process is told about a study; wandb need not be imported to say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedStudy:
    """What the runs of a study share; it travels through a pipe, never through the process list."""

    study_name: str
    folder: Path
    """The study's folder; the runs' files go below `wandb` in it."""

    mode: str
    """`online` or `offline`."""

    project: str
    entity: str | None
    group: str
    tags: tuple[str, ...]
    base: dict[str, Any]
    """The base config, without its section `wandb`."""

    metric_names: tuple[str, ...]
    directions: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    """Dotted names of what is searched."""
    silence_s: float = 10.0
    """How long the server may take to open a run, or to take in the last data of one."""
