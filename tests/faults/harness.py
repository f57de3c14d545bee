"""Real processes under test: start one, wait for its GO, hurt it, look at the database."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fakes
from optuna.trial import FrozenTrial

from fxai.study.database.storage import load_study, open_storage
from fxai.study.workers.launch import Crew
from fxai.study.workers.slots import Slot
from fxai.study.workers.worker import Worker, WorkerSetup

DRIVER = Path(__file__).parent / "driver.py"
LONGEST_S = 60
"""Ends a test that hangs; no test waits for it."""


STARTED: list[subprocess.Popen[str]] = []
"""Of this test; a test that fails leaves none behind (conftest.py)."""


@dataclass
class Go:
    """What an objective said: it runs, in this process, for this trial."""

    pid: int
    trial: int


@dataclass
class Orchestrator:
    """One `--spec` run as a process of its own group, as a terminal starts it."""

    folder: Path
    objective: str
    options: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    pipe_name: str = "go"
    process: subprocess.Popen[str] = field(init=False)

    def __post_init__(self) -> None:
        self.pipe = self.folder / self.pipe_name
        if not self.pipe.exists():
            os.mkfifo(self.pipe)
        self._reader = os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK)  # RDWR: its end never comes
        self.process = subprocess.Popen(
            [sys.executable, str(DRIVER), self.objective, "--spec", str(self.folder / "spec.yaml"), *self.options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            cwd=self.folder,
            env={**os.environ, "FXAI_TEST_GO": str(self.pipe), **self.environment},
        )
        STARTED.append(self.process)

    def wait_for_go(self) -> Go:
        """Until an objective has said GO."""
        ended = os.pidfd_open(self.process.pid)
        readable, _, _ = select.select([self._reader, ended], [], [], LONGEST_S)
        os.close(ended)
        assert readable == [self._reader], self.kill_and_read()
        word, pid, number = os.read(self._reader, 100).decode().split()
        assert word == "GO"
        return Go(int(pid), int(number))

    def wait_for_line(self, part: str) -> str:
        """Until a line with this text is printed."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if part in line:
                return line
        raise AssertionError(f"{part!r} was never printed")

    def interrupt(self) -> None:
        """Ctrl-C: the terminal sends SIGINT to the whole group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def finish(self) -> tuple[int, str]:
        """Exit code and the rest of the output."""
        output, _ = self.process.communicate(timeout=LONGEST_S)
        os.close(self._reader)
        return self.process.returncode, output

    def kill_and_read(self) -> str:
        self.process.kill()
        return self.process.communicate()[0]


def start(folder: Path, objective: str, *options: str, **changes: Any) -> Orchestrator:
    """Write the spec and start an orchestrator on it."""
    fakes.write_spec(folder, **changes)
    return Orchestrator(folder, f"fakes:{objective}" if ":" not in objective else objective, options)


def run(folder: Path, objective: str, *options: str, **changes: Any) -> tuple[int, str]:
    """Exit code and output of a whole run."""
    return start(folder, objective, *options, **changes).finish()


def crew_of(n: int) -> Crew:
    """Local workers that may use all cores."""
    return Crew(slots=tuple(Slot(i) for i in range(n)))


def resume_here(folder: Path, n_trials: int) -> None:
    """Finish the study with a worker in this process, quicker than a new orchestrator."""
    spec = fakes.load(folder, n_trials=n_trials)
    setup = WorkerSetup(slot=Slot(0), spec=spec, study_seed=7, folder=folder, objective="fakes:quadratic")
    worker = Worker(setup, lambda event: None, threading.Event(), threading.Event())
    assert worker.run() == "budget"
    worker.storage.engine.dispose()


def wait_for_end(pid: int) -> None:
    """Until a process that is not our child has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, _, _ = select.select([handle], [], [], LONGEST_S)
    os.close(handle)
    assert ended, f"process {pid} lives on"


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def trials(folder: Path) -> list[FrozenTrial]:
    """All trials in the database, as they are now."""
    storage = open_storage(f"sqlite:///{folder / 'study.db'}", create=False)
    try:
        return load_study(storage, "fake").get_trials()
    finally:
        storage.engine.dispose()


def states(folder: Path) -> list[str]:
    """States of all trials, REQUEUED where the trial was queued again."""
    return names_of_states(trials(folder))


def names_of_states(trials: Iterable[FrozenTrial]) -> list[str]:
    """As `states`, of trials that were read."""
    return ["REQUEUED" if "requeued_as" in t.user_attrs else t.state.name for t in trials]


def rates(folder: Path) -> list[float]:
    """The sampled value of each trial that has one."""
    return [trial.params.get("training.learning_rate", float("nan")) for trial in trials(folder)]
