"""What a run leaves beside its results: baselines of its best trial, measured on the episodes that scored it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import optuna
import pytest
from optuna.trial import create_trial
from small import SMALL

from fxai import yaml_strict
from fxai.commands import run as commands
from fxai.commands.ready import bars_needed
from fxai.config.metrics import BUY_AND_HOLD, METRIC_NAMES, RANDOM
from fxai.market.data import Market, load_market
from fxai.study.spec import StudySpec, load_specs


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    (tmp_path / "small.yaml").write_text(yaml_strict.dump(SMALL), encoding="utf-8")
    study = {
        "study_name": "small",
        "storage": f"sqlite:///{tmp_path / 'small.db'}",
        "base_config": "small",
        "parameters": [{"name": "training.learning_rate", "type": "float", "low": 0.0001, "high": 0.002}],
        "n_trials": 2,
    }
    (tmp_path / "spec.yaml").write_text(yaml_strict.dump({"name": "small", "studies": [study]}), encoding="utf-8")
    return load_specs(tmp_path / "spec.yaml").studies[0]


@pytest.fixture
def market(spec: StudySpec) -> Market:
    return load_market(spec.base.bars, min_bars=bars_needed(spec))


def study_of(*trials: tuple[float, dict[str, float]]) -> optuna.Study:
    study = optuna.create_study(direction="maximize")
    for value, metrics in trials:
        study.add_trial(create_trial(value=value, user_attrs={"metrics": metrics}))
    return study


def test_baselines_of_the_best_trial_are_written(spec: StudySpec, market: Market, tmp_path: Path) -> None:
    study = study_of((0.1, {"turnover": 0.5}), (0.2, {"turnover": 0.1}))
    path, equity = commands._write_baselines(study, spec, tmp_path, market)
    told = json.loads(path.read_text(encoding="utf-8"))
    assert (path.name, told["trial"], told["turnover"]) == ("baselines.json", 1, 0.1)
    assert all(set(own) == set(METRIC_NAMES) for own in told["metrics"].values())
    # as much turnover as the best trial, and one position held in each of the four episodes
    assert told["metrics"][RANDOM]["turnover"] == pytest.approx(0.1, rel=0.03)
    assert told["metrics"][BUY_AND_HOLD]["n_trades"] == 4
    # mean equity over the episodes ends where the mean total return says
    with equity.open(newline="") as file:
        *_, last = csv.DictReader(file)
    for name, own in told["metrics"].items():
        if name != RANDOM:  # whose curve is that of the median trader
            assert float(last[name]) - 1.0 == pytest.approx(own["total_return"], abs=1e-6)


def test_without_a_best_trial_there_is_nothing_to_compare(spec: StudySpec, market: Market, tmp_path: Path) -> None:
    assert commands._write_baselines(study_of(), spec, tmp_path, market) == []
    assert not list(tmp_path.glob("baselines.json"))


def test_the_results_are_written_before_and_with_the_baselines(
    spec: StudySpec, market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = optuna.storages.RDBStorage(spec.storage)
    study = optuna.create_study(storage=storage, study_name="small", direction="maximize")
    study.add_trial(create_trial(value=0.1, user_attrs={"metrics": {"n_trades": 9.0, "total_return": 0.001}}))
    folder = tmp_path / "small"

    def left() -> set[str]:
        return {path.name for path in folder.glob("*.json")}

    def write(**how: object) -> str:
        commands._write(spec, folder, False, True, 0.0, **how)  # type: ignore[arg-type]
        return str(json.loads((folder / "best_params.json").read_text(encoding="utf-8"))["note"])

    # an interrupted run does not keep anybody waiting for baselines
    assert "price known in advance" not in write(interrupted=True, market=market)
    assert left() == {"best_params.json", "insights.json", "small_results.json"}

    # nothing is lost where they cannot be computed
    with monkeypatch.context() as patch:
        patch.setattr(commands, "_write_baselines", lambda *_: 1 / 0)
        (folder / "best_params.json").unlink()
        with pytest.raises(ZeroDivisionError):
            write(interrupted=False, market=market)
        assert left() == {"best_params.json", "insights.json", "small_results.json"}

    assert "price known in advance" in write(interrupted=False, market=market)
    assert left() == {"baselines.json", "best_params.json", "insights.json", "small_results.json"}
    # a study without a market keeps what it has
    assert "price known in advance" in write(interrupted=False)
