"""Cores, memory, threads."""

from __future__ import annotations

import fakes
import pytest

from fxai.doctor import machine
from fxai.doctor.finding import Finding
from fxai.doctor.machine import threads
from fxai.doctor.place import Place, find_place
from fxai.study.workers import slots


def found(check: str, place: Place | None = None) -> list[Finding]:
    return [one for one in machine.check(place or Place()) if one.check == check]


def test_fewer_cores_than_the_machine_has_are_explained(monkeypatch) -> None:
    monkeypatch.setattr(slots, "usable_cores", lambda: 2)
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 64)
    (told,) = found("cores")
    assert told.text == "2 of 64: affinity or the container's share leave no more; a worker takes one"
    assert told.facts == {"usable": 2, "machine": 64}


def test_a_spec_that_asks_for_more_workers_than_cores_is_a_note(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(slots, "usable_cores", lambda: 2)
    place = find_place(fakes.write_spec(tmp_path, n_jobs=5), None, None)
    told = found("cores", place)[1]
    assert told.verdict == "note"
    assert "n_jobs is 5, and 2 workers run" in told.text


@pytest.mark.parametrize(
    ("free", "verdict", "words"),
    [
        # a worker takes 0.5 GB and there are two cores
        (4_000_000_000, "ok", "4.0 GB free"),
        (900_000_000, "note", "room for about 1 of 2 workers"),
        (400_000_000, "wrong", "a worker takes about 0.5 GB"),
        (None, "note", "does not tell"),
    ],
)
def test_memory(free, verdict, words, monkeypatch) -> None:
    monkeypatch.setattr(slots, "usable_cores", lambda: 2)
    monkeypatch.setattr(machine, "available_bytes", lambda: free)
    (told,) = found("memory")
    assert told.verdict == verdict
    assert words in told.text


def test_the_limit_of_a_container_is_the_total(monkeypatch, tmp_path) -> None:
    (tmp_path / "memory.max").write_text("3000000000\n")
    (tmp_path / "meminfo").write_text("MemTotal:       64000000 kB\nMemFree: 1 kB\n")
    monkeypatch.setattr(slots, "CGROUP", tmp_path / "cpu.max")
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
    assert found("memory")[0].facts["total_bytes"] == 3_000_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert found("memory")[0].facts["total_bytes"] == 64_000_000 * 1024


@pytest.mark.parametrize(
    ("env", "verdict"),
    [
        ({}, "ok"),
        ({"OMP_NUM_THREADS": "1"}, "ok"),
        ({"OMP_NUM_THREADS": "2,1"}, "ok"),
        ({"OMP_NUM_THREADS": "3"}, "wrong"),
        ({"MKL_NUM_THREADS": "64"}, "wrong"),
        ({"OMP_NUM_THREADS": "0"}, "wrong"),
        ({"OMP_NUM_THREADS": "many"}, "wrong"),
    ],
)
def test_a_variable_that_asks_for_more_threads_than_cores_is_wrong(env, verdict) -> None:
    (told,) = threads(env, 2)
    assert told.verdict == verdict
    if verdict == "wrong":
        assert told.hint == f"export {next(iter(env))}=1"
