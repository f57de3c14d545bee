"""Study databases with trials that say what they are worth, as the commands that only look find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from fxai.study.database.storage import opened
from fxai.study.owner import Owner

SPACE = {
    "training.learning_rate": FloatDistribution(1e-5, 1e-2, log=True),
    "model.d_model": CategoricalDistribution([32, 64]),
    "env.reward.profit_giveback_penalty_coefficient": FloatDistribution(0.0, 2.0),
}

RULER: dict[str, Any] = {
    "data": {"source": "ecb", "path": None},
    "env": {"spread_bp": 1.0, "reward": {"plugins": []}},
    "evaluation": {"min_trades": 10},
    "training": {"total_updates": 20, "eval_episodes": 8, "gamma": 0.9, "learning_rate": 0.001},
}


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def recorded(name: str, **changes: Any) -> dict[str, Any]:
    """The parts of a recorded spec that lists and comparisons read."""
    return {
        "study_name": name,
        "metric_names": ["mean_reward"],
        "directions": ["maximize"],
        "n_trials": 4,
        "objective": "fxai.study.ppo:objective",
        "ruler": RULER,
        "base": RULER,
        "sampler": {"type": "TPESampler", "options": {}},
        "pruner": {"type": "MedianPruner", "options": {}},
        **changes,
    }


def add_study(
    storage: RDBStorage,
    name: str,
    values: Sequence[float | Sequence[float]] = (),
    *,
    spec: Mapping[str, Any] | None = None,
    params: Sequence[Mapping[str, Any]] = (),
    pruned: int = 0,
    failed: int = 0,
    start: datetime | None = None,
    constraints: Mapping[str, float] | None = None,
) -> optuna.Study:
    """A study of the recorded `spec` (None: of another program) whose trials took a minute each, one after the other.

    Trial 0 is the default; then come the pruned and the failed ones.
    """
    directions = ["maximize"] if spec is None else spec["directions"]
    study = optuna.create_study(storage=storage, study_name=name, directions=directions)
    if spec is not None:
        study.set_user_attr("spec", dict(spec))
        study.set_user_attr("data_hash", "bars")
    when = start or datetime.now() - timedelta(hours=3)
    states = [TrialState.COMPLETE] * len(values) + [TrialState.PRUNED] * pruned + [TrialState.FAIL] * failed
    for i, state in enumerate(states):
        value = values[i] if i < len(values) else None
        told = {"default": True} if i == 0 else {}
        chosen = dict(params[i]) if i < len(params) else {"training.learning_rate": 0.001, "model.d_model": 64}
        trial = create_trial(
            state=state,
            values=None if value is None else [value] if isinstance(value, float) else list(value),
            params=chosen,
            distributions={name: SPACE[name] for name in chosen},
            user_attrs={**told, "metrics": {"total_return": 0.0123, "n_trades": 40.0}},
            constraints=dict(constraints or {}),
        )
        trial.datetime_start = when + timedelta(minutes=i)
        trial.datetime_complete = when + timedelta(minutes=i + 1)
        study.add_trial(trial)
    return study


def run_trial(storage: RDBStorage, study: optuna.Study, owner: Owner | None) -> int:
    """A trial that is running now, held by `owner`; returns its number."""
    trial = study.ask()
    if owner is not None:
        trial.set_user_attr("owner", owner.as_dict())
        storage.record_heartbeat(trial._trial_id)
    return trial.number


__all__ = ["RULER", "SPACE", "add_study", "opened", "recorded", "run_trial", "url_of"]
