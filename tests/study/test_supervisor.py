"""What the parent makes of a worker's end."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from fakes import load

from fxai.study import budget
from fxai.study.fingerprint import open_study
from fxai.study.handle import Handle, Started
from fxai.study.owner import Owner
from fxai.study.slots import Slot
from fxai.study.storage import open_storage
from fxai.study.supervisor import Supervisor
from fxai.study.worker import WorkerSetup

ELSEWHERE = Owner("node-b", 7, 1, 2)


class Gone:
    """A worker's process that has ended."""

    def __init__(self, *, blameless: bool) -> None:
        self._blameless = blameless

    def is_alive(self) -> bool:
        return False

    def join(self, timeout: float | None = None) -> None: ...
    def kill(self) -> None: ...

    def how_it_ended(self) -> str:
        return "was lost"

    def is_blameless(self) -> bool:
        return self._blameless


@pytest.mark.parametrize(("blameless", "attempt"), [(False, 2), (True, 1)])
def test_only_an_end_that_a_trial_may_have_caused_counts_against_it(
    blameless: bool, attempt: int, tmp_path: Path
) -> None:
    spec = load(tmp_path, n_trials=1)
    storage = open_storage(spec.storage, create=True)
    study = open_study(storage, spec, None)
    setup = WorkerSetup(slot=Slot(0), spec=spec, study_seed=7, folder=tmp_path, objective="fakes:quadratic")
    started: list[WorkerSetup] = []

    def start(setup: WorkerSetup) -> Started:
        started.append(setup)
        return Started(Gone(blameless=blameless), multiprocessing.Pipe()[0], None)

    events: list[dict[str, Any]] = []
    supervisor = Supervisor(setup, storage, study._study_id, events.append, start, (Slot(0),))
    budget.claim(storage, study._study_id, 1, ELSEWHERE)
    worker = Handle(setup, Gone(blameless=blameless), multiprocessing.Pipe()[0], ELSEWHERE, had_trial=True)
    supervisor._workers.append(worker)
    supervisor._bury(worker)
    first, again = study.get_trials()
    assert first.user_attrs["error"] == "its worker was lost"
    assert again.user_attrs["attempt"] == attempt
    assert started == [setup]  # another one goes on
    storage.engine.dispose()
