"""`run`: the studies of a spec file, run or resumed."""

from __future__ import annotations

import argparse
import re
import shlex
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fxai.commands.audience import Audience
from fxai.commands.crews import crew_of
from fxai.commands.find import chosen
from fxai.commands.overrides import warn_of_overrides, with_overrides
from fxai.commands.phases import places, typed_transfer_of
from fxai.commands.ready import bars_of, data_hash_of, ready_market
from fxai.errors import FxaiError, InputError, StorageError, StudyConflict
from fxai.report.talk import say
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
    if args.join:
        from fxai.commands.join import join_command

        return join_command(specs, args)
    if args.wait is not None:
        raise InputError("is of no use without --join", where="--wait")
    audience = Audience(specs, args)
    for plain in chosen(specs, args.study_name):
        spec = with_overrides(plain, args)
        warn_of_overrides(spec, args)
        code = _run_one(specs, _inheriting(specs, spec, args), args, audience)
        if code:
            return code
    return 0


def _run_one(specs: SpecFile, spec: StudySpec, args: argparse.Namespace, audience: Audience) -> int:
    from fxai.study.workers.launch import run_study

    if args.new_study:
        spec = _under_free_name(spec)
    market = ready_market(spec, quiet=args.quiet)
    started = time.monotonic()
    results_dir = args.results_dir or specs.results_dir
    check_bars(spec, data_hash_of(market))
    with crew_of(spec, args) as crew, audience.hears_errors(spec, results_dir / spec.study_name):
        try:
            view = audience.view(spec, results_dir / spec.study_name)
            outcome = run_study(spec, results_dir, view, **bars_of(market), crew=crew)
        except StudyConflict:
            raise
        except FxaiError as error:
            # what the trials before it gave is not lost with the error
            away = isinstance(error, StorageError)
            folder, patience_s = results_dir / spec.study_name, 0.0 if away else None
            with suppress(FxaiError):
                _write(spec, folder, specs.save_study_plots, True, 0.0, interrupted=True, patience_s=patience_s)
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
    patience_s: float | None = None,
) -> list[Path]:
    """Write and print the results as the database has them, beside the baselines where the market is given."""
    from fxai.report.insights import write_insights
    from fxai.report.results import write_results
    from fxai.report.summary import print_summary
    from fxai.study.database.storage import load_study, opened

    with opened(spec.storage, readonly=True, patience_s=patience_s) as storage:
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


def _under_free_name(spec: StudySpec) -> StudySpec:
    from fxai.study.database.storage import opened, study_names
    from fxai.study.fingerprint import free_name

    with opened(spec.storage, create=True) as storage:
        if spec.study_name not in study_names(storage):
            return spec
        return spec.model_copy(update={"study_name": free_name(storage, spec.study_name)})
