"""A real training that writes a checkpoint after every update; trial 0 says GO after its third and waits there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fakes

from fxai.study import ppo
from fxai.study.objective import Report, TrialRequest


def objective(request: TrialRequest) -> Iterator[Report]:
    """The PPO training, trial 0 held until it is killed or asked to stop."""
    for report in ppo.objective(replace(request, checkpoint_s=0.0)):
        yield report
        if request.number == 0 and report.step == 3:
            fakes.go(request)
            while not request.stopping():
                time.sleep(0.02)


def slow_to_stop(request: TrialRequest) -> Iterator[Report]:
    """As `objective`; once asked to stop, trial 0 takes until there is a file `open`."""
    for report in objective(request):
        while request.stopping() and not Path("open").exists():
            time.sleep(0.02)
        yield report
