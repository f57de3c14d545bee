"""Notes and files of trials in the dashboard's answers, over HTTP as its pages ask for them."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request

import optuna
import pytest

TRIAL_FILES = ["learning_curve.svg", "equity.svg", "config.csv", "learning_curve.csv", "equity.csv", "config.yaml"]


def status_of(url: str, method: str = "GET") -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_every_trial_has_a_note_and_its_files(served):
    trials = served.detail()["trials"]
    assert [[own["filename"] for own in trial["artifacts"]] for trial in trials] == [TRIAL_FILES] * 4
    default, best, pruned, failed = (trial["note"]["body"] for trial in trials)
    # 2.0 is the best of the two completed ones, 1.0 the default's
    assert "**`mean_reward` 2**, place 1 of 2 completed trials; the default config (trial 0) has 1." in best
    assert "**The best trial of the study.**" in best
    assert "this is the default config" in default
    # four trials reported at update 2: 0.5, 0.5, 1 and 2, whose median is 0.75
    assert pruned.startswith("**Pruned** at update 2: `mean_reward` 0.5 there, where the median of 4 trials is 0.75.")
    assert "Error: `'<script>alert(1)</script>' ¦ [x](http://evil.example)`" in failed
    assert f"![equity.svg](/artifacts/1/{trials[1]['trial_id']}/equity.svg)" in best
    assert "trials/0001/config.yaml" in best


def test_pictures_and_tables_are_drawn_from_the_files(served):
    trial = served.detail()["trials"][1]["trial_id"]
    headers, svg = served.get(f"/artifacts/1/{trial}/learning_curve.svg")
    assert headers["Content-Type"].startswith("image/svg+xml")
    assert b"mean_reward at each evaluation" in svg
    assert b"trial 0" in svg
    assert served.get(f"/artifacts/1/{trial}/equity.csv")[1].startswith(b"bar,mean,low,high\n0,1,1,1\n")
    table = served.get(f"/artifacts/1/{trial}/config.csv")[1].decode()
    assert table == "setting,trial,base,differs\ntraining.learning_rate,0.001,,\ntraining.gamma,0.9,,\n"


def test_settings_that_differ_from_the_base_are_marked(served):
    (served.results / "fake" / "ruler.yaml").write_text("training: {learning_rate: 0.001, gamma: 0.5}\n")
    table = served.get("/artifacts/1/1/config.csv")[1].decode()
    assert "training.learning_rate,0.001,0.001,\n" in table
    assert "training.gamma,0.9,0.5,yes\n" in table


def test_the_study_has_a_note_and_its_report(served):
    (served.results / "fake" / "report.html").write_text("<p>hello</p>")
    detail = served.detail()
    assert [own["filename"] for own in detail["artifacts"]] == ["report.html"]
    assert detail["note"]["body"].startswith("**Best: trial 1, `mean_reward` 2**; default config 1.")
    assert "[The whole report](/artifacts/1/report.html)" in detail["note"]["body"]
    headers, body = served.get("/artifacts/1/report.html")
    assert body == b"<p>hello</p>"
    # a page among the files must not act as the dashboard's own
    assert headers["Content-Security-Policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert headers["Access-Control-Allow-Origin"] is None


def test_a_note_that_a_person_wrote_stays(served):
    body = json.dumps({"body": "my own words", "version": 1}).encode()
    request = urllib.request.Request(f"{served.base}/api/studies/1/2/note", data=body, method="PUT")
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request, timeout=60).close()
    detail = served.detail()
    assert detail["trials"][1]["note"] == {"version": 1, "body": "my own words"}
    assert detail["trials"][0]["note"]["body"].startswith("**`mean_reward` 1**")


@pytest.mark.parametrize(
    "path",
    [
        "/artifacts/1/2/best_params.json",  # of the study, not of a trial
        "/artifacts/1/2/passwords.txt",
        "/artifacts/1/2/..%2F..%2Freport.html",
        "/artifacts/1/..%2Fstudy.db",
        "/artifacts/1/999/equity.svg",
        "/artifacts/999/report.html",
    ],
    ids=["study_file", "unknown", "up", "database", "no_trial", "no_study"],
)
def test_nothing_but_a_trials_own_files_is_served(served, path):
    (served.results / "fake" / "best_params.json").write_text("{}")
    (served.results / "fake" / "trials" / "0001" / "passwords.txt").write_text("secret")
    assert status_of(served.base + path) == 404


def test_a_link_is_not_followed(served, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("bar,mean\n0,1\n")
    path = served.results / "fake" / "trials" / "0001" / "equity.csv"
    path.unlink()
    path.symlink_to(secret)
    assert status_of(f"{served.base}/artifacts/1/2/equity.csv") == 404
    assert status_of(f"{served.base}/artifacts/1/2/equity.svg") == 404


def test_results_cannot_be_deleted_through_the_dashboard(served):
    assert status_of(f"{served.base}/api/artifacts/1/2/equity.csv", "DELETE") == 403
    assert (served.results / "fake" / "trials" / "0001" / "equity.csv").is_file()


def test_a_study_whose_folder_is_gone_is_shown_without_files(served):
    shutil.rmtree(served.results)
    trials = served.detail()["trials"]
    assert [trial["artifacts"] for trial in trials] == [[]] * 4
    assert "place 1 of 2" in trials[1]["note"]["body"]


def test_the_best_trial_is_the_one_that_keeps_the_constraints(served):
    """Of itself the dashboard marks the highest value, also that of an agent that hardly trades."""
    assert [trial["number"] for trial in served.detail()["best_trials"]] == [1]
    study = optuna.load_study(storage=served.url, study_name="fake")
    study.add_trial(optuna.trial.create_trial(value=9.0, constraints={"min_trades": 3.0}))
    detail = served.detail()
    assert [trial["number"] for trial in detail["best_trials"]] == [1]
    assert detail["best_trials"][0]["note"]["body"] == detail["trials"][1]["note"]["body"]
    study.add_trial(optuna.trial.create_trial(value=3.0))
    after = json.loads(served.get("/api/studies/1?after=6")[1])  # as a page asks that has seen all trials
    assert (after["trials"], [trial["number"] for trial in after["best_trials"]]) == ([], [5])


def test_a_study_of_another_program_is_shown_as_it_is(served):
    study = optuna.create_study(storage=served.url, study_name="../../etc", direction="maximize")
    study.add_trial(optuna.trial.create_trial(value=1.0))
    detail = json.loads(served.get("/api/studies/2")[1])
    assert detail["trials"][0]["note"] == {"version": 0, "body": ""}
    assert detail["trials"][0]["artifacts"] == []


def test_long_attributes_are_cut_since_the_page_breaks_no_line(served):
    attrs = served.detail()["trials"][3]["user_attrs"]
    assert max(len(attr["value"]) for attr in attrs) <= 100
