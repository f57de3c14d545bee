"""What a study means, and whether a spec still means the same when the study is resumed.

Trials are comparable only under one space, one direction, one ruler and one data set. Budget, timeout, sampler, pruner
and device may change between runs.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import warnings
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.storages import RDBStorage

import fxai
from fxai.config.data import FILE_OPTIONS
from fxai.config.load import flat
from fxai.env.plugins import content_hash
from fxai.errors import InputError, StudyConflict
from fxai.secrets import redact_url
from fxai.study import space
from fxai.study.database.storage import creating, load_study, study_names
from fxai.study.objective import DEFAULT_OBJECTIVE, source_of
from fxai.study.recorded import recorded_spec as recorded_spec
from fxai.study.spec import StudySpec

_MEANS_NOTHING = {"training.device", "training.seed", "training.gradient_accumulation_steps"}
"""Settings of the base config that no result depends on: each trial has its own seed. The section `wandb` does not
count either, nor where the data lie and how they are read where `data_hash` stands for the bars."""

_RECORDED_VERSIONS = ("fxai", "optuna", "torch", "numpy", "pandas")


def open_study(
    storage: RDBStorage, spec: StudySpec, data_hash: str | None, contents: Mapping[str, str] | None = None
) -> optuna.Study:
    """Create the study of a spec with its fingerprint and trial 0, or load it if it means the same.

    Args:
        storage: the database.
        spec: what is to be studied.
        data_hash: of the bars; None where there are none, as in tests.
        contents: instrument → what its bars are, in a line; for the message where they differ.

    Raises:
        StudyConflict: a study of this name exists and differs, or `load_if_exists` is false.
        ConfigError: a default lies outside the search space.
    """
    defaults = space.defaults(spec.base, spec.parameters)
    wanted = fingerprint(spec, data_hash)
    with creating(storage):
        return _create_or_load(storage, spec, wanted, data_hash, contents or {}, defaults)


def _create_or_load(
    storage: RDBStorage,
    spec: StudySpec,
    wanted: dict[str, Any],
    data_hash: str | None,
    contents: Mapping[str, str],
    defaults: dict[str, Any],
) -> optuna.Study:
    exists = spec.study_name in study_names(storage)
    if exists and not spec.load_if_exists:
        raise StudyConflict(
            f"study {spec.study_name} exists already, and load_if_exists is false",
            where=redact_url(spec.storage),
            hint="set load_if_exists: true to go on with it, or run with --new-study",
        )
    try:
        study = optuna.create_study(
            storage=storage, study_name=spec.study_name, directions=list(spec.directions), load_if_exists=False
        )
    except DuplicatedStudyError:  # it exists, or was created by a try of which only the answer was lost
        study = load_study(storage, spec.study_name)
        _check_same(study, wanted, contents)
    if "spec_fingerprint" not in study.user_attrs:
        _describe(study, spec, wanted, data_hash)
    study.set_user_attr("spec", _record(spec))  # anew each time: budget and the like may change
    if contents:
        study.set_user_attr("data", dict(contents))  # of the same bars: studies of an earlier version lack it
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(defaults, user_attrs={"default": True})
    for values in spec.enqueue:
        study.enqueue_trial(values, skip_if_exists=True)
    return study


def open_to_join(
    storage: RDBStorage, spec: StudySpec, data_hash: str | None, contents: Mapping[str, str] | None = None
) -> optuna.Study:
    """Load the study of a spec for workers that help it; nothing of it is changed. Arguments as of `open_study`.

    Raises:
        InputError: there is no such study.
        StudyConflict: it differs from what the spec says.
    """
    study = load_study(storage, spec.study_name)
    _check_same(study, fingerprint(spec, data_hash), contents or {})
    if "spec_fingerprint" not in study.user_attrs:
        raise InputError(f"study {spec.study_name} is only being created", hint="try again in a moment")
    return study


def _record(spec: StudySpec) -> dict[str, Any]:
    parameters = [p.model_dump(mode="json", exclude_defaults=True) for p in spec.parameters]
    return {**spec.model_dump(mode="json", exclude={"storage", "parameters"}), "parameters": parameters}


def free_name(storage: RDBStorage, name: str) -> str:
    """The first of name-2, name-3, … that no study has."""
    taken = set(study_names(storage))
    number = 2
    while f"{name}-{number}" in taken:
        number += 1
    return f"{name}-{number}"


def fingerprint(spec: StudySpec, data_hash: str | None) -> dict[str, Any]:
    """All that decides what a trial's value means, as one flat mapping of dotted names."""
    base, ruler = (flat(config.model_dump(mode="json", exclude={"wandb"})) for config in (spec.base, spec.ruler))
    left_out = _MEANS_NOTHING | ({f"data.{name}" for name in FILE_OPTIONS} if data_hash else set())
    parameters = {p.name: p.model_dump(mode="json", exclude={"name"}, exclude_defaults=True) for p in spec.parameters}
    code = {f"content of {name}": content_hash(name) for name in _own_code(spec)}
    return {
        "directions": list(spec.directions),
        "metric_names": list(spec.metric_names),
        "data_hash": data_hash,
        "objective": spec.objective,
        **code,
        **{f"base.{key}": value for key, value in base.items() if key not in left_out},
        **{f"ruler.{key}": value for key, value in ruler.items() if key not in left_out and value != base.get(key)},
        **{f"parameters.{name}.{key}": value for name, p in parameters.items() for key, value in p.items()},
    }


def _own_code(spec: StudySpec) -> list[str]:
    """Files of the user's own that a trial executes."""
    own = [] if spec.objective == DEFAULT_OBJECTIVE else [os.path.relpath(source_of(spec.objective))]
    return [*spec.base.env.reward.plugins, *own]


def study_seed(spec: StudySpec) -> int:
    """The sampler's seed, else the base config's."""
    seed = spec.sampler.options.get("seed")
    return spec.base.training.seed if seed is None else int(seed)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """One line for each entry that differs."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        before, now = _entry(old, key), _entry(new, key)
        if before != now:
            lines.append(f"{key}: {before} in the study, {now} now")
    return lines


def _entry(fingerprint: dict[str, Any], key: str) -> Any:
    """An entry's value; of the ruler only what differs from the base is listed."""
    same = f"base.{key.removeprefix('ruler.')}" if key.startswith("ruler.") else key
    return fingerprint.get(key, fingerprint.get(same, _ABSENT))


class _Absent:
    """An entry that a fingerprint does not have."""

    def __str__(self) -> str:
        return "absent"


_ABSENT = _Absent()


def check_plugins(study: optuna.Study, spec: StudySpec) -> None:
    """Refuse code of the user's that was edited since the study began: a worker that starts later would run other code.

    Raises:
        StudyConflict: names the file.
        InputError: a file is gone.
    """
    recorded = study.user_attrs.get("spec_fingerprint", {})
    for name in _own_code(spec):
        if recorded.get(f"content of {name}") != content_hash(name):
            raise StudyConflict(
                f"{name} was changed while study {study.study_name} ran: what it says would not be what the "
                "trials before were run with",
                hint=_REMEDY,
            )


def _check_same(study: optuna.Study, wanted: dict[str, Any], contents: Mapping[str, str]) -> None:
    directions = [direction.name.lower() for direction in study.directions]
    found = study.user_attrs.get("spec_fingerprint")
    if found is None and study.get_trials(deepcopy=False):
        raise StudyConflict(f"study {study.study_name} has trials that FxAI did not make", hint=_REMEDY)
    if found is None:  # a creation that was cut short: only the directions are there
        found, wanted = {"directions": directions}, {"directions": wanted["directions"]}
    lines = differences(found, wanted)
    if found.get("data_hash") != wanted.get("data_hash"):
        lines = _in_words(lines, study.user_attrs.get("data"), contents)
    if lines:
        raise StudyConflict(
            f"study {study.study_name} exists and its trials cannot be compared with what the spec says now:\n"
            + "\n".join(f"  {line}" for line in lines),
            hint=_REMEDY,
        )


def _in_words(lines: list[str], old: Mapping[str, str] | None, new: Mapping[str, str]) -> list[str]:
    """The line of the hash replaced by one for each instrument whose bars differ, where the study has noted them."""
    if not old:
        return lines
    told = [
        f"data of {name}:\n    {old.get(name, 'absent')} in the study,\n    {new.get(name, 'absent')} now"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    return [*told, *(line for line in lines if not line.startswith("data_hash: "))] if told else lines


_REMEDY = "--new-study starts a new study beside it; or choose a name with --study-name; or undo the change"


def _describe(study: optuna.Study, spec: StudySpec, wanted: dict[str, Any], data_hash: str | None) -> None:
    """Record what the study is; the fingerprint comes last and says that all of it is there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(list(spec.metric_names))
    attrs = {
        "seed": study_seed(spec),
        "spec_hash": spec.spec_hash,
        "base_config": spec.base.model_dump(mode="json"),
        "inherited": None if spec.inherited is None else spec.inherited.model_dump(mode="json"),
        "data_hash": data_hash,
        "versions": versions(),
        "git_commit": git_commit(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "spec_fingerprint": wanted,
    }
    for key, value in attrs.items():
        study.set_user_attr(key, value)


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Versions of Python and of what decides a result, as they were when this process first asked."""
    found = {"python": platform.python_version()}
    for name in _RECORDED_VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def git_commit() -> str | None:
    """The commit that FxAI ran from when this process first asked; None outside of a checkout.

    It ends in `-dirty` where files differ from it.
    """
    checkout = Path(fxai.__file__).parent.parent
    if not (checkout / ".git").exists():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
