"""`transfer`: carry the best settings of one phase to the next, or say what is carried and whether it is stale."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fxai.commands.overrides import with_overrides
from fxai.commands.phases import (
    Phase,
    phase_of,
    phases_in,
    places,
    run_command_of,
    sources_of,
    typed_transfer,
)
from fxai.errors import ConfigError, InputError
from fxai.files import ensure_writable_dir
from fxai.report.outcome import is_feasible, outcome_of
from fxai.report.results import BEST_PARAMS, load_best_params, write_best
from fxai.report.talk import say
from fxai.report.text import clean, count, done_of, number
from fxai.study.database.storage import load_study, opened, study_names
from fxai.study.fingerprint import differences
from fxai.study.inherited import INHERITED, Inherited, load_inherited, write_inherited
from fxai.study.recorded import recorded_spec
from fxai.study.spec import StudySpec
from fxai.study.transfer import Finished, check_enough, check_ruler, inherit, unlike, with_inherited


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where studies and results are, where not in their specs' places."""

    storage: str | None
    results_dir: Path | None

    def url(self, phase: Phase) -> str:
        """The database of a phase."""
        return self.storage or phase.spec.storage

    def folder(self, phase: Phase, name: str | None = None) -> Path:
        """The folder of a phase's study, or of another one beside it."""
        return (self.results_dir or phase.file.results_dir) / (name or phase.spec.study_name)

    @property
    def options(self) -> str:
        """To be typed behind a command."""
        return places(self.storage, self.results_dir)


def transfer_command(args: argparse.Namespace) -> int:
    """Carry over, or with --status say how things stand."""
    phases = phases_in(args.specs)
    where = Places(storage=args.storage, results_dir=args.results_dir)
    if args.status:
        targets = [phase_of(phases, args.to_phase, args.specs)] if args.to_phase else list(phases.values())
        for target in (phase for phase in targets if phase.spec.inherits):
            _print_status(phases, target, args.specs, where)
        return 0
    if args.from_phase is None or args.to_phase is None:
        raise InputError("which phases?", hint="write --from-phase 1 --to-phase 2, or --status")
    source, target = phase_of(phases, args.from_phase, args.specs), phase_of(phases, args.to_phase, args.specs)
    sources = sources_of(phases, target)
    if source not in sources:
        names = " and ".join(f"{each.spec.study_name} (phase {each.number})" for each in sources)
        raise InputError(
            f"phase {target.number}, {target.spec.study_name}, inherits from {names}, not from phase {source.number}",
            where=str(target.file.path),
            hint=typed_transfer(sources[-1].number, target.number, args.specs, where.options),
        )
    carry(sources, target, where, args, from_study=args.from_study)
    say(f"next: {run_command_of(target, where.options)}")
    return 0


def carry(
    sources: list[Phase],
    target: Phase,
    where: Places,
    args: argparse.Namespace,
    *,
    from_study: str | None = None,
    tell: Callable[[str], None] = print,
) -> Inherited:
    """Check what the sources have, write the target's inherited.yaml, and print it.

    Args:
        sources: of the target, in the order in which its spec names them.
        target: the phase that inherits.
        where: databases and results.
        args: of the command; `set` and `min_trials` count.
        from_study: a study in place of the last source's.
        tell: is told what was carried; stdout, unless something else goes there.

    Raises:
        InputError: a source is missing or not far enough, or its values do not fit (F43, F44).
        StudyConflict: a source was scored otherwise than the target will be.
    """
    spec = with_overrides(target.spec, args)
    names = [phase.spec.study_name for phase in sources]
    names[-1] = from_study or names[-1]
    taken = []
    for phase, name in zip(sources, names, strict=True):
        source = finished(phase, name, where, args.min_trials)
        check_ruler(source.spec, spec)
        taken.append(source)
    free = [assignment.partition("=")[0].strip() for assignment in args.set]
    inherited = inherit(spec, taken)
    for note in _notes(taken[-1], with_inherited(spec, inherited, free)):
        say(f"note: {note}")
    folder = where.folder(target)
    ensure_writable_dir(folder.parent, allow_symlink=True)
    ensure_writable_dir(folder)
    written = write_inherited(folder, inherited, study=target.spec.study_name, damaged=_say_damaged)
    for line in _carried(inherited, target.spec.study_name, folder / INHERITED, written):
        tell(line)
    if other := _ran_with_others(target, where, inherited):
        say(
            f"warning: {target.spec.study_name} has run with other values, and goes on with these as a new study only "
            f"(--new-study):\n" + "\n".join(f"  {line}" for line in other)
        )
    return inherited


def finished(phase: Phase, name: str, where: Places, min_trials: int | None) -> Finished:
    """What a phase's study has to hand on, from its database.

    Raises:
        InputError: it has not been run, or has completed too few trials.
    """
    url = where.url(phase)
    start = f"run it first: {run_command_of(phase, where.options)}"
    try:
        with opened(url, readonly=True) as storage:
            if name not in study_names(storage):
                raise InputError(f"study {name} (phase {phase.number}) has not been run", hint=start)
            study = load_study(storage, name)
            spec = recorded_spec(study, url)
            outcome = outcome_of(study, spec.metric_names)
            counts = outcome.counts
            done = counts["complete"] + counts["pruned"] + counts["fail"]
            check_enough(name, len(outcome.completed), done, spec.n_trials, min_trials)
            if outcome.best is None:
                raise InputError(f"study {name} has no completed trial to hand on", hint=start)
            _check_best_params(study, spec, where.folder(phase, name))
            return Finished(
                spec=spec,
                data_hash=study.user_attrs.get("data_hash"),
                best=outcome.best,
                completed=len(outcome.completed),
                finished=done,
            )
    except InputError as error:
        if error.what == "there is no such study database":
            raise InputError(error.what, where=error.where, hint=start) from None
        raise


def _check_best_params(study: object, spec: StudySpec, folder: Path) -> None:
    """The database decides; a file beside it that was damaged is written anew, and that is said (F46)."""
    path = folder / BEST_PARAMS
    if not path.exists():
        return
    try:
        load_best_params(path)
    except InputError as error:
        write_best(study, spec, folder)  # type: ignore[arg-type]
        say(f"warning: {path} {error.what.partition(':')[0]}; it was written anew from the database")


def _say_damaged(error: ConfigError) -> None:
    say(f"warning: {error.where}: {error.what}; it is replaced")


def _notes(source: Finished, target: StudySpec) -> list[str]:
    name, notes = source.spec.study_name, []
    if source.finished < source.spec.n_trials:
        done = done_of(source.finished, source.spec.n_trials, "trial")
        notes.append(f"{name} has finished {done}: its best may still change")
    if source.best.user_attrs.get("default") is True:
        notes.append(f"the best trial of {name} is its first: it found nothing better than what it started from")
    if not is_feasible(source.best):
        notes.append(f"the best trial of {name} trades less than evaluation.min_trades, as all of them do")
    notes += [f"not handed on, since {name} did not search it: {line}" for line in unlike(source, target)]
    return notes


def _carried(inherited: Inherited, study: str, path: Path, written: bool) -> list[str]:
    """What is carried from where."""
    lines = [
        f"from {clean(source.study)}: trial {source.trial}, {clean(source.metric)} {number(source.value)}"
        for source in inherited.sources
    ]
    width = max(map(len, inherited.all_values), default=0)
    for name, value in inherited.all_values.items():
        again = "   searched again: trial 0 starts here" if name in inherited.enqueued else ""
        lines.append(f"  {clean(name):<{width}}  {number(value)}{again}")
    state = "wrote" if written else "unchanged:"
    return [*lines, f"{state} {path} ({count(len(inherited.all_values), 'value')} for {clean(study)})"]


def _ran_with_others(target: Phase, where: Places, inherited: Inherited) -> list[str]:
    """How the values differ from those that the target's study has run with; nothing where it has not begun."""
    before = ran_with(target, where)
    if before is None or before == inherited.all_values:
        return []
    return differences(before, inherited.all_values)


def ran_with(target: Phase, where: Places) -> dict[str, object] | None:
    """The values that a phase's study has inherited; None where it has no trial yet."""
    try:
        with opened(where.url(target), readonly=True) as storage:
            if target.spec.study_name not in study_names(storage):
                return None
            study = load_study(storage, target.spec.study_name)
            if not any(trial.state.name != "WAITING" for trial in study.get_trials(deepcopy=False)):
                return None
            told = study.user_attrs.get("inherited") or {}
            return {**told.get("values", {}), **told.get("enqueued", {})}
    except InputError:
        return None


def has_begun(phase: Phase, where: Places) -> bool:
    """Whether a phase's study has run a trial."""
    return ran_with(phase, where) is not None


def _print_status(phases: dict[int, Phase], target: Phase, specs: Path, where: Places) -> None:
    """What a phase inherits, from where, and whether that is still the source's best."""
    source = sources_of(phases, target)[-1]
    command = typed_transfer(source.number, target.number, specs, where.options)
    print(f"phase {source.number} → {target.number}: {source.spec.study_name} → {target.spec.study_name}")
    now: Finished | None = None
    try:
        now = finished(source, source.spec.study_name, where, min_trials=1)
        done = done_of(now.finished, now.spec.n_trials, "trial")
        told = f"{done} finished, best trial {now.best.number}, {now.source.metric} {number(now.source.value)}"
        print(f"  source   {told}")
    except InputError as error:
        print(f"  source   {clean(error.what)}")
    path = where.folder(target) / INHERITED
    carried: Inherited | None = None
    try:
        carried = load_inherited(path.parent)
        print(f"  carried  {_carried_line(carried, now, command)}")
    except ConfigError as error:
        print(f"  carried  {path} {clean(error.what)}; {command}")
    if carried is not None:
        print(f"  file     {path}, written {clean(carried.written)}")
    before = ran_with(target, where)
    if before is None:
        print(f"  target   not started: {run_command_of(target, where.options)}")
    elif carried is None or before == carried.all_values:
        print("  target   has run with these values" if before else "  target   has run without a transfer")
    else:
        print("  target   has run with other values; with these it starts as a new study (--new-study)")


def _carried_line(carried: Inherited | None, now: Finished | None, command: str) -> str:
    if carried is None:
        return f"nothing yet: {command}"
    last = carried.last
    what = f"{count(len(carried.all_values), 'value')} of trial {last.trial}, {last.metric} {number(last.value)}"
    if now is None:
        return f"{what}; the source cannot be read"
    if (now.best.number, now.spec.study_name) == (last.trial, last.study):
        return f"{what}: up to date"
    return f"{what}: stale, trial {now.best.number} is better by now ({number(now.source.value)}); {command}"
