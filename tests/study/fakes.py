"""Objectives without a training, importable by worker processes as `fakes:name`, and a study spec for them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from fxai.config.metrics import METRIC_NAMES
from fxai.errors import DataError
from fxai.study.objective import DeviceLost, OutOfMemory, Report, TrialRequest
from fxai.study.spec import StudySpec, load_specs

UPDATES = 3
DEFAULT_RATE = 3e-4
"""The base config's learning rate, so that of trial 0."""


def report(step: int, value: float | None, *, failure: str | None = None) -> Report:
    """A report whose metrics all have one value; None for an update without evaluation."""
    return Report(
        step=step,
        total_steps=UPDATES,
        env_steps=step * 100,
        metrics=None if value is None else dict.fromkeys(METRIC_NAMES, value),
        train={"loss": 0.5},
        device="cpu",
        failure=failure,
    )


def quadratic(request: TrialRequest) -> Iterator[Report]:
    """Best at a learning rate of 0.001; three reports that rise to the value."""
    value = -((request.config.training.learning_rate * 1000 - 1) ** 2)
    for step in range(1, UPDATES + 1):
        yield report(step, value - (UPDATES - step))


def raises_on_default(request: TrialRequest) -> Iterator[Report]:
    """Trial 0 fails after its first report."""
    yield report(1, 0.0)
    if request.config.training.learning_rate == DEFAULT_RATE:
        raise ZeroDivisionError("no luck")
    yield report(2, 1.0)


def has_no_data(request: TrialRequest) -> Iterator[Report]:
    """What every trial would meet."""
    yield report(1, 0.0)
    raise DataError("the file is gone", where="bars.csv")


def waits(request: TrialRequest) -> Iterator[Report]:
    """Says GO, then goes on reporting until it is stopped."""
    yield report(1, 0.0)
    go(request)
    for step in range(2, 1_000_000):
        time.sleep(0.02)
        yield report(step, None)


def hangs(request: TrialRequest) -> Iterator[Report]:
    """Says GO and never comes back from its second update."""
    yield report(1, 0.0)
    go(request)
    time.sleep(3600)
    yield report(2, 0.0)


def first_four_wait(request: TrialRequest) -> Iterator[Report]:
    """Trials 0 to 3 say GO and wait, the others are quick."""
    yield from waits(request) if request.number < 4 else quadratic(request)


def opens_later(request: TrialRequest) -> Iterator[Report]:
    """Says GO and waits until there is a file `open`; later ones do not say it."""
    yield report(1, 0.0)
    if not Path("open").exists():
        go(request)
    step = 1
    while not Path("open").exists():
        time.sleep(0.02)
        step += 1
        yield report(step, None)
    yield report(step + 1, 1.0)


def takes_too_much(request: TrialRequest) -> Iterator[Report]:
    """A micro-batch of more than one segment does not fit."""
    yield report(1, 0.0)
    segments = request.config.training.segments_per_micro_batch
    if segments > 1:
        raise OutOfMemory("cuda:0", 70 * 2**30, 80 * 2**30, segments)
    yield report(2, float(os.getpid()))


def never_fits(request: TrialRequest) -> Iterator[Report]:
    """Runs out of memory whatever is done."""
    yield report(1, 0.0)
    raise OutOfMemory("cuda:0", None, None, request.config.training.segments_per_micro_batch)


def loses_the_gpu_once(request: TrialRequest) -> Iterator[Report]:
    """The first process that trains cannot use its device any more."""
    yield report(1, 0.0)
    if not Path("lost").exists():
        Path("lost").touch()
        raise DeviceLost("cuda:0", "CUDA error: an illegal memory access was encountered")
    yield report(2, float(os.getpid()))


def leaves_a_thread(request: TrialRequest) -> Iterator[Report]:
    """Its process cannot end by itself."""
    threading.Thread(target=threading.Event().wait, name="left").start()
    yield report(1, 0.0)
    yield report(2, 1.0)


def has_no_gpu(request: TrialRequest) -> Iterator[Report]:
    """No process can use the device."""
    yield report(1, 0.0)
    raise DeviceLost("cuda:0", "CUDA error: unknown error")


def placed(request: TrialRequest) -> Iterator[Report]:
    """Tells where it runs."""
    cores = sum(2**core for core in os.sched_getaffinity(0))
    yield report(1, float(cores))
    yield report(2, float(os.environ["OMP_NUM_THREADS"] + os.environ.get("CUDA_VISIBLE_DEVICES", "")))


def slow(request: TrialRequest) -> Iterator[Report]:
    """A trial of 20 ms."""
    time.sleep(0.02)
    yield report(1, 0.0)


def go(request: TrialRequest) -> None:
    """Tell the test, through the named pipe of FXAI_TEST_GO, that this trial runs in this process."""
    with Path(os.environ["FXAI_TEST_GO"]).open("w") as pipe:
        pipe.write(f"GO {os.getpid()} {request.number}\n")


def spec_text(folder: Path, **changes: Any) -> str:
    """A spec file of one study on a database in `folder`; `changes` replace keys of the study."""
    study: dict[str, Any] = {
        "study_name": "fake",
        "direction": "maximize",
        "metric_name": "mean_reward",
        "storage": f"sqlite:///{folder / 'study.db'}",
        "base_config": "base",
        "sampler": {"type": "RandomSampler", "seed": 7},
        "parameters": [{"name": "training.learning_rate", "type": "float", "low": 0.0001, "high": 0.002}],
        "n_trials": 4,
        **changes,
    }
    results = str(folder / "results")
    return yaml.safe_dump({"name": "fake", "results_dir": results, "save_study_plots": False, "studies": [study]})


def write_spec(folder: Path, **changes: Any) -> Path:
    """Write the spec file and the base config that it names; returns its path."""
    (folder / "base.yaml").write_text("data: {source: ecb}\nenv: {execution: next_close}\n")
    path = folder / "spec.yaml"
    path.write_text(spec_text(folder, **changes))
    return path


def load(folder: Path, **changes: Any) -> StudySpec:
    """The study of `write_spec`."""
    return load_specs(write_spec(folder, **changes)).studies[0]
