"""Who is told of a run: whole runs with a fake objective, told to a script, to W&B and to an endpoint for messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tracking"))

import fakes
from endpoint import Endpoint
from wandb_files import read_runs

TESTS = Path(__file__).parents[1]


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """No key of this machine, and no address."""
    home = tmp_path / "home"
    home.mkdir()
    dropped = ("WANDB_API_KEY", "WANDB_MODE", "NETRC", "WANDB_CONFIG_DIR", "FXAI_NOTIFY_URLS", "FXAI_NOTIFY_FILE")
    return {**{key: value for key, value in os.environ.items() if key not in dropped}, "HOME": str(home)}


def run(
    folder: Path, env: dict[str, str], *options: str, objective: str = "quadratic", key: str = "", **study: Any
) -> Any:
    spec = fakes.write_spec(folder, **study)
    spec.write_text(spec.read_text() + key)
    driver = [sys.executable, str(TESTS / "faults" / "driver.py"), f"fakes:{objective}"]
    return subprocess.run(
        [*driver, "--spec", str(spec), *options], cwd=folder, env=env, capture_output=True, text=True, check=False
    )


def test_a_script_reads_every_event_and_the_result_as_json(tmp_path: Path, env: dict[str, str]) -> None:
    done = run(tmp_path, env, "--json", n_trials=3)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    # three trials of three reports each
    per_trial = ["trial_started", "report", "report", "report", "trial_finished"]
    assert [line["event"] for line in lines if line["event"] != "log"] == ["study_started", *3 * per_trial, "summary"]
    report = next(line for line in lines if line["event"] == "report")
    assert (report["step"], report["env_steps"], report["train"]) == (1, 100, {"loss": 0.5})
    assert report["metrics"]["mean_reward"] == report["value"]
    summary = lines[-1]
    assert (summary["state"], summary["finished"], summary["added"], summary["exit_code"]) == ("finished", 3, 3, 0)
    ends = {line["trial"]: line["value"] for line in lines if line["event"] == "trial_finished"}
    assert summary["best"]["values"] == [max(ends.values())]
    assert summary["start"]["trial"] == 0
    assert all((tmp_path / path).exists() for path in summary["files"])
    assert "W&B is off" in done.stderr  # talk does not mix with data

    best = ["best", "fake", "--storage", f"sqlite:///{tmp_path / 'study.db'}", "--results-dir", "results", "--json"]
    driver = [sys.executable, str(TESTS / "faults" / "driver.py"), "fakes:quadratic"]
    told = subprocess.run([*driver, *best], cwd=tmp_path, env=env, capture_output=True, text=True, check=True).stdout
    assert json.loads(told)["best"] == summary["best"]
    assert told.count("\n") == 1


def test_a_quiet_run_says_nothing(tmp_path: Path, env: dict[str, str]) -> None:
    done = run(tmp_path, env, "--quiet", n_trials=1)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_quiet_and_json_do_not_go_together(tmp_path: Path, env: dict[str, str]) -> None:
    done = run(tmp_path, env, "--json", "--quiet", n_trials=1)
    assert done.returncode == 2
    assert "not allowed with" in done.stderr


def test_a_run_that_fails_ends_in_a_summary_too_and_the_error_is_on_stderr(tmp_path: Path, env: dict[str, str]) -> None:
    done = run(tmp_path, env, "--json", objective="has_no_data")
    assert done.returncode == 2
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["event"], summary["state"], summary["exit_code"]) == ("summary", "failed", 2)
    assert summary["error"] == "the file is gone"
    assert "error: bars.csv: the file is gone" in done.stderr


def test_every_trial_of_a_real_run_is_a_w_and_b_run_and_a_resume_adds_only_its_own(
    tmp_path: Path, env: dict[str, str]
) -> None:
    offline = ("--set", "wandb.mode=offline", "--quiet")
    for n_trials in ("2", "3"):
        done = run(tmp_path, env, *offline, "--n-trials", n_trials)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    runs = read_runs(tmp_path / "results" / "fake")
    assert list(runs) == ["fake-0000", "fake-0001", "fake-0002"]
    assert len({run.id for run in runs.values()}) == 3
    assert [len(run.history) for run in runs.values()] == [3, 3, 3]
    assert {run.summary["state"] for run in runs.values()} == {"complete"}
    results = json.loads((tmp_path / "results" / "fake" / "fake_results.json").read_text())
    for trial, run_ in zip(results["trials"], runs.values(), strict=True):
        assert run_.summary["final/mean_reward"] == pytest.approx(trial["values"][0])


def test_online_without_credentials_is_refused_before_the_study(tmp_path: Path, env: dict[str, str]) -> None:
    done = run(tmp_path, env, "--set", "wandb.mode=online")
    assert done.returncode == 2
    assert "error: wandb.mode: online needs credentials" in done.stderr
    assert not (tmp_path / "results" / "fake").exists()


@pytest.fixture
def endpoint(env: dict[str, str]) -> Iterator[Endpoint]:
    pytest.importorskip("apprise")
    endpoint = Endpoint()
    env["FXAI_NOTIFY_URLS"] = endpoint.url()
    yield endpoint
    endpoint.ended.set()
    endpoint.shutdown()
    endpoint.server_close()


NOTIFY = "notify_on_complete: true\n"


def test_the_end_of_a_study_is_notified(tmp_path: Path, env: dict[str, str], endpoint: Endpoint) -> None:
    done = run(tmp_path, env, "--quiet", key=NOTIFY, n_trials=2)
    assert (done.returncode, done.stderr) == (0, "")
    (told,) = endpoint.messages
    assert told["title"] == "FxAI: fake finished"
    trials, best, after = told["message"].splitlines()
    assert trials == "trials done: 2 of 2"
    # the default's rate of 0.0003 gives −(0.3 − 1)² = −0.49
    assert best.startswith("best mean_reward -0.")
    assert "default config" in best
    assert after.startswith("after ")
    saved = b"".join(path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file())
    assert b"hunter2" not in saved + (tmp_path / "study.db").read_bytes()


def test_a_failed_study_is_notified_with_its_error(tmp_path: Path, env: dict[str, str], endpoint: Endpoint) -> None:
    assert run(tmp_path, env, "--quiet", objective="has_no_data", key=NOTIFY).returncode == 2
    (told,) = endpoint.messages
    assert told["title"] == "FxAI: fake failed"
    assert "error: the file is gone" in told["message"].splitlines()


def test_an_endpoint_that_is_gone_costs_a_warning(tmp_path: Path, env: dict[str, str], endpoint: Endpoint) -> None:
    endpoint.server_close()
    done = run(tmp_path, env, "--quiet", key=NOTIFY, n_trials=1)
    assert done.returncode == 0
    assert done.stderr == "warning: the notification by json was refused\n"


def test_without_an_address_nothing_runs(tmp_path: Path, env: dict[str, str]) -> None:
    pytest.importorskip("apprise")
    done = run(tmp_path, env, key=NOTIFY)
    assert done.returncode == 2
    assert "no address to send to" in done.stderr
    assert not (tmp_path / "study.db").exists()
