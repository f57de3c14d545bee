"""An objective of the user's own: found beside the command, given its settings, and held to by the study."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from small import SMALL

from fxai import cli, yaml_strict
from fxai.errors import ConfigError, InputError
from fxai.study.objective import DEFAULT_OBJECTIVE, load_objective, source_of
from fxai.study.spec import load_specs

RETURNS_A_NUMBER = """
def score(request):
    settings = request.config.objective.by_name
    return -((settings["x"] - 0.3) ** 2)
"""

WRAPS_PPO = """
from fxai.study.ppo import objective as ppo

def steady(request):
    weight = request.config.objective.by_name["weight"]
    for report in ppo(request):
        if report.metrics is not None:
            metrics = report.metrics
            metrics["steady"] = metrics["total_return"] - weight * metrics["max_drawdown"]
        yield report
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def write(here: Path, source: str, **study: object) -> Path:
    (here / "mine.py").write_text(source)
    (here / "small.yaml").write_text(yaml_strict.dump(SMALL))
    usual = {
        "study_name": "own",
        "storage": "sqlite:///own.db",
        "base_config": "small",
        "objective": "mine:score",
        "direction": "maximize",
        "metric_name": "mean_reward",
        "sampler": {"type": "RandomSampler", "seed": 1},
        "parameters": [{"name": "objective.x", "type": "float", "low": 0.0, "high": 1.0}],
        "training_config": {"objective": {"x": 0.5}},
        "n_trials": 3,
    }
    path = here / "spec.yaml"
    path.write_text(yaml_strict.dump({"name": "own", "save_study_plots": False, "studies": [{**usual, **study}]}))
    return path


def results(here: Path) -> dict[str, object]:
    return json.loads((here / "optuna_results/own/own_results.json").read_text())


def test_a_function_that_returns_a_number_is_an_objective(here):
    assert cli.main(["--spec", str(write(here, RETURNS_A_NUMBER)), "--quiet"]) == 0
    trials = results(here)["trials"]
    assert [t["state"] for t in trials] == ["COMPLETE"] * 3
    # trial 0 runs the default x = 0.5: -(0.5 - 0.3)² = -0.04
    assert trials[0]["params"] == {"objective.x": 0.5}
    assert trials[0]["values"] == [pytest.approx(-0.04)]
    for trial in trials:
        assert trial["values"][0] == pytest.approx(-((trial["params"]["objective.x"] - 0.3) ** 2))
        config = (here / "optuna_results/own" / trial["config_file"]).read_text()
        assert f"x: {trial['params']['objective.x']}" in config


def test_a_metric_of_ones_own_over_fxais_training(here):
    spec = write(
        here,
        WRAPS_PPO,
        objective="mine:steady",
        metric_name="steady",
        parameters=[{"name": "training.learning_rate", "type": "float_log", "low": 0.0001, "high": 0.01}],
        training_config={"objective": {"weight": 2.0}},
        n_trials=1,
    )
    assert cli.main(["--spec", str(spec), "--quiet"]) == 0
    [trial] = results(here)["trials"]
    metrics = trial["metrics"]
    assert trial["values"] == [pytest.approx(metrics["total_return"] - 2.0 * metrics["max_drawdown"])]
    assert len(trial["intermediate_values"]) == 2  # reported after each of the two updates


def test_a_study_is_not_resumed_with_another_objective(here, capsys):
    spec = write(here, RETURNS_A_NUMBER, n_trials=1)
    assert cli.main(["--spec", str(spec), "--quiet"]) == 0
    (here / "mine.py").write_text(RETURNS_A_NUMBER.replace("0.3", "0.4"))
    assert cli.main(["--spec", str(spec), "--quiet", "--n-trials", "2"]) == 4
    assert "content of mine.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def other(request): return 1.0", "AttributeError: module 'mine' has no attribute 'score'"),
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("score = 3", "objective mine:score is not a function"),
    ],
    ids=["no function", "import", "number"],
)
def test_what_cannot_be_imported_ends_the_run_with_a_sentence(here, capsys, source, told):
    assert cli.main(["--spec", str(write(here, source)), "--quiet"]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert "Traceback" not in err


def test_what_is_no_result_fails_the_trial_with_a_sentence(here):
    assert cli.main(["--spec", str(write(here, "def score(request): return 'good'", n_trials=1)), "--quiet"]) == 0
    [trial] = results(here)["trials"]
    assert trial["state"] == "FAIL"
    assert "must yield reports, or return metrics or a number; it returned 'good'" in trial["error"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"objective": "mine"}, "'mine' is not of the form module:function"),
        ({"objective": "yours:score"}, "there is no module yours"),
        ({"objective": DEFAULT_OBJECTIVE}, "objective.x: FxAI's training has no such setting"),
        ({"training_config": {}}, "parameter objective.x has no default"),
        ({"direction": None, "metric_name": "joy"}, "joy is a metric of your own: say its direction"),
        ({"metric_name": "a b"}, "'a b' cannot be the name of a metric"),
        ({"training_config": {"objective": {"x": [1]}}}, "objective: x must be a finite number, text, true or false"),
        ({"training_config": {"objective": {"_x": 1, "x": 0.5}}}, "'_x' cannot be a setting"),
    ],
    ids=["form", "module", "default", "unset", "direction", "metric", "nested", "name"],
)
def test_a_spec_of_ones_own_is_checked_at_load(here, change, told):
    with pytest.raises(ConfigError) as caught:
        load_specs(write(here, RETURNS_A_NUMBER, **change))
    assert told in caught.value.what
    assert caught.value.where is not None
    assert "spec.yaml:" in caught.value.where


def test_modules_are_found_without_being_executed(here):
    (here / "deep").mkdir()
    (here / "deep/own.py").write_text("raise SystemExit")
    assert source_of("deep.own:score") == here / "deep/own.py"
    assert source_of(DEFAULT_OBJECTIVE).name == "ppo.py"
    with pytest.raises(InputError, match=r"there is no module deep\.other"):
        source_of("deep.other:score")


def test_metrics_may_be_returned_by_name(here):
    (here / "by_name.py").write_text("def score(request): return {'joy': 2, 'pain': 1.5}")
    [report] = load_objective("by_name:score")(None)
    assert report.metrics == {"joy": 2.0, "pain": 1.5}
    assert (report.step, report.total_steps) == (1, 1)
