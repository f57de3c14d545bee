"""`parallel N` and `--oversubscribe`: as many workers as there is room for, which is said, or as many as asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from small import SMALL

from fxai import cli
from fxai.study.workers import launch, slots
from fxai.study.workers.slots import Slot


@pytest.fixture
def crews(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Slot, ...]]:
    """The parallel search of a project on two cores; what it would run with is noted, and nothing runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(slots, "CGROUP", tmp_path / "none")
    monkeypatch.setattr(slots, "_cores", lambda: [2, 3])
    for folder in ("optuna", "base"):
        (tmp_path / "config" / folder).mkdir(parents=True)
    (tmp_path / "config/base/small.yaml").write_text(yaml.safe_dump(SMALL))
    study = {
        "study_name": "wide",
        "storage": "sqlite:///s.db",
        "base_config": "small",
        "parameters": [{"name": "training.learning_rate", "type": "float", "low": 0.0001, "high": 0.002}],
        "n_trials": 3,
    }
    for name in ("parallel_search", "other"):
        text = yaml.safe_dump({"name": name, "save_study_plots": False, "studies": [study]})
        (tmp_path / f"config/optuna/{name}.yaml").write_text(text)
    asked: list[tuple[Slot, ...]] = []

    def noted(spec: Any, results_dir: Path, view: Any, *, crew: launch.Crew, **_: Any) -> launch.RunOutcome:
        asked.append(crew.slots)
        return launch.RunOutcome(
            study_name="wide",
            folder=results_dir,
            n_trials=3,
            finished=0,
            added=0,
            signal=2,
            killed=True,
            timed_out=False,
        )

    monkeypatch.setattr(launch, "run_study", noted)
    return asked


def test_more_workers_than_cores_are_said_and_capped(
    crews: list[tuple[Slot, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["parallel", "8"]) == 130
    assert crews == [(Slot(0, (2,)), Slot(1, (3,)))]
    said = capsys.readouterr().err
    assert "note: n_jobs is 8, and 2 workers run: this machine has 2 cores for it" in said
    assert "--oversubscribe runs them all" in said


def test_oversubscribed_all_run(crews: list[tuple[Slot, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["parallel", "3", "--spec", "config/optuna/other.yaml", "--oversubscribe"]) == 130
    assert [slot.cores for slot in crews[0]] == [(2,), (3,), (2,)]
    assert "workers run" not in capsys.readouterr().err


@pytest.mark.parametrize("word", ["0", "two", "-1", "1.5"])
def test_what_is_no_number_of_workers_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["parallel", word])
    assert caught.value.code == 2
    assert "must be a whole number of at least 1" in capsys.readouterr().err
