"""What must be left of a study that was under fire (`soak`): every trial once, every file whole, nothing else."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import select
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from optuna.trial import FrozenTrial, TrialState
from soak import SECRET, Soak
from soaked import FAILS

from fxai.study.database.storage import load_study, opened

RATE = "training.learning_rate"
END_S = 15.0
"""How long a worker may take to end when its orchestrator is gone: 8 s, and a busy machine."""


def check(soak: Soak) -> list[FrozenTrial]:
    """All of it; returns the trials."""
    _no_process(soak.sessions)
    url = soak.database.full_url
    with opened(url, readonly=True) as storage:
        study = load_study(storage, "fake")
        trials = study.get_trials()
        told = json.dumps([study.user_attrs, *({**t.user_attrs, **t.system_attrs} for t in trials)])
    _budget(trials, soak.n_trials)
    _draws(trials, soak.n_trials)
    _reasons(trials)
    _logs(soak, trials)
    files = [path for path in soak.folder.rglob("*") if path.is_file()]
    _no_secret([path for path in files if path.name != "spec.yaml"], told)
    for path in files:
        _parses(path)
    _results(soak.folder / "results" / "fake", trials)
    return trials


def _budget(trials: list[FrozenTrial], n_trials: int) -> None:
    states = Counter("REQUEUED" if "requeued_as" in trial.user_attrs else trial.state.name for trial in trials)
    assert set(states) <= {"COMPLETE", "PRUNED", "FAIL", "REQUEUED"}, states
    assert states["COMPLETE"] + states["PRUNED"] + states["FAIL"] == n_trials, states
    assert [trial.number for trial in trials] == list(range(len(trials)))


def _draws(trials: list[FrozenTrial], n_trials: int) -> None:
    """Each trial that was taken back is repeated once, with what it had drawn; no other two have drawn the same.

    One that was taken back before it began has drawn nothing, or has yet to take what it repeats.
    """
    first: dict[int, int] = {}
    for trial in trials:
        before = trial.user_attrs.get("requeue_of")
        first[trial.number] = trial.number if before is None else first[before]
        if before is not None:
            assert trials[before].user_attrs["requeued_as"] == trial.number
            assert trials[before].state == TrialState.FAIL
            assert {} in (trials[before].params, trial.params) or trials[before].params == trial.params
            assert trials[before].user_attrs.get("seed") in (None, trial.user_attrs["seed"])
    assert len(set(first.values())) == n_trials
    drawn = {(trial.params[RATE], first[trial.number]) for trial in trials if trial.params}
    twice = [rate for rate, n in Counter(rate for rate, _ in drawn).items() if n > 1]
    assert not twice, f"drawn twice: {twice}"
    assert len(drawn) == n_trials


def _reasons(trials: list[FrozenTrial]) -> None:
    for trial in trials:
        error = trial.user_attrs.get("error")
        attempt = trial.user_attrs.get("attempt", 1)
        assert attempt <= 3
        if trial.state != TrialState.FAIL:
            assert error is None
        elif "requeued_as" not in trial.user_attrs:
            assert error.endswith((f"ZeroDivisionError: {FAILS}", f"given up after {attempt} attempts")), error


def _logs(soak: Soak, trials: list[FrozenTrial]) -> None:
    """No traceback but those of the draws that fail."""
    assert "Traceback" not in soak.output(), soak.output()
    log = "".join(path.read_text() for path in (soak.folder / "results/fake/logs").iterdir())
    failed = sum(f"ZeroDivisionError: {FAILS}" == trial.user_attrs.get("error") for trial in trials)
    tracebacks = re.findall(r"Traceback(?:\n|.)*?\n(\w[\w.]*(?:Error|Exception)?:.*)", log)
    assert tracebacks == [f"ZeroDivisionError: {FAILS}"] * len(tracebacks), tracebacks
    assert log.count("Traceback") == len(tracebacks) >= failed  # more: a worker was struck before it could tell


def _no_secret(files: list[Path], told: str) -> None:
    words = [SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1]]
    for word in words:
        assert word not in told
        holders = [path for path in files if word.encode() in path.read_bytes()]
        assert not holders, holders


def _parses(path: Path) -> None:
    if path.name.endswith(".tmp"):
        return  # of a process that was killed in the middle of a write
    text = path.read_text() if path.suffix in (".json", ".yaml", ".csv", ".html", ".jsonl") else ""
    if path.suffix == ".json":
        json.loads(text, parse_constant=_no_number)
    elif path.suffix == ".jsonl":
        for line in text.splitlines():
            json.loads(line, parse_constant=_no_number)
    elif path.suffix == ".yaml":
        assert yaml.safe_load(text) is not None, path
    elif path.suffix == ".csv":
        assert len({len(row) for row in csv.reader(io.StringIO(text))}) == 1, path
    elif path.suffix == ".html":
        assert text.rstrip().endswith("</html>"), path


def _no_number(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")


def _results(folder: Path, trials: list[FrozenTrial]) -> None:
    """The files say what the database says."""
    results = json.loads((folder / "fake_results.json").read_text())
    assert len(results["trials"]) == len(trials)
    for trial in trials:
        config = folder / "trials" / f"{trial.number:04d}" / "config.yaml"
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            assert yaml.safe_load(config.read_text())["training"]["learning_rate"] == trial.params[RATE]
        assert not list(config.parent.glob("checkpoint*"))
    best = json.loads((folder / "best_params.json").read_text())
    values = [trial.value for trial in trials if trial.state == TrialState.COMPLETE]
    assert best["value"] == max(value for value in values if value is not None)


def _no_process(sessions: list[int]) -> None:
    """Nothing lives on of what the orchestrators have started."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or not _belongs(entry, sessions):
            continue
        try:
            handle = os.pidfd_open(int(entry.name))
        except ProcessLookupError:
            continue
        ended = select.select([handle], [], [], END_S)[0]
        os.close(handle)
        assert ended, f"process {entry.name} lives on"


def _belongs(entry: Path, sessions: list[int]) -> bool:
    try:
        fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] != "Z" and int(fields[3]) in sessions
