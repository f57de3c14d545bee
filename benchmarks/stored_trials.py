"""Finished trials put straight into a study's database, so that a benchmark beside thousands of them need not run them.

They are drawn at random from the study's space; what else a trial of FxAI carries is copied from one that was run.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna._transform import _SearchSpaceTransform
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState

STEPS = (5, 10, 15, 20, 25, 30)
"""Updates after which a trial reports."""

PRUNED_AFTER = 3
"""Reports of a pruned trial."""

MINUTE = datetime.timedelta(minutes=1)


def quality(params: dict[str, Any]) -> float:
    """A value from 0 to 1, the same for the same parameters: it makes some trials better than others."""
    numbers = [value for value in params.values() if isinstance(value, float)]
    return float(np.mean(np.sin(np.asarray(numbers) * 1e3) ** 2)) if numbers else 0.5


def drawn_trials(
    space: dict[str, optuna.distributions.BaseDistribution],
    count: int,
    *,
    pattern: FrozenTrial | None = None,
    pruned: float = 0.3,
    seed: int = 0,
) -> list[FrozenTrial]:
    """Finished trials at random points of a space.

    Args:
        space: parameter → distribution.
        count: of trials.
        pattern: a trial whose user attributes they copy.
        pruned: share that was pruned after PRUNED_AFTER reports.
        seed: of the points.
    """
    rng = np.random.default_rng(seed)
    transform = _SearchSpaceTransform(space)
    low, high = transform.bounds[:, 0], transform.bounds[:, 1]
    began = datetime.datetime.now() - count * MINUTE
    trials = []
    for index in range(count):
        params = transform.untransform(rng.uniform(low, high))
        stopped = rng.random() < pruned
        curve = {step: quality(params) * step / STEPS[-1] for step in STEPS[: PRUNED_AFTER if stopped else None]}
        value = curve[max(curve)]
        trials.append(
            optuna.trial.create_trial(
                state=TrialState.PRUNED if stopped else TrialState.COMPLETE,
                value=value,
                params=params,
                distributions=space,
                intermediate_values=curve,
                user_attrs=_attrs(pattern, index, value),
            )
        )
        trials[-1].datetime_start = began + index * MINUTE
        trials[-1].datetime_complete = began + (index + 1) * MINUTE
    return trials


def _attrs(pattern: FrozenTrial | None, seed: int, value: float) -> dict[str, Any]:
    if pattern is None:
        return {}
    kept = {key: item for key, item in pattern.user_attrs.items() if key != "default"}
    metrics = {name: value for name in kept.get("metrics") or {}}
    return {**kept, "seed": seed, "metrics": metrics}


def insert_trials(storage: RDBStorage, study_id: int, trials: Sequence[FrozenTrial]) -> None:
    """Store trials behind those that the study has, all in one transaction."""
    with storage.engine.begin() as connection:
        trial_table = models.TrialModel.__table__
        counted = connection.execute(_count(trial_table, study_id)).scalar_one()
        last = connection.execute(_last(trial_table)).scalar_one() or 0
        rows: dict[Any, list[dict[str, Any]]] = {}
        for offset, trial in enumerate(trials):
            _rows_of(trial, int(last) + 1 + offset, int(counted) + offset, study_id, rows)
        for table, listed in rows.items():
            connection.execute(table.insert(), listed)


def _count(table: Any, study_id: int) -> Any:
    from sqlalchemy import func, select

    return select(func.count()).select_from(table).where(table.c.study_id == study_id)


def _last(table: Any) -> Any:
    from sqlalchemy import func, select

    return select(func.max(table.c.trial_id))


def _rows_of(
    trial: FrozenTrial, trial_id: int, number: int, study_id: int, rows: dict[Any, list[dict[str, Any]]]
) -> None:
    """Add the rows of one trial to those of each table, as Optuna's storage would write them."""

    def add(model: Any, **columns: Any) -> None:
        rows.setdefault(model.__table__, []).append(columns)

    utc = [when.astimezone(datetime.timezone.utc).replace(tzinfo=None) for when in _times(trial)]
    add(
        models.TrialModel,
        trial_id=trial_id,
        number=number,
        study_id=study_id,
        state=trial.state,
        datetime_start=utc[0],
        datetime_complete=utc[1],
    )
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        add(
            models.TrialParamModel,
            trial_id=trial_id,
            param_name=name,
            param_value=distribution.to_internal_repr(value),
            distribution_json=optuna.distributions.distribution_to_json(distribution),
        )
    finite = models.TrialValueModel.TrialValueType.FINITE
    for objective, value in enumerate(trial.values or ()):
        add(models.TrialValueModel, trial_id=trial_id, objective=objective, value=value, value_type=finite)
    told = models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
    for step, value in trial.intermediate_values.items():
        add(
            models.TrialIntermediateValueModel,
            trial_id=trial_id,
            step=step,
            intermediate_value=value,
            intermediate_value_type=told,
        )
    for key, value in trial.user_attrs.items():
        add(models.TrialUserAttributeModel, trial_id=trial_id, key=key, value_json=json.dumps(value))


def _times(trial: FrozenTrial) -> tuple[datetime.datetime, datetime.datetime]:
    assert trial.datetime_start is not None
    assert trial.datetime_complete is not None
    return trial.datetime_start, trial.datetime_complete
