"""Several workers at once: no point is drawn twice, and there are exactly as many trials as were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from fakes import load

from fxai.study import slots
from fxai.study.launch import run_study
from fxai.study.spec import StudySpec
from fxai.study.storage import load_study, opened

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
    run_study(spec, folder / "results", Silent(), objective="fakes:quadratic", n_workers=n_workers)
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


@pytest.mark.usefixtures("three_cores")
def test_more_workers_than_cores_are_said_and_capped(tmp_path: Path) -> None:
    assert slots.workers_of(with_jobs(tmp_path)) == (
        3,
        "n_jobs is 8, and 3 workers run: this machine has 3 cores for it, one for each worker",
    )
    assert slots.workers_of(with_jobs(tmp_path, n_jobs=3)) == (3, None)


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
    monkeypatch.setattr(slots, "_gpus", lambda device: 1)
    assert slots.workers_of(with_jobs(tmp_path, gpu_per_trial=0.5)) == (
        2,
        "n_jobs is 8, and 2 workers run: 1 GPU at gpu_per_trial 0.5",
    )
    assert slots.workers_of(with_jobs(tmp_path, gpu_per_trial=0.1))[0] == 3  # room for ten, cores for three
    assert slots.workers_of(with_jobs(tmp_path))[0] == 3
