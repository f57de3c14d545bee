"""A study of quick trials with their files, and a dashboard that serves it."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "study"))

from fakes import load, report
from serving import free_port, serving

from fxai.dashboard.access import access_for
from fxai.dashboard.token import Token
from fxai.evaluate.curve import EquityCurve
from fxai.study.database.storage import open_storage
from fxai.study.fingerprint import open_study
from fxai.study.trial_files import LearningCurve, trial_folder, write_equity

STUDY = "fake"
TOKEN = "correct-horse-battery"


@dataclass(frozen=True)
class Served:
    """A running dashboard."""

    base: str
    url: str
    results: Path
    token: str = ""

    def get(self, path: str) -> tuple[Any, bytes]:
        """Headers and body of an answer."""
        with urllib.request.urlopen(self.base + path, timeout=60) as answer:
            return answer.headers, answer.read()

    def detail(self) -> dict[str, Any]:
        """What the dashboard's pages are told of the study."""
        return dict(json.loads(self.get("/api/studies/1")[1]))


def make_study(folder: Path) -> str:
    """Trials 0 (the default), 1 (better), 2 (pruned) and 3 (failed, with a hostile error); returns the URL."""
    spec = load(folder, n_trials=4)
    study = open_study(open_storage(spec.storage, create=True), spec, None)
    for number, (state, value) in enumerate(
        [(TrialState.COMPLETE, 1.0), (TrialState.COMPLETE, 2.0), (TrialState.PRUNED, None), (TrialState.FAIL, None)]
    ):
        trial = study.ask({"training.learning_rate": FloatDistribution(0.0001, 0.002)})
        metrics = {"mean_reward": value or 0.5, "sharpe": 0.25}
        for key, told in {"metrics": metrics, "config_file": "config.yaml", "seed": 7}.items():
            trial.set_user_attr(key, told)
        if state is TrialState.FAIL:
            trial.set_user_attr("error", "`<script>alert(1)</script>` | [x](http://evil.example)")
        trial.report(value or 0.5, 2)
        study.tell(trial, value, state=state)
        _write_files(trial_folder(folder / "results" / STUDY, number), value or 0.5)
    return spec.storage


def _write_files(folder: Path, value: float) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("training: {learning_rate: 0.001, gamma: 0.9}\n")
    curve = LearningCurve()
    curve.add(report(1, value - 1.0), 0.5)
    curve.add(report(2, value), 1.0)
    curve.write(folder)
    one = np.linspace(1.0, value, 5)
    write_equity(folder, EquityCurve(bar_R=np.arange(5), mean_R=one, low_R=one, high_R=one, instruments={}))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The dashboard of `make_study`, on a free port."""
    url, port = make_study(tmp_path), free_port()
    with serving(url, access_for("127.0.0.1", port), tmp_path / "results"):
        yield Served(f"http://127.0.0.1:{port}", url, tmp_path / "results")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Served]:
    """The same for others, with TOKEN."""
    url, port = make_study(tmp_path), free_port()
    access = access_for("0.0.0.0", port, token=Token(TOKEN, "test"))
    with serving(url, access, tmp_path / "results"):
        yield Served(f"http://localhost:{port}", url, tmp_path / "results", TOKEN)
