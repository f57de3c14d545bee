"""What one study hands on to the next: the settings of its best trial, checked, with where each comes from.

Only what trials train with is handed on. The ruler that scores them is in the next study's own spec, and it must be the
one that scored the source: else the values of the two could not be compared.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fxai.config.load import field_fault, flat, is_setting, show
from fxai.errors import ConfigError, InputError, StudyConflict
from fxai.secrets import redact_url
from fxai.study import space
from fxai.study.inherited import INHERITED, Inherited, Source, Values, load_inherited
from fxai.study.space_checks import check_space
from fxai.study.spec import StudySpec

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

MIN_TRIALS = 10
"""Completed trials that a source needs, unless half its budget is less."""

_OF_A_RUN = {
    "training.total_updates",
    "training.eval_frequency",
    "training.device",
    "training.gradient_accumulation_steps",
    "training.seed",
}
"""What each study decides for itself: how long it trains, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A study that has something to hand on."""

    spec: StudySpec
    """As it was last run."""
    data_hash: str | None
    best: FrozenTrial
    completed: int
    """Trials that completed with a finite value."""
    finished: int
    """Trials that its budget has paid for."""

    @property
    def source(self) -> Source:
        """Where its values come from, for inherited.yaml."""
        return Source(
            study=self.spec.study_name,
            trial=self.best.number,
            value=float(self.best.values[0]),
            metric=self.spec.metric_names[0],
            direction=self.spec.directions[0],
            spec_hash=self.spec.spec_hash,
            data_hash=self.data_hash,
            git_commit=self.best.user_attrs.get("git_commit"),
            completed=self.completed,
            database=redact_url(self.spec.storage),
        )

    @property
    def values(self) -> Values:
        """All in which its best trial trained otherwise than its ruler: inherited, fixed, begun with, searched."""
        inherited = {} if self.spec.inherited is None else self.spec.inherited.all_values
        return {**inherited, **self.spec.fixed, **self.spec.start, **self.best.params}


def minimum_of(n_trials: int) -> int:
    """Completed trials that a source of this budget needs before its best means anything."""
    return max(1, min(MIN_TRIALS, n_trials // 2))


def check_enough(name: str, completed: int, finished: int, n_trials: int, min_trials: int | None) -> None:
    """Refuse a source with too few completed trials (F43).

    Raises:
        InputError: with the counts.
    """
    least = minimum_of(n_trials) if min_trials is None else min_trials
    if completed < least:
        raise InputError(
            f"study {name} has completed {completed} of at least {least} trials that a transfer needs "
            f"({finished} of {n_trials} finished, pruned and failed ones included)",
            hint=f"let it go on, or take its best so far with --min-trials {max(1, completed)}",
        )


def check_ruler(source: StudySpec, target: StudySpec) -> None:
    """Refuse a source whose trials were scored otherwise than the target's will be.

    Raises:
        StudyConflict: with a line for each setting that differs.
    """
    old, new = source.scoring, target.scoring
    lines = [
        f"  {key}: {show_plain(old.get(key))} in {source.study_name}, {show_plain(new.get(key))} in {target.study_name}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    if lines:
        raise StudyConflict(
            f"{target.study_name} would be scored otherwise than {source.study_name}, whose best it is to inherit:\n"
            + "\n".join(lines),
            hint="give both studies one base_config, one training_config of data, env and evaluation, the same --set; "
            "what only trains goes under `fixed` or `parameters`",
        )


def check_bars(spec: StudySpec, data_hash: str | None) -> None:
    """Refuse inherited values that were chosen on other bars than those of this run.

    Raises:
        StudyConflict: names the source.
    """
    if spec.inherited is not None and spec.inherited.last.data_hash != data_hash:
        raise StudyConflict(
            f"{spec.study_name} inherits from {spec.inherited.last.study}, which was trained and scored on other bars",
            hint=f"run {spec.inherited.last.study} on these bars too (--new-study), transfer again, or start "
            "--without-transfer",
        )


def show_plain(value: Any) -> str:
    """A setting's value in a message; lists in full."""
    return str(value) if isinstance(value, (list, tuple)) else show(value)


def inherit(target: StudySpec, sources: Sequence[Finished]) -> Inherited:
    """What `target` takes over from its sources, of which a later one goes before an earlier one.

    Raises:
        InputError: values that the target cannot take, listed (F44).
    """
    told: dict[str, Source] = {}
    values: Values = {}
    for finished in sources:
        before = () if finished.spec.inherited is None else finished.spec.inherited.sources
        told |= {source.study: source for source in (*before, finished.source)}
        values |= finished.values
    searched = {parameter.name for parameter in target.parameters}
    taken = {name: value for name, value in sorted(values.items()) if name not in target.fixed}
    inherited = Inherited(
        sources=tuple(told.values()),
        values={name: value for name, value in taken.items() if name not in searched},
        enqueued={name: value for name, value in taken.items() if name in searched},
        written=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    with_inherited(target, inherited)
    return inherited


def with_inherited(target: StudySpec, inherited: Inherited, free: Collection[str] = ()) -> StudySpec:
    """The study that starts from what it inherits.

    Args:
        target: the study as its spec has it.
        inherited: what it takes over.
        free: names that are set by hand, which goes before.

    Raises:
        InputError: values that the study cannot take, listed.
    """
    last = inherited.last
    whence = f"{target.study_name} cannot take over trial {last.trial} of {last.study}"
    if faults := [line for line in _faults(target, inherited, free) if line]:
        raise InputError(
            f"{whence}:\n" + "\n".join(f"  {line}" for line in faults),
            hint="widen the ranges in the spec, or give these names a value of their own under `fixed`",
        )
    try:
        spec = target.inheriting(inherited, free)
        check_space(spec.base, spec.parameters, spec.metric_names, where=lambda _: "", place=())
    except ConfigError as error:
        raise InputError(f"{whence}: {error.what}", hint=error.hint) from None
    return spec


def _faults(target: StudySpec, inherited: Inherited, free: Collection[str]) -> list[str]:
    searched = {parameter.name: parameter for parameter in target.parameters}
    lines = []
    for name, value in inherited.all_values.items():
        if name in free or name in target.fixed:
            continue
        if not is_setting(name):
            lines.append(f"{name}: there is no such setting")
        elif name in searched and not searched[name].contains(value):
            lines.append(f"{name}: {show(value)} is not among the searched values, {searched[name].describe()}")
        elif fault := field_fault(target.ruler, name, value):
            lines.append(f"{name}: {fault}")
    return lines


def inherited_by(
    spec: StudySpec, results_dir: Path, *, written_for: str, missing: str, free: Collection[str] = ()
) -> StudySpec:
    """The study as it is run: with what was transferred into its folder, or into that of the name in its spec file.

    Args:
        spec: under the name it is run with.
        results_dir: the studies' folders are in it.
        written_for: the name in its spec file.
        missing: what to type where the transfer was not made.
        free: names that are set by hand, which goes before what is inherited.

    Raises:
        InputError: it inherits, and nothing was transferred.
        ConfigError: the file is damaged.
    """
    if not spec.inherits:
        return spec
    inherited = load_inherited(results_dir / spec.study_name) or load_inherited(results_dir / written_for)
    if inherited is None:
        raise InputError(
            f"study {spec.study_name} starts from the best of {' and '.join(spec.inherits)}, and that has not been "
            "transferred",
            where=str(results_dir / spec.study_name / INHERITED),
            hint=f"{missing}; or run it on its own with --without-transfer",
        )
    return with_inherited(spec, inherited, free)


def unlike(source: Finished, target: StudySpec) -> list[str]:
    """Settings that the source trained with and did not search, and that the target trains with otherwise.

    They come from the training_config of the two specs; neither is handed on.
    """
    mine = flat(space.apply(source.spec.base, source.best.params).model_dump(mode="json", exclude={"wandb"}))
    theirs = flat(target.base.model_dump(mode="json", exclude={"wandb"}))
    own = {*source.values, *target.fixed, *_OF_A_RUN, *(parameter.name for parameter in target.parameters)}
    return [
        f"{name}: {show_plain(mine.get(name))} in {source.spec.study_name}, {show_plain(theirs.get(name))} in "
        f"{target.study_name}"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name) and name not in own and not name.startswith("data.")
    ]
