"""`refine`: a new spec from what a study shows."""

from __future__ import annotations

import argparse
import shlex
import tempfile
from pathlib import Path

import optuna

from fxai.config.load import find_base
from fxai.errors import ConfigError, InputError
from fxai.files import write_text_atomic
from fxai.report.insights import insights_of
from fxai.report.insights.refine import Plan, plan_of
from fxai.report.insights.refined_spec import FIRST_LINE, refined_name, refined_text
from fxai.report.insights.sample import sample_of
from fxai.report.outcome import outcome_of
from fxai.report.talk import say
from fxai.report.text import count
from fxai.study.database.storage import load_study, opened
from fxai.study.names import checked_name
from fxai.study.recorded import recorded_spec
from fxai.study.spec import StudySpec, load_specs

PRESETS = Path("config/optuna")


def refine_command(args: argparse.Namespace) -> int:
    """Write the spec and print its path."""
    with opened(args.storage, readonly=True) as storage:
        study = load_study(storage, args.study)
        spec = recorded_spec(study, args.storage)
        folder = args.results_dir / checked_name(spec.study_name, "study")
        path = args.out or (PRESETS if PRESETS.is_dir() else Path()) / f"{refined_name(spec.study_name)}.yaml"
        _check_free(path, args.force)
        text, plan = _refined(study, spec, folder, path)
    write_text_atomic(path, text)
    for what, many in plan.counts.items():
        say(f"{what}: {count(many, 'parameter')}")
    if set(plan.counts) & {"frozen", "narrowed", "widened"} == set():
        why = "good trials lie all over the ranges" if plan.any_clear else "no parameter is told apart from luck"
        say(f"warning: {why}, so all are kept: more trials would say more")
    say(f"run it: poe optuna-run --spec {shlex.quote(str(path))}")
    print(path)
    return 0


def _refined(study: optuna.Study, spec: StudySpec, folder: Path, path: Path) -> tuple[str, Plan]:
    """Text and plan of a spec that loads: where a widened range does not go with the others, none is widened.

    Raises:
        InputError: the study shows too little.
        ConfigError: its base config is gone, or has changed so that the space cannot be searched any more.
    """
    _check_base(spec, path)
    outcome = outcome_of(study, spec.metric_names)
    insights = insights_of(study, spec, folder if folder.is_dir() else None)
    sample = sample_of(outcome, spec.parameters)
    try:
        plan = plan_of(outcome, spec, sample, insights)
        text = refined_text(outcome, spec, insights, plan, path, results_dir=folder.parent)
        _check_loads(text, path)
    except ConfigError:
        plan = plan_of(outcome, spec, sample, insights, widen=False)
        text = refined_text(outcome, spec, insights, plan, path, results_dir=folder.parent)
        _check_loads(text, path)
    return text, plan


def _check_base(spec: StudySpec, path: Path) -> None:
    try:
        find_base(spec.base_config, path)
    except ConfigError as error:
        hint = "write the spec beside the one of the study, where its base config is found: --out FILE"
        raise ConfigError(error.what, where=error.where or str(path), hint=hint) from None


def _check_loads(text: str, path: Path) -> None:
    """Load the text as it will be loaded, from a draft in the same folder: its base config is looked up beside it."""
    if not path.parent.is_dir():
        raise InputError("its folder does not exist", where=str(path), hint=f"create {path.parent}")
    with tempfile.NamedTemporaryFile(prefix=f".{path.name[:40]}.", suffix=".tmp", dir=path.parent) as file:
        file.write(text.encode("utf-8"))
        file.flush()
        try:
            load_specs(Path(file.name))
        except ConfigError as error:
            where = None if error.where is None else error.where.replace(file.name, str(path))
            raise ConfigError(error.what, where=where, hint=error.hint) from None


def _check_free(path: Path, force: bool) -> None:
    """Refuse to replace a file unasked; one that is not a refined spec, such as a preset, in any case."""
    if not path.exists() and not path.is_symlink():
        return
    if path.is_dir():
        raise InputError("is a folder", where=str(path), hint="name a file with --out FILE")
    with path.open(encoding="utf-8", errors="replace") as file:
        if not file.readline().startswith(FIRST_LINE):
            raise InputError("is not a refined spec and is not replaced", where=str(path), hint="choose another --out")
    if not force:
        raise InputError("exists already", where=str(path), hint="--force replaces it; --out FILE writes another")
