"""Workers that join a study from elsewhere (`--join`): exact budgets, and nothing lost when they die."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import fakes
import pytest
from harness import Orchestrator, run, states, trials, wait_for_end

from fxai import cli


def lead_and_join(folder: Path, n_trials: int) -> tuple[Orchestrator, Orchestrator, int]:
    """A study led by one process and joined by another, each with a trial; and the worker of the latter."""
    fakes.write_spec(folder, n_trials=n_trials)
    leader = Orchestrator(folder, "fakes:opens_later")
    leader.wait_for_go()
    joined = Orchestrator(folder, "fakes:opens_later", ("--join",), pipe_name="go-joined")
    return leader, joined, joined.wait_for_go().pid


def test_joined_workers_share_the_budget(tmp_path):
    leader, joined, _ = lead_and_join(tmp_path, n_trials=6)
    (tmp_path / "open").touch()
    code, output = joined.finish()
    assert code == 0, output
    assert "nothing is left to start in fake" in output
    code, output = leader.finish()
    assert code == 0, output
    assert states(tmp_path) == ["COMPLETE"] * 6
    owners = {trial.user_attrs["owner"]["pid"] for trial in trials(tmp_path)}
    assert len(owners) == 2
    results = json.loads((tmp_path / "results/fake/fake_results.json").read_text())
    assert len(results["trials"]) == 6
    logs = sorted(path.name for path in (tmp_path / "results/fake/logs").iterdir())
    assert len(logs) == 2
    assert f"-{joined.process.pid}-0.log" in logs[1] or f"-{joined.process.pid}-0.log" in logs[0]


def test_whoever_leads_finishes_what_joined_workers_leave_behind(tmp_path):
    leader, joined, worker = lead_and_join(tmp_path, n_trials=2)
    os.kill(worker, signal.SIGSTOP)  # so that it cannot give its trial back
    joined.process.kill()
    os.kill(worker, signal.SIGKILL)
    joined.finish()
    wait_for_end(worker)
    (tmp_path / "open").touch()
    code, output = leader.finish()
    assert code == 0, output
    assert states(tmp_path) == ["COMPLETE", "REQUEUED", "COMPLETE"]
    assert trials(tmp_path)[1].user_attrs["error"].endswith("died")


def test_whoever_leads_stays_while_others_train(tmp_path):
    leader, joined, _ = lead_and_join(tmp_path, n_trials=2)
    os.kill(leader_worker(tmp_path), signal.SIGKILL)  # trial 0 comes back to the queue, and is run again
    assert leader.wait_for_go().trial == 2
    joined.interrupt()
    assert joined.finish()[0] == 130
    (tmp_path / "open").touch()
    code, output = leader.finish()
    assert code == 0, output
    assert states(tmp_path) == ["REQUEUED", "REQUEUED", "COMPLETE", "COMPLETE"]


def test_a_smaller_budget_of_a_new_leader_holds_for_those_who_joined(tmp_path):
    leader, joined, _ = lead_and_join(tmp_path, n_trials=30)
    leader.interrupt()  # trial 0 waits again, as trial 2
    assert leader.finish()[0] == 130
    anew = Orchestrator(tmp_path, "fakes:opens_later", ("--n-trials", "3"))
    anew.wait_for_go()
    (tmp_path / "open").touch()
    assert anew.finish()[0] == 0
    assert joined.finish()[0] == 0
    assert sorted(states(tmp_path)) == ["COMPLETE"] * 3 + ["REQUEUED"]


def leader_worker(folder: Path) -> int:
    return int(trials(folder)[0].user_attrs["owner"]["pid"])


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--study-name", "other"), 2, "no study is called 'other'"),
        (("--n-trials", "9"), 2, "--n-trials is for whoever leads the study"),
        (("--new-study",), 2, "--new-study is for whoever leads the study"),
        (("--storage", "sqlite:///none.db"), 2, "there is no such study database"),
        (("--set", "env.spread_bp=9.0"), 4, "env.spread_bp"),
        (("--storage", "sqlite:///none.db", "--wait", "0.1"), 2, "there is no such study database"),
    ],
)
def test_what_cannot_be_joined_is_said(options, code, words, tmp_path):
    if "--storage" not in options:
        run(tmp_path, "quadratic", n_trials=1)
    else:
        fakes.write_spec(tmp_path)
    got, output = Orchestrator(tmp_path, "fakes:quadratic", ("--join", *options)).finish()
    assert got == code, output
    assert words in output
    assert "Traceback" not in output


def test_a_worker_that_comes_before_the_study_waits_for_it(tmp_path):
    fakes.write_spec(tmp_path, n_trials=2)
    joined = Orchestrator(tmp_path, "fakes:opens_later", ("--join", "--wait", "60"), pipe_name="go-joined")
    joined.wait_for_line("note: fake has not begun; waiting for it, 60 s at most")
    leader = Orchestrator(tmp_path, "fakes:opens_later")
    # of two trials each process has one
    assert {leader.wait_for_go().trial, joined.wait_for_go().trial} == {0, 1}
    (tmp_path / "open").touch()
    assert joined.finish()[0] == 0
    assert leader.finish()[0] == 0
    assert states(tmp_path) == ["COMPLETE"] * 2


def test_an_empty_postgresql_database_is_waited_for_too(tmp_path, postgresql_url):
    fakes.write_spec(tmp_path, n_trials=1, storage=postgresql_url)
    joined = Orchestrator(tmp_path, "fakes:quadratic", ("--join", "--wait", "60"))
    joined.wait_for_line("note: fake has not begun")
    assert Orchestrator(tmp_path, "fakes:quadratic").finish()[0] == 0
    code, output = joined.finish()
    assert code == 0, output


def test_to_wait_is_of_no_use_without_joining(tmp_path):
    fakes.write_spec(tmp_path)
    code, output = Orchestrator(tmp_path, "fakes:quadratic", ("--wait", "5")).finish()
    assert code == 2, output
    assert "--wait: is of no use without --join" in output


def test_a_finished_study_has_nothing_to_join(tmp_path):
    run(tmp_path, "quadratic", n_trials=2)
    code, output = Orchestrator(tmp_path, "fakes:quadratic", ("--join",)).finish()
    assert code == 0, output
    assert "nothing is left to start in fake: 2 of 2 trials done" in output
    assert len(states(tmp_path)) == 2


def test_the_help_says_how(capsys):
    with pytest.raises(SystemExit):
        cli.main(["run", "--help"])
    assert "--join" in capsys.readouterr().out
