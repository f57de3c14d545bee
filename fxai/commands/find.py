"""Find a study among the spec files of a folder, by its own name or by that of its file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fxai import yaml_strict
from fxai.config.load import suggest
from fxai.errors import ConfigError, InputError
from fxai.study.names import checked_name
from fxai.study.spec import SpecFile, StudySpec

NO_FOLDER = "run it in the project's folder, or name the folder of the specs: --specs DIR"
"""What to do where there is no folder of specs."""


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """A spec file, and the one study of it that was named; None for all of them."""

    path: Path
    study: str | None


def find_spec(word: str, folder: Path) -> Found:
    """The spec that `word` names: the name of a study, of a file without .yaml, or the `name` in a file.

    A file that cannot be read hides only itself.

    Raises:
        InputError: nothing has the name, or several have.
    """
    if not folder.is_dir():
        raise InputError("there is no such folder", where=str(folder), hint=NO_FOLDER)
    names = _names(folder)
    found = sorted(names.get(word, ()), key=lambda own: (own.path, own.study or ""))
    if not found:
        if Path(word).is_file():
            raise InputError(f"{word} is a file, not the name of a study", hint=f"run it: poe optuna-run --spec {word}")
        studies = [name for name, places in names.items() if any(place.study for place in places)]
        hint = suggest(word, names) or "studies here: " + (", ".join(sorted(studies)) or "none")
        raise InputError(f"no study is called {word!r}", where=str(folder), hint=hint)
    files = {own.path for own in found}
    if len(files) > 1:
        listed = ", ".join(str(path) for path in sorted(files))
        raise InputError(
            f"{word!r} names studies of several specs: {listed}",
            hint="run the one you mean: poe optuna-run --spec FILE",
        )
    return next((own for own in found if own.study is not None), found[0])


def _names(folder: Path) -> dict[str, set[Found]]:
    """Every name that a spec file answers to."""
    names: dict[str, set[Found]] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            data = yaml_strict.load(path).data
        except ConfigError:
            names.setdefault(path.stem, set()).add(Found(path, None))
            continue
        if not isinstance(data.get("studies"), list):
            continue
        for word in (path.stem, data.get("name")):
            if isinstance(word, str):
                names.setdefault(word, set()).add(Found(path, None))
        for study in data["studies"]:
            own = study.get("study_name") if isinstance(study, dict) else None
            if isinstance(own, str):
                names.setdefault(own, set()).add(Found(path, own))
    return names


def chosen(specs: SpecFile, name: str | None) -> list[StudySpec]:
    """All studies of the file; or the one of that name; or its only one, under that name."""
    if name is None:
        return list(specs.studies)
    for spec in specs.studies:
        if spec.study_name == name:
            return [spec]
    origin = re.sub(r"-\d+$", "", name)  # of a name that --new-study gave
    for spec in specs.studies:
        if spec.study_name == origin:
            return [spec.model_copy(update={"study_name": checked_name(name, "--study-name")})]
    if len(specs.studies) > 1:
        known = ", ".join(spec.study_name for spec in specs.studies)
        raise InputError(f"no study of {specs.path} is called {name!r}", where="--study-name", hint=f"known: {known}")
    return [specs.studies[0].model_copy(update={"study_name": checked_name(name, "--study-name")})]
