"""The guide's examples run, and its messages are what the program says."""

from __future__ import annotations

import ast
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from small import SMALL
from test_docs import COMMANDS, GUIDE, ROOT, WRITTEN_BY_A_BLOCK, rows

from fxai import cli
from fxai.errors import InputError
from fxai.report.results import BEST_PARAMS, load_best_params
from fxai.study.database.storage import load_study, opened

BLOCKS = re.findall(r"^```(python|yaml)\n(.*?)^```", GUIDE, re.S | re.M)
FILES = {text.split("\n")[0].removeprefix("# "): text for _, text in BLOCKS if re.match(r"# \w+\.(py|yaml)\n", text)}
SNIPPETS = [yaml.safe_load(text) for kind, text in BLOCKS if kind == "yaml" and text not in FILES.values()]

MINUTE = ["--set", "training.total_updates=2", "--set", "training.eval_frequency=1", "--n-jobs", "1", "--quiet"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the reader's own, with the guide's files in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "config").symlink_to(ROOT / "config")
    return tmp_path


def spec(**changes: Any) -> Path:
    """A small study of three settings, changed as told."""
    study = {
        "study_name": "mine",
        "storage": "sqlite:///mine.db",
        "base_config": "small",
        "parameters": [{"name": "training.learning_rate", "type": "float_log", "low": 0.0001, "high": 0.003}],
        "n_trials": 2,
        **changes,
    }
    Path("small.yaml").write_text(yaml.safe_dump(SMALL))
    Path("mine.yaml").write_text(yaml.safe_dump({"name": "mine", "save_study_plots": False, "studies": [study]}))
    return Path("mine.yaml")


def lint(**changes: Any) -> None:
    cli.main(["lint", str(spec(**changes)), "--no-calibration"])


def of_parabola(*options: str, **changes: Any) -> int:
    """Run a study whose objective is the guide's parabola: one trial of a second."""
    searched = {"name": "objective.x", "type": "float", "low": 0.0, "high": 1.0}
    changes = {"parameters": [searched], "training_config": {"objective": {"x": 0.5}}, "n_trials": 1, **changes}
    path = spec(objective="parabola:score", **changes)
    return cli.main(["--spec", str(path), "--results-dir", "results", *options])


def test_the_guide_has_what_is_tested_here() -> None:
    assert FILES.keys() == {"steady.py", "steady.yaml", "parabola.py"}
    assert f"poe optuna-run --spec {WRITTEN_BY_A_BLOCK}" in COMMANDS
    assert len(SNIPPETS) == 4


def test_the_objective_around_ppo_runs(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--spec", "steady.yaml", "--n-trials", "1", *MINUTE]
    assert cli.main(given) == 0, capsys.readouterr().err
    with opened("sqlite:///optuna_studies.db") as storage:
        (trial,) = load_study(storage, "fx_ai_steady").trials
    metrics = trial.user_attrs["metrics"]
    assert trial.value == metrics["total_return"] - 0.5 * metrics["max_drawdown"]


def test_the_objective_that_returns_a_number_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert of_parabola() == 0, capsys.readouterr().err
    with opened("sqlite:///mine.db") as storage:
        (trial,) = load_study(storage, "mine").trials
    assert trial.value == -((0.5 - 0.3) ** 2)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: next(iter(snippet)))
def test_every_piece_of_a_spec_is_taken(snippet: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    if "enqueue" in snippet:
        searched = [parameter for other in SNIPPETS for parameter in other.get("parameters", ())]
        snippet = {**snippet, "parameters": searched}
    if "wandb" in snippet:
        snippet = {"training_config": snippet}
    # the ranges are those of a whole config: of ecb_daily, not of the small one
    lint(**snippet, base_config="ecb_daily")
    said = capsys.readouterr()
    assert "mine, no error" in said.out, said.err


def of_a_changed_study() -> None:
    of_parabola("--quiet")
    wider = {"name": "objective.x", "type": "float", "low": 0.0, "high": 2.0}
    of_parabola("--quiet", parameters=[wider], n_trials=2)


def of_edited_best_params() -> None:
    of_parabola("--quiet")
    path = Path("results/mine") / BEST_PARAMS
    path.write_text(path.read_text().replace("0.5", "0.4"))
    with pytest.raises(InputError) as caught:
        load_best_params(path)
    print(caught.value)


def of_a_damaged_database() -> None:
    Path("bad.db").write_text("not a database")
    cli.main(["status", "--storage", "sqlite:///bad.db"])


def of_a_port_in_use() -> None:
    of_parabola("--quiet")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        cli.main(["dashboard", "--storage", "sqlite:///mine.db", "--results-dir", "results", "--port", port])


def of_a_message_without_address() -> None:
    path = spec()
    path.write_text("notify_on_complete: true\n" + path.read_text())
    cli.main(["--spec", str(path)])


SPECS = ["--specs", str(ROOT / "config" / "optuna")]
FLAG = {"name": "training.use_lr_annealing", "type": "categorical", "choices": [True, False]}

PROVOKED: dict[str, Callable[[], Any]] = {
    "no study was run in this folder yet": lambda: cli.main(["best", "fx_ai_quick"]),
    "no study is called 'fx_ai_quik'": lambda: cli.main(["study", "fx_ai_quik", *SPECS]),
    "parameter 'training.lerning_rate' is not a setting": lambda: lint(
        parameters=[{"name": "training.lerning_rate", "type": "float", "low": 0.1, "high": 1.0}]
    ),
    "is not among the searched values": lambda: lint(
        parameters=[{"name": "training.gamma", "type": "float", "low": 0.1, "high": 0.2}]
    ),
    "can never stop a trial": lambda: lint(pruner={"type": "MedianPruner", "n_warmup_steps": 60}),
    "CmaEsSampler samples categorical parameters at random": lambda: lint(
        sampler={"type": "CmaEsSampler"},
        parameters=[*SNIPPETS[0]["parameters"][:2], FLAG],
    ),
    "GridSampler needs finitely many values": lambda: lint(sampler={"type": "GridSampler"}),
    "n_jobs is 8, and 2 workers run": lambda: lint(n_jobs=4096),
    "exists and its trials cannot be compared with what the spec says now": of_a_changed_study,
    "starts from the best of fx_ai_foundation, and that has not been transferred": lambda: cli.main(
        ["study", "fx_ai_reward", *SPECS, "--storage", "sqlite:///new.db", "--results-dir", "results"]
    ),
    "there is no module stedy": lambda: lint(objective="stedy:steady"),
    "is corrupted or was edited: its checksum does not fit": of_edited_best_params,
    "is damaged: file is not a database": of_a_damaged_database,
    "others can reach a dashboard at 0.0.0.0": lambda: cli.main(["dashboard", "--host", "0.0.0.0"]),
    "port 8052 is in use": of_a_port_in_use,
    "W&B is off, there are no credentials": of_parabola,
    "needs credentials for Weights & Biases, and there are none": lambda: of_parabola("--set", "wandb.mode=online"),
    "there is no address to send to": of_a_message_without_address,
    "holds a password, and other users can read this file": lambda: lint(storage="postgresql://ann:pw@host/db"),
}
NOT_PROVOKED = {  # tests elsewhere do: each needs another user, a second program, or a training
    "another program has held the database for",
    "a network file system: SQLite's write-ahead log",
    "the study database does not answer",
    "cannot be written",
    "too few trades (evaluation.min_trades)",
    "interrupted: the same command goes on where it stopped",
}
MESSAGES = [row[0].strip("`") for row in rows(GUIDE, "| message | what it means")]


def test_every_message_is_either_provoked_or_known() -> None:
    assert {*MESSAGES} == PROVOKED.keys() | NOT_PROVOKED


@pytest.mark.parametrize("message", sorted(PROVOKED))
def test_the_program_says_so(message: str, capsys: pytest.CaptureFixture[str]) -> None:
    PROVOKED[message]()
    said = capsys.readouterr()
    text = " ".join((said.out + said.err).split())
    assert re.search(re.sub(r"\d+", r"\\d+", re.escape(message)), text), text
    assert "Traceback" not in text


@pytest.mark.parametrize("message", sorted(NOT_PROVOKED))
def test_the_source_has_the_words(message: str) -> None:
    texts = "".join(
        str(node.value)
        for path in (ROOT / "fxai").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    assert message.removesuffix("written").partition(" (")[0] in texts  # put together from parts
