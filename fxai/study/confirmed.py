"""Whether a study's best trial has been confirmed; reads one file, and needs neither numpy nor Optuna."""

from __future__ import annotations

import json
from pathlib import Path

CONFIRMATION = "confirmation.json"


def is_confirmed(folder: Path | None, study: str, trial: int | None, data_hash: object) -> bool:
    """Whether the folder holds a confirmation of this very trial, on these bars."""
    if folder is None or trial is None:
        return False
    try:
        told = json.loads((folder / CONFIRMATION).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    now = {"study": study, "trial": trial, "data_hash": data_hash}
    return isinstance(told, dict) and all(told.get(key) == value for key, value in now.items())
