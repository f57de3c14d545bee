"""Trials as W&B runs: read back from an offline run's files, sent to a server, and what may go wrong."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from fake_server import WandbServer
from wandb_files import KEY, read_runs

from fxai.study.spec import StudySpec
from fxai.tracking.study import TrackedStudy
from fxai.tracking.tracker import Tracker, tracked

SECRET_WORD = "--option=hunter2"
"""Stands on the command line of the test that looks for it."""


class Shown:
    """A view that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.closed = 0

    def start(self, *_: Any) -> None:
        """Begin."""

    def handle(self, event: dict[str, Any]) -> None:
        self.events.append(event)

    def close(self) -> None:
        self.closed += 1

    @property
    def logged(self) -> str:
        return "\n".join(event["text"] for event in self.events if event["kind"] == "log")


def study_of(spec: StudySpec, folder: Path, **changes: Any) -> TrackedStudy:
    study = TrackedStudy(
        study_name=spec.study_name,
        folder=folder,
        mode="offline",
        project="fx-ai-optuna",
        entity=None,
        group=spec.study_name,
        tags=("optuna", "hyperparameter_search"),
        base=spec.base.model_dump(mode="json", exclude={"wandb"}),
        metric_names=spec.metric_names,
        directions=spec.directions,
        parameters=("training.learning_rate",),
    )
    return replace(study, **changes)


def started(number: int, **changes: Any) -> dict[str, Any]:
    params = {"training.learning_rate": 0.001}
    return {"kind": "trial_started", "number": number, "params": params, "seed": 77, "worker": 0, **changes}


def report(number: int, step: int, value: float | None = None) -> dict[str, Any]:
    metrics = None if value is None else {"mean_reward": value, "sharpe": None}
    return {
        "kind": "report",
        "number": number,
        "step": step,
        "total_steps": 3,
        "value": value,
        "env_steps": 100 * step,
        "env_steps_per_s": 50.0,
        "metrics": metrics,
        "train": {"policy_loss": 1 / step},
    }


def finished(number: int, state: str = "COMPLETE", value: float | None = 0.5, **changes: Any) -> dict[str, Any]:
    values = None if value is None else [value]
    event = {"kind": "trial_finished", "number": number, "state": state, "value": value, "values": values}
    return {**event, "error": None, "feasible": True, "duration_s": 2.5, **changes}


def go(tracker: Tracker, *events: dict[str, Any]) -> None:
    tracker.start("tracked", 4, 0, None, "maximize", "mean_reward")
    tracker.handle({"kind": "study", "created": "2026-03-01"})
    for event in events:
        tracker.handle(event)
    tracker.close()


def test_every_trial_is_a_run_that_can_be_read_back(spec: StudySpec, tmp_path: Path) -> None:
    shown = Shown()
    events = [
        started(0),
        started(1, requeue_of=0),  # two workers
        report(0, 1),
        report(1, 1, 0.25),
        report(0, 2, 0.5),
        finished(1, "PRUNED", 0.25),
        finished(0, "COMPLETE", 0.5),
        started(2),
        finished(2, "FAIL", None, error="ValueError: no luck"),
        started(3),
        report(3, 1),
        finished(3, "REQUEUED", None, error="its worker was killed"),
        started(4),  # and then the study is interrupted
        report(3, 2),  # a worker that did not know yet
    ]
    go(Tracker(shown, study_of(spec, tmp_path / "s")), *events)
    assert [event for event in shown.events[1:] if event["kind"] != "log"] == events
    assert shown.closed == 1

    runs = read_runs(tmp_path / "s")
    assert list(runs) == [f"tracked-{number:04d}" for number in range(5)]
    first = runs["tracked-0000"]
    assert (first.project, first.group, first.tags) == ("fx-ai-optuna", "tracked", ["optuna", "hyperparameter_search"])
    assert first.config["training"]["learning_rate"] == 0.001
    assert first.config["training"]["seed"] == 77
    assert first.config["model"] == spec.base.model.model_dump(mode="json")
    assert first.config["searched"] == {"learning_rate": 0.001}
    assert (first.config["trial"], first.config["requeue_of"]) == (0, None)
    assert runs["tracked-0001"].config["requeue_of"] == 0
    assert "wandb" not in first.config
    own = [{key: value for key, value in row.items() if key not in ("_timestamp", "_runtime")} for row in first.history]
    # step 1 was not evaluated; sharpe is not finite and left out; policy_loss is 1 / step
    assert own == [
        {"_step": 1, "env_steps": 100, "env_steps_per_s": 50, "train/policy_loss": 1},
        {
            "_step": 2,
            "env_steps": 200,
            "env_steps_per_s": 50,
            "train/policy_loss": 0.5,
            "value": 0.5,
            "eval/mean_reward": 0.5,
        },
    ]
    final = {
        name: (run.summary["state"], run.summary.get("final/mean_reward"), run.exit_code) for name, run in runs.items()
    }
    assert final == {
        "tracked-0000": ("complete", 0.5, 0),
        "tracked-0001": ("pruned", 0.25, 0),
        "tracked-0002": ("fail", None, 1),
        "tracked-0003": ("requeued", None, 1),
        "tracked-0004": ("interrupted", None, 1),
    }
    assert runs["tracked-0002"].summary["error"] == "ValueError: no luck"
    assert first.summary["duration_s"] == 2.5
    assert len(runs["tracked-0003"].history) == 1


def test_ids_tell_studies_of_one_name_apart_and_stay_the_same_on_resume(spec: StudySpec, tmp_path: Path) -> None:
    ids = {}
    for name, created in (("first", "2026-03-01"), ("resumed", "2026-03-01"), ("other", "2026-03-02")):
        tracker = Tracker(Shown(), study_of(spec, tmp_path / name))
        tracker.start("tracked", 4, 0, None, "maximize", "mean_reward")
        for event in ({"kind": "study", "created": created}, started(7), finished(7)):
            tracker.handle(event)
        tracker.close()
        ids[name] = read_runs(tmp_path / name)["tracked-0007"].id
    assert ids["first"] == ids["resumed"] != ids["other"]
    assert ids["first"].endswith("-0007")


SCRIPT = """
import sys
import time
from pathlib import Path
sys.path[:0] = [{tests!r}, {study!r}]
import fakes
from test_tracker import Shown, finished, go, report, started, study_of
from fxai.tracking.tracker import Tracker
if __name__ == "__main__":
    folder = Path({folder!r})
    study = study_of(fakes.load(folder, study_name="tracked"), folder / "s")
    go(Tracker(Shown(), study), started(0), report(0, 1, 0.5))
"""


def test_neither_key_nor_command_line_nor_machine_is_saved_and_nothing_is_printed(tmp_path: Path) -> None:
    tests = Path(__file__).parent
    script = tmp_path / "telltale.py"
    script.write_text(SCRIPT.format(tests=str(tests), study=str(tests.parent / "study"), folder=str(tmp_path)))
    done = subprocess.run(
        [sys.executable, str(script), SECRET_WORD],
        env={**os.environ, "WANDB_API_KEY": KEY},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    files = [path for path in (tmp_path / "s").rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    saved = b"".join(path.read_bytes() for path in files)
    for secret in (KEY, SECRET_WORD, "telltale"):
        assert secret.encode() not in saved, secret
    assert b"learning_rate" in saved  # the files are not compressed, so that the above means something
    (run,) = read_runs(tmp_path / "s").values()
    assert run.host == ""
    home = Path(os.environ["HOME"])
    assert not [path for path in home.rglob("*") if path.is_file()]


@pytest.fixture
def server() -> Iterator[WandbServer]:
    server = WandbServer()
    yield server
    server.shutdown()
    server.server_close()


def test_online_runs_reach_the_server(
    spec: StudySpec, tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    shown = Shown()
    events = [started(0), report(0, 1), report(0, 2, 0.5), finished(0), started(1), finished(1, "FAIL", None)]
    tracker = tracked(shown, spec, tmp_path / "s", lambda text: None)
    assert isinstance(tracker, Tracker)
    go(tracker, *events)
    assert [line for line in shown.logged.splitlines() if not line.startswith("waiting")] == []
    by_name = {run["displayName"]: name for name, run in server.runs.items()}
    assert set(by_name) == {"tracked-0000", "tracked-0001"}
    run = server.runs[by_name["tracked-0000"]]
    assert (run["project"], run["groupName"], run["tags"]) == (
        "fx-ai-optuna",
        "tracked",
        ["optuna", "hyperparameter_search"],
    )
    rows = server.history[by_name["tracked-0000"]]
    assert [(row["_step"], row.get("eval/mean_reward")) for row in rows] == [(1, None), (2, 0.5)]
    assert [server.exit_codes[by_name[name]] for name in ("tracked-0000", "tracked-0001")] == [0, 1]
    assert "host" not in run
    for secret in (KEY, "pytest"):
        assert secret.encode() not in server.received


def test_offline_runs_can_be_uploaded_later(
    spec: StudySpec, tmp_path: Path, server: WandbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(Tracker(Shown(), study_of(spec, tmp_path / "s")), started(0), report(0, 1, 0.25), report(0, 2, 0.5), finished(0))
    (run,) = (tmp_path / "s" / "wandb").glob("*run-*")
    env = {**os.environ, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "WANDB_CACHE_DIR": str(tmp_path / "c")}
    sync = [sys.executable, "-m", "wandb", "sync", "--yes", str(run)]
    done = subprocess.run(sync, env=env, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ((name, told),) = server.runs.items()
    assert (told["displayName"], told["project"], told["groupName"]) == ("tracked-0000", "fx-ai-optuna", "tracked")
    assert [row["eval/mean_reward"] for row in server.history[name]] == [0.25, 0.5]


def test_a_server_that_refuses_costs_one_line_and_the_runs_are_kept_in_files(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:  # a port where nobody listens
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{probe.getsockname()[1]}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    shown = Shown()
    study = study_of(spec, tmp_path / "s", mode="online", silence_s=1.0)
    go(Tracker(shown, study), *[e for n in range(3) for e in (started(n), report(n, 1, 0.5), finished(n))])
    (line,) = [line for line in shown.logged.splitlines() if not line.startswith("waiting")]
    assert line.startswith("W&B does not answer (")
    assert line.endswith(f"wandb sync {tmp_path / 's' / 'wandb'}/*run-*")
    assert KEY not in line
    runs = read_runs(tmp_path / "s")
    assert {name: run.summary["state"] for name, run in runs.items()} == {
        f"tracked-{number:04d}": "complete" for number in range(3)
    }


def test_a_key_that_is_none_costs_one_line(spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "hunter2")
    shown = Shown()
    go(Tracker(shown, study_of(spec, tmp_path / "s", mode="online")), started(0), finished(0))
    (line,) = [line for line in shown.logged.splitlines() if not line.startswith("waiting")]
    assert "WANDB_API_KEY invalid" in line
    assert "hunter2" not in line
    assert list(read_runs(tmp_path / "s")) == ["tracked-0000"]


def never_reads(study: TrackedStudy, connection: Connection) -> None:
    """A tracking process that hangs, and has started another one that does."""
    os.setsid()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (study.folder / "pids").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)


def dies(study: TrackedStudy, connection: Connection) -> None:
    """A tracking process that ends at its first event."""
    connection.recv()
    os._exit(7)


def test_a_process_that_hangs_delays_nothing_and_is_killed_with_all_it_started(spec: StudySpec, tmp_path: Path) -> None:
    shown = Shown()
    tracker = Tracker(shown, study_of(spec, tmp_path / "s"), size=50, close_s=0.5, target=never_reads)
    tracker.start("tracked", 4, 0, None, "maximize", "mean_reward")
    pids = tmp_path / "s" / "pids"
    while not (pids.exists() and pids.read_text().count(" ")):
        os.sched_yield()
    fat = {**report(0, 1), "train": {"x" * 1000: 1.0}}
    for _ in range(2000):  # 2 MB: more than pipe and queue hold
        tracker.handle(fat)
    tracker.close()
    assert sum(event["kind"] == "report" for event in shown.events) == 2000
    assert shown.logged.count("50 events behind") == 1
    assert "W&B had not taken in everything" in shown.logged
    assert shown.closed == 1
    for pid in map(int, pids.read_text().split()):
        assert not _lives(pid)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_process_that_dies_costs_one_line(spec: StudySpec, tmp_path: Path) -> None:
    shown = Shown()
    tracker = Tracker(shown, study_of(spec, tmp_path / "s"), target=dies)
    tracker.start("tracked", 4, 0, None, "maximize", "mean_reward")
    tracker.handle(started(0))
    assert tracker._process is not None
    tracker._process.join()
    for step in range(1, 100):
        tracker.handle(report(0, step))
    tracker.close()
    assert shown.logged.count("ended with exit code 7") == 1
    assert len([event for event in shown.events if event["kind"] == "report"]) == 99


def test_a_folder_that_cannot_be_written_turns_it_off(spec: StudySpec, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "wandb").symlink_to(tmp_path / "elsewhere")
    shown = Shown()
    go(Tracker(shown, study_of(spec, tmp_path / "s")), started(0), finished(0))
    assert shown.logged.startswith("W&B is off: ")
    assert "symbolic link" in shown.logged
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_process_ends_by_itself_when_its_parent_is_killed(tmp_path: Path) -> None:
    tests = Path(__file__).parent
    script = tmp_path / "run.py"
    text = SCRIPT.format(tests=str(tests), study=str(tests.parent / "study"), folder=str(tmp_path))
    head, _, _ = text.partition("    study =")
    script.write_text(
        head
        + """    study = study_of(fakes.load(folder, study_name="tracked"), folder / "s")
    tracker = Tracker(Shown(), study)
    tracker.start("tracked", 4, 0, None, "maximize", "mean_reward")
    tracker.handle(started(0))
    while not list((folder / "s").glob("wandb/*run-*/run-*.wandb")):  # the event is on its way until then
        time.sleep(0.01)
    print(tracker._process.pid, flush=True)
    sys.stdin.read()
"""
    )
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    handle = os.pidfd_open(int(parent.stdout.readline()))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    parent.stdin.close()
    assert select.select([handle], [], [], 60)[0], "the tracking process lives on"
    os.close(handle)
    assert read_runs(tmp_path / "s")["tracked-0000"].summary["state"] == "interrupted"


def test_without_credentials_it_is_off_with_one_hint(spec: StudySpec, tmp_path: Path) -> None:
    said: list[str] = []
    shown = Shown()
    assert tracked(shown, spec, tmp_path / "s", said.append) is shown
    assert len(said) == 1
    assert "WANDB_API_KEY" in said[0]
    assert not (tmp_path / "s").exists()


def test_disabled_says_nothing(spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    off = spec.base.model_copy(update={"wandb": spec.base.wandb.model_copy(update={"mode": "disabled"})})
    said: list[str] = []
    shown = Shown()
    assert tracked(shown, spec.model_copy(update={"base": off}), tmp_path / "s", said.append) is shown
    assert said == []


def test_ctrl_c_ends_the_waiting_and_not_the_run(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Shown()
    tracker = Tracker(shown, study_of(spec, tmp_path / "s"), close_s=60, target=never_reads)
    (tmp_path / "s").mkdir()
    tracker.start("tracked", 4, 0, None, "maximize", "mean_reward")
    assert tracker._process is not None
    join, calls = tracker._process.join, []

    def interrupted(timeout: float | None = None) -> None:
        calls.append(timeout)
        if len(calls) == 1:
            raise KeyboardInterrupt
        join(timeout)

    monkeypatch.setattr(tracker._process, "join", interrupted)
    tracker.close()
    assert shown.closed == 1
    assert "W&B had not taken in everything" in shown.logged


def test_no_thread_is_left_behind(spec: StudySpec, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    go(Tracker(Shown(), study_of(spec, tmp_path / "s")), started(0), finished(0))
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
