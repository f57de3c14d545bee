"""What one study found, read from its database and its folder, so that several can stand beside each other.

Two studies are comparable only where the same ruler scored them: metrics, bars, account rules, reward and episodes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fxai.config.data import FILE_OPTIONS
from fxai.config.load import flat
from fxai.report.insights import INSIGHTS, Insights, load_insights
from fxai.report.outcome import Outcome, duration_s, first_value, outcome_of
from fxai.report.standing import metric_names
from fxai.study.confirmed import is_confirmed
from fxai.study.database.reader import Reader
from fxai.study.database.records import StudyRecord, active_time, as_study

if TYPE_CHECKING:
    from fxai.study.confirm import Confirmation

_SCORES = ("data.", "env.", "evaluation.", "training.eval_episodes")
"""Settings of the ruler that a score depends on; how long a trial trains is no part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One study."""

    record: StudyRecord
    outcome: Outcome
    spec: dict[str, Any]
    """As recorded; empty where FxAI did not make the study."""

    folder: Path
    confirmation: Confirmation | None
    insights: Insights | None

    @property
    def name(self) -> str:
        """The study's name."""
        return self.record.study_name

    @property
    def phase(self) -> int | None:
        """Its place in the chain of phases."""
        phase = self.spec.get("phase")
        return phase if type(phase) is int else None

    @property
    def finished(self) -> int:
        """Trials that the budget has paid for."""
        return sum(self.outcome.counts[state] for state in ("complete", "pruned", "fail"))

    @property
    def pruning_rate(self) -> float | None:
        """Share of the finished trials that was stopped early."""
        return self.outcome.counts["pruned"] / self.finished if self.finished else None

    @property
    def active_s(self) -> float:
        """Seconds in which at least one trial ran; pauses between runs do not count."""
        return sum((end - start).total_seconds() for start, end in active_time(self.outcome.trials))

    @property
    def in_trials_s(self) -> float:
        """Seconds of all trials together."""
        return sum(duration_s(trial) or 0.0 for trial in self.outcome.trials)

    @property
    def ruler(self) -> dict[str, Any]:
        """All that scores a trial, flat."""
        attrs = self.record.user_attrs
        data_hash = attrs.get("data_hash")
        config = flat(_mapping(self.spec.get("ruler") or self.spec.get("base")))
        left_out = {f"data.{name}" for name in FILE_OPTIONS} if data_hash else set()
        code = {k: v for k, v in _mapping(attrs.get("spec_fingerprint")).items() if k.startswith("content of ")}
        return {
            "metrics": list(self.outcome.metric_names),
            "directions": list(self.outcome.directions),
            "bars": data_hash,
            "objective": self.spec.get("objective"),
            **code,
            **{key: value for key, value in config.items() if key.startswith(_SCORES) and key not in left_out},
        }

    @property
    def starts_elsewhere(self) -> bool:
        """Whether its trial 0 trains something else than the default config: what it inherited, or its `start`."""
        return bool(self.spec.get("inherited") or self.spec.get("start"))

    @property
    def settings(self) -> dict[str, Any]:
        """What trial 0 trains with, flat: a parameter that is not searched has its value here."""
        return flat(_mapping(self.spec.get("base")))

    @property
    def best_settings(self) -> dict[str, Any]:
        """The best trial's searched parameters; empty without one."""
        return {} if self.outcome.best is None else dict(self.outcome.best.params)


def read_facts(reader: Reader, names: Iterable[str], url: str, results_dir: Path) -> list[Facts]:
    """The studies of these names; their best and default trials are read whole.

    Raises:
        InputError: there is no study of a name; the hint lists those that exist.
    """
    return [_facts(reader, name, url, results_dir) for name in names]


def _facts(reader: Reader, name: str, url: str, results_dir: Path) -> Facts:
    record = reader.load(name, url)
    outcome = outcome_of(as_study(record), metric_names(record))
    shown = {trial.number for trial in (outcome.best, outcome.default) if trial is not None}
    reader.complete(trial for trial in record.trials if trial.number in shown)
    folder = results_dir / Path(name).name
    return Facts(
        record=record,
        outcome=outcome,
        spec=_mapping(record.user_attrs.get("spec")),
        folder=folder,
        confirmation=_confirmation(record, folder, outcome),
        insights=load_insights(folder) if (folder / INSIGHTS).is_file() else None,
    )


def by_ruler(studies: Sequence[Facts]) -> list[list[Facts]]:
    """The studies that one ruler scored, together; in the order in which rulers appear."""
    groups: dict[str, list[Facts]] = {}
    for facts in studies:
        ruler: Any = facts.ruler if facts.spec else facts.name  # nobody knows what scored a study that is not ours
        groups.setdefault(json.dumps(ruler, sort_keys=True, default=str), []).append(facts)
    return list(groups.values())


def default_of(facts: Facts, group: Sequence[Facts]) -> float | None:
    """The default config's value: of a study that starts elsewhere, as another study on its ruler measured it.

    None of a study that FxAI did not make: what its trial 0 ran, nobody knows.
    """
    if not facts.spec:
        return None
    if not facts.starts_elsewhere:
        return facts.outcome.default_value
    told = [one.outcome.default_value for one in group if not one.starts_elsewhere]
    return next((value for value in told if value is not None), None)


def gain(outcome: Outcome, over: float | None) -> float | None:
    """By how much the best trial is better than a value, positive in either direction."""
    if outcome.best is None or over is None:
        return None
    difference = first_value(outcome.best) - over
    return difference if outcome.directions[0] == "maximize" else -difference


def ruler_differences(first: Facts, other: Facts) -> list[str]:
    """What scores `other` differently than `first`, a line each: `env.spread_bp 2.0, not 1.0`."""
    if not (first.spec or other.spec):
        return ["FxAI made neither, and knows not what scored them"]
    if not (first.spec and other.spec):
        return ["FxAI did not make it, and knows not what scored it" if first.spec else "scored by FxAI"]
    mine, theirs = first.ruler, other.ruler
    told = []
    for key in dict.fromkeys([*mine, *sorted(theirs)]):  # metrics, directions and bars first
        if mine.get(key) != theirs.get(key):
            line = f"{key} {_shown(theirs.get(key))}, not {_shown(mine.get(key))}"
            told.append("other bars" if key == "bars" else line)
    return told


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "absent" if value is None else value if isinstance(value, str) else json.dumps(value)


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _confirmation(record: StudyRecord, folder: Path, outcome: Outcome) -> Confirmation | None:
    """What `optuna-confirm` wrote, if it is of this study's best trial as it is now."""
    trial = None if outcome.best is None else outcome.best.number
    if not is_confirmed(folder, record.study_name, trial, record.user_attrs.get("data_hash")):
        return None
    from fxai.study.confirm import load_confirmation  # numpy comes with it

    return load_confirmation(folder)
