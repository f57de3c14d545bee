"""`run`: the studies of a spec file, run or resumed."""

from __future__ import annotations

import argparse
import re
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fxai import yaml_strict
from fxai.commands.audience import Audience
from fxai.commands.phases import places, typed_transfer_of
from fxai.config.load import get_dotted, set_dotted, validate
from fxai.errors import FxaiError, InputError, StudyConflict
from fxai.report.talk import say
from fxai.study.names import checked_name
from fxai.study.pruners import never_fires
from fxai.study.slots import workers_of
from fxai.study.space import Parameter
from fxai.study.space_checks import check_space
from fxai.study.spec import SpecFile, StudySpec, load_specs
from fxai.study.transfer import check_bars, inherited_by

if TYPE_CHECKING:
    import optuna

    from fxai.market.data import Market


def run_command(args: argparse.Namespace) -> int:
    """Run the studies of a spec file; returns the exit code of the first one that was interrupted, else 0."""
    specs = load_specs(args.spec)
    for warning in specs.warnings:
        say(f"warning: {warning}")
    audience = Audience(specs, args)
    for chosen in _chosen(specs, args.study_name):
        spec = with_overrides(chosen, args)
        warn_of_overrides(spec, args)
        code = _run_one(specs, _inheriting(specs, spec, args), args, audience)
        if code:
            return code
    return 0


def _run_one(specs: SpecFile, spec: StudySpec, args: argparse.Namespace, audience: Audience) -> int:
    from fxai.market.data import load_market
    from fxai.study.launch import run_study

    if args.new_study:
        spec = _under_free_name(spec)
    market = None
    notes: list[str] = []
    if spec.base.env.gym_id is not None:
        _check_gym(spec.base.env.gym_id)
    else:
        market = load_market(spec.base.bars, min_bars=bars_needed(spec))
        for execution in _values(spec, "env.execution"):
            market.check_execution(execution)
        notes += market.notes
        if market.derived:
            notes.append(f"crosses of two quoted rates: {', '.join(market.derived)}")
    _check_device(spec.base.training.device)
    _check_plugins(spec)
    n_workers, fewer = workers_of(spec)
    notes += [fewer] if fewer is not None else []
    for note in notes if not args.quiet else ():
        say(f"note: {note}")
    started = time.monotonic()
    results_dir = args.results_dir or specs.results_dir
    data_hash, contents = (None, None) if market is None else (market.data_hash, market.contents)
    check_bars(spec, data_hash)
    with audience.hears_errors(spec, results_dir / spec.study_name):
        try:
            view = audience.view(spec, results_dir / spec.study_name)
            outcome = run_study(spec, results_dir, view, data_hash=data_hash, contents=contents, n_workers=n_workers)
        except StudyConflict:
            raise
        except FxaiError:
            # what the trials before it gave is not lost with the error
            with suppress(FxaiError):
                _write(spec, results_dir / spec.study_name, specs.save_study_plots, True, 0.0, interrupted=True)
            raise
        if not outcome.killed:
            paths = _write(
                spec,
                outcome.folder,
                specs.save_study_plots,
                not audience.reads,
                time.monotonic() - started,
                interrupted=outcome.interrupted,
                resume=_resume(specs, spec, args),
                market=market,
            )
            audience.ended(spec, outcome, paths)
    return outcome.exit_code


def _resume(specs: SpecFile, spec: StudySpec, args: argparse.Namespace) -> str | None:
    """How an interrupted run goes on; the command that began a new study would begin another."""
    if not args.new_study:
        return None
    command = f"poe optuna-run --spec {shlex.quote(str(specs.path))} --study-name {spec.study_name}"
    return f"interrupted: {command}, with the other options as they were, goes on where it stopped"


def _write(
    spec: StudySpec,
    folder: Path,
    with_plots: bool,
    quiet: bool,
    elapsed_s: float,
    *,
    interrupted: bool,
    resume: str | None = None,
    market: Market | None = None,
) -> list[Path]:
    """Write and print the results as the database has them, beside the baselines where the market is given."""
    from fxai.report.insights import write_insights
    from fxai.report.results import write_results
    from fxai.report.summary import print_summary
    from fxai.study.storage import load_study, opened

    with opened(spec.storage, readonly=True) as storage:
        study = load_study(storage, spec.study_name)
        paths = write_results(study, spec, folder)
        if market is not None and spec.of_market and not interrupted:
            paths = [*_write_baselines(study, spec, folder, market), *write_results(study, spec, folder)]
        paths.append(write_insights(study, spec, folder))
        if with_plots:
            from fxai.report.page import write_report
            from fxai.report.plots import write_plots

            paths += [*write_plots(study, spec, folder), write_report(study, spec, folder)]
        if not quiet:
            print_summary(study, spec, folder, paths, elapsed_s=elapsed_s, interrupted=interrupted, resume=resume)
    return paths


def _write_baselines(study: optuna.Study, spec: StudySpec, folder: Path, market: Market) -> list[Path]:
    """What the best trial is held against, on the episodes that scored it; torch is imported here alone."""
    from fxai.report.baselines import turnover_of, write_baseline_equity, write_baselines
    from fxai.report.outcome import outcome_of

    outcome = outcome_of(study, spec.metric_names)
    if outcome.best is None or market.validation is None:
        return []
    from fxai.agent.process import prepare_process
    from fxai.evaluate.baselines import ruler_baselines
    from fxai.evaluate.curve import equity_curve

    prepare_process()
    turnover = turnover_of(outcome)
    runs = ruler_baselines(spec.ruler, market.validation, turnover=turnover)
    metrics = runs.metrics(market.bars_per_year)
    told = {"cut": int(runs.cut_E.sum()), "traders": len(runs.draws), "idle": runs.idle}
    equity = {name: equity_curve([paths]) for name, paths in runs.paths.items()}
    return [
        write_baselines(study, spec, folder, outcome, metrics, **told),
        write_baseline_equity(folder, equity),
    ]


def _chosen(specs: SpecFile, name: str | None) -> list[StudySpec]:
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


def _inheriting(specs: SpecFile, spec: StudySpec, args: argparse.Namespace) -> StudySpec:
    """The study with what the transfer has left in its folder."""
    if args.without_transfer or not spec.inherits:
        return spec
    results_dir = args.results_dir or specs.results_dir
    of_the_file = [own.study_name for own in specs.studies]
    origins = (spec.study_name, re.sub(r"-\d+$", "", spec.study_name))
    return inherited_by(
        spec,
        results_dir,
        written_for=next((name for name in origins if name in of_the_file), of_the_file[0]),
        missing=typed_transfer_of(specs.path, spec, places(args.storage, args.results_dir)),
        free=[assignment.partition("=")[0].strip() for assignment in args.set],
    )


def with_overrides(spec: StudySpec, args: argparse.Namespace) -> StudySpec:
    """The study with what the command line says otherwise.

    Raises:
        InputError, ConfigError: an override that cannot be, or does not go with the rest.
    """
    changes = {key: getattr(args, key, None) for key in ("n_trials", "timeout", "storage", "n_jobs")}
    spec = spec.model_copy(update={key: value for key, value in changes.items() if value is not None})
    if not args.set:
        return spec
    ruler, named = spec.ruler.model_dump(mode="json"), []
    for assignment in args.set:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"{assignment!r} is not KEY=VALUE", where="--set")
        named.append(key.strip())
        ruler = set_dotted(ruler, key.strip(), yaml_strict.loads(f"value: {text}", f"--set {key}").data["value"])
    # what is set by hand comes before what the spec fixes
    spec = spec.on_ruler(validate(ruler, where=lambda _: "--set"), free=named)
    check_space(spec.base, spec.parameters, spec.metric_names, where=lambda _: "--set", place=())
    return spec


def warn_of_overrides(spec: StudySpec, args: argparse.Namespace) -> None:
    """Say what a spec is refused for and an override is not: short runs are meant so."""
    if args.set and (useless := never_fires(spec.pruner, spec.base.training)):
        say(f"warning: --set: pruner: {spec.pruner.type} can never stop a trial: {useless}")


def _under_free_name(spec: StudySpec) -> StudySpec:
    from fxai.study.fingerprint import free_name
    from fxai.study.storage import opened, study_names

    with opened(spec.storage, create=True) as storage:
        if spec.study_name not in study_names(storage):
            return spec
        return spec.model_copy(update={"study_name": free_name(storage, spec.study_name)})


def bars_needed(spec: StudySpec) -> int:
    """Bars that a part of the market needs for any trial: the warm-up and the longest episode."""
    episode = max(spec.base.env.max_episode_steps, spec.ruler.env.max_episode_steps)
    for parameter in spec.parameters:
        if parameter.name == "env.max_episode_steps":
            episode = max(episode, _largest(parameter))
    return spec.ruler.evaluation.warmup_bars + episode


def _values(spec: StudySpec, name: str) -> tuple[Any, ...]:
    """Every value that a setting may take in a study: what it is searched over, else the base's."""
    for parameter in spec.parameters:
        if parameter.name == name and parameter.choices is not None:
            return parameter.choices
    return (get_dotted(spec.base, name), get_dotted(spec.ruler, name))


def _check_gym(gym_id: str) -> None:
    """Refuse an environment that cannot be made before anything is written."""
    from fxai.env.external import make

    make(gym_id).close()


def _check_device(name: str) -> None:
    """Refuse a GPU that is not there before anything is written; torch is imported only when a GPU is named."""
    if name.startswith("cuda"):
        from fxai.agent.train import resolve_device

        resolve_device(name)


def _check_plugins(spec: StudySpec) -> None:
    """Execute the user's reward terms once before trial 0; torch is imported only where there are any."""
    if spec.base.env.reward.plugins:
        from fxai.env.rewards import check_terms

        check_terms(spec.base.env)


def _largest(parameter: Parameter) -> int:
    values = parameter.choices if parameter.choices is not None else (parameter.high,)
    return max(int(value) for value in values if value is not None)
