"""An objective that goes on reporting until the test says that it may end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from fakes import go, report

from fxai.study.objective import Report, TrialRequest

END = "may-end"
"""A file of this name beside the pipe of GO says it."""


def objective(request: TrialRequest) -> Iterator[Report]:
    """Says GO after its first report; each report is a transaction."""
    end = Path(os.environ["FXAI_TEST_GO"]).with_name(END)
    yield report(1, 0.0)
    go(request)
    step = 1
    while not end.exists():
        time.sleep(0.02)
        step += 1
        yield report(step, 0.0)
    yield report(step + 1, 1.0)


def silent(request: TrialRequest) -> Iterator[Report]:
    """The same with nothing to write but the beats of its heart."""
    end = Path(os.environ["FXAI_TEST_GO"]).with_name(END)
    yield report(1, 0.0)
    go(request)
    while not end.exists():
        time.sleep(0.02)
    yield report(2, 1.0)
