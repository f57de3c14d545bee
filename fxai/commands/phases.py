"""The phases of a folder of specs: which study is the first, which starts from the best of which.

`phase` and `inherits` of the studies decide; the folder is config/optuna where nobody says otherwise.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from fxai import yaml_strict
from fxai.commands.find import NO_FOLDER
from fxai.errors import ConfigError, InputError
from fxai.secrets import without_password
from fxai.study.spec import SpecFile, StudySpec, load_specs

SPECS = Path("config/optuna")
"""Where the specs of the phases lie."""

_TASKS = {"phase1_foundation": "foundation", "phase2_reward": "reward", "phase3_finetune": "finetune"}
"""Spec file of config/optuna → its poe task, without `optuna-`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """One study of the chain."""

    number: int
    file: SpecFile
    spec: StudySpec
    """As its file has it."""


def phases_in(folder: Path) -> dict[int, Phase]:
    """The phases of a folder's specs by their number, in order.

    Raises:
        InputError: there is none, or two have one number.
        ConfigError: the spec of one cannot be used.
    """
    found: dict[int, Phase] = {}
    if not folder.is_dir():
        raise InputError("there is no such folder", where=str(folder), hint=NO_FOLDER)
    for path in sorted(folder.glob("*.yaml")):
        if not _numbers(path):
            continue
        file = load_specs(path)
        for spec in file.studies:
            if spec.phase is None:
                continue
            if spec.phase in found:
                other = found[spec.phase]
                raise InputError(
                    f"phase {spec.phase} is {other.spec.study_name} in {other.file.path} and {spec.study_name} here",
                    where=str(path),
                    hint="keep the specs of one chain in a folder of their own, and name it with --specs DIR",
                )
            found[spec.phase] = Phase(number=spec.phase, file=file, spec=spec)
    if not found:
        raise InputError("no spec here has a study with `phase: 1`", where=str(folder), hint="name it with --specs DIR")
    return dict(sorted(found.items()))


def phase_of(phases: dict[int, Phase], number: int, folder: Path) -> Phase:
    """The phase of a number.

    Raises:
        InputError: there is none; the hint lists those that exist.
    """
    if number in phases:
        return phases[number]
    known = ", ".join(f"{n} ({phase.spec.study_name})" for n, phase in phases.items())
    raise InputError(f"there is no phase {number}", where=str(folder), hint=f"phases here: {known}")


def sources_of(phases: dict[int, Phase], target: Phase) -> list[Phase]:
    """The phases whose studies `target` inherits from, in the order of its spec.

    Raises:
        InputError: it inherits from none, or from one that is no phase before it.
    """
    by_name = {phase.spec.study_name: phase for phase in phases.values()}
    if not target.spec.inherits:
        raise InputError(
            f"study {target.spec.study_name} inherits nothing",
            where=str(target.file.path),
            hint="write inherits: [STUDY] into its spec",
        )
    for name in target.spec.inherits:
        if name not in by_name or by_name[name].number >= target.number:
            raise InputError(
                f"study {target.spec.study_name} inherits from {name}, which is no phase before it in this folder",
                where=str(target.file.path),
                hint=f"phases here: {', '.join(by_name)}",
            )
    return [by_name[name] for name in target.spec.inherits]


def run_command_of(phase: Phase, options: str = "") -> str:
    """What runs a phase, to be typed."""
    path = phase.file.path
    if _is_preset(path):
        return f"poe optuna-{_TASKS[path.stem]}{options}"
    return f"poe optuna-run --spec {shlex.quote(str(path))}{options}"


def typed_transfer(source: int, target: int, folder: Path, options: str = "") -> str:
    """What carries one phase's best to another, to be typed."""
    if folder == SPECS and (source, target) in ((1, 2), (2, 3)):
        return f"poe optuna-transfer-{source}to{target}{options}"
    where = "" if folder == SPECS else f" --specs {shlex.quote(str(folder))}"
    return f"python scripts/transfer_best_params.py --from-phase {source} --to-phase {target}{where}{options}"


def typed_transfer_of(path: Path, spec: StudySpec, options: str = "") -> str:
    """What carries over that which a study of a spec file should inherit, to be typed; empty where it has none."""
    if not spec.inherits:
        return ""
    folder, own = path.parent, spec.phase or 2
    # names and numbers alone: checking every spec of the folder would take longer than an answer may
    numbers = {name: number for file in sorted(folder.glob("*.yaml")) for name, number in _numbers(file).items()}
    return typed_transfer(numbers.get(spec.inherits[-1], own - 1), own, folder, options)


def places(storage: str | None, results_dir: Path | None) -> str:
    """The options that say where studies are, as they were given."""
    told = "" if storage is None else f" --storage {shlex.quote(without_password(storage))}"
    return told if results_dir is None else f"{told} --results-dir {shlex.quote(str(results_dir))}"


def _is_preset(path: Path) -> bool:
    return path.parent == SPECS and path.stem in _TASKS


def _numbers(path: Path) -> dict[str, int]:
    """Study → phase, as a file has them unchecked; one that is damaged may be anything and is left to `optuna-lint`."""
    try:
        studies = yaml_strict.load(path).data.get("studies")
    except ConfigError:
        return {}
    of_phases = [s for s in studies if isinstance(s, dict) and s.get("phase")] if isinstance(studies, list) else []
    return {str(study.get("study_name")): study["phase"] for study in of_phases}
