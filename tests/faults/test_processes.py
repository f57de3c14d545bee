"""Workers and orchestrators that die, hang and are asked to stop (docs/faults.md A)."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import fakes
import pytest
from harness import Orchestrator, crew_of, is_running, rates, resume_here, run, start, states, trials, wait_for_end
from optuna.trial import TrialState

from fxai import cli
from fxai.errors import StudyConflict
from fxai.report.terminal import QuietView
from fxai.study.workers import supervisor
from fxai.study.workers.launch import run_study

RESULTS = Path("results/fake/fake_results.json")


def test_f1_f6_f9_a_worker_may_be_terminated_and_three_times_killed_before_its_trial_is_given_up(tmp_path):
    study = start(tmp_path, "first_four_wait", n_trials=2)
    os.kill(study.wait_for_go().pid, signal.SIGTERM)
    for _ in range(3):
        os.kill(study.wait_for_go().pid, signal.SIGKILL)
    code, output = study.finish()
    assert code == 0, output
    # trial 0 was given back; its repetitions 1, 2 and 3 died, the last for good: that is one of the budget, 4 the other
    assert states(tmp_path) == ["REQUEUED", "REQUEUED", "REQUEUED", "FAIL", "COMPLETE"]
    same = trials(tmp_path)[:4]
    assert all(trial.params == same[0].params for trial in same)
    assert all(trial.user_attrs["seed"] == same[0].user_attrs["seed"] for trial in same)
    # only deaths are held against the parameters
    assert [trial.user_attrs.get("attempt") for trial in same] == [None, 1, 2, 3]
    assert [trial.user_attrs.get("requeue_of") for trial in same] == [None, 0, 1, 2]
    assert same[1].user_attrs["error"] == "its worker was killed by SIGKILL"
    assert same[3].user_attrs["error"] == "its worker was killed by SIGKILL; given up after 3 attempts"


def test_f2_a_worker_killed_between_claim_and_first_beat_leaves_no_orphan(tmp_path):
    code, output = run(tmp_path, "dies_before_beat:objective", n_trials=2)
    assert code == 0, output
    assert (tmp_path / "died").exists()
    assert states(tmp_path) == ["REQUEUED", "COMPLETE", "COMPLETE"]
    assert trials(tmp_path)[0].user_attrs["owner"]["pid"] > 0


def test_f3_workers_of_a_killed_orchestrator_release_their_trial_and_a_resume_is_exact(tmp_path, monkeypatch):
    study = start(tmp_path, "waits", n_trials=3)
    go = study.wait_for_go()
    study.process.kill()
    study.finish()
    wait_for_end(go.pid)
    assert states(tmp_path) == ["REQUEUED", "WAITING"]
    code, output = run(tmp_path, "quadratic", n_trials=3)
    assert code == 0, output
    assert states(tmp_path) == ["REQUEUED", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert rates(tmp_path)[0] == rates(tmp_path)[1]

    # F27: what is finished stays so, and its results are written again
    (tmp_path / RESULTS).unlink()
    monkeypatch.setattr(
        "fxai.market.data.load_market",
        lambda *_, **__: SimpleNamespace(
            notes=(), derived=(), data_hash="bars", contents={}, check_execution=lambda execution: None, validation=None
        ),
    )
    assert cli.main(["--spec", str(tmp_path / "spec.yaml")]) == 0
    assert len(states(tmp_path)) == 4
    assert (tmp_path / RESULTS).exists()


def test_f1_f3_a_trial_left_running_by_a_power_cut_runs_again(tmp_path):
    study = start(tmp_path, "waits", n_trials=2)
    go = study.wait_for_go()
    os.kill(go.pid, signal.SIGSTOP)  # so that it cannot release its trial
    study.process.kill()
    os.kill(go.pid, signal.SIGKILL)
    study.finish()
    wait_for_end(go.pid)
    assert states(tmp_path) == ["RUNNING"]
    resume_here(tmp_path, n_trials=2)
    assert states(tmp_path) == ["REQUEUED", "COMPLETE", "COMPLETE"]


def test_f4_one_ctrl_c_gives_trials_back_and_writes_results(tmp_path):
    study = start(tmp_path, "waits", n_trials=3)
    go = study.wait_for_go()
    study.interrupt()
    code, output = study.finish()
    assert code == 130, output
    assert not is_running(go.pid)
    assert states(tmp_path) == ["REQUEUED", "WAITING"]
    assert trials(tmp_path)[1].user_attrs["attempt"] == 1  # an interruption is not held against the trial
    assert json.loads((tmp_path / RESULTS).read_text())
    assert "Traceback" not in output


def test_f4_ctrl_c_while_the_worker_starts_leaves_the_first_trial_waiting(tmp_path):
    study = start(tmp_path, "quadratic", n_trials=3)
    study.wait_for_line("0 of 3 trials done")
    study.interrupt()
    code, output = study.finish()
    assert code == 130, output
    assert "Traceback" not in output
    assert trials(tmp_path)[-1].state in (TrialState.WAITING, TrialState.COMPLETE)


def test_f4_a_training_that_does_not_come_back_is_released_over_its_head(tmp_path):
    study = start(tmp_path, "hangs", n_trials=3)
    go = study.wait_for_go()
    study.interrupt()
    code, output = study.finish()
    assert code == 130, output
    assert not is_running(go.pid)
    assert states(tmp_path) == ["REQUEUED", "WAITING"]


def test_f5_a_second_ctrl_c_kills_and_leaves_a_readable_database(tmp_path):
    study = start(tmp_path, "hangs", n_trials=3)
    go = study.wait_for_go()
    study.interrupt()
    study.wait_for_line("once more kills them")
    study.interrupt()
    code, output = study.finish()
    assert code == 130, output
    assert not is_running(go.pid)
    assert not (tmp_path / RESULTS).exists()  # after one Ctrl-C they would have been written
    assert states(tmp_path)[0] in ("REQUEUED", "RUNNING")
    resume_here(tmp_path, n_trials=2)
    assert states(tmp_path) == ["REQUEUED", "COMPLETE", "COMPLETE"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2, signal.SIGHUP])
def test_f6_preemption_gives_trials_back_and_exits_143(number, tmp_path):
    study = start(tmp_path, "waits", n_trials=3)
    go = study.wait_for_go()
    os.killpg(study.process.pid, number)  # SLURM signals every process of the step
    code, output = study.finish()
    assert code == 143, output
    assert not is_running(go.pid)
    assert states(tmp_path) == ["REQUEUED", "WAITING"]


def test_f7_a_trial_of_a_suspended_worker_is_reclaimed_and_its_own_result_dropped(tmp_path):
    fakes.write_spec(tmp_path, n_trials=1)
    study = Orchestrator(tmp_path, "quick_grace:objective", environment={"FXAI_TEST_GRACE_S": "2"})
    go = study.wait_for_go()
    os.kill(go.pid, signal.SIGSTOP)
    study.wait_for_line("no heartbeat from")
    (tmp_path / "open").touch()
    os.kill(go.pid, signal.SIGCONT)
    code, output = study.finish()
    assert code == 0, output
    assert "trial 0 was reclaimed while this worker was away; its result is dropped" in output
    assert states(tmp_path) == ["REQUEUED", "COMPLETE"]
    assert not is_running(go.pid)


def test_f8_a_worker_that_beats_and_gets_nowhere_is_killed_and_its_trial_tried_again(tmp_path):
    code, output = run(tmp_path, "hangs", n_trials=1, stall_s=0.2)
    assert code == 0, output
    assert states(tmp_path) == ["REQUEUED", "REQUEUED", "FAIL"]
    assert trials(tmp_path)[0].user_attrs["error"] == "its worker was killed: no update of trial 0 for 0.2 s (stall_s)"
    assert "worker 0 was killed: no update of trial 1 for 0.2 s (stall_s)" in output


def test_f8_a_worker_that_is_done_and_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "KILL_AFTER_S", 0.5)
    spec = fakes.load(tmp_path, n_trials=1)
    outcome = run_study(spec, tmp_path / "results", QuietView(), objective="fakes:leaves_a_thread")
    assert outcome.exit_code == 0
    assert states(tmp_path) == ["COMPLETE"]


def test_f10_workers_that_die_at_their_start_end_the_run_with_their_log(tmp_path):
    code, output = run(tmp_path, "dies_at_import:objective")
    assert code == 1
    assert "3 workers in a row ended before their first trial; the last one ended with exit code 7" in output
    assert "no CUDA today" in output
    assert states(tmp_path) == ["WAITING"]


def test_an_objective_that_does_not_exist_is_one_error(tmp_path):
    code, output = run(tmp_path, "fakes:nothing")
    assert code == 2
    assert "error: objective fakes:nothing cannot be imported" in output
    assert "Traceback" not in output


def test_f13_a_second_orchestrator_is_refused_and_names_the_first(tmp_path):
    study = start(tmp_path, "waits")
    study.wait_for_go()
    for folder in ("results", "elsewhere"):  # the lock guards the folder, a mark in the database the rest
        with pytest.raises(StudyConflict, match=f"is already being run by process {study.process.pid} on") as caught:
            run_study(
                fakes.load(tmp_path), tmp_path / folder, QuietView(), objective="fakes:quadratic", data_hash="bars"
            )
        assert caught.value.exit_code == 4
    study.interrupt()
    assert study.finish()[0] == 130
    assert states(tmp_path) == ["REQUEUED", "WAITING"]


def seen_from_another_host(monkeypatch, lives_s: float) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    monkeypatch.setattr("fxai.study.database.mark.LIVES_S", lives_s)


def test_f13_a_study_that_another_host_leads_is_refused_while_its_leader_beats(tmp_path, monkeypatch):
    fakes.write_spec(tmp_path)
    study = Orchestrator(
        tmp_path, "quick_grace:objective", environment={"FXAI_TEST_GRACE_S": "2"}
    )  # beats twice a second
    study.wait_for_go()
    seen_from_another_host(monkeypatch, lives_s=30.0)
    spec, folder = fakes.load(tmp_path), tmp_path / "elsewhere"
    with pytest.raises(StudyConflict, match=f"is already being run by process {study.process.pid} on") as caught:
        run_study(spec, folder, QuietView(), objective="fakes:quadratic", data_hash="bars")
    assert "--join" in caught.value.hint
    study.interrupt()
    assert study.finish()[0] == 130
    outcome = run_study(spec, folder, QuietView(), objective="fakes:quadratic", data_hash="bars")
    assert outcome.finished == 4


def test_f13_a_leader_that_died_with_its_host_is_followed_while_others_train(tmp_path, monkeypatch):
    fakes.write_spec(tmp_path, n_trials=2)
    leader = Orchestrator(tmp_path, "fakes:opens_later")
    worker = leader.wait_for_go().pid
    joined = Orchestrator(tmp_path, "fakes:opens_later", ("--join",), pipe_name="go-joined")
    joined.wait_for_go()
    os.kill(worker, signal.SIGSTOP)  # so that it cannot give its trial back
    leader.process.kill()
    os.kill(worker, signal.SIGKILL)
    leader.finish()
    (tmp_path / "open").touch()
    seen_from_another_host(monkeypatch, lives_s=1.5)
    monkeypatch.setattr("fxai.study.database.budget.GRACE_PERIOD_S", 3.0)
    said: list[str] = []
    view = QuietView()
    monkeypatch.setattr(view, "handle", lambda event: said.append(str(event.get("text"))), raising=False)
    outcome = run_study(
        fakes.load(tmp_path, n_trials=2), tmp_path / "b", view, objective="fakes:quadratic", data_hash="bars"
    )
    assert outcome.finished == 2
    assert any("led this study: waiting up to 1.5 s" in text for text in said)
    assert joined.finish()[0] == 0


def test_two_workers_share_an_exact_budget(tmp_path):
    spec = fakes.load(tmp_path, n_trials=9)
    outcome = run_study(spec, tmp_path / "results", QuietView(), objective="fakes:slow", crew=crew_of(2))
    assert (outcome.finished, outcome.added, outcome.exit_code) == (9, 9, 0)
    assert [trial.state for trial in trials(tmp_path)] == [TrialState.COMPLETE] * 9


def test_after_the_timeout_no_trial_starts_and_the_running_one_finishes(tmp_path):
    code, output = run(tmp_path, "slow", n_trials=100_000, timeout=0.5)
    assert code == 0, output
    assert "the time of 0.5 s is up" in output
    assert set(states(tmp_path)) <= {"COMPLETE", "WAITING"}
