"""`doctor` as it is typed: its exit codes, its JSON, and that it leaves no trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fxai import cli
from fxai.doctor import disk
from fxai.doctor.examination import examine
from fxai.doctor.finding import Finding
from fxai.doctor.place import Place


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path


def test_in_an_empty_folder_nothing_is_wrong_and_nothing_is_made(here: Path, capsys) -> None:
    assert cli.main(["doctor", "--repair"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert "optuna_studies.db is not there yet" in said.out
    assert said.out.splitlines()[-1].startswith("nothing is wrong")
    assert list(here.iterdir()) == []


def test_a_database_that_cannot_be_reached_is_one_finding_of_many(capsys, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    url = "postgresql://me:s3cr3t@127.0.0.1:1/name"
    assert cli.main(["doctor", "--storage", url, "--json"]) == 3
    out = capsys.readouterr().out
    assert "s3cr3t" not in out
    told = json.loads(out)
    assert told["wrong"] == 2
    checks = {one["check"]: one for one in told["findings"]}
    assert {"Python", "torch", "cores", "memory", "threads", "database", "disk", "W&B", "dashboard"} <= checks.keys()
    assert all(one["hint"] for one in told["findings"] if one["verdict"] == "wrong")


def test_a_spec_that_cannot_be_read_is_a_finding_and_no_other_database_is_looked_at(here: Path, capsys) -> None:
    Path("bad.yaml").write_text("studies: [")
    assert cli.main(["doctor", "--spec", "bad.yaml", "--repair"]) == 2
    out = capsys.readouterr().out
    assert "wrong   spec       bad.yaml" in out
    assert "database" not in out
    assert cli.main(["doctor", "--spec", "missing.yaml"]) == 2


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(monkeypatch) -> None:
    def broken(place: Place) -> list[Finding]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(disk, "check", broken)
    found = examine(Place())
    (told,) = [one for one in found if one.check == "disk"]
    assert told.verdict == "wrong"
    assert "Input/output error" in told.text
    assert found[-1].check == "dashboard"


@pytest.mark.parametrize(
    ("package", "checks"), [("optuna", "database trials"), ("pyarrow", "disk"), ("torch", "torch")]
)
def test_without_a_package_the_others_checks_go_on(package: str, checks: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None; from fxai import cli; sys.exit(cli.main(['doctor', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    found = json.loads(done.stdout)["findings"]
    assert done.returncode in (2, 3), done.stderr
    assert {one["check"] for one in found if one["verdict"] == "wrong"} <= set(checks.split())
    (told,) = [one for one in found if one["verdict"] == "wrong"]
    assert package in told["text"]
    assert "pip install -c constraints.txt" in told["hint"]
    assert found[-1]["check"] == "dashboard"


def test_without_what_everything_needs_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['pydantic'] = None; from fxai import cli; sys.exit(cli.main(['doctor']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 2
    assert "error: a package that FxAI needs is missing: import of pydantic halted" in done.stderr
    assert "hint: pip install -c constraints.txt -e ." in done.stderr
