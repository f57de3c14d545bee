from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from fxai.config.load import load_trial_config
from fxai.errors import InputError
from fxai.report.results import BestParams, jsonable, load_best_params, write_results
from fxai.study.spec import StudySpec

AddTrial = Callable[..., FrozenTrial]


def read(path: Path) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in {path}")

    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    return data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results" / "fx_ai_quick"


def test_writes_its_files_and_says_which(finished: optuna.Study, spec: StudySpec, folder: Path) -> None:
    paths = write_results(finished, spec, folder)
    names = ["best_params.json", "fx_ai_quick_results.json", "fx_ai_quick_best_config.yaml", "ruler.yaml"]
    assert [path.name for path in paths] == names
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_best_params(finished: optuna.Study, spec: StudySpec, folder: Path) -> None:
    write_results(finished, spec, folder)
    best = load_best_params(folder)
    assert best == load_best_params(folder / "best_params.json")
    assert best.params == {"training.learning_rate": 0.0005, "model.d_model": 128}
    assert (best.study, best.trial, best.metric, best.direction) == ("fx_ai_quick", 1, "mean_reward", "maximize")
    assert (best.value, best.start_value, best.spec_hash) == (0.30, 0.10, spec.spec_hash)
    assert best.improvement_over_start == pytest.approx(0.20)
    assert (best.completed_trials, best.feasible, best.pareto_front) == (2, True, None)
    assert "no evidence of an edge" in best.note


def test_results_hold_every_trial(finished: optuna.Study, spec: StudySpec, folder: Path) -> None:
    finished.set_user_attr("data_hash", "abc")
    write_results(finished, spec, folder)
    data = read(folder / "fx_ai_quick_results.json")
    assert data["trials_by_state"] == {"complete": 2, "fail": 1, "pruned": 1, "requeued": 1}
    assert (data["best_trial"], data["default_trial"], data["n_trials"], data["data_hash"]) == (1, 0, 20, "abc")
    trials = data["trials"]
    assert [trial["number"] for trial in trials] == [0, 1, 2, 3, 4]
    assert trials[0]["default"] is True
    best = trials[1]
    assert best["params"] == {"training.learning_rate": 0.0005, "model.d_model": 128}
    assert (best["state"], best["values"], best["seed"], best["env_steps"]) == ("COMPLETE", [0.30], 1001, 3000)
    assert best["intermediate_values"] == {"5": 0.2, "10": 0.3}
    assert best["metrics"]["total_return"] == 0.0312
    assert best["duration_s"] == 10.0
    assert best["start"].endswith("+00:00")
    assert best["config_file"] == "trials/0001/config.yaml"
    assert (trials[2]["state"], trials[2]["values"]) == ("PRUNED", None)
    assert (trials[3]["requeued_as"], trials[3]["error"]) == (4, "worker died")
    assert (trials[4]["requeue_of"], trials[4]["attempt"]) == (3, 2)


def test_best_config_is_complete_and_loads(finished: optuna.Study, spec: StudySpec, folder: Path) -> None:
    write_results(finished, spec, folder)
    file = folder / "fx_ai_quick_best_config.yaml"
    config = load_trial_config(file)
    # the base with the best trial's two parameters and its own seed; nothing else differs
    assert (config.training.learning_rate, config.model.d_model, config.training.seed) == (0.0005, 128, 1001)
    base = spec.base.model_dump()
    base["training"].update(learning_rate=0.0005, seed=1001)
    base["model"].update(d_model=128)
    assert config.model_dump() == base
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# Best config of study fx_ai_quick: trial 1, mean_reward 0.3 on validation data;")
    assert "no evidence of an edge" in " ".join(text.replace("\n# ", " ").split())
    assert max(map(len, text.splitlines())) <= 110


def test_the_ruler_is_the_base_config(finished: optuna.Study, spec: StudySpec, folder: Path) -> None:
    write_results(finished, spec, folder)
    assert load_trial_config(folder / "ruler.yaml") == spec.base


def test_with_no_completed_trial_nothing_stale_is_left(finished: optuna.Study, spec: StudySpec, folder: Path) -> None:
    write_results(finished, spec, folder)
    empty = optuna.create_study(direction="maximize")
    empty.add_trial(create_trial(state=TrialState.FAIL))
    assert [path.name for path in write_results(empty, spec, folder)] == ["fx_ai_quick_results.json"]
    assert [path.name for path in folder.iterdir()] == ["fx_ai_quick_results.json"]
    data = read(folder / "fx_ai_quick_results.json")
    assert data["best_trial"] is None
    assert data["note"] == "No trial has completed with a finite value, so there is no best trial."


def test_a_study_without_trials(study: optuna.Study, spec: StudySpec, folder: Path) -> None:
    write_results(study, spec, folder)
    assert read(folder / "fx_ai_quick_results.json")["trials"] == []


def test_values_that_json_lacks(study: optuna.Study, spec: StudySpec, folder: Path, add: AddTrial) -> None:
    add(math.inf, intermediate_values={1: math.nan, 2: -math.inf}, metrics={"sharpe": math.nan})
    write_results(study, spec, folder)
    trial = read(folder / "fx_ai_quick_results.json")["trials"][0]
    assert trial["values"] == ["Infinity"]
    assert trial["intermediate_values"] == {"1": "NaN", "2": "-Infinity"}
    assert trial["metrics"] == {"sharpe": "NaN"}


def test_jsonable_makes_text_of_what_it_does_not_know() -> None:
    assert jsonable({1: (Path("a"), True, None)}) == {"1": ["a", True, None]}


def test_two_objectives(two_objectives: StudySpec, folder: Path) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in [(1.0, 0.1), (3.0, 0.3), (2.0, 0.4)]:
        study.add_trial(create_trial(values=values))
    write_results(study, two_objectives, folder)
    best = load_best_params(folder)
    assert (best.trial, best.value, best.metric) == (1, 3.0, "sharpe")
    assert best.objectives == {"sharpe": 3.0, "max_drawdown": 0.3}
    assert best.pareto_front == (0, 1)


def test_written_again_from_the_study_it_is_the_same(finished: optuna.Study, spec: StudySpec, folder: Path) -> None:
    write_results(finished, spec, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "best_params.json").write_bytes(b"{")
    write_results(finished, spec, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "null",
        lambda text: text.replace("0.0005", "0.0009"),
        lambda text: text.replace('"value": 0.3', '"value": NaN'),
        lambda text: text.replace('"trial": 1', '"trial": 2'),
        lambda text: text.replace("sha256:", "sha256:0"),
        lambda text: text.replace("fx_ai_quick", "fx_\x00"),
        lambda text: text.replace('"value": 0.3', '"value": 1e999'),
        lambda text: "[" * 100_000,
    ],
    ids=["half", "empty", "list", "null", "value", "NaN", "trial", "checksum", "control", "infinite", "deep"],
)
def test_a_damaged_best_params_is_refused(
    finished: optuna.Study, spec: StudySpec, folder: Path, damage: Callable[[str], str]
) -> None:
    write_results(finished, spec, folder)
    file = folder / "best_params.json"
    damaged = damage(file.read_text(encoding="utf-8"))
    assert damaged != file.read_text(encoding="utf-8")
    file.write_text(damaged, encoding="utf-8")
    with pytest.raises(InputError, match="corrupted") as caught:
        load_best_params(folder)
    assert str(file) in str(caught.value)
    assert caught.value.hint is not None
    assert "poe optuna-best fx_ai_quick" in caught.value.hint


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "best_params.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(InputError, match="corrupted"):
        load_best_params(tmp_path)


def test_a_missing_best_params_says_when_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="written when a trial has completed"):
        load_best_params(tmp_path)


def test_a_file_of_another_version_is_refused_with_the_field(
    finished: optuna.Study, spec: StudySpec, folder: Path
) -> None:
    from fxai.report.results import _with_checksum

    write_results(finished, spec, folder)
    file = folder / "best_params.json"
    data = read(file)
    del data["checksum"], data["feasible"]
    file.write_text(json.dumps(_with_checksum(data)), encoding="utf-8")
    with pytest.raises(InputError, match="another version: feasible"):
        load_best_params(folder)


def test_every_field_of_best_params_is_written(finished: optuna.Study, spec: StudySpec, folder: Path) -> None:
    write_results(finished, spec, folder)
    assert set(read(folder / "best_params.json")) == {*BestParams.model_fields, "checksum"}


def test_a_link_in_the_results_is_refused(
    finished: optuna.Study, spec: StudySpec, folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "precious.txt"
    target.write_text("keep", encoding="utf-8")
    folder.mkdir(parents=True)
    (folder / "best_params.json").symlink_to(target)
    with pytest.raises(InputError, match="symbolic link"):
        write_results(finished, spec, folder)
    assert target.read_text(encoding="utf-8") == "keep"


def test_hostile_error_texts_stay_inside_their_strings(
    study: optuna.Study, spec: StudySpec, folder: Path, add: AddTrial
) -> None:
    error = '"}]\n=cmd|calc!A1 <script>\x1b[2J'
    add(None, TrialState.FAIL, user_attrs={"error": error})
    write_results(study, spec, folder)
    file = folder / "fx_ai_quick_results.json"
    assert read(file)["trials"][0]["error"] == error
    assert b"\x1b" not in file.read_bytes()
