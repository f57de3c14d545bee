"""Several workers at once: no point is drawn twice, and there are exactly as many trials as were asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import optuna
import pytest
from fakes import load

from fxai.study.database.storage import load_study, opened
from fxai.study.spec import StudySpec
from fxai.study.workers import slots
from fxai.study.workers.launch import Crew, run_study
from fxai.study.workers.slots import Slot

POINTS = [
    {"name": "training.clip_epsilon", "type": "categorical", "choices": [0.1, 0.2, 0.3]},
    {"name": "training.n_epochs", "type": "int", "low": 2, "high": 5},
]  # 3 × 4 = 12 points, the default's (0.2, 4) among them


class Silent:
    """A view that shows nothing."""

    def start(self, *_: Any) -> None: ...
    def handle(self, event: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


def trials_of(folder: Path, n_workers: int, **changes: Any) -> list[optuna.trial.FrozenTrial]:
    spec = load(folder, **changes)
    crew = Crew(slots=tuple(Slot(i) for i in range(n_workers)))
    run_study(spec, folder / "results", Silent(), objective="fakes:quadratic", crew=crew)
    with opened(spec.storage, readonly=True) as storage:
        return load_study(storage, spec.study_name).get_trials()


@pytest.mark.parametrize("sampler", ["GridSampler", "BruteForceSampler"])
def test_each_point_of_a_grid_is_drawn_once(sampler: str, tmp_path: Path) -> None:
    # trial 0 is the default; the grid does not know of it and has 12 points more, brute force has 11 others
    n_trials = 13 if sampler == "GridSampler" else 12
    changes = {"sampler": {"type": sampler, "seed": 1}, "parameters": POINTS, "n_trials": n_trials}
    trials = trials_of(tmp_path, 3, **changes)
    assert len(trials) == n_trials
    drawn = trials[1:] if sampler == "GridSampler" else trials
    assert len({tuple(sorted(trial.params.items())) for trial in drawn}) == 12


@pytest.mark.parametrize("sampler", ["QMCSampler", "RandomSampler"])
def test_no_point_is_drawn_twice(sampler: str, tmp_path: Path) -> None:
    trials = trials_of(tmp_path, 3, sampler={"type": sampler, "seed": 1}, n_trials=16)
    assert len(trials) == len({trial.params["training.learning_rate"] for trial in trials}) == 16


def with_jobs(tmp_path: Path, **changes: Any) -> StudySpec:
    return load(tmp_path, n_jobs=8).model_copy(update=changes)


@pytest.fixture
def three_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(slots.os, "sched_getaffinity", lambda _: {0, 4, 5}, raising=False)
    monkeypatch.setattr(slots, "CGROUP", tmp_path / "cpu.max")


def n_of(spec: StudySpec) -> int:
    return len(slots.slots_of(spec)[0])


@pytest.mark.usefixtures("three_cores")
def test_more_workers_than_cores_are_said_and_capped(tmp_path: Path) -> None:
    places, why = slots.slots_of(with_jobs(tmp_path))
    assert [place.cores for place in places] == [(0,), (4,), (5,)]
    assert why == (
        "n_jobs is 8, and 3 workers run: this machine has 3 cores for it, one for each worker "
        "(--oversubscribe runs them all)"
    )
    assert slots.slots_of(with_jobs(tmp_path, n_jobs=3)) == (places, None)


@pytest.mark.usefixtures("three_cores")
def test_oversubscribed_workers_take_turns_with_the_cores(tmp_path: Path) -> None:
    places, why = slots.slots_of(with_jobs(tmp_path), oversubscribe=True)
    assert [place.cores for place in places] == [(0,), (4,), (5,), (0,), (4,), (5,), (0,), (4,)]
    assert why is None


@pytest.mark.usefixtures("three_cores")
def test_fewer_workers_than_cores_share_them_out(tmp_path: Path) -> None:
    # 3 cores in 2 parts: [0 · 3/2, 1 · 3/2, 2 · 3/2] = 0, 1, 3
    assert [place.cores for place in slots.slots_of(with_jobs(tmp_path, n_jobs=2))[0]] == [(0,), (4, 5)]
    assert slots.slots_of(with_jobs(tmp_path, n_jobs=1))[0][0].cores == (0, 4, 5)


@pytest.mark.usefixtures("three_cores")
@pytest.mark.parametrize(
    ("quota", "cores"),
    [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 3), ("900000 100000", 3)],  # ⌈1.5⌉, ⌈0.5⌉, none, ⌈9⌉
)
def test_the_share_of_a_container_counts(quota: str, cores: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert slots.usable_cores() == cores


@pytest.mark.usefixtures("three_cores")
def test_a_gpu_holds_as_many_workers_as_its_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_gpus", lambda device: ["0"])
    places, why = slots.slots_of(with_jobs(tmp_path, gpu_per_trial=0.5))
    assert [place.gpu for place in places] == ["0", "0"]
    assert why == "n_jobs is 8, and 2 workers run: 1 GPU at gpu_per_trial 0.5 (--oversubscribe runs them all)"
    assert n_of(with_jobs(tmp_path, gpu_per_trial=0.1)) == 3  # room for ten, cores for three
    assert n_of(with_jobs(tmp_path)) == 3


@pytest.mark.usefixtures("three_cores")
def test_workers_take_turns_with_the_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_gpus", lambda device: ["2", "GPU-5f"])
    places, _ = slots.slots_of(with_jobs(tmp_path))
    assert [place.environment.get("CUDA_VISIBLE_DEVICES") for place in places] == ["2", "GPU-5f", "2"]
    spec = with_jobs(tmp_path)
    ruler = spec.base.model_copy(update={"training": spec.base.training.model_copy(update={"device": "cuda:1"})})
    named = spec.model_copy(update={"base": ruler})
    assert [place.gpu for place in slots.slots_of(named)[0]] == [None] * 3  # the config says which


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process")
def test_a_worker_keeps_to_its_slot(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    before = dict(os.environ)
    spec = load(tmp_path, n_trials=1, pruner={"type": "NopPruner"})
    crew = Crew(slots=(Slot(0, (core,), "7"),))
    run_study(spec, tmp_path / "results", Silent(), objective="fakes:placed", crew=crew)
    with opened(spec.storage, readonly=True) as storage:
        (trial,) = load_study(storage, spec.study_name).get_trials()
    assert trial.intermediate_values == {1: 2.0**core, 2: 17.0}  # one thread, GPU 7
    assert dict(os.environ) == before
