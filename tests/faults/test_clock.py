"""A clock that jumps, and summer time (docs/faults.md F14): own timeouts run on time.monotonic, stored times in UTC."""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from harness import run, trials

from fxai.study.workers import supervisor
from fxai.study.workers.handle import Handle

STUDY = Path(supervisor.__file__).parent
RECORDED = {
    ("budget.py", "_take"): "when a trial began",
    ("budget.py", "put_back"): "when it was taken back",
    ("fingerprint.py", "_describe"): "when the study was created",
    ("supervisor.py", ""): "where the count of an orchestrator's beats begins, which others see change",
    ("transfer.py", "inherit"): "when values were transferred",
    ("worker_storage.py", "set_trial_state_values"): "when a trial ended",
}
"""Where the wall clock is read: to be written down, never to be waited for."""

WALL = {"time.time", "time.time_ns", "time.localtime", "datetime.now", "datetime.utcnow", "datetime.today"}


def wall_clock_calls(path: Path) -> Iterator[tuple[str, str]]:
    """File and innermost function of each call that reads the wall clock."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "time" for a in n.names}
    assert imported <= {"monotonic", "perf_counter", "sleep"}, f"{path.name}: {imported}"
    owner = {
        inner: function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for inner in ast.walk(function)  # the innermost comes last
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and any(ast.unparse(node.func).endswith(name) for name in WALL):
            yield path.name, owner.get(node, "")


def test_f14_no_timeout_of_a_study_is_measured_with_the_wall_clock() -> None:
    found = {call for path in sorted(STUDY.glob("*.py")) for call in wall_clock_calls(path)}
    assert found
    assert found <= set(RECORDED), found - set(RECORDED)


def test_f14_a_planted_timeout_by_the_wall_clock_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import time\ndef wait():\n    until = time.time() + 5\n")
    assert list(wall_clock_calls(tmp_path / "a.py")) == [("a.py", "wait")]


def test_f14_a_worker_does_not_hang_because_the_clock_jumped(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = Handle(setup=None, process=None, connection=None, owner=None)  # type: ignore[arg-type]
    handle.note({"kind": "trial_started", "number": 0})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e6)
    assert not handle.hangs(60.0)
    later = time.monotonic() + 61.0
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert handle.hangs(60.0)


def test_f14_times_are_stored_in_utc_whatever_zone_a_process_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # twelve hours apart: by local times the second run would find a trial of the first without a beat for half a day
    monkeypatch.setenv("TZ", "Etc/GMT+6")
    assert run(tmp_path, "quadratic", n_trials=1)[0] == 0
    monkeypatch.setenv("TZ", "Etc/GMT-6")
    assert run(tmp_path, "quadratic", n_trials=2)[0] == 0
    monkeypatch.delenv("TZ")
    first, second = (trial.datetime_start for trial in trials(tmp_path))
    assert first is not None
    assert second is not None
    assert 0.0 <= (second - first).total_seconds() < 600.0
    assert abs((datetime.now() - second).total_seconds()) < 600.0
