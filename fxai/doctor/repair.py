"""What can be mended without a person: safe while workers run, and nothing is opened for writing without need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from optuna.storages import RDBStorage

from fxai.doctor.finding import Finding, mended, of_error
from fxai.doctor.folders import leftovers
from fxai.doctor.place import Place
from fxai.doctor.snapshot import Snapshot, take
from fxai.doctor.trials import holder_of, is_own, running_of
from fxai.errors import FxaiError
from fxai.report.text import clean
from fxai.secrets import redact
from fxai.study.database import budget
from fxai.study.database.mark import clear_dead_mark
from fxai.study.database.records import StudyRecord
from fxai.study.database.storage import opened


def repair(place: Place) -> list[Finding]:
    """Re-queue orphans, clear marks of dead processes, remove half-written files older than a day; say each."""
    return [*(finding for url in place.urls for finding in _database(url)), *_files(place.results_dir)]


def _database(url: str) -> list[Finding]:
    snapshot = take(url)
    if not isinstance(snapshot, Snapshot):
        return []  # the examination tells why
    broken = [record for record in snapshot.studies if is_own(record) and _needs_repair(record, snapshot)]
    if not broken:
        return []
    try:
        with opened(url) as storage:
            return [finding for record in broken for finding in _study(storage, record)]
    except FxaiError as error:
        return [of_error("database", error, "nothing was repaired; mend this first")]


def _needs_repair(record: StudyRecord, snapshot: Snapshot) -> bool:
    holder = holder_of(record)
    marked = holder is not None and holder.is_known_dead()
    return marked or any(trial.is_orphan for trial in running_of(record, snapshot.beats))


def _study(storage: RDBStorage, record: StudyRecord) -> Iterator[Finding]:
    """Whatever changed since the look is judged again by the database, in one transaction for each change."""
    name = clean(record.study_name, 64)
    for done in budget.reclaim(storage, record.study_id):
        facts = {"study": record.study_name, "trial": done.number, "requeued_as": done.requeued_as}
        what = "has failed for good" if done.requeued_as is None else f"is queued again as trial {done.requeued_as}"
        yield mended("trials", f"{name}: trial {done.number} {what} ({redact(done.reason)})", **facts)
    holder = clear_dead_mark(storage, record.study_id)
    if holder is not None:
        yield mended(
            "studies", f"{name} is not marked any more as run by {holder}, which died", study=record.study_name
        )


def _files(results_dir: Path) -> Iterator[Finding]:
    for path in leftovers(results_dir):
        try:
            path.unlink()
        except OSError:  # gone, or not ours: the examination lists it again
            continue
        yield mended("leftovers", f"removed {path}", file=str(path))
