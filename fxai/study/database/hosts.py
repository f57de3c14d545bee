"""Whether a study's database lets other hosts join."""

from __future__ import annotations

from collections.abc import Iterator

from optuna.storages import RDBStorage

from fxai.errors import StudyConflict
from fxai.study.database import budget
from fxai.study.database.outage import PatientStorage, whole
from fxai.study.database.storage import GRACE_PERIOD_S, reading
from fxai.study.owner import ORCHESTRATOR, Owner


def check_one_host(storage: RDBStorage, study_id: int) -> None:
    """Refuse a study in an SQLite file that a living process of another host runs; PostgreSQL takes any number.

    A host lives where one of the study's running trials that it owns has a beat of the last GRACE_PERIOD_S. A study
    whose orchestrator there has no running trial, or has died, may be taken over.

    Raises:
        StudyConflict: names that process.
    """
    if isinstance(storage, PatientStorage):
        return
    here = Owner.current().host
    for owner in whole(lambda _again: list(_alive(storage, study_id))):
        if owner.host != here:
            raise StudyConflict(
                f"{owner} runs this study, and its database is an SQLite file: that serves one host. Its write-ahead "
                f"log is memory that processes of one host share; over a network {here} would damage it",
                where=storage.url,
                hint="run all workers there (--n-jobs), or keep the study in PostgreSQL: "
                "--storage postgresql://user@host/database",
            )


def _alive(storage: RDBStorage, study_id: int) -> Iterator[Owner]:
    """Who runs the study, for each running trial that beats: the orchestrator, where that is of the same host."""
    orchestrator = Owner.from_dict(storage.get_study_user_attrs(study_id).get(ORCHESTRATOR))
    with reading(storage) as connection:
        for _, owner, age_s in budget.running(connection, study_id):
            if owner is not None and age_s <= GRACE_PERIOD_S:
                yield orchestrator if orchestrator is not None and orchestrator.host == owner.host else owner
