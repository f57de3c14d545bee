"""Links, moved folders and hostile words among a study's files (docs/faults.md E)."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import fakes
import pytest
from harness import Orchestrator, run, states
from hostile import WORDS

from fxai.errors import InputError
from fxai.files import open_log

RESULTS = Path("results") / "fake"


@pytest.mark.parametrize(
    "name",
    [
        "fake_results.json",
        "best_params.json",
        "report.html",
        "logs",
        "logs/worker-0.log",
        "logs/wandb.log",
        "trials",
        "trials/0000",
        "trials/0001",
        "fake_best_config.yaml",
    ],
)
def test_f63_a_link_anywhere_in_the_results_is_refused_before_trial_0(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    target = elsewhere / "target"
    elsewhere.mkdir()
    if "." in name:
        target.write_text("precious")
    else:
        target.mkdir()
    link = tmp_path / RESULTS / name
    link.parent.mkdir(parents=True)
    link.symlink_to(target)
    code, output = run(tmp_path, "quadratic", n_trials=2)
    assert code == 2, output
    assert f"{name}: is a symbolic link" in output
    assert "Traceback" not in output
    assert link.is_symlink()
    assert [path.name for path in elsewhere.rglob("*")] == ["target"]
    assert target.is_dir() or target.read_text() == "precious"
    assert not (tmp_path / "study.db").exists()


def test_f63_a_link_that_is_put_in_the_way_of_a_trial_ends_the_run(tmp_path: Path) -> None:
    study = Orchestrator(fakes.write_spec(tmp_path, n_trials=3).parent, "until_told:objective")
    study.wait_for_go()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / RESULTS / "trials" / "0001").symlink_to(elsewhere)
    (tmp_path / "may-end").touch()
    code, output = study.finish()
    assert code == 2, output
    assert "0001: is a symbolic link" in output
    assert list(elsewhere.iterdir()) == []
    assert states(tmp_path)[0] == "COMPLETE"


def test_f63_no_log_is_written_through_a_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "worker.log").symlink_to(target)
    with pytest.raises(InputError, match="symbolic link"):
        open_log(tmp_path / "worker.log")
    (tmp_path / "real").mkdir()
    (tmp_path / "logs").symlink_to(tmp_path / "real")
    with pytest.raises(InputError, match="symbolic link"):
        open_log(tmp_path / "logs" / "worker.log")
    assert target.read_text() == "precious"
    assert list((tmp_path / "real").iterdir()) == []


WRITER = """
import sys
from pathlib import Path
from fxai.files import write_json_atomic
number = 0
while True:
    number += 1
    write_json_atomic(Path(sys.argv[1]), {"number": number, "filler": [number] * 20000})
    if number == 1:
        print("ready", flush=True)
"""
KILLS = 25


def test_f62_no_file_is_torn_by_kill_9_in_the_middle_of_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    rng = random.Random(0)
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        ended = os.pidfd_open(process.pid)
        assert not select.select([ended], [], [], rng.uniform(0.0, 0.03))[0]  # a moment in some write
        os.close(ended)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        told = json.loads(path.read_text())
        assert told["filler"] == [told["number"]] * 20000
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".tmp"}  # some were cut in the middle


def test_f72_f73_f74_hostile_words_of_a_trial_are_words_on_every_page_in_every_table_and_on_the_terminal(
    tmp_path: Path,
) -> None:
    path = fakes.write_spec(tmp_path, n_trials=3)
    path.write_text(path.read_text().replace("save_study_plots: false", "save_study_plots: true"))
    code, output = Orchestrator(tmp_path, "hostile:objective").finish()
    assert code == 0, output
    assert "formula" in output  # it was shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\x9b]", output)
    folder = tmp_path / RESULTS
    pages = [page.read_text() for page in folder.rglob("*.html")]
    assert len(pages) >= 5
    for page in pages:
        assert "<img src=x" not in page
        assert "<script>alert" not in page
        assert "\x1b" not in page
        assert "Content-Security-Policy" in page
    assert any("onerror" in page for page in pages)
    told = json.loads((folder / "fake_results.json").read_text())
    assert any(trial["error"] and "formula" in trial["error"] for trial in told["trials"])
    tables = list(folder.rglob("*.csv"))
    assert tables
    for table in tables:
        cells = [cell for row in csv.reader(table.read_text().splitlines()) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@")) or re.match(r"-\D", cell)]
    assert WORDS not in output


def test_f75_a_folder_that_was_moved_goes_on_and_its_files_name_no_place(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    changes = {"storage": "sqlite:///study.db"}
    path = fakes.write_spec(here, n_trials=2, **changes)
    path.write_text(path.read_text().replace(str(here / "results"), "results"))
    code, output = Orchestrator(here, "fakes:quadratic").finish()
    assert code == 0, output
    files = [file for file in (here / "results").rglob("*") if file.is_file()]
    assert not [file for file in files if str(here).encode() in file.read_bytes()]
    assert str(here).encode() not in (here / "study.db").read_bytes()
    here.rename(there)
    path = there / "spec.yaml"
    path.write_text(path.read_text().replace("n_trials: 2", "n_trials: 3"))
    code, output = Orchestrator(there, "fakes:quadratic").finish()
    assert code == 0, output
    assert states(there) == ["COMPLETE"] * 3
    assert len(json.loads((there / RESULTS / "fake_results.json").read_text())["trials"]) == 3
