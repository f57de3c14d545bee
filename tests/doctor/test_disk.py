"""Room, permissions and what a study will need."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakes
import pytest

from fxai.doctor import disk
from fxai.doctor.finding import Finding
from fxai.doctor.place import Place, find_place
from fxai.market import cache
from fxai.study.forecast import forecast

GB = 10**9


def room(monkeypatch: pytest.MonkeyPatch, free: int, files: int = 10**6, of_files: int = 10**7) -> None:
    """A disk of 100 GB."""
    told = SimpleNamespace(f_frsize=1, f_bavail=free, f_blocks=100 * GB, f_favail=files, f_files=of_files)
    monkeypatch.setattr(disk.os, "statvfs", lambda path: told)


def found(place: Place | None = None) -> dict[str, Finding]:
    """By what the folder holds."""
    return {one.text.split(" in ")[0].split(":")[0]: one for one in disk.check(place or Place())}


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(50 * GB, "ok"), (GB, "note"), (GB // 10, "wrong")],
)
def test_room_on_the_disk(free: int, verdict: str, monkeypatch) -> None:
    room(monkeypatch, free)
    assert {found()[name].verdict for name in ("results", "database")} == {verdict}
    assert found()["results"].facts["free_bytes"] == free


def test_what_a_spec_needs_is_weighed(monkeypatch, tmp_path) -> None:
    spec = fakes.write_spec(tmp_path, n_trials=4000)
    need = forecast(fakes.load(tmp_path, n_trials=4000)).disk_bytes
    place = find_place(spec, None, None)
    room(monkeypatch, need - 1)
    told = found(place)["results"]
    assert told.verdict == "wrong"
    assert told.exit_code == 3
    assert f"fake will write about {need / 1e6:,.0f} MB" in told.text
    room(monkeypatch, max(need, disk.LOW_BYTES) + 1)
    assert found(place)["results"].verdict == "ok"


def test_inodes_run_out_too(monkeypatch) -> None:
    room(monkeypatch, 50 * GB, files=9)
    assert "only 9 more files" in found()["results"].text
    room(monkeypatch, 50 * GB, files=0, of_files=0)  # btrfs has no fixed number
    assert found()["results"].verdict == "ok"


def test_a_folder_that_is_not_there_is_judged_by_its_parent_and_not_made(tmp_path) -> None:
    place = Place(results_dir=tmp_path / "a" / "b")
    assert found(place)["results"].verdict == "ok"
    assert not (tmp_path / "a").exists()


def test_a_file_in_place_of_a_folder_is_wrong(tmp_path) -> None:
    (tmp_path / "results").touch()
    told = found(Place(results_dir=tmp_path / "results"))["results"]
    assert told.verdict == "wrong"
    assert "is a file" in told.text


def deny(monkeypatch: pytest.MonkeyPatch, denied: Path) -> None:
    """As for a user who may not write there; root may."""
    real = os.access

    def access(path: Any, mode: int) -> bool:
        return not (Path(path).absolute() == denied and mode & os.W_OK) and real(path, mode)

    monkeypatch.setattr(disk.os, "access", access)


def test_what_cannot_be_written_is_wrong_and_of_the_cache_a_note(monkeypatch, tmp_path) -> None:
    results, home = tmp_path / "r", tmp_path / "c"
    results.mkdir()
    home.mkdir()
    monkeypatch.setenv(cache.VARIABLE, str(home))
    deny(monkeypatch, results)
    told = found(Place(results_dir=results))
    assert told["results"].verdict == "wrong"
    assert "you may not write there" in told["results"].text
    deny(monkeypatch, home)
    assert found(Place(results_dir=results))["cache"].verdict == "note"


def test_a_database_file_that_cannot_be_written_is_wrong(monkeypatch, tmp_path) -> None:
    (tmp_path / "optuna_studies.db").touch()
    deny(monkeypatch, tmp_path / "optuna_studies.db")
    (told,) = [one for one in disk.check(Place()) if one.verdict == "wrong"]
    assert told.text == "optuna_studies.db cannot be written by you"
    assert str(told.hint).startswith("sudo chown")


def test_a_cache_that_is_off_is_in_order(monkeypatch) -> None:
    monkeypatch.setenv(cache.VARIABLE, "off")
    assert found()["cache"].verdict == "ok"
