"""baselines.json: what the best trial of a study is held against, measured on the same validation episodes.

Written at the end of a run, while the market is at hand; `best` shows it again without market and torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic

from fxai.config.base import Settings
from fxai.config.metrics import DO_NOTHING, GAINS, HINDSIGHT
from fxai.files import write_json_atomic
from fxai.report.outcome import Outcome, first_value, metrics_of
from fxai.report.text import metric
from fxai.study.trial_files import write_table

if TYPE_CHECKING:
    import optuna

    from fxai.evaluate.curve import EquityCurve
    from fxai.study.spec import StudySpec

BASELINES = "baselines.json"

BASELINE_EQUITY = "baselines_equity.csv"
"""Mean equity of each baseline over the same episodes, by bars since their begin; for the page's picture."""

FORMAT = 2
"""Version of the file's structure."""

Metrics = dict[str, float]


class Baselines(Settings):
    """What baselines.json holds."""

    format: int
    study: str
    spec_hash: str
    data_hash: str | None
    trial: int
    """The trial, best at that time, whose turnover the random traders have."""

    turnover: float
    """That turnover: notional traded over equity, mean per bar."""

    traders: int
    """How many random traders there are."""

    idle: int
    """How many of them never trade: few trades are to be dealt out where the turnover is next to nothing."""

    cut: int
    """Episodes whose best tape would be stopped; with any, `hindsight` is the best tape found and no ceiling."""

    metrics: dict[str, Metrics]
    """Baseline → its metrics; `random` is the mean of the random traders."""


def write_baselines(
    study: optuna.Study,
    spec: StudySpec,
    folder: Path,
    outcome: Outcome,
    metrics: Mapping[str, Metrics],
    *,
    traders: int,
    idle: int,
    cut: int,
) -> Path:
    """Write the file; `outcome` has a best trial. The rest is as in `Baselines`.

    Raises:
        StorageError, InputError: the disk is full, or the folder cannot be written to.
    """
    assert outcome.best is not None
    told = Baselines(
        format=FORMAT,
        study=spec.study_name,
        spec_hash=spec.spec_hash,
        data_hash=study.user_attrs.get("data_hash"),
        trial=outcome.best.number,
        turnover=turnover_of(outcome),
        traders=traders,
        idle=idle,
        cut=cut,
        metrics={name: dict(own) for name, own in metrics.items()},
    )
    path = folder / BASELINES
    write_json_atomic(path, told.model_dump(mode="json"))
    return path


def write_baseline_equity(folder: Path, curves: Mapping[str, EquityCurve]) -> Path:
    """Write the mean curve of each baseline, all over the same bars.

    Raises:
        StorageError, InputError: the disk is full, or the folder cannot be written to.
    """
    path = folder / BASELINE_EQUITY
    bars = next(iter(curves.values())).bar_R.tolist()
    rows = zip(bars, *(curve.mean_R.tolist() for curve in curves.values()), strict=True)
    write_table(path, ["bar", *curves], rows)
    return path


def load_baselines(study: optuna.Study, spec: StudySpec, folder: Path) -> Baselines | None:
    """The file's content; None where there is none that belongs to this study, its spec and its data.

    A damaged file is none: the next run of the study writes it again.
    """
    try:
        told = Baselines.model_validate_json((folder / BASELINES).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, pydantic.ValidationError):
        return None
    mine = (FORMAT, spec.study_name, spec.spec_hash, study.user_attrs.get("data_hash"))
    return told if (told.format, told.study, told.spec_hash, told.data_hash) == mine else None


def turnover_of(outcome: Outcome) -> float:
    """The best trial's turnover; 0 without one."""
    return metrics_of(outcome.best).get("turnover", 0.0) if outcome.best is not None else 0.0


def verdicts(outcome: Outcome, baselines: Baselines | None) -> list[str]:
    """Sentences about the best trial beside the baselines; none where it does not trade, or there are no baselines."""
    if baselines is None or outcome.best is None:
        return []
    mine = metrics_of(outcome.best)
    if not mine.get("n_trades"):
        return []
    name = outcome.metric_names[0] if outcome.metric_names[0] in GAINS else "total_return"
    value = first_value(outcome.best) if name == outcome.metric_names[0] else mine.get(name)
    said = [] if value is None else _beaten_by(name, value, baselines)
    return said + _of_idle_traders(baselines) + _of_the_ceiling(mine.get("total_return"), baselines)


def _beaten_by(name: str, value: float, baselines: Baselines) -> list[str]:
    said = []
    others = {each: own[name] for each, own in baselines.metrics.items() if each != HINDSIGHT and name in own}
    nothing = others.pop(DO_NOTHING, None)
    if nothing is not None and value <= nothing:
        how = "worse than" if value < nothing else "no better than"
        said.append(
            f"The best trial is {how} doing nothing: {name} {metric(name, value)} against {metric(name, nothing)}."
        )
    ahead = [f"{each} ({metric(name, own)})" for each, own in others.items() if own >= value]
    if ahead:
        said.append(f"The best trial ({name} {metric(name, value)}) does not beat {' and '.join(ahead)}.")
    return said


def _of_idle_traders(baselines: Baselines) -> list[str]:
    if 2 * baselines.idle < baselines.traders:
        return []
    return [
        f"The best trial trades so little that {baselines.idle} of {baselines.traders} random traders of its turnover "
        "never trade: that it beats random says no more than that it beats doing nothing."
    ]


def _of_the_ceiling(value: float | None, baselines: Baselines) -> list[str]:
    ceiling = baselines.metrics.get(HINDSIGHT, {}).get("total_return", 0.0)
    if value is None or ceiling <= 0:
        return []
    if baselines.cut:
        return [
            f"With every price known in advance at least {metric('total_return', ceiling)} an episode could be earned "
            f"under these costs: stops and margin calls are not searched over, and in {baselines.cut} of the episodes "
            "the best tape without them is stopped."
        ]
    got = f"{100 * value / ceiling:.2g}%" if value > 0 else "none"
    return [
        f"With every price known in advance {metric('total_return', ceiling)} an episode could be earned under these "
        f"costs; the best trial got {got} of it."
    ]
