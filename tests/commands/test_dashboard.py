"""`dashboard`: what comes from the command line, from the spec, and from the defaults."""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from fxai.commands import dashboard, options
from fxai.errors import InputError

SPEC = """
name: two
results_dir: elsewhere
dashboard_port: 8123
studies:
  - {{study_name: a, direction: maximize, metric_name: sharpe, storage: "sqlite:///a.db", base_config: base,
      parameters: [{{name: training.gamma, type: float, low: 0.5, high: 0.99}}], n_trials: 2}}
  - {{study_name: b, direction: maximize, metric_name: sharpe, storage: "sqlite:///{other}.db", base_config: base,
      parameters: [{{name: training.gamma, type: float, low: 0.5, high: 0.99}}], n_trials: 2}}
"""


@pytest.fixture
def asked(monkeypatch):
    """What the server is asked for, instead of serving."""
    calls = []

    def server(url, access, results_dir):
        calls.append((url, access.address, access.port, results_dir))
        return nullcontext(SimpleNamespace(serve_forever=lambda: None))

    monkeypatch.setattr(dashboard, "dashboard_server", server)
    return calls


def args(**given):
    parser = argparse.ArgumentParser()
    options.dashboard(parser)
    return argparse.Namespace(**{**vars(parser.parse_args([])), **given})


def write_spec(folder: Path, other: str) -> Path:
    (folder / "base.yaml").write_text("data: {source: ecb}\nenv: {execution: next_close}\n")
    (folder / "two.yaml").write_text(SPEC.format(other=other))
    return folder / "two.yaml"


def test_without_a_word_the_defaults_count(asked):
    assert dashboard.dashboard_command(args()) == 0
    assert asked == [("sqlite:///optuna_studies.db", "127.0.0.1", 8052, Path("optuna_results"))]


def test_a_spec_gives_database_port_and_folder_and_the_command_line_comes_first(asked, tmp_path):
    spec = write_spec(tmp_path, "a")
    dashboard.dashboard_command(args(spec=spec))
    dashboard.dashboard_command(args(spec=spec, port=9000, storage="sqlite:///c.db", results_dir=Path("r")))
    assert asked == [
        ("sqlite:///a.db", "127.0.0.1", 8123, Path("elsewhere")),
        ("sqlite:///c.db", "127.0.0.1", 9000, Path("r")),
    ]


def test_a_spec_of_two_databases_wants_one_named(asked, tmp_path):
    with pytest.raises(InputError, match="2 databases") as caught:
        dashboard.dashboard_command(args(spec=write_spec(tmp_path, "b")))
    assert caught.value.hint == "name one with --storage: sqlite:///a.db, sqlite:///b.db"
    assert asked == []


def test_the_token_of_the_environment_is_taken_and_not_handed_on(asked, monkeypatch, capsys):
    monkeypatch.setenv("FXAI_DASHBOARD_TOKEN", "correct-horse-battery")
    dashboard.dashboard_command(args(host="0.0.0.0", allow_writes=True))
    assert asked[0][1] == "0.0.0.0"
    said = capsys.readouterr().err.splitlines()
    assert said[0].endswith(":8052, asks for its token (Ctrl-C ends it)")
    assert said[1].startswith("warning: HTTP is not encrypted")
    assert "FXAI_DASHBOARD_TOKEN" not in os.environ


def test_on_loopback_nothing_is_said_of_others(asked, capsys):
    dashboard.dashboard_command(args(read_only=True))
    assert capsys.readouterr().err == "dashboard on http://127.0.0.1:8052, read-only (Ctrl-C ends it)\n"
