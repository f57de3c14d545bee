"""The top of the page: what came out in a sentence, key figures, best against default on validation and fresh seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from fxai.config.metrics import METRIC_DIRECTIONS
from fxai.report.html import cards, escape, heading, paragraphs, table
from fxai.report.outcome import duration_s, first_value, metrics_of, speed
from fxai.report.page.subject import Told
from fxai.report.results import scored_on
from fxai.report.text import NOTHING, count, done_of, duration, metric, number
from fxai.study.confirm import Confirmation

MAIN = (
    "mean_reward",
    "total_return",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "profit_factor",
    "win_rate",
    "n_trades",
    "turnover",
    "exposure",
    "costs",
)
"""Metrics of the tables, after those that the study is about."""

JUDGED = MAIN[:8]
"""Those of which more, or less, is plainly better."""


def headline(told: Told) -> str:
    """The result in a few sentences, the more certain one last, and what to make of it."""
    best, said = told.outcome.best, []
    if best is not None:
        scored = f"{told.metric} {number(first_value(best))} on {scored_on(told.spec)}"
        default = told.outcome.default
        if default is not None and default.number == best.number:
            said.append(f"The {told.outcome.start} is the best of {_completed(told)}: {scored}.")
        else:
            said.append(f"The best of {_completed(told)}, trial {best.number}, has {scored}{_beside(told)}.")
    if told.confirmation is not None:
        said.append(confirmed(told.confirmation))
    return "\n".join(
        [
            f'<p class="lead">{escape(" ".join(said), 2000)}</p>' if said else "",
            cards(_figures(told)),
            paragraphs(told.remarks),
        ]
    )


def _completed(told: Told) -> str:
    return count(len(told.outcome.completed), "completed trial")


def _beside(told: Told) -> str:
    default, gain = told.outcome.default_value, told.outcome.improvement
    if default is None or gain is None:
        return f"; the {told.outcome.start} gave no value to compare with"
    side = "better" if gain >= 0 else "worse"
    return f", {number(abs(gain))} {side} than the {told.outcome.start} with {number(default)}"


def confirmed(found: Confirmation) -> str:
    """What training both again on fresh seeds gave, in a sentence that claims no more than it shows."""
    gap = found.difference
    told = (
        f"Trained again on {count(len(found.seeds), 'fresh seed')}, trial {found.trial} has a mean {found.metric} of "
        f"{number(fmean(found.best))} and the default {number(fmean(found.default))}: a difference of "
        f"{number(gap.mean)} (95% interval {number(gap.low)} to {number(gap.high)}), "
    )
    if gap.low > 0:
        told += "better beyond the luck of seeds."
    else:
        told += "worse beyond the luck of seeds." if gap.high < 0 else "which may be the luck of seeds."
    names = {"best": f"trial {found.trial}", "default": "the default"}
    idle = [f"{name} with {found.idle(who)}" for who, name in names.items() if found.idle(who)]
    return told + (f" Hardly a trade is made by {' and by '.join(idle)} of these seeds." if idle else "")


def _figures(told: Told) -> list[tuple[str, str]]:
    outcome = told.outcome
    counts = outcome.counts
    done = counts["complete"] + counts["pruned"] + counts["fail"]
    seconds = sum(duration_s(trial) or 0.0 for trial in outcome.trials)
    steps = speed(outcome.trials)
    best = NOTHING if outcome.best is None else number(first_value(outcome.best))
    return [
        (f"best {told.metric}", best),
        (f"{outcome.start_word} {told.metric}", number(outcome.default_value)),
        ("trials", done_of(done, told.spec.n_trials)),
        ("pruned", str(counts["pruned"])),
        ("failed", str(counts["fail"])),
        ("time in trials", duration(seconds)),
        ("env steps/s per worker", NOTHING if steps is None else f"{steps:,.0f}"),
    ]


def comparison(told: Told) -> str:
    """Best beside default and baselines on validation, then on fresh seeds, then instrument by instrument."""
    best, default = told.outcome.best, told.outcome.default
    if best is None:
        return ""
    columns = {f"best (trial {best.number})": metrics_of(best)}
    if default is not None and default.number != best.number:
        columns[f"{told.outcome.start_word} (trial {default.number})"] = metrics_of(default)
    columns |= told.baselines.metrics if told.baselines is not None else {}
    parts = [
        heading(f"Best against {told.outcome.start_word}"),
        _metrics_table(f"on {scored_on(told.spec)}", columns, told),
    ]
    return "\n".join([*parts, *_fresh(told), *_by_instrument(told)])


def _metrics_table(title: str, columns: Mapping[str, Mapping[str, float]], told: Told) -> str:
    first = next(iter(columns.values()))
    own = [name for name in dict.fromkeys([*told.outcome.metric_names, *MAIN]) if name in first]
    rows = [[_named(name), *(metric(name, column.get(name)) for column in columns.values())] for name in own]
    return table([title, *columns], rows)


def _named(name: str) -> str:
    """A metric with the way in which it is better."""
    direction = METRIC_DIRECTIONS.get(name, "") if name in JUDGED else ""
    arrow = {"maximize": " ↑", "minimize": " ↓"}.get(direction, "")
    return f"{name}{arrow}"


def _fresh(told: Told) -> list[str]:
    found = told.confirmation
    if found is None:
        return []
    names = [n for n in dict.fromkeys([found.metric, *MAIN]) if n in found.metrics["best"]]
    rows = []
    for name in names:
        cells = [found.metrics[who].get(name, ()) for who in ("best", "default")]
        rows.append([_named(name), *(_spread(name, values) for values in cells)])
    columns = [f"{who}: mean (lowest to highest)" for who in (f"trial {found.trial}", "default")]
    seeds = ", ".join(str(seed) for seed in found.seeds)
    said = [
        f"Probability that a seed of trial {found.trial} beats a seed of the default: "
        f"{number(found.difference.probability_of_improvement)}. Seeds: {seeds}."
    ]
    if told.outcome.best is not None and told.outcome.best.number != found.trial:
        said.append(f"The best trial is now another one ({told.outcome.best.number}): it is not confirmed.")
    title = f"on {count(len(found.seeds), 'fresh seed')}"
    return [table([title, *columns], rows), paragraphs(said, "note")]


def _spread(name: str, values: Sequence[float]) -> str:
    if not values:
        return NOTHING
    return f"{metric(name, fmean(values))} ({metric(name, min(values))} to {metric(name, max(values))})"


def _by_instrument(told: Told) -> list[str]:
    instruments = told.outcome.best.user_attrs.get("instruments") if told.outcome.best is not None else None
    if not isinstance(instruments, dict) or not instruments:
        return []
    names = [name for name in JUDGED if name != "calmar" and name in next(iter(instruments.values()))]
    rows = [[each, *(metric(name, own.get(name)) for name in names)] for each, own in instruments.items()]
    return [table(["best trial on", *names], rows)]
