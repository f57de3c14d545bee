"""One of several processes that do the same at once: `many.py claim|create SPEC`; it begins with a line of input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fxai.study.database import budget
from fxai.study.database.storage import load_study, open_storage
from fxai.study.fingerprint import open_study
from fxai.study.owner import Owner
from fxai.study.spec import StudySpec, load_specs


def claim(spec: StudySpec) -> list[int]:
    """Numbers of the trials that this process was given, until there are none left."""
    storage = open_storage(spec.storage, create=False, check=False)
    study_id = load_study(storage, spec.study_name)._study_id
    go()
    taken = []
    while (trial_id := budget.claim(storage, study_id, spec.n_trials, Owner.current())) is not None:
        taken.append(storage.get_trial_number_from_id(trial_id))
    return taken


def create(spec: StudySpec) -> str:
    """What an orchestrator does first."""
    go()
    return open_study(open_storage(spec.storage, create=True), spec, "bars").study_name


def go() -> None:
    """Say that all is imported, and wait."""
    print("ready", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    spec = load_specs(Path(sys.argv[2])).studies[0]
    print(json.dumps({"claim": claim, "create": create}[sys.argv[1]](spec)))
