"""What `status` prints: one line for each study of a database."""

from __future__ import annotations

import optuna
from optuna.storages import RDBStorage

from fxai.report.outcome import first_value, outcome_of
from fxai.report.text import NOTHING, clean, done_of, number
from fxai.study.budget import tally
from fxai.study.owner import Owner
from fxai.study.storage import load_study, opened, study_names

_HEAD = ("study", "done", "running", "waiting", "failed", "best", "run by")


def print_status(storage_url: str) -> None:
    """Print the studies of a database with their trials by state, their best and who runs them; reads only.

    Raises:
        InputError: there is no such database.
        StorageError: it is damaged or cannot be reached.
    """
    with opened(storage_url, readonly=True) as storage:
        rows = [_HEAD, *(_row(storage, load_study(storage, name)) for name in study_names(storage))]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEAD))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(storage: RDBStorage, study: optuna.Study) -> tuple[str, ...]:
    attrs = study.user_attrs
    spec = attrs.get("spec", {})  # absent where another program made the study
    count = tally(storage, study._study_id)
    best = outcome_of(study, spec.get("metric_names", ["value"])).best
    holder = Owner.from_dict(attrs.get("orchestrator"))
    return (
        clean(study.study_name),
        done_of(count.finished, spec.get("n_trials", "?")),
        str(count.running),
        str(count.waiting),
        str(count.failed),
        NOTHING if best is None else f"{number(first_value(best))} (trial {best.number})",
        NOTHING if holder is None or holder.is_known_dead() else clean(holder),
    )
