"""`train` and `backtest` from the command line: they repeat a trial, save what they say, and name what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from small import small_config

from fxai import cli, yaml_strict
from fxai.config import TrialConfig
from fxai.study.objective import TrialRequest
from fxai.study.ppo import objective


def write(path: Path, **env: object) -> TrialConfig:
    config = small_config(env=env)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml_strict.dump(config.model_dump(mode="json")), encoding="utf-8")
    return config


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_train_repeats_a_trial_exactly_and_backtest_walks_its_weights(tmp_path, capsys):
    # the trial searched a spread of 20 bp, the study's ruler has 1 bp
    trial = write(tmp_path / "study" / "trials" / "0003" / "config.yaml", spread_bp=20.0)
    ruler = write(tmp_path / "study" / "ruler.yaml")
    request = TrialRequest(number=3, config=trial, ruler=ruler, seed=11, folder=tmp_path)
    *_, last = objective(request)

    assert cli.main(["train", "--config", "study/trials/0003/config.yaml"]) == 0
    said = capsys.readouterr().out
    out = tmp_path / "optuna_results" / "_trained" / "study_0003"
    assert "next: poe backtest --config" in said
    assert json.loads((out / "metrics.json").read_text()) == [{"stopped": None, **last.metrics}]

    weights = str(out / "weights.safetensors")
    assert cli.main(["backtest", "--config", str(out / "config.yaml"), "--weights", weights]) == 0
    said = capsys.readouterr().out
    assert "buy and hold" in said
    assert "no evidence of an edge" in said
    page = (out / "backtest.html").read_text(encoding="utf-8")
    assert "Content-Security-Policy" in page
    assert "EURUSD" in page


def test_a_config_without_a_study_is_scored_by_itself(tmp_path):
    write(tmp_path / "mine.yaml", position_levels=[0.0, 1.0])
    assert cli.main(["train", "--config", "mine.yaml", "--out", "here"]) == 0
    assert sorted(p.name for p in (tmp_path / "here").iterdir()) == [
        "config.yaml",
        "metrics.json",
        "ruler.yaml",
        "weights.safetensors",
    ]


def test_a_ruler_with_other_levels_cannot_score(tmp_path, capsys):
    write(tmp_path / "s" / "ruler.yaml")
    write(tmp_path / "s" / "mine.yaml", position_levels=[0.0, 0.5, 1.0])
    assert cli.main(["train", "--config", "s/mine.yaml", "--out", "out"]) == 2
    said = capsys.readouterr().err
    assert "env.position_levels differs from that of s/ruler.yaml" in said
    assert not (tmp_path / "out").exists()
    assert cli.main(["train", "--config", "s/mine.yaml", "--ruler", "s/mine.yaml", "--out", "out"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--config", "none.yaml"], "none.yaml"),
        (["train", "--config", "spec.yaml"], "this is a study spec, not a training config"),
        (["--spec", "mine.yaml"], "this is a training config, not a study spec"),
        (["backtest", "--config", "mine.yaml", "--weights", "none"], "there is no such weights file"),
        (["backtest", "--config", "mine.yaml", "--weights", "w", "--out", "."], "is a folder"),
        (["frobnicate"], "there is no command 'frobnicate'"),
        (["statsu"], "hint: did you mean status?"),
        (["my spec.yaml"], "hint: to run the studies of a spec: optuna_optimization.py --spec 'my spec.yaml'"),
    ],
)
def test_a_mistake_is_one_error_and_nothing_is_written(tmp_path, capsys, arguments, message):
    write(tmp_path / "mine.yaml")
    (tmp_path / "spec.yaml").write_text("name: x\nstudies: []\n", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_of_another_config_are_named(tmp_path, capsys):
    write(tmp_path / "mine.yaml")
    write(tmp_path / "other.yaml", position_levels=[-1.0, 0.0, 1.0])
    assert cli.main(["train", "--config", "mine.yaml", "--out", "out"]) == 0
    capsys.readouterr()
    code = cli.main(["backtest", "--config", "other.yaml", "--weights", "out/weights.safetensors"])
    assert code == 2
    assert "trained with the position levels" in capsys.readouterr().err
