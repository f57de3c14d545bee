"""A user's own reward term on its way through a study: before trial 0, in a trial, in a worker that starts late."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from fakes import load
from small import SMALL, small_config

from fxai import cli
from fxai.errors import StudyConflict
from fxai.study.database.storage import open_storage
from fxai.study.fingerprint import open_study
from fxai.study.objective import TrialRequest
from fxai.study.ppo import objective
from fxai.study.workers.slots import Slot
from fxai.study.workers.worker import Worker, WorkerSetup

TERM = """from fxai.env.plugins import reward_term

@reward_term(mine=0.0)
def a(outcome, coefficients):
    return -coefficients.mine * outcome.traded
"""


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`mine.py` in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(TERM)
    return path


def reward(**custom: float) -> dict[str, Any]:
    return {"plugins": ["mine.py"], "custom": custom}


def write_spec(folder: Path, parameter: str = "env.reward.custom.mine") -> Path:
    """A study that searches the coefficient, whose default leaves the ruler at P&L."""
    (folder / "base.yaml").write_text(yaml.safe_dump({**SMALL, "env": {**SMALL["env"], "reward": reward(mine=0.0)}}))
    study = {
        "study_name": "custom",
        "storage": "sqlite:///custom.db",
        "base_config": "base",
        "parameters": [{"name": parameter, "type": "float", "low": 0.0, "high": 1.0}],
        "n_trials": 2,
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump({"name": "custom", "save_study_plots": False, "studies": [study]}))
    return path


def test_it_shapes_the_training_and_leaves_the_ruler_alone(tmp_path: Path) -> None:
    # A rate of 1e-30 moves no weight, so that both trials score the same agent.
    still = {"learning_rate": 1e-30}
    ruler = small_config(env={**SMALL["env"], "reward": reward(mine=0.0)}, training={**SMALL["training"], **still})
    own = small_config(env={**SMALL["env"], "reward": reward(mine=3.0)}, training={**SMALL["training"], **still})
    scores = []
    for config in (ruler, own):
        *_, last = objective(TrialRequest(number=0, config=config, ruler=ruler, seed=1, folder=tmp_path))
        assert last.metrics is not None
        scores.append(last.metrics)
    base, searched = scores
    assert base["mean_reward"] == searched["mean_reward"] == base["mean_shaped_reward"]
    assert searched["mean_shaped_reward"] < base["mean_shaped_reward"] - 1.0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("    return -coefficients.mine * outcome.trade\n", "mine.py:5: AttributeError: 'Outcome' object has no attr"),
        ("    return 1.0\n", "mine.py:3: the reward term a returned float, not a tensor"),
        ("    return (\n", "mine.py:5: SyntaxError: "),
    ],
)
def test_a_mistake_in_it_ends_a_study_before_anything_is_written(
    plugin: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    plugin.write_text("".join(TERM.splitlines(keepends=True)[:4]) + line)
    spec = write_spec(plugin.parent)
    before = sorted(plugin.parent.rglob("*"))
    assert cli.main(["--spec", str(spec)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert sorted(plugin.parent.rglob("*")) == before


@pytest.mark.parametrize("command", ["train", "backtest"])
def test_a_missing_file_is_told_by_train_and_backtest(
    plugin: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    write_spec(plugin.parent)
    plugin.unlink()
    before = sorted(plugin.parent.rglob("*"))
    more = ["--weights", "none.safetensors"] if command == "backtest" else []
    assert cli.main([command, "--config", "base.yaml", *more]) == 2
    assert "mine.py: cannot read this file of env.reward.plugins: there is no such file" in capsys.readouterr().err
    assert sorted(plugin.parent.rglob("*")) == before


def test_a_worker_that_starts_after_an_edit_refuses(plugin: Path) -> None:
    spec = load(plugin.parent, training_config={"env": {"reward": reward(mine=0.5)}})
    study = open_study(open_storage(spec.storage, create=True), spec, None)
    setup = WorkerSetup(
        slot=Slot(0),
        spec=spec,
        study_seed=study.user_attrs["seed"],
        folder=plugin.parent,
        objective="fakes:quadratic",
    )
    Worker(setup, print, threading.Event(), threading.Event())
    plugin.write_text(TERM.replace("-coefficients", "+coefficients"))
    with pytest.raises(StudyConflict, match=r"mine\.py was changed while study fake ran"):
        Worker(setup, print, threading.Event(), threading.Event())
