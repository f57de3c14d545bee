"""The objective of the soak: a second of work whose value depends on what was drawn; some draws fail."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from fakes import report

from fxai.study.objective import Report, TrialRequest

if "FXAI_TEST_GRACE_S" in os.environ:
    import quick_grace  # noqa: F401

FAILS = "this draw fails"
SECONDS = 1.0
REPORTS = 3


def objective(request: TrialRequest) -> Iterator[Report]:
    """Best at a learning rate of 0.001; one draw in ten, by its digits, raises after its first report."""
    rate = request.config.training.learning_rate
    for step in range(1, REPORTS + 1):
        time.sleep(SECONDS / REPORTS)
        yield report(step, -((rate * 1000 - 1) ** 2) * step)
        if int(rate * 1e9) % 10 == 7:
            raise ZeroDivisionError(FAILS)
