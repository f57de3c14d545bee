"""`run`: the studies of a spec file, run or resumed."""

from __future__ import annotations

import argparse
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fxai import yaml_strict
from fxai.config.load import get_dotted, set_dotted, validate
from fxai.errors import FxaiError, InputError, StudyConflict
from fxai.report.talk import say
from fxai.study.names import checked_name
from fxai.study.pruners import check_schedule
from fxai.study.space import Parameter
from fxai.study.space_checks import check_space
from fxai.study.spec import SpecFile, StudySpec, load_specs

if TYPE_CHECKING:
    import optuna

    from fxai.market.data import Market


def run_command(args: argparse.Namespace) -> int:
    """Run the studies of a spec file; returns the exit code of the first one that was interrupted, else 0."""
    specs = load_specs(args.spec)
    for warning in specs.warnings:
        say(f"warning: {warning}")
    for spec in _chosen(specs, args.study_name):
        code = _run_one(specs, _with_overrides(spec, args), args)
        if code:
            return code
    return 0


def _run_one(specs: SpecFile, spec: StudySpec, args: argparse.Namespace) -> int:
    from fxai.market.data import load_market
    from fxai.report.terminal import make_view
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
    for note in notes if not args.quiet else ():
        say(f"note: {note}")
    if spec.n_jobs > 1:
        say(f"note: n_jobs is {spec.n_jobs}; this version runs one trial at a time")
    started = time.monotonic()
    results_dir = args.results_dir or specs.results_dir
    data_hash, contents = (None, None) if market is None else (market.data_hash, market.contents)
    try:
        view = make_view(quiet=args.quiet)
        outcome = run_study(spec, results_dir, view, data_hash=data_hash, contents=contents)
    except StudyConflict:
        raise
    except FxaiError:
        # what the trials before it gave is not lost with the error
        with suppress(FxaiError):
            _write(spec, results_dir / spec.study_name, specs.save_study_plots, True, 0.0, interrupted=True)
        raise
    if not outcome.killed:
        _write(
            spec,
            outcome.folder,
            specs.save_study_plots,
            args.quiet,
            time.monotonic() - started,
            interrupted=outcome.interrupted,
            market=market,
        )
    return outcome.exit_code


def _write(
    spec: StudySpec,
    folder: Path,
    with_plots: bool,
    quiet: bool,
    elapsed_s: float,
    *,
    interrupted: bool,
    market: Market | None = None,
) -> None:
    """Write and print the results as the database has them, beside the baselines where the market is given."""
    from fxai.report.results import write_results
    from fxai.report.summary import print_summary
    from fxai.study.storage import load_study, opened

    with opened(spec.storage, readonly=True) as storage:
        study = load_study(storage, spec.study_name)
        paths = write_results(study, spec, folder)
        if market is not None and spec.of_market and not interrupted:
            paths = [*_write_baselines(study, spec, folder, market), *write_results(study, spec, folder)]
        if with_plots:
            from fxai.report.plots import write_plots

            paths += write_plots(study, spec, folder)
        if not quiet:
            print_summary(study, spec, folder, paths, elapsed_s=elapsed_s, interrupted=interrupted)


def _write_baselines(study: optuna.Study, spec: StudySpec, folder: Path, market: Market) -> list[Path]:
    """What the best trial is held against, on the episodes that scored it; torch is imported here alone."""
    from fxai.report.baselines import turnover_of, write_baselines
    from fxai.report.outcome import outcome_of

    outcome = outcome_of(study, spec.metric_names)
    if outcome.best is None or market.validation is None:
        return []
    from fxai.agent.process import prepare_process
    from fxai.evaluate.baselines import ruler_baselines

    prepare_process()
    turnover = turnover_of(outcome)
    runs = ruler_baselines(spec.base, market.validation, turnover=turnover)
    metrics = runs.metrics(market.bars_per_year)
    told = {"cut": int(runs.cut_E.sum()), "traders": len(runs.draws), "idle": runs.idle}
    return [write_baselines(study, spec, folder, outcome, metrics, **told)]


def _chosen(specs: SpecFile, name: str | None) -> list[StudySpec]:
    """All studies of the file; or the one of that name; or its only one, under that name."""
    if name is None:
        return list(specs.studies)
    for spec in specs.studies:
        if spec.study_name == name:
            return [spec]
    if len(specs.studies) > 1:
        known = ", ".join(spec.study_name for spec in specs.studies)
        raise InputError(f"no study of {specs.path} is called {name!r}", where="--study-name", hint=f"known: {known}")
    return [specs.studies[0].model_copy(update={"study_name": checked_name(name, "--study-name")})]


def _with_overrides(spec: StudySpec, args: argparse.Namespace) -> StudySpec:
    changes = {"n_trials": args.n_trials, "timeout": args.timeout, "storage": args.storage}
    spec = spec.model_copy(update={key: value for key, value in changes.items() if value is not None})
    if not args.set:
        return spec
    base = spec.base.model_dump(mode="json")
    for assignment in args.set:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"{assignment!r} is not KEY=VALUE", where="--set")
        base = set_dotted(base, key.strip(), yaml_strict.loads(f"value: {text}", f"--set {key}").data["value"])
    spec = spec.model_copy(update={"base": validate(base, where=lambda _: "--set")})
    check_space(spec.base, spec.parameters, spec.metric_names, where=lambda _: "--set", place=())
    check_schedule(spec.pruner, spec.base.training, spec.n_trials, where=lambda _: "--set", place=())
    return spec


def _under_free_name(spec: StudySpec) -> StudySpec:
    from fxai.study.fingerprint import free_name
    from fxai.study.storage import opened, study_names

    with opened(spec.storage, create=True) as storage:
        if spec.study_name not in study_names(storage):
            return spec
        return spec.model_copy(update={"study_name": free_name(storage, spec.study_name)})


def bars_needed(spec: StudySpec) -> int:
    """Bars that a part of the market needs for any trial: the warm-up and the longest episode."""
    episode = spec.base.env.max_episode_steps
    for parameter in spec.parameters:
        if parameter.name == "env.max_episode_steps":
            episode = max(episode, _largest(parameter))
    return spec.base.evaluation.warmup_bars + episode


def _values(spec: StudySpec, name: str) -> tuple[Any, ...]:
    """Every value that a setting may take in a study: what it is searched over, else the base's."""
    for parameter in spec.parameters:
        if parameter.name == name and parameter.choices is not None:
            return parameter.choices
    return (get_dotted(spec.base, name),)


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
