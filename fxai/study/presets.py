"""What the spec files of config/optuna offer, read in a few milliseconds and without judgement.

For lists of studies that may not exist yet; `fxai.study.spec` checks a file when it is run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fxai.study.names import name_fault

FOLDER = Path("config/optuna")
"""Where the specs are, seen from the project's folder."""

TASKS = {
    "demo": "optuna-demo",
    "quick_search": "optuna-quick",
    "comprehensive_search": "optuna-comprehensive",
    "reward_focused": "optuna-reward-focused",
    "parallel_search": "optuna-parallel-search",
    "phase1_foundation": "optuna-foundation",
    "phase2_reward": "optuna-reward",
    "phase3_finetune": "optuna-finetune",
}
"""Spec file → the poe task that runs it."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A study that a spec file offers."""

    study: str
    file: Path
    command: str
    """What runs it."""

    n_trials: int | None
    storage: str
    phase: int | None
    """Its place in the chain of phases, from 1."""

    inherits: tuple[str, ...]
    """Studies that must have been transferred to it."""


def presets(folder: Path = FOLDER) -> dict[str, Preset]:
    """Study → what offers it, the phases in their order first; empty where there is no such folder.

    A file that cannot be read offers nothing: who runs it is told why.
    """
    found = [preset for path in sorted(folder.glob("*.yaml")) for preset in _of_file(path)]
    found.sort(key=lambda preset: (preset.phase is None, preset.phase or 0))
    return {preset.study: preset for preset in found}


def _of_file(path: Path) -> list[Preset]:
    try:
        data = yaml.load(path.read_bytes(), Loader=_Loader)  # a safe loader
        studies = data["studies"]
        return [_preset(study, path, len(studies)) for study in studies if name_fault(str(study["study_name"])) is None]
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError):
        return []


def _preset(study: dict[str, Any], path: Path, beside: int) -> Preset:
    name, task = str(study["study_name"]), TASKS.get(path.stem)
    n_trials, phase, inherits = study.get("n_trials"), study.get("phase"), study.get("inherits") or ()
    return Preset(
        study=name,
        file=path,
        command=f"poe {task}" if task and beside == 1 else f"poe optuna-study {name}",
        n_trials=n_trials if isinstance(n_trials, int) else None,
        storage=str(study.get("storage")),
        phase=phase if isinstance(phase, int) else None,
        inherits=tuple(map(str, inherits)) if isinstance(inherits, (list, tuple)) else (),
    )
