"""The spec that a study keeps in its database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import ValidationError

from fxai.errors import InputError
from fxai.secrets import redact_url
from fxai.study.spec import StudySpec

if TYPE_CHECKING:
    import optuna


def recorded_budget(study: optuna.Study, fallback: int) -> int:
    """`n_trials` of the spec that the study was last run with, as the database has it now."""
    told = study.user_attrs.get("spec")
    n_trials = told.get("n_trials") if isinstance(told, dict) else None
    return n_trials if isinstance(n_trials, int) else fallback


def recorded_spec(study: optuna.Study, url: str) -> StudySpec:
    """The spec that the study was last run with; `url` is its database, which is not recorded.

    Raises:
        InputError: FxAI did not make the study, or another version of it did.
    """
    try:
        told = {**study.user_attrs["spec"], "storage": url}
        told.setdefault("ruler", told["base"])  # records of earlier versions have one config for both
        return StudySpec.model_validate_json(json.dumps(told))
    except (KeyError, TypeError, ValidationError) as error:
        raise InputError(
            f"study {study.study_name} does not hold the spec of an FxAI study of this version",
            where=redact_url(url),
            hint="run the study once more with its spec file: optuna_optimization.py --spec FILE",
        ) from error
