"""W&B: on or off, where its key comes from, and runs in files that were not uploaded."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from fxai.config.wandb import WandbConfig
from fxai.doctor.finding import Finding, note, of_error, ok
from fxai.doctor.folders import study_folders
from fxai.doctor.place import Place
from fxai.errors import FxaiError
from fxai.report.text import count
from fxai.tracking.credentials import HINT, effective_mode, place_of_credentials

_SYNCED = "*.wandb.synced"
"""Left by `wandb sync` in a run's folder."""


def check(place: Place) -> Iterator[Finding]:
    """As the studies of the spec have it, else as settings of nobody would."""
    configs = dict.fromkeys(study.base.wandb.mode for study in place.studies) or {WandbConfig().mode: None}
    for mode in configs:
        yield _mode(WandbConfig(mode=mode))
    for folder in study_folders(place.results_dir):
        waiting = offline_runs(folder)
        if waiting:
            text = f"{count(len(waiting), 'run')} of {folder.name} kept in files, not uploaded"
            yield note("W&B", text, f"wandb sync {shlex.quote(str(folder / 'wandb'))}/offline-run-*", runs=len(waiting))


def offline_runs(folder: Path) -> list[Path]:
    """Runs of a study that wait for `wandb sync`."""
    runs = sorted((folder / "wandb").glob("offline-run-*"))
    return [run for run in runs if run.is_dir() and not any(run.glob(_SYNCED))]


def _mode(config: WandbConfig) -> Finding:
    try:
        mode = effective_mode(config)
    except FxaiError as error:
        return of_error("W&B", error, HINT)
    source = place_of_credentials(os.environ)
    if source is None:
        told = f"{mode}; no key on this machine (wandb login makes one)"
    else:
        told = f"{mode}; a key was found in {source}"
    return ok("W&B", told, mode=mode, key_in=None if source is None else str(source))
