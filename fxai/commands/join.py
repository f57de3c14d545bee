"""`run --join`: more workers for a study that runs elsewhere, in another terminal or on another host."""

from __future__ import annotations

import argparse
import time

from fxai.commands.audience import Audience
from fxai.commands.crews import crew_of
from fxai.commands.find import chosen
from fxai.commands.overrides import with_overrides
from fxai.commands.ready import bars_of, ready_market
from fxai.errors import InputError
from fxai.report.talk import say
from fxai.report.text import done_of
from fxai.study.database.reader import NotOfStudies
from fxai.study.database.storage import load_study, opened
from fxai.study.recorded import recorded_spec
from fxai.study.spec import SpecFile, StudySpec
from fxai.study.workers.launch import RunOutcome, join_study

LOOK_EVERY_S = 2.0
"""How often `--wait` looks whether the study has begun."""


def join_command(specs: SpecFile, args: argparse.Namespace) -> int:
    """Run workers until the study has nothing left to start; whoever leads it writes its results."""
    spec = with_overrides(_one(specs, args), args)
    if args.wait is not None:
        _await(spec, args.wait, quiet=args.quiet)
    spec = _led(spec)
    market = ready_market(spec, quiet=args.quiet)
    results_dir = args.results_dir or specs.results_dir
    audience = Audience(specs, args)
    with crew_of(spec, args) as crew:
        view = audience.view(spec, results_dir / spec.study_name)
        outcome = join_study(spec, results_dir, view, **bars_of(market), crew=crew)
    if audience.reads:
        say(_ending(outcome))
    return outcome.exit_code


def _one(specs: SpecFile, args: argparse.Namespace) -> StudySpec:
    """The study to be helped.

    Raises:
        InputError: options that only whoever leads it may use, or several studies to choose from.
    """
    for option, given in (("--n-trials", args.n_trials), ("--new-study", args.new_study)):
        if given:
            raise InputError(f"does not go with --join: {option} is for whoever leads the study", where=option)
    found = chosen(specs, args.study_name)
    if len(found) > 1:
        known = ", ".join(spec.study_name for spec in found)
        raise InputError("one study is joined at a time", where="--join", hint=f"name it with --study-name: {known}")
    return found[0]


def _await(spec: StudySpec, patience_s: float, *, quiet: bool) -> None:
    """Return when the study has begun, or after `patience_s`: what is missing then is said as without the wait."""
    give_up_at = time.monotonic() + patience_s
    begun = _has_begun(spec)
    if not begun and not quiet:
        say(f"note: {spec.study_name} has not begun; waiting for it, {patience_s:g} s at most")
    while not begun and (left_s := give_up_at - time.monotonic()) > 0:
        time.sleep(min(LOOK_EVERY_S, left_s))
        begun = _has_begun(spec)


def _has_begun(spec: StudySpec) -> bool:
    """Whether whoever leads the study has written into the database what it is."""
    try:
        with opened(spec.storage, readonly=True) as storage:
            return "spec" in load_study(storage, spec.study_name).user_attrs
    except (InputError, NotOfStudies):  # no database, nothing in it, or no such study
        return False


def _led(spec: StudySpec) -> StudySpec:
    """With what the study inherited: its folder, which may lie on another host, is not needed for that."""
    with opened(spec.storage, readonly=True) as storage:
        recorded = recorded_spec(load_study(storage, spec.study_name), spec.storage)
    return spec.inheriting(recorded.inherited)


def _ending(outcome: RunOutcome) -> str:
    if outcome.interrupted:
        return f"left {outcome.study_name}: {done_of(outcome.finished, outcome.n_trials, 'trial')} done"
    told = done_of(outcome.finished, outcome.n_trials, "trial")
    return f"nothing is left to start in {outcome.study_name}: {told} done; whoever leads it writes the results"
