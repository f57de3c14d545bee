"""`best`: the best trial of a study, printed and exported."""

from __future__ import annotations

import argparse
from datetime import timezone
from pathlib import Path
from typing import TYPE_CHECKING

from fxai.report.json_lines import as_json, result_record
from fxai.report.outcome import outcome_of
from fxai.report.results import results_path, write_best, write_trials
from fxai.report.summary import print_best
from fxai.study.database.reader import reading
from fxai.study.database.records import StudyRecord, as_study
from fxai.study.names import checked_name
from fxai.study.owner import ORCHESTRATOR, Owner
from fxai.study.recorded import recorded_spec

if TYPE_CHECKING:
    from fxai.study.spec import StudySpec


def best_command(args: argparse.Namespace) -> int:
    """Print the best trial of a study and write its files; of all trials only where theirs is out of date."""
    with reading(args.storage) as reader:
        record = reader.load(args.study, args.storage)
        study = as_study(record)
        spec = recorded_spec(study, args.storage)
        folder = args.results_dir / checked_name(spec.study_name, "study")
        outcome = outcome_of(study, spec.metric_names)
        shown = {trial.number for trial in (outcome.best, outcome.default, *outcome.front) if trial is not None}
        reader.complete(trial for trial in record.trials if trial.number in shown)
        write_best(study, spec, folder, outcome)
        if args.json:
            print(as_json({"study": spec.study_name, "folder": str(folder), **result_record(outcome)}))
        else:
            print_best(study, spec, folder, outcome)
        if _out_of_date(record, spec, folder):
            reader.complete(record.trials)
            write_trials(study, spec, folder)
    return 0


def _out_of_date(record: StudyRecord, spec: StudySpec, folder: Path) -> bool:
    """Whether the file of all trials lacks some and nobody will write it: a run does at its end, unless it is killed.

    It is the only file whose making takes longer the more trials there are.
    """
    path = results_path(spec, folder)
    if not path.exists():
        return True
    holder = record.user_attrs.get(ORCHESTRATOR)
    running = Owner.from_dict(holder) if isinstance(holder, dict) else None
    if running is not None and not running.is_known_dead():
        return False
    ends = [trial.complete_utc for trial in record.trials if trial.complete_utc is not None]
    return bool(ends) and max(ends).replace(tzinfo=timezone.utc).timestamp() >= path.stat().st_mtime
