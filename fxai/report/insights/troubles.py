"""Findings about trials that gave no result, or a dear one: pruned, failed, diverged, repeated, slow."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from fxai.report.insights import Finding
from fxai.report.insights.chance import apart, less
from fxai.report.insights.ranges import FEWEST_GOOD
from fxai.report.insights.sample import Floats, Sample, position, value_at
from fxai.report.insights.selection import FEWEST, Selection
from fxai.report.outcome import Outcome, duration_s, is_feasible
from fxai.report.text import clean, count, duration, number
from fxai.study.space import Parameter
from fxai.study.spec import StudySpec

PRUNED = 0.3
"""Share of pruned trials above which it is told."""

BROKEN = 0.05
"""Share of failed or diverged trials from which it is a warning."""

IDLE = 0.3
"""Share of trials with too few trades above which it is told."""

FEWEST_TOLD = 10
"""Completed trials below which it is not."""

REPEATED = 0.1
"""Share of repeated parameters above which it is told."""

SLOWER = 1.5
"""A value that makes trials this many times as long, for nothing, is told."""

_WAITS = {
    "SuccessiveHalvingPruner": "min_resource",
    "HyperbandPruner": "min_resource",
    "WilcoxonPruner": "n_startup_steps",
    "PatientPruner": "patience",
}
"""Option that makes a pruner wait; of the others it is n_warmup_steps."""

_LEVELS = 6
"""Values of a range up to which each is a group of its own."""


def trouble_findings(outcome: Outcome, spec: StudySpec, sample: Sample, selection: Selection | None) -> list[Finding]:
    """All of them, in the order of the module's first line."""
    return [
        *_pruning(outcome, spec),
        *_pruned_early(selection, spec),
        *_failures(outcome, spec),
        *_divergence(outcome, spec),
        *_few_trades(outcome, spec),
        *_repeats(outcome, spec),
        *_cost(spec, sample),
    ]


def _pruning(outcome: Outcome, spec: StudySpec) -> list[Finding]:
    pruned = [trial for trial in outcome.trials if trial.state is TrialState.PRUNED]
    done = [trial for trial in outcome.trials if trial.state is TrialState.COMPLETE]
    many = len(pruned) + len(done)
    if not pruned:
        return _never_pruned(outcome, spec, done)
    evidence: dict[str, float | int] = {"pruned": len(pruned), "of": many, "rate": len(pruned) / many}
    found = []
    if len(pruned) > PRUNED * many and many >= 10:
        saved = _saved(pruned, done)
        told = f", which saved about {duration(saved)} of training" if saved > 0.0 else ""
        found.append(
            Finding(
                kind="pruning",
                severity="info",
                text=f"{100 * len(pruned) / many:.0f}% of the trials were pruned ({len(pruned)} of {many}){told}; "
                f"importances and plots rest on the {len(done)} that completed.",
                evidence={**evidence, "saved_s": saved},
                advice=f"If good ones may be among them, raise the pruner's {_later(spec)}.",
            )
        )
    return found


def _never_pruned(outcome: Outcome, spec: StudySpec, done: Sequence[FrozenTrial]) -> list[Finding]:
    if spec.pruner.type == "NopPruner" or len(outcome.directions) > 1:
        return []
    start = spec.pruner.options.get("n_startup_trials", 5)
    reported = [trial for trial in done if len(trial.intermediate_values) > 1]
    if not isinstance(start, int) or len(reported) < max(20, 2 * start):
        return []
    return [
        Finding(
            kind="never_pruned",
            severity="info",
            text=f"The {spec.pruner.type} has stopped none of {len(done)} trials, {len(reported)} of which told "
            "several intermediate values: it saves nothing.",
            evidence={"completed": len(done), "with_reports": len(reported)},
            advice=f"Lower its {_later(spec)}, or evaluate more often (training.eval_frequency).",
        )
    ]


def _saved(pruned: Sequence[FrozenTrial], done: Sequence[FrozenTrial]) -> float:
    """Seconds that the pruned trials would have taken on top, had each taken as long as the median complete one."""
    whole = [seconds for trial in done if (seconds := duration_s(trial)) is not None]
    parts = [seconds for trial in pruned if (seconds := duration_s(trial)) is not None]
    return sum(max(0.0, float(np.median(whole)) - part) for part in parts) if whole else 0.0


def _pruned_early(own: Selection | None, spec: StudySpec) -> list[Finding]:
    """Where most trials were pruned, the score says next to nothing about the end.

    Told only where the upper end of the correlation's 95% interval is below a half.
    """
    if own is None or own.pairs < FEWEST or own.stopped < 5 or own.upper >= 0.5:
        return []
    return [
        Finding(
            kind="pruned_early",
            severity="warning",
            text=f"Trials were pruned too early: {own.stopped} of {own.pruned} at step {own.step}, where the score "
            f"says little about the final one (rank correlation {own.correlation:.2f}, at most {own.upper:.2f}, from "
            f"{own.pairs} completed trials).",
            evidence={
                "step": own.step,
                "stopped": own.stopped,
                "correlation": own.correlation,
                "upper": own.upper,
                "completed": own.pairs,
            },
            advice=f"Set the pruner's {_later(spec)} above {own.step}.",
        )
    ]


def _later(spec: StudySpec) -> str:
    """The option that makes a pruner wait; that of the wrapped one, of a pruner that wraps."""
    wrapped = spec.pruner.options.get("wrapped_pruner")
    return _WAITS.get(spec.pruner.type if wrapped is None else wrapped.type, "n_warmup_steps")


def _failures(outcome: Outcome, spec: StudySpec) -> list[Finding]:
    failed = [t for t in outcome.trials if t.state is TrialState.FAIL and "requeued_as" not in t.user_attrs]
    ended = sum(t.state.is_finished() and "requeued_as" not in t.user_attrs for t in outcome.trials)
    if not failed:
        return []
    errors = Counter(_kind_of(trial.user_attrs.get("error")) for trial in failed)
    error, times = errors.most_common(1)[0]
    where, evidence = _where(spec, failed, [t for t in outcome.trials if t.state is TrialState.COMPLETE])
    return [
        Finding(
            kind="failures",
            severity="warning" if len(failed) >= BROKEN * ended else "info",
            text=f"{count(len(failed), 'trial')} of {ended} failed, {times} of them with: {error}{where}",
            evidence={"failed": len(failed), "of": ended, "error": error, "times": times, **evidence},
            advice="The worker's log in the study's folder, logs/, has the whole message.",
        )
    ]


def _kind_of(error: object) -> str:
    """An error's message without the numbers that differ from trial to trial."""
    if not error:
        return "no message."
    told = re.sub(r"\d+(\.\d+)?([eE][-+]?\d+)?", "…", clean(error, 120))
    return told if told.endswith((".", "…")) else f"{told}."


def _divergence(outcome: Outcome, spec: StudySpec) -> list[Finding]:
    broken = [trial for trial in outcome.completed if trial.user_attrs.get("failure")]
    if not broken:
        return []
    where, evidence = _where(spec, broken, [t for t in outcome.completed if not t.user_attrs.get("failure")])
    reason = Counter(_kind_of(trial.user_attrs["failure"]) for trial in broken).most_common(1)[0][0]
    many = len(outcome.completed)
    return [
        Finding(
            kind="divergence",
            severity="warning" if len(broken) >= BROKEN * many else "info",
            text=f"{count(len(broken), 'training')} of {many} broke off with the floor value, most by: {reason}{where}",
            evidence={"broken": len(broken), "of": many, "reason": reason, **evidence},
            advice="Narrow that range, or lower training.max_grad_norm." if where else "",
        )
    ]


def _few_trades(outcome: Outcome, spec: StudySpec) -> list[Finding]:
    """Trials that cannot be the best for standing aside, where they are many."""
    idle = [trial for trial in outcome.completed if not is_feasible(trial)]
    many = len(outcome.completed)
    if many < FEWEST_TOLD or len(idle) <= IDLE * many:
        return []
    where, evidence = _where(spec, idle, [trial for trial in outcome.completed if is_feasible(trial)])
    least = spec.ruler.evaluation.min_trades
    return [
        Finding(
            kind="few_trades",
            severity="warning" if 2 * len(idle) > many else "info",
            text=f"{len(idle)} of {count(many, 'completed trial')} close fewer than {count(least, 'trade')} and cannot "
            f"be the best.{where}",
            evidence={"idle": len(idle), "of": many, "min_trades": least, **evidence},
            advice="Their agents stand aside: train longer, search env.reward.enable_inactivity_penalty, or lower "
            "evaluation.min_trades if that is what you want.",
        )
    ]


def _where(
    spec: StudySpec, broken: Sequence[FrozenTrial], sound: Sequence[FrozenTrial]
) -> tuple[str, dict[str, object]]:
    """The range in which they lie, where one parameter tells them from the others (p < 0.01 over all parameters)."""
    ranges = [parameter for parameter in spec.parameters if parameter.choices is None and parameter.size != 1]
    tested = [(apart(_placed(p, broken), _placed(p, sound)), p) for p in ranges]
    if not tested or len(broken) < FEWEST_GOOD:
        return "", {}
    p, parameter = min(tested, key=lambda pair: pair[0])
    if p * len(ranges) >= 0.01:
        return "", {}
    theirs, others = _placed(parameter, broken), _placed(parameter, sound)
    above = bool(np.median(theirs) > np.median(others))
    limit = value_at(parameter, float(theirs.min() if above else theirs.max()))
    share = float(((others >= theirs.min()) if above else (others <= theirs.max())).mean())
    side = "or more" if above else "or less"
    return (
        f" All had {parameter.name} {number(limit)} {side}, as {100 * share:.0f}% of the others did.",
        {"parameter": parameter.name, "limit": limit, "side": "above" if above else "below", "others_there": share},
    )


def _placed(parameter: Parameter, trials: Sequence[FrozenTrial]) -> Floats:
    places = np.array([position(parameter, trial.params.get(parameter.name)) for trial in trials], dtype=float)
    known: Floats = places[~np.isnan(places)]
    return known


def _repeats(outcome: Outcome, spec: StudySpec) -> list[Finding]:
    ended = [t for t in outcome.trials if t.state.is_finished() and "requeued_as" not in t.user_attrs]
    different = len({tuple(sorted(trial.params.items(), key=lambda item: item[0])) for trial in ended})
    repeated = len(ended) - different
    if repeated < 3 or repeated <= REPEATED * len(ended):
        return []
    sizes = [parameter.size for parameter in spec.parameters]
    total = None if None in sizes else math.prod(size for size in sizes if size is not None)
    small = f" The space has {total} combinations." if total is not None and total <= 10 * len(ended) else ""
    return [
        Finding(
            kind="duplicates",
            severity="info",
            text=f"{repeated} of {len(ended)} trials repeat the parameters of an earlier one.{small}",
            evidence={"repeated": repeated, "trials": len(ended), "combinations": total},
            advice="Widen the space or give fewer trials; a repeat shows only how much the seed decides.",
        )
    ]


def _cost(spec: StudySpec, sample: Sample) -> list[Finding]:
    """The parameter whose slow values take longest without a better result."""
    seconds_N = np.array([duration_s(trial) or math.nan for trial in sample.trials], dtype=float)
    tested = [parameter for parameter in sample.parameters if parameter.name != "training.total_updates"]
    found = [own for parameter in tested if (own := _slow(sample, parameter, seconds_N, len(tested))) is not None]
    return [max(found, key=lambda finding: float(finding.evidence["ratio"]))] if found else []


def _slow(sample: Sample, parameter: Parameter, seconds_N: Floats, tests: int) -> Finding | None:
    groups = _groups(parameter, sample.column(parameter.name), np.isfinite(seconds_N))
    if len(groups) < 2:
        return None
    ordered = sorted(groups, key=lambda group: float(np.median(seconds_N[group[1]])))
    (fast_name, fast_N), (slow_name, slow_N) = ordered[0], ordered[-1]
    fast, slow = (float(np.median(seconds_N[index])) for index in (fast_N, slow_N))
    ratio, p = slow / fast if fast > 0.0 else math.inf, less(seconds_N[fast_N], seconds_N[slow_N])
    others_N = np.concatenate([index for name, index in groups if name != slow_name])
    better = less(sample.rank_N[slow_N], sample.rank_N[others_N])
    if not SLOWER <= ratio < math.inf or p * tests >= 0.01 or better < 0.2:
        return None
    return Finding(
        kind="cost",
        severity="info",
        text=f"{parameter.name} {slow_name} takes {ratio:.1f} times as long as {fast_name} ({duration(slow)} and "
        f"{duration(fast)} in the median trial) and is not visibly better than the others (p = {better:.2g}).",
        evidence={
            "parameter": parameter.name,
            "slow": slow_name,
            "fast": fast_name,
            "ratio": ratio,
            "slow_s": slow,
            "fast_s": fast,
            "p_better": better,
        },
        advice=f"Leave {parameter.name} {slow_name} out, and spend the time on more trials.",
    )


def _groups(parameter: Parameter, position_N: Floats, told_N: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Trials by value, or below and above the median of a long range; each of five trials or more."""
    known_N = told_N & ~np.isnan(position_N)
    if not known_N.any():
        return []
    groups: list[tuple[str, np.ndarray]]
    if parameter.size is not None and parameter.size <= _LEVELS:
        levels = parameter.values(_LEVELS)
        places = [position(parameter, level) for level in levels]
        groups = [
            (number(level), np.flatnonzero(known_N & (np.abs(position_N - place) < 1e-9)))
            for level, place in zip(levels, places, strict=True)
        ]
    elif parameter.choices is not None:
        return []
    else:
        middle = float(np.median(position_N[known_N]))
        at = number(value_at(parameter, middle))
        groups = [
            (f"up to {at}", np.flatnonzero(known_N & (position_N <= middle))),
            (f"above {at}", np.flatnonzero(known_N & (position_N > middle))),
        ]
    return [(name, index) for name, index in groups if len(index) >= 5]
