"""`confirm`: the default config and a study's best, trained again with seeds that the study never used."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from fxai.config import TrialConfig
from fxai.errors import InputError
from fxai.files import ensure_writable_dir
from fxai.report.confirmation import print_confirmation
from fxai.report.outcome import first_value, outcome_of
from fxai.report.talk import say
from fxai.report.terminal import make_console
from fxai.report.text import duration, number
from fxai.study import space
from fxai.study.confirm import (
    FORMAT,
    METHOD,
    Confirmation,
    compare,
    fresh_seeds,
    load_confirmation,
    retrain,
    write_confirmation,
)
from fxai.study.database.storage import load_study, opened
from fxai.study.names import checked_name
from fxai.study.recorded import recorded_spec
from fxai.study.spec import StudySpec


def confirm_command(args: argparse.Namespace) -> int:
    """Train both, write confirmation.json, and print what came out."""
    told = confirm_study(args.study, args.storage, args.results_dir, args.seeds, quiet=args.quiet)
    if told is not None:
        print_confirmation(told, make_console())
    return 0


def confirm_study(
    name: str, storage: str, results_dir: Path, n_seeds: int, *, quiet: bool = False, again: bool = True
) -> Confirmation | None:
    """The confirmation of a study's best trial; None where that is the default config itself.

    Args:
        name: of the study.
        storage: its database.
        results_dir: its folder is in it.
        n_seeds: how many trainings of either config.
        quiet: print no progress.
        again: also where the folder has one of this trial and as many seeds.

    Raises:
        InputError: there is no such study, or none of its trials has completed.
    """
    with opened(storage, readonly=True) as database:
        study = load_study(database, name)
        spec = recorded_spec(study, storage)
        outcome = outcome_of(study, spec.metric_names)
        data_hash, seed = study.user_attrs.get("data_hash"), int(study.user_attrs.get("seed", 0))
    if outcome.best is None:
        raise InputError(f"study {name} has no completed trial to confirm", hint="let it run first: poe optuna-status")
    folder = results_dir / checked_name(spec.study_name, "study")
    best = space.apply(spec.base, outcome.best.params)
    if best == spec.ruler:
        say(f"note: no trial of {name} beat the default config, so there is nothing to confirm")
        return None
    before = load_confirmation(folder)
    mine = (outcome.best.number, spec.spec_hash, data_hash, n_seeds)
    if not again and before and mine == (before.trial, before.spec_hash, before.data_hash, len(before.seeds)):
        return before
    ensure_writable_dir(folder)
    seeds = fresh_seeds(seed, (trial.user_attrs.get("seed", -1) for trial in outcome.trials), n_seeds)
    _check_bars(spec, data_hash)
    own = {name: value for name, value in outcome.best.user_attrs.items() if name == "gradient_accumulation_steps"}
    told = _confirmed(spec, space.as_run(best, own), seeds, folder, quiet)  # what did not fit at once, does not now
    confirmation = _record(spec, told, seeds, outcome.best.number, first_value(outcome.best), data_hash)
    path = write_confirmation(folder, confirmation)
    say(f"wrote {path}")
    _draw_again(storage, spec, folder)
    return confirmation


def _draw_again(storage: str, spec: StudySpec, folder: Path) -> None:
    """Insights, and report.html where the study has one: what they said of the best trial is out of date."""
    from fxai.report.insights import write_insights
    from fxai.report.page import write_report
    from fxai.report.results import REPORT

    with opened(storage, readonly=True) as database:
        study = load_study(database, spec.study_name)
        write_insights(study, spec, folder)
        if (folder / REPORT).is_file():
            write_report(study, spec, folder)


def _confirmed(
    spec: StudySpec, best: TrialConfig, seeds: Sequence[int], folder: Path, quiet: bool
) -> dict[str, dict[str, list[float]]]:
    progress = _Progress(spec.metric_names[0], quiet)
    if not quiet:
        say(f"training the default config and the best one, {len(seeds)} fresh seeds each; Ctrl-C changes nothing")
    configs = {"default": spec.ruler, "best": best}
    return {name: retrain(spec, config, seeds, folder, name, progress.tell).metrics for name, config in configs.items()}


def _check_bars(spec: StudySpec, data_hash: str | None) -> None:
    """The bars of today must be those of the study, else its own value says nothing about the new ones.

    Raises:
        InputError: they are others.
    """
    if spec.ruler.data is None:
        return
    from fxai.market.data import load_market

    needed = spec.ruler.evaluation.warmup_bars + spec.ruler.env.max_episode_steps
    if data_hash is not None and load_market(spec.ruler.bars, min_bars=needed).data_hash != data_hash:
        raise InputError(
            f"the bars are not those that study {spec.study_name} was run with",
            hint="put the old files back, or run the study on the new ones with --new-study",
        )


def _record(
    spec: StudySpec,
    metrics: dict[str, dict[str, list[float]]],
    seeds: list[int],
    trial: int,
    own_value: float,
    data_hash: str | None,
) -> Confirmation:
    name, direction = spec.metric_names[0], spec.directions[0]
    default, best = metrics["default"][name], metrics["best"][name]
    return Confirmation(
        format=FORMAT,
        study=spec.study_name,
        spec_hash=spec.spec_hash,
        data_hash=data_hash,
        trial=trial,
        own_value=own_value,
        seeds=seeds,
        metric=name,
        direction=direction,
        default=default,
        best=best,
        metrics=metrics,
        min_trades=spec.ruler.evaluation.min_trades,
        difference=compare(default, best, direction),
        method=METHOD,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


class _Progress:
    """A line of progress on stderr: rewritten on a terminal, one for each evaluation elsewhere."""

    def __init__(self, metric: str, quiet: bool) -> None:
        self._metric, self._quiet, self._began = metric, quiet, time.monotonic()

    def tell(self, name: str, update: int, updates: int, values: Sequence[float] | None) -> None:
        """Say how far it is."""
        live = sys.stderr.isatty()
        if self._quiet or (values is None and not live):
            return
        mean = "" if values is None else f"  {self._metric} {number(statistics.fmean(values))}"
        line = f"{name}: update {update} of {updates}{mean}  {duration(time.monotonic() - self._began)}"
        if not live:
            say(line)
            return
        print(f"\r\x1b[2K{line[:100]}", end="\n" if update == updates else "", file=sys.stderr, flush=True)
