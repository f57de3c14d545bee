"""Findings about a study as a whole: what its importances are worth, and whether it is still getting better.

A finding is told only where noise would rarely give it; which noise, its function says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fxai.report.insights import Finding, Importance, band
from fxai.report.insights.chance import Spread, less, lucky_gain, spread_of
from fxai.report.insights.importance import Measured, measure
from fxai.report.insights.ranges import range_findings
from fxai.report.insights.sample import Sample
from fxai.report.insights.selection import Selection, selection_of
from fxai.report.insights.troubles import trouble_findings
from fxai.report.outcome import Outcome
from fxai.report.text import count, number
from fxai.study.spec import StudySpec

FEWEST = 10
"""Completed trials below which no importances are given."""

FEW = 50
"""Completed trials below which they are called rough."""

PREDICTS = 0.05
"""Share of the ranks' variance below which the parameters predict next to nothing."""

HISTORY = 15
"""Completed trials below which nothing is said about the course of a study."""


def importances_of(sample: Sample, outcome: Outcome) -> tuple[tuple[Importance, ...], str]:
    """Importances, largest first, and what is to be said of them."""
    many = len(sample.trials)
    if many < FEWEST:
        return (
            (),
            f"No importances yet: {count(many, 'completed trial')}, and fewer than {FEWEST} show nothing but luck.",
        )
    if not sample.parameters:
        return (), "No importances: no parameter has more than one value."
    measured = measure(sample)
    if measured is None:
        return (), "No importances: the completed trials are all worth the same."
    importances = tuple(_importance(sample, measured, i) for i in np.argsort(-measured.share_P, kind="stable"))
    return importances, _trust(importances, outcome, measured.explained)


def _importance(sample: Sample, measured: Measured, i: int) -> Importance:
    share = float(measured.share_P[i])
    return Importance(
        name=sample.parameters[i].name,
        value=share,
        band=band(share),
        low=float(measured.low_P[i]),
        high=float(measured.high_P[i]),
        clear=bool(measured.clear_P[i]),
    )


def _trust(importances: Sequence[Importance], outcome: Outcome, explained: float) -> str:
    many, metric = len(outcome.completed), outcome.metric_names[0]
    clear = [importance.name for importance in importances if importance.clear]
    of = f"Importances from {count(many, 'completed trial')}"
    if len(outcome.metric_names) > 1:
        of += f", by {metric} alone"
    if not clear:
        return f"{of}: none is told apart from luck. Shuffled results give as much, so the order means nothing."
    rough = f" With fewer than {FEW} trials the shares are rough." if many < FEW else ""
    verb = "is" if len(clear) == 1 else "are"
    others = len(importances) - len(clear)
    rest = f"; the {others} others may be luck" if others > 1 else "; the other may be luck" if others else ""
    much = "next to nothing" if explained < PREDICTS else f"about {100 * explained:.0f}%"
    together = f" All parameters together explain {much} of how trials rank that the estimate has not seen."
    return f"{of}: {', '.join(clear)} {verb} told apart from luck{rest}.{together}{rough}"


def findings_of(
    outcome: Outcome, spec: StudySpec, sample: Sample, importances: Sequence[Importance]
) -> tuple[Finding, ...]:
    """Everything that the study shows, warnings first."""
    shares = {importance.name: importance.value for importance in importances}
    weight_P = np.array([shares.get(parameter.name, 0.0) for parameter in sample.parameters])
    selection = selection_of(outcome)
    spread = _unselected(spread_of(sample, weight_P if shares else None), selection)
    found = [
        *_luck(outcome, sample, spread, selection),
        *_course(outcome, sample, spread),
        *range_findings(outcome, spec, sample, importances),
        *trouble_findings(outcome, spec, sample, selection),
    ]
    return tuple(sorted(found, key=lambda finding: finding.severity != "warning"))


def _unselected(spread: Spread | None, selection: Selection | None) -> Spread | None:
    """The spread over all trials: pruning left those that lie closer together."""
    if spread is None or selection is None or spread.repeats:
        return spread
    return Spread(spread.deviation / selection.shrinkage, False)


def _luck(outcome: Outcome, sample: Sample, spread: Spread | None, selection: Selection | None) -> list[Finding]:
    """The lead of the best over trial 0 is no more than the best of as many equal trials would have.

    Of studies in which no parameter does anything, 19 in 20 get this warning (values normal). The pruned trials
    competed too: they count, each as one that the best one beat.
    """
    gain, pruned = outcome.improvement, 0 if selection is None else selection.pruned
    many = len(sample.sound.trials) + pruned
    if spread is None or gain is None or gain <= 0.0 or many < 2:
        return []
    usual, bar = (spread.deviation * lucky_gain(many, q) for q in (None, 0.95))
    if gain > bar:
        return []
    alike = "with equal parameters" if spread.repeats else "that are alike"
    return [
        Finding(
            kind="luck",
            severity="warning",
            text=f"The best trial beats the {outcome.start} by {number(gain)} in {outcome.metric_names[0]}, which luck "
            f"explains: trials {alike} differ by {number(spread.deviation)} (standard deviation), and the best of "
            f"{many} equal trials{', pruned ones included,' if pruned else ''} would beat one more of them by "
            f"{number(usual)} on average.",
            evidence={"gain": gain, "deviation": spread.deviation, "lucky_gain": usual, "bar": bar, "trials": many},
            advice="Train both on fresh seeds before believing it.",
        )
    ]


def _course(outcome: Outcome, sample: Sample, spread: Spread | None) -> list[Finding]:
    """Plateau: the last third added nothing, and is no better than the third before.

    Improving: the best is of the last third, which is better as a whole (Mann and Whitney, p < 0.01). In noise the best
    is of the last third in one study of three, and both are true in one of a hundred at most.
    """
    sample = sample.sound
    many = len(sample.trials)
    if many < HISTORY or outcome.best is None or spread is None:
        return []
    best_N, third = np.minimum.accumulate(sample.loss_N), many // 3
    last = int(np.flatnonzero(best_N == best_N[-1])[0])
    gain, since = float(best_N[many - third - 1] - best_N[-1]), many - 1 - last
    p = less(sample.loss_N[many - third :], sample.loss_N[many - 2 * third : many - third])
    evidence = {"last_improved": sample.trials[last].number, "since": since, "gain": gain, "p": p, "completed": many}
    metric = outcome.metric_names[0]
    if last >= many - third and p < 0.01:
        return [
            Finding(
                kind="improving",
                severity="info",
                text=f"It is still getting better: the best trial is {sample.trials[last].number}, the last third "
                f"added {number(gain)} in {metric}, and its trials are better than those before (p = {p:.2g}).",
                evidence=evidence,
                advice="More trials are likely to bring more.",
            )
        ]
    if last >= many - third or p < 0.01:
        return []
    when = f"last improved at trial {sample.trials[last].number}, {count(since, 'completed trial')} before the end"
    return [
        Finding(
            kind="plateau",
            severity="info",
            text=f"The history is flat: the best {metric} {when}; the last third of {many} added nothing, where trials "
            f"that are alike differ by {number(spread.deviation)}.",
            evidence={**evidence, "deviation": spread.deviation},
            advice="More trials of the same ranges will bring little.",
        )
    ]
