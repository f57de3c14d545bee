"""`plots`: pages drawn again from the database, which is only read."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState, create_trial

from fxai import cli, yaml_strict
from fxai.study.database.storage import opened
from fxai.study.fingerprint import open_study
from fxai.study.spec import StudySpec, load_specs


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    base = {"data": {"source": "ecb"}, "env": {"execution": "next_close"}}
    (tmp_path / "small.yaml").write_text(yaml_strict.dump(base), encoding="utf-8")
    study = {
        "study_name": "small",
        "storage": f"sqlite:///{tmp_path / 'small.db'}",
        "base_config": "small",
        "parameters": [{"name": "training.learning_rate", "type": "float", "low": 0.0001, "high": 0.002}],
        "n_trials": 4,
    }
    (tmp_path / "spec.yaml").write_text(yaml_strict.dump({"name": "small", "studies": [study]}), encoding="utf-8")
    return load_specs(tmp_path / "spec.yaml").studies[0]


def fill(spec: StudySpec, *values: float) -> None:
    with opened(spec.storage, create=True) as storage:
        study = open_study(storage, spec, data_hash=None)
        for value in values:
            study.add_trial(create_trial(state=TrialState.COMPLETE, value=value))


def run(spec: StudySpec, tmp_path: Path, name: str = "small") -> int:
    return cli.main(["plots", name, "--storage", spec.storage, "--results-dir", str(tmp_path / "results")])


def test_every_page_is_written_and_its_path_printed(
    spec: StudySpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(spec, 0.1, 0.3)
    assert run(spec, tmp_path) == 0
    told = capsys.readouterr()
    folder = tmp_path / "results" / "small"
    pages = [Path(line) for line in told.out.splitlines()]
    assert sorted(pages) == sorted(folder.glob("*.html"))
    assert {"optimization_history.html", "contour_plot.html", "report.html"} <= {page.name for page in pages}
    assert (folder / "plotly.min.js").is_file()
    assert f"{len(pages)} pages drawn" in told.err


def test_pages_follow_the_database(spec: StudySpec, tmp_path: Path) -> None:
    fill(spec, 0.1)
    page = tmp_path / "results" / "small" / "optimization_history.html"
    assert run(spec, tmp_path) == 0
    assert "Best: trial 1, mean_reward 0.1" in page.read_text(encoding="utf-8")  # trial 0 is the queued default
    fill(spec, 0.7)
    assert run(spec, tmp_path) == 0
    assert "Best: trial 2, mean_reward 0.7" in page.read_text(encoding="utf-8")


def test_an_unknown_study_is_named_with_those_there_are(
    spec: StudySpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(spec)
    assert run(spec, tmp_path, "smal") == 2
    told = capsys.readouterr().err
    assert "no study is called 'smal'" in told
    assert "small" in told
    assert not (tmp_path / "results").exists()


def test_a_database_that_is_not_there_is_not_made(spec: StudySpec, tmp_path: Path) -> None:
    assert run(spec, tmp_path) == 2
    assert not (tmp_path / "small.db").exists()
    assert not (tmp_path / "results").exists()
