"""Many workers, thousands of near-empty trials: how many a second, and whether the database stands it.

Real worker processes on a study of ten parameters; a trial reports six times and trains nothing. Afterwards each
trial has been run once, no draw is double, and the workers' logs hold no warning and no error.

    python benchmarks/load.py
    python benchmarks/load.py --workers 1 2 8 --trials 400 --databases sqlite --sampler TPESampler
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from study_overhead import make_spec

from fxai.report.terminal import PlainView
from fxai.study.database.storage import load_study, opened
from fxai.study.workers.launch import Crew, run_study
from fxai.study.workers.slots import Slot

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

import postgresql


class Listening:
    """A view that counts events and shows them as lines, as a run without a terminal does."""

    def __init__(self) -> None:
        self.shown = io.StringIO()
        self._view = PlainView(self.shown)
        self.events = 0
        self.first_s = self.last_s = 0.0
        self.cpu_s = 0.0

    def start(self, *args: Any, **kwargs: Any) -> None:
        """Begin."""
        self._view.start(*args, **kwargs)

    def handle(self, event: dict[str, Any]) -> None:
        """Take in one event."""
        self.events += 1
        if event["kind"] == "trial_started" and not self.first_s:
            self.first_s, self.cpu_s = time.perf_counter(), -time.process_time()
        self._view.handle(event)
        self.last_s = time.perf_counter()

    def close(self) -> None:
        """End."""
        self.cpu_s += time.process_time()
        self._view.close()


def whole_study(kind: str, workers: int, n_trials: int, sampler: str) -> str:
    """Run a study of real worker processes; returns a line about it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fxai-load-")))
        changes: dict[str, Any] = {"sampler": {"type": sampler, "seed": 42}}
        if kind == "postgresql":
            server = postgresql.Server()
            stack.callback(server.close)
            changes["storage"] = server.url(server.new_database())
        spec, view = make_spec(folder, n_trials, **changes), Listening()
        crew = Crew(slots=tuple(Slot(i) for i in range(workers)))
        outcome = run_study(spec, folder / "results", view, objective="study_overhead:nothing", crew=crew)
        with opened(spec.storage, readonly=True) as storage:
            check_trials(load_study(storage, spec.study_name).get_trials(), n_trials)
        logs = "".join(path.read_text() for path in outcome.folder.glob("logs/*.log"))
    faults = re.findall(r".*(?:WARNING|ERROR|Traceback).*", logs)
    assert not faults, f"{len(faults)} warnings and errors in the logs, first: {faults[0]}"
    seconds = view.last_s - view.first_s
    parent = view.cpu_s / view.events * 1e6
    return (
        f"{kind}  {workers} workers  {sampler}  {n_trials} trials, each once, no draw double, nothing in the logs  "
        f"{n_trials / seconds:5.1f} trials/s ({seconds:.0f} s)  parent: {parent:.0f} µs CPU per event"
    )


def check_trials(trials: list[FrozenTrial], n_trials: int) -> None:
    """Each of the budget was run once, and none draws what another has drawn."""
    states = Counter(trial.state for trial in trials)
    assert states[TrialState.COMPLETE] + states[TrialState.PRUNED] == len(trials) == n_trials, states
    assert [trial.number for trial in trials] == list(range(n_trials))
    draws = {tuple(sorted(trial.params.items())) for trial in trials}
    assert len(draws) == n_trials, f"{n_trials - len(draws)} draws are double"


def main() -> None:
    """Print a line for each study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[8])
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    parser.add_argument("--sampler", default="RandomSampler", help="TPE's own time grows with the trials it knows")
    args = parser.parse_args()
    for kind in args.databases:
        if kind == "postgresql" and (reason := postgresql.why_not()):
            print(f"{kind}: {reason}")
            continue
        for workers in args.workers:
            print(whole_study(kind, workers, args.trials, args.sampler), flush=True)


if __name__ == "__main__":
    main()
