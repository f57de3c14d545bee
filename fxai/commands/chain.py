"""`chain`: all phases one after the other, each from the best of the one before; then the last best is confirmed.

What is done is not done again: the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse

from fxai.commands.confirm import confirm_study
from fxai.commands.overrides import with_overrides
from fxai.commands.phases import Phase, phases_in, run_command_of, sources_of, typed_transfer
from fxai.commands.run import run_command
from fxai.commands.transfer import Places, carry, finished, has_begun
from fxai.errors import InputError
from fxai.report.confirmation import print_confirmation
from fxai.report.json_lines import JsonView
from fxai.report.talk import say
from fxai.report.terminal import make_console
from fxai.report.text import done_of
from fxai.study.inherited import load_inherited
from fxai.study.transfer import Finished


def chain_command(args: argparse.Namespace) -> int:
    """Run what is left of the chain; returns the exit code of the phase that was interrupted, else 0."""
    phases = phases_in(args.specs)
    where = Places(storage=args.storage, results_dir=args.results_dir)
    for number, phase in phases.items():
        with_overrides(phase.spec, args)  # what no phase can be run with is said before the first one trains
        if phase.spec.inherits:
            sources_of(phases, phase)
        elif number > 1:
            say(f"note: phase {number}, {phase.spec.study_name}, inherits nothing: it is run on its own")
    order = list(phases.values())
    for i, phase in enumerate(order):
        later = [other for other in order[i + 1 :] if has_begun(other, where)]
        if _is_done(phase, later, where, args):
            continue
        if phase.spec.inherits:
            _transfer(phases, phase, where, args)
        say(f"phase {phase.number}: {phase.spec.study_name}")
        code = run_command(_run_args(phase, args))
        if code:
            return code
    return _close(order, where, args)


def _run_args(phase: Phase, args: argparse.Namespace) -> argparse.Namespace:
    """The arguments of `run` for one phase: the overrides reach every phase."""
    plain = {"new_study": False, "without_transfer": False, "join": False, "wait": None}
    own = {"spec": phase.file.path, "study_name": phase.spec.study_name, **plain}
    return argparse.Namespace(**{**vars(args), **own})


def _is_done(phase: Phase, later: list[Phase], where: Places, args: argparse.Namespace) -> bool:
    """Whether a phase is left as it is, with a line that says why."""
    spec = with_overrides(phase.spec, args)
    state = _state(phase, where)
    if state is None:
        return False
    told = f"phase {phase.number}: {spec.study_name} has finished {done_of(state.finished, spec.n_trials, 'trial')}"
    if state.finished >= spec.n_trials:
        say(f"{told}: skipped")
        return True
    if later:
        say(f"{told}, and phase {later[0].number} has begun from it: skipped ({run_command_of(phase)} goes on with it)")
        return True
    return False


def _state(phase: Phase, where: Places) -> Finished | None:
    try:
        return finished(phase, phase.spec.study_name, where, min_trials=1)
    except InputError:
        return None


def _transfer(phases: dict[int, Phase], phase: Phase, where: Places, args: argparse.Namespace) -> None:
    """Carry over, unless the phase has begun with what it has: a study keeps its start."""
    sources = sources_of(phases, phase)
    kept = load_inherited(where.folder(phase))
    if kept is None or not has_begun(phase, where):
        carry(sources, phase, where, args, tell=say)
        return
    now = finished(sources[-1], sources[-1].spec.study_name, where, args.min_trials)
    if (now.spec.study_name, now.best.number) != (kept.last.study, kept.last.trial):
        command = typed_transfer(sources[-1].number, phase.number, args.specs, where.options)
        anew = run_command_of(phase, " --new-study")
        say(
            f"note: {phase.spec.study_name} goes on with what trial {kept.last.trial} of {kept.last.study} gave it; "
            f"trial {now.best.number} is better by now: {command}, then {anew} starts with it"
        )


def _close(order: list[Phase], where: Places, args: argparse.Namespace) -> int:
    """Confirm the last phase's best with fresh seeds, and compare the phases on the one ruler."""
    last = order[-1]
    if args.seeds:
        say(f"confirming the best of {last.spec.study_name} over {args.seeds} fresh seeds")
        results_dir = where.folder(last).parent
        quiet = args.quiet or args.json
        told = confirm_study(last.spec.study_name, where.url(last), results_dir, args.seeds, quiet=quiet, again=False)
        if told is not None and args.json:
            JsonView().write("confirmation", **told.model_dump(mode="json", exclude={"format", "metrics"}))
        elif told is not None:
            print_confirmation(told, make_console())
    urls, folders = {where.url(phase) for phase in order}, {where.folder(phase).parent for phase in order}
    if args.json or len(urls) > 1 or len(folders) > 1:
        return 0
    from fxai.commands.results import results_command

    names = [phase.spec.study_name for phase in order]
    return results_command(
        argparse.Namespace(studies=names, all=False, storage=urls.pop(), results_dir=folders.pop(), json=False)
    )
