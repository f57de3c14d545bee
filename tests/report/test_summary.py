from __future__ import annotations

import io
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from fxai import cli
from fxai.report.outcome import outcome_of
from fxai.report.results import write_results
from fxai.report.summary import next_commands, print_best, print_summary
from fxai.report.terminal import make_console
from fxai.study.spec import StudySpec

AddTrial = Callable[..., FrozenTrial]


def summary(study: optuna.Study, spec: StudySpec, folder: Path, width: int = 100, **kwargs: Any) -> str:
    out = io.StringIO()
    paths = kwargs.pop("paths", [])
    print_summary(study, spec, folder, paths, console=make_console(out, width=width), **kwargs)
    return out.getvalue()


def best(study: optuna.Study, spec: StudySpec, folder: Path) -> str:
    out = io.StringIO()
    print_best(study, spec, folder, console=make_console(out, width=100))
    return out.getvalue()


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_trials_time_and_speed(finished: optuna.Study, spec: StudySpec) -> None:
    text = summary(finished, spec, Path("results"), elapsed_s=75.0)
    assert "study fx_ai_quick\n" in text
    assert "trials  4 of 20: 2 complete, 1 pruned, 1 failed, 1 requeued" in text
    assert "time    1m 15s this run, 50s in trials" in text  # 5 × 10 s
    assert "speed   200 env steps/s per worker" in text  # 4000 steps in 20 s


def test_best_beside_default(finished: optuna.Study, spec: StudySpec) -> None:
    text = summary(finished, spec, Path("results"))
    assert "best    mean_reward 0.3 (maximize) in trial 1, +0.2 better than the default" in text
    rows = words(text)
    assert ["training.learning_rate", "0.0005", "0.0003"] in rows
    assert ["model.d_model", "128", "64"] in rows
    assert ["mean_reward", "0.3", "0.1"] in rows
    assert ["total_return", "3.12%", "1.00%"] in rows
    assert ["max_drawdown", "8.00%", "–"] in rows  # the default's was not recorded
    assert ["n_trades", "60", "40"] in rows


def test_the_honest_sentence_is_there(finished: optuna.Study, spec: StudySpec) -> None:
    text = " ".join(summary(finished, spec, Path("results"), width=60).split())
    assert "this is no evidence of an edge" in text


def test_paths_and_commands_are_whole_however_narrow_the_terminal(
    finished: optuna.Study, spec: StudySpec, tmp_path: Path
) -> None:
    folder = tmp_path / "a results folder with a long name" / "fx_ai_quick"
    text = summary(finished, spec, folder, width=40, paths=write_results(finished, spec, folder))
    assert f"  {folder / 'fx_ai_quick_best_config.yaml'}\n" in text
    assert f"  {folder}/" in text  # and how many more are there
    assert f"  poe train --config '{folder / 'fx_ai_quick_best_config.yaml'}'" in text
    assert "  poe optuna-best fx_ai_quick" in text
    assert "  poe optuna-dashboard" in text


def test_an_interrupted_run_says_how_to_go_on(finished: optuna.Study, spec: StudySpec) -> None:
    text = summary(finished, spec, Path("results"), interrupted=True)
    assert "study fx_ai_quick, interrupted: the same command goes on where it stopped" in text
    text = summary(finished, spec, Path("results"), interrupted=True, resume="interrupted: poe x goes on")
    assert "study fx_ai_quick, interrupted: poe x goes on" in text


def test_without_a_completed_trial(study: optuna.Study, spec: StudySpec, add: AddTrial) -> None:
    add(None, TrialState.RUNNING)
    text = summary(study, spec, Path("results"))
    assert "trials  0 of 20: 0 complete, 0 pruned, 0 failed, 1 running" in text
    assert "No trial has completed with a finite value, so there is no best trial." in text
    assert "poe train" not in text


def test_when_the_default_wins(study: optuna.Study, spec: StudySpec, add: AddTrial) -> None:
    add(0.3)
    add(0.1)
    text = summary(study, spec, Path("results"))
    assert "No trial beat the default config: keep it." in text
    assert "better than the default" not in text


def test_two_objectives_show_the_front(two_objectives: StudySpec) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in [(1.0, 0.1), (3.0, 0.3)]:
        study.add_trial(create_trial(values=values))
    text = summary(study, two_objectives, Path("results"))
    assert "front   trials 0, 1; the best by sharpe is shown" in text
    rows = words(text)
    assert ["sharpe", "3", "1"] in rows
    assert ["max_drawdown", "30.00%", "10.00%"] in rows


def test_best_prints_the_result_and_the_command_that_trains_it(
    finished: optuna.Study, spec: StudySpec, tmp_path: Path
) -> None:
    text = best(finished, spec, tmp_path)
    assert ["training.learning_rate", "0.0005", "0.0003"] in words(text)
    config, out = tmp_path / "fx_ai_quick_best_config.yaml", tmp_path / "best"
    assert f"poe train --config {config} --out {out}\n" in text
    assert f"poe backtest --config {config} --weights {out / 'weights.safetensors'}\n" in text


def test_commands_name_database_and_folder_only_where_they_are_not_the_usual_ones(
    finished: optuna.Study, spec: StudySpec
) -> None:
    usual = spec.model_copy(update={"storage": "sqlite:///optuna_studies.db"})
    text = summary(finished, usual, Path("optuna_results/fx_ai_quick"))
    assert "  poe optuna-best fx_ai_quick  #" in text
    assert "  poe optuna-dashboard  #" in text
    other = spec.model_copy(update={"storage": "postgresql://me:secret@host/db"})
    text = summary(finished, other, Path("else/fx_ai_quick"))
    assert "poe optuna-best fx_ai_quick --storage postgresql://me@host/db --results-dir else  #" in text
    assert "secret" not in text


def test_commands_are_commands_of_the_command_line(finished: optuna.Study, spec: StudySpec) -> None:
    outcome = outcome_of(finished, spec.metric_names)
    parser, _ = cli._parser()
    for command, _ in next_commands(outcome, spec, Path("results/fx_ai_quick")):
        words = shlex.split(command.removeprefix("poe ").removeprefix("optuna-"))
        parser.parse_args(words)  # SystemExit on an unknown command or option


def test_weights_of_the_first_of_several_seeds(finished: optuna.Study, spec: StudySpec) -> None:
    training = spec.base.training.model_copy(update={"n_seeds": 3})
    several = spec.model_copy(update={"base": spec.base.model_copy(update={"training": training})})
    assert "best/weights_0.safetensors" in summary(finished, several, Path("results"))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_is_obeyed_by_the_terminal(
    study: optuna.Study, spec: StudySpec, add: AddTrial, tmp_path: Path, width: int
) -> None:
    add(0.3, metrics={"mean_reward": 0.3}, user_attrs={"default": True})
    study.set_user_attr("note", "\x1b[2J")
    text = summary(study, spec, Path("res\x1b[2Jults"), width=width, paths=[Path("a\x1b[31m[bold]b")])
    assert "\x1b" not in text
    assert "a\\x1b[31m[bold]b" in text


def test_no_training_is_offered_for_an_objective_of_the_users_own(finished: optuna.Study, spec: StudySpec) -> None:
    own = spec.model_copy(update={"objective": "mine:score"})
    outcome = outcome_of(finished, own.metric_names)
    commands = [command for command, _ in next_commands(outcome, own, Path("results/fx_ai_quick"))]
    assert [command.split()[1] for command in commands] == ["optuna-dashboard"]
