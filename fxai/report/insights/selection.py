"""What pruning hides: the trials that completed were selected, and lie closer together than all trials would.

A normal variable of which only the best share k is kept loses δ = λ(λ − z) of its variance, z = Φ⁻¹(1 − k), λ = φ(z)/k.
A pruner selects by an early score, whose correlation ρ with the last one decides how much of that the last one loses:
ρ²δ. Among the trials kept, the correlation itself is smaller than over all (Thorndike, 1949, case 2). Approximations:
values normal, one cut at one step.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from fxai.report.insights.chance import rank_correlation
from fxai.report.outcome import Outcome

FEWEST = 20
"""Completed trials with a score at the step below which no correlation is told."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """How a study's trials were pruned."""

    pruned: int
    step: int
    """At which most were stopped."""

    stopped: int
    """Those stopped there."""

    pairs: int
    """Completed trials that tell a finite score at that step."""

    correlation: float
    """Rank correlation of that score with the last one, over all trials as far as the completed ones show."""

    upper: float
    """Upper end of its 95% interval; 1 where there are too few pairs."""

    kept: float
    """Share of the trials that completed."""

    @property
    def shrinkage(self) -> float:
        """Standard deviation of the completed trials over that of all, at the least."""
        return math.sqrt(1.0 - max(self.upper, 0.0) ** 2 * lost_variance(self.kept))


def selection_of(outcome: Outcome) -> Selection | None:
    """How the trials of a study of one metric were pruned; None where none was."""
    pruned = [trial for trial in outcome.trials if trial.state.name == "PRUNED"]
    done = [trial for trial in outcome.trials if trial.state.name == "COMPLETE"]
    steps = Counter(max(trial.intermediate_values) for trial in pruned if trial.intermediate_values)
    if not steps or not done or len(outcome.directions) > 1:
        return None
    step, stopped = steps.most_common(1)[0]
    both = [(trial.intermediate_values.get(step, math.nan), float(trial.values[0])) for trial in done]
    pairs = np.array([pair for pair in both if all(map(math.isfinite, pair))]).reshape(-1, 2)
    kept = len(done) / (len(done) + len(pruned))
    rho, upper = rank_correlation(pairs[:, 0], pairs[:, 1]) if len(pairs) >= FEWEST else (0.0, 1.0)
    return Selection(
        pruned=len(pruned),
        step=step,
        stopped=stopped,
        pairs=len(pairs),
        correlation=over_all(rho, kept),
        upper=over_all(upper, kept),
        kept=kept,
    )


def lost_variance(kept: float) -> float:
    """δ: the share of its variance that a normal variable loses when only its best share `kept` is left."""
    if kept >= 1.0:
        return 0.0
    z = _NORMAL.inv_cdf(1.0 - kept)
    hazard = _NORMAL.pdf(z) / kept
    return hazard * (hazard - z)


def over_all(correlation: float, kept: float) -> float:
    """The correlation over all trials, from that among the share `kept` with the best of one variable."""
    ratio = 1.0 / math.sqrt(1.0 - lost_variance(kept))
    raised = correlation * ratio
    return raised / math.sqrt(1.0 - correlation**2 + raised**2)
