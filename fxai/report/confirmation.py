"""What a confirmation says: default and best over fresh seeds, side by side and in words."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from fxai.report.tables import print_table
from fxai.report.text import clean, count, metric, number, signed
from fxai.study.confirm import Confirmation

_SHOWN = ("total_return", "sharpe", "max_drawdown", "n_closed")
"""Metrics shown beside the study's own, where there are such."""


def print_confirmation(told: Confirmation, console: Console) -> None:
    """Print the values of each seed, the means of the main metrics, and what to make of them."""
    name = clean(told.metric)
    rows = [[str(s), number(d), number(b)] for s, d, b in zip(told.seeds, told.default, told.best, strict=True)]
    mean = ["mean", number(statistics.fmean(told.default)), number(statistics.fmean(told.best))]
    spread = ["spread (sd)", number(statistics.stdev(told.default)), number(statistics.stdev(told.best))]
    console.print(Text(f"study {clean(told.study)}: {name} of the default config and of trial {told.trial}"))
    print_table(console, ["seed", "default", "best"], [*rows, mean, spread])
    print_table(console, ["mean over seeds", "default", "best"], _metric_rows(told))
    console.print()
    for sentence in sentences(told):
        console.print(Text(sentence))


def sentences(told: Confirmation) -> list[str]:
    """What came out, honestly; the most important first."""
    d, name, seeds = told.difference, clean(told.metric), len(told.seeds)
    interval = f"{signed(d.mean)} (95% interval {signed(d.low)} to {signed(d.high)})"
    wins = f"in {100 * d.probability_of_improvement:.0f}% of the pairs of seeds it does better"
    if d.low > 0:
        verdict = f"Over {seeds} fresh seeds the best config beats the default by {interval} in {name}; {wins}."
    elif d.high < 0:
        verdict = f"Over {seeds} fresh seeds the best config is worse than the default: {interval} in {name}; {wins}."
    elif d.low == d.high:
        verdict = f"Over {seeds} fresh seeds the two configs score alike in {name}."
    else:
        verdict = (
            f"{seeds} fresh seeds cannot tell the best config from the default: {interval} in {name}; {wins}. "
            "More seeds (--seeds) narrow the interval."
        )
    own, fresh = number(told.own_value), number(statistics.fmean(told.best))
    luck = (
        f"selection made it look better by {number(told.selection)}"
        if told.selection > 0
        else "being chosen did not make it look better than it is"
    )
    return [
        verdict,
        f"The study chose trial {told.trial} for {own}; with fresh seeds it scores {fresh} on average: {luck}.",
        *_idle(told),
        *([_SAME_BARS] if "n_closed" in told.metrics["best"] else []),
    ]


_SAME_BARS = (
    "These are still the validation bars that chose it: the interval is of the luck of training alone, and no "
    "evidence of an edge on bars to come."
)


def _idle(told: Confirmation) -> list[str]:
    said = []
    for which, words in (("default", "The default config"), ("best", "The best config")):
        if idle := told.idle(which):
            noun = "trade" if told.min_trades == 1 else "trades"
            said.append(
                f"{words} closes fewer than {told.min_trades} {noun} (evaluation.min_trades) with "
                f"{idle} of {count(len(told.seeds), 'seed')}."
            )
    return said


def _metric_rows(told: Confirmation) -> list[Sequence[str]]:
    default, best = told.metrics["default"], told.metrics["best"]
    return [
        [name, metric(name, statistics.fmean(default[name])), metric(name, statistics.fmean(best[name]))]
        for name in _SHOWN
        if name in default and name in best and name != told.metric
    ]
