"""What a next study should search, by the insights of this one: which parameters to freeze, narrow, widen or keep.

Only what is told apart from luck moves a range. The ruler stays: what is frozen is fixed for training alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial

from fxai.errors import InputError
from fxai.report.insights import Importance, Insights
from fxai.report.insights.chance import less
from fxai.report.insights.findings import FEWEST
from fxai.report.insights.ranges import GOOD, edge_of, good_positions, widened
from fxai.report.insights.sample import Sample, position, value_at
from fxai.report.outcome import Outcome
from fxai.report.text import number
from fxai.study.space import Choice, Parameter, among, is_active
from fxai.study.spec import StudySpec

FEWEST_TO_FREEZE = 30
"""Completed trials below which no parameter is called unimportant."""

KEPT_SEARCHED = 2
"""Parameters, the most important ones, that are never frozen."""

MARGIN = 0.1
"""Room beyond the good trials, share of the old range on its own scale."""

WORTH_IT = 0.2
"""Share of a range that must go for it to be narrowed."""

STARTS = 3
"""Good trials beside the best that the next study runs again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The next study's space, with a reason for each parameter."""

    parameters: tuple[tuple[Parameter, str], ...]
    fixed: tuple[tuple[str, Choice, str], ...]
    """Setting, value, reason."""

    dropped: tuple[tuple[str, str], ...]
    """Conditional parameters that can no longer be reached, and why."""

    start: Mapping[str, Choice]
    """Trial 0: the best trial's values."""

    enqueue: tuple[Mapping[str, Choice], ...]
    """The next best ones'."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Parameters by what was done: frozen, narrowed, widened, kept, dropped."""

    any_clear: bool = False
    """Whether any parameter is told apart from luck."""


def plan_of(outcome: Outcome, spec: StudySpec, sample: Sample, insights: Insights, *, widen: bool = True) -> Plan:
    """Decide on every parameter; `widen` false keeps all within the ranges of the study.

    Raises:
        InputError: too few trials have completed, or all are worth the same.
    """
    if outcome.best is None or not insights.importances:
        raise InputError(
            f"study {spec.study_name} cannot be refined: {insights.importance_note}",
            hint=f"run more trials first; {FEWEST} completed ones are the least, {FEWEST_TO_FREEZE} are better",
        )
    planner = _Planner(outcome, outcome.best, spec, sample, {own.name: own for own in insights.importances}, widen)
    return planner.plan()


def may_freeze(own: Importance, importances: Sequence[Importance], many: int) -> bool:
    """Whether a parameter hardly matters, as far as a study of `many` completed trials can tell.

    Args:
        own: its importance.
        importances: of all parameters, largest first.
        many: completed trials.
    """
    return many >= FEWEST_TO_FREEZE and own.band == "low" and not own.clear and own not in importances[:KEPT_SEARCHED]


def _share(own: Importance) -> str:
    return f"has {own.value:.2f} of what the parameters explain ({own.low:.2f} to {own.high:.2f}"


class _Planner:
    """Works from the last parameter to the first, so that what conditions a parameter is decided after it."""

    def __init__(
        self,
        outcome: Outcome,
        best: FrozenTrial,
        spec: StudySpec,
        sample: Sample,
        importances: Mapping[str, Importance],
        widen: bool,
    ) -> None:
        self.outcome, self.best, self.spec, self.sample, self.importances = outcome, best, spec, sample, importances
        self.widen = widen
        self.any_clear = any(own.clear for own in importances.values())
        self.fixed: dict[str, tuple[Choice, str]] = {}
        self.kept: dict[str, tuple[Parameter, str, str]] = {}

    def plan(self) -> Plan:
        """The whole plan."""
        for parameter in reversed(self.spec.parameters):
            if (reason := self._frozen(parameter)) is not None:
                self.fixed[parameter.name] = (self.best.params[parameter.name], reason)
            else:
                self.kept[parameter.name] = self._ranged(parameter)
        parameters, dropped = self._connected()
        done = ["frozen"] * len(self.fixed) + ["dropped"] * len(dropped)
        done += [what for name, (_, _, what) in self.kept.items() if name not in dict(dropped)]
        searched = [parameter for parameter, _ in parameters]
        carried = [(name, value, "as in the study before") for name, value in self._carried().items()]
        frozen = [(p.name, *self.fixed[p.name]) for p in self.spec.parameters if p.name in self.fixed]
        return Plan(
            parameters=tuple(parameters),
            fixed=(*carried, *frozen),
            dropped=tuple(dropped),
            start=_fitting(self.best.params, searched),
            enqueue=tuple(self._others(searched)),
            counts=Counter(done),
            any_clear=self.any_clear,
        )

    def _carried(self) -> dict[str, Choice]:
        """What this study fixed and inherited, and did not search."""
        inherited = {} if self.spec.inherited is None else self.spec.inherited.all_values
        searched = {parameter.name for parameter in self.spec.parameters}
        return {name: value for name, value in {**inherited, **self.spec.fixed}.items() if name not in searched}

    def _frozen(self, parameter: Parameter) -> str | None:
        """Why the parameter is frozen at the best trial's value; None if it is searched on."""
        name = parameter.name
        if name not in self.best.params:
            return None
        if parameter.size == 1:
            return "there was one value only"
        if any(name in child.when for child, *_ in self.kept.values()):
            return None
        own, many = self.importances.get(name), len(self.sample.trials)
        if own is None or not self.any_clear or not may_freeze(own, list(self.importances.values()), many):
            return None
        return (
            f"{_share(own)} in four of five resampled studies of {many} trials), no more than luck: frozen at the best "
            "trial's value"
        )

    def _ranged(self, parameter: Parameter) -> tuple[Parameter, str, str]:
        """The parameter with its new range, why, and what was done."""
        plain = parameter.model_copy(update={"around": None})
        own = self.importances.get(parameter.name)
        if own is None:
            return plain, "no completed trial tried more than one value: kept", "kept"
        share = f"{_share(own)})"
        if not own.clear:
            return plain, f"{share}, which may be luck: range kept", "kept"
        change = self._choices(plain) if plain.choices is not None else self._range(plain)
        if change is None:
            return plain, f"{share}, beyond luck; good trials lie all over the range: kept", "kept"
        changed, why, what = change
        return changed, f"{share}, beyond luck; {why}", what

    def _range(self, parameter: Parameter) -> tuple[Parameter, str, str] | None:
        good = good_positions(self.sample, self.sample.column(parameter.name))
        here = position(parameter, self.best.params.get(parameter.name))
        good = good if math.isnan(here) else np.append(good, here)
        if len(good) < 2:
            return None
        low, high = parameter.bounds
        why, what = [], "narrowed"
        edge = edge_of(self.outcome, self.sample, parameter) if self.widen else None
        further = None if edge is None else widened(self.spec.base, parameter, edge[0])
        least, most = float(good.min()) - MARGIN, float(good.max()) + MARGIN
        if max(least, 0.0) + max(1.0 - most, 0.0) >= WORTH_IT:
            low = _outward(parameter, least, down=True) if least > 0.0 else low
            high = _outward(parameter, most, down=False) if most < 1.0 else high
            seen = (
                f"{number(value_at(parameter, float(good.min())))} to {number(value_at(parameter, float(good.max())))}"
            )
            if (low, high) != parameter.bounds:
                why.append(
                    f"the best {100 * GOOD:.0f}% of the trials lie from {seen}: narrowed from {parameter.describe()}"
                )
        if edge is not None and further is not None:
            end, near, many = edge
            low, high = (further, high) if end == "low" else (low, further)
            limit = parameter.bounds[0 if end == "low" else 1]
            why.append(f"{near} of the best {many} crowd at its {end} end {number(limit)}: widened there")
            what = "widened"
        changed = parameter.model_copy(update={"low": low, "high": high})
        return (changed, "; ".join(why), what) if why and changed.size != 1 else None

    def _choices(self, parameter: Parameter) -> tuple[Parameter, str, str] | None:
        """Choices dropped that are worse with evidence: tried five times, never good, and lower ranked (p < 0.01)."""
        column_N, good_N = self.sample.column(parameter.name), self.sample.top(GOOD)
        gone, choices = [], parameter.choices or ()
        for place, choice in enumerate(choices):
            of_it_N = column_N == place
            rest_N = ~of_it_N & ~np.isnan(column_N)
            if of_it_N.sum() < 5 or (of_it_N & good_N).any() or among(self.best.params.get(parameter.name), [choice]):
                continue
            p = less(self.sample.rank_N[rest_N], self.sample.rank_N[of_it_N])
            if p * len(choices) < 0.01:
                gone.append((choice, int(of_it_N.sum()), p))
        left = tuple(choice for choice in choices if not among(choice, [own for own, *_ in gone]))
        if not gone or len(left) < 2:
            return None
        told = "; ".join(
            f"{number(c)} never good in {tries} trials, worse than the rest (p = {p:.1g})" for c, tries, p in gone
        )
        return parameter.model_copy(update={"choices": left}), f"{told}: dropped", "narrowed"

    def _connected(self) -> tuple[list[tuple[Parameter, str]], list[tuple[str, str]]]:
        """What is searched, its conditions put right: those that what is fixed meets fall away; and what is dropped."""
        searched: dict[str, tuple[Parameter, str]] = {}
        dropped: list[tuple[str, str]] = []
        for name in (parameter.name for parameter in self.spec.parameters if parameter.name in self.kept):
            parameter, why, _ = self.kept[name]
            when: dict[str, tuple[Choice, ...]] = {}
            lost = None
            for key, allowed in parameter.when.items():
                if key in self.fixed:
                    lost = lost or (None if among(self.fixed[key][0], allowed) else f"{key} is frozen")
                elif key in searched:
                    possible = tuple(value for value in allowed if searched[key][0].contains(value))
                    lost = lost or (None if possible else f"{key} no longer takes that value")
                    when[key] = possible
                else:
                    lost = lost or f"{key} is not searched any more"
            if lost is not None:
                dropped.append((name, lost))
            else:
                searched[name] = parameter.model_copy(update={"when": when}), why
        return list(searched.values()), dropped

    def _others(self, searched: Sequence[Parameter]) -> list[dict[str, Choice]]:
        """The best trials after the best, without repeats, where their values fit the new ranges."""
        taken = [_fitting(self.best.params, searched)]
        for i in np.argsort(self.sample.rank_N, kind="stable"):
            trial = self.sample.trials[int(i)]
            values = _fitting(trial.params, searched)
            if len(taken) > STARTS or not (self.sample.top(GOOD) & self.sample.sound_N)[i]:
                break
            if values and len(values) == len([p for p in searched if p.name in trial.params]) and values not in taken:
                taken.append(values)
        return taken[1:]


def _fitting(params: Mapping[str, Any], searched: Sequence[Parameter]) -> dict[str, Choice]:
    """Those of a trial's values that the new space can take."""
    values: dict[str, Choice] = {}
    for parameter in searched:
        given = parameter.name in params and is_active(parameter, values)
        if given and parameter.contains(params[parameter.name]):
            values[parameter.name] = params[parameter.name]
    return values


def _outward(parameter: Parameter, place: float, *, down: bool) -> int | float:
    """The value at a position, rounded away from the range's middle: to its steps, or three digits."""
    value, (low, high) = value_at(parameter, place), parameter.bounds
    step = parameter.step or (1 if parameter.type.startswith("int") else None)
    if step is None:
        exact = Decimal(value)
        digits = Decimal(1).scaleb(exact.adjusted() - 2)
        rounded = float(exact.quantize(digits, rounding=ROUND_FLOOR if down else ROUND_CEILING))
        return float(min(max(rounded, low), high))
    steps = (value - low) / step
    whole = math.floor(steps + 1e-9) if down else math.ceil(steps - 1e-9)
    exact = Decimal(str(low)) + whole * Decimal(str(step))
    return int(exact) if parameter.type.startswith("int") else float(exact)
