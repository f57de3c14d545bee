"""report.html: what it says, for studies in every state, and that it loads nothing and runs nothing foreign."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from browser import CHROMIUM, browser
from optuna.trial import TrialState

from fxai.evaluate.curve import EquityCurve
from fxai.report.baselines import write_baseline_equity, write_baselines
from fxai.report.outcome import outcome_of
from fxai.report.page import trials as trial_table
from fxai.report.page import write_report
from fxai.report.results import REPORT
from fxai.study.confirm import CONFIRMATION
from fxai.study.objective import Report
from fxai.study.trial_files import LearningCurve, trial_folder, write_equity

METRICS = {"mean_reward": 1.5, "total_return": 0.03, "max_drawdown": 0.125, "n_trades": 40.0, "n_closed": 40.0}


def body_of(study, spec, folder):
    """The page's own HTML: without plotly and the data of the figures."""
    text = write_report(study, spec, folder).read_text(encoding="utf-8")
    return re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)


def curve(last):
    one = np.linspace(1.0, last, 9)
    return EquityCurve(bar_R=np.arange(9), mean_R=one, low_R=one - 0.1, high_R=one + 0.1, instruments={})


def write_files(folder, number, last):
    own = trial_folder(folder, number)
    own.mkdir(parents=True)
    learned = LearningCurve()
    for step in (1, 2, 3):
        losses = {"entropy": 1.6 - 0.1 * step, "value_loss": 0.3}
        metrics = {"mean_reward": last} if step == 3 else None
        learned.add(Report(step=step, total_steps=3, metrics=metrics, train=losses), float(step))
    learned.write(own)
    write_equity(own, curve(last))


@pytest.fixture
def told(study, add, spec, tmp_path):
    """Default 1.0, best 1.5, one pruned, one failed; with their files and baselines."""
    add(1.0, metrics={**METRICS, "mean_reward": 1.0}, user_attrs={"default": True})
    add(1.5, metrics=METRICS, params={"training.learning_rate": 0.0005, "model.d_model": 128})
    add(state=TrialState.PRUNED, intermediate_values={1: 0.25})
    add(state=TrialState.FAIL, user_attrs={"error": "<b>boom</b>"})
    folder = tmp_path / "fx_ai_quick"
    for number, last in ((0, 1.0), (1, 1.5)):
        write_files(folder, number, last)
    outcome = outcome_of(study, spec.metric_names)
    write_baselines(study, spec, folder, outcome, {"do nothing": {"mean_reward": 0.0}}, traders=0, idle=0, cut=0)
    write_baseline_equity(folder, {"do nothing": curve(1.0)})
    return study, spec, folder


def test_the_headline_sets_the_best_beside_the_default(told):
    body = body_of(*told)
    assert (
        "The best of 2 completed trials, trial 1, has mean_reward 1.5 on validation data, 0.5 better than the "
        "default config with 1." in body
    )
    assert "this is no evidence of an edge" in body
    assert "<th>best (trial 1)</th><th>default (trial 0)</th><th>do nothing</th>" in body
    assert "<td>max_drawdown ↓</td><td>12.50%</td><td>12.50%</td><td>–</td>" in body
    assert "4 of 20" in body


def test_parameters_stand_beside_their_defaults_and_ranges(told):
    body = body_of(*told)
    assert "<td>model.d_model</td><td>128</td>" in body or '<td>model.d_model</td><td class="changed">128</td>' in body
    assert "1e-05 to 0.001, log" in body
    assert "64, 128" in body


def test_the_page_loads_nothing_and_has_its_scripts_by_nonce(told):
    text = write_report(*told).read_text(encoding="utf-8")
    nonce = re.search(r"script-src 'nonce-([0-9a-f]{32})'", text)[1]
    opened = re.findall(r"<script[^>]*>", re.sub(r'"[^"\n]*<script[^"\n]*"', "", text))
    assert set(opened) == {f'<script nonce="{nonce}">'}
    assert "default-src 'none'" in text
    assert not re.search(r'<(?:script|img|link|iframe)[^>]*\s(?:src|href)="', body_of(*told))
    # plotly once: 4.9 MB
    assert 4.5e6 < len(text) < 5.5e6


def test_hostile_words_are_text(told):
    study, spec, folder = told
    params = {"training.learning_rate": 0.0004, "model.d_model": 64}
    hostile = {"error": "</script><script>alert(1)</script>", "device": "<img src=x onerror=alert(1)>"}
    study.add_trial(study.trials[1].__class__(**{**vars_of(study.trials[1]), "params": params, "user_attrs": hostile}))
    text = write_report(study, spec, folder).read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text
    assert "<img src=x" not in text


def vars_of(trial):
    """What makes a trial like it."""
    return {
        "number": 0,
        "state": trial.state,
        "value": 0.1,
        "values": None,
        "datetime_start": trial.datetime_start,
        "datetime_complete": trial.datetime_complete,
        "distributions": trial.distributions,
        "system_attrs": {},
        "intermediate_values": {},
        "trial_id": 0,
    }


def confirmation(spec, low, high, **changes):
    values = {"default": [1.0, 1.2], "best": [1.4, 1.6]}
    return {
        "format": 1,
        "study": spec.study_name,
        "spec_hash": spec.spec_hash,
        "data_hash": None,
        "trial": 1,
        "own_value": 1.5,
        "seeds": [11, 12],
        "metric": "mean_reward",
        "direction": "maximize",
        **values,
        "metrics": {who: {"mean_reward": own, "n_closed": [40.0, 2.0]} for who, own in values.items()},
        "min_trades": 5,
        "difference": {"mean": 0.4, "low": low, "high": high, "probability_of_improvement": 1.0},
        "method": "Welch",
        "created": "2026-03-01T12:00:00+00:00",
        **changes,
    }


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.7, "better beyond the luck of seeds."),
        (-0.1, 0.9, "which may be the luck of seeds."),
        (-0.9, -0.1, "worse beyond the luck of seeds."),
    ],
    ids=["better", "luck", "worse"],
)
def test_fresh_seeds_are_told_as_far_as_they_go(told, low, high, verdict):
    study, spec, folder = told
    (folder / CONFIRMATION).write_text(json.dumps(confirmation(spec, low, high)))
    body = body_of(study, spec, folder)
    # means of 1.4 and 1.6, and of 1.0 and 1.2
    assert (
        "Trained again on 2 fresh seeds, trial 1 has a mean mean_reward of 1.5 and the default 1.1: a difference of "
        f"0.4 (95% interval {low} to {high}), {verdict}" in body
    )
    assert "Hardly a trade is made by trial 1 with 1 and by the default with 1 of these seeds." in body
    assert "<td>mean_reward ↑</td><td>1.5 (1.4 to 1.6)</td><td>1.1 (1 to 1.2)</td>" in body
    assert "Seeds: 11, 12." in body


def test_a_confirmation_of_another_spec_is_not_shown(told):
    study, spec, folder = told
    (folder / CONFIRMATION).write_text(json.dumps(confirmation(spec, 0.1, 0.7, spec_hash="other")))
    assert "fresh seeds," not in body_of(study, spec, folder)


def test_a_study_without_trials_has_a_page(study, spec, tmp_path):
    body = body_of(study, spec, tmp_path)
    assert "No trial has completed with a finite value" in body
    assert "0 of 20" in body


def test_a_study_of_failures_has_a_page(study, add, spec, tmp_path):
    for _ in range(3):
        add(state=TrialState.FAIL, user_attrs={"error": "boom"})
    assert "<td>failed</td>" in body_of(study, spec, tmp_path)


def test_two_objectives_have_a_page(two_objectives, tmp_path):
    import optuna

    study = optuna.create_study(study_name="fx_ai_quick", directions=["maximize", "minimize"])
    study.add_trial(optuna.trial.create_trial(values=[0.5, 0.2]))
    study.add_trial(optuna.trial.create_trial(values=[0.6, 0.3]))
    body = body_of(study, two_objectives, tmp_path)
    assert "sharpe 0.6" in body
    assert "<button>max_drawdown</button>" in body


def test_a_missing_equity_file_is_said(study, add, spec, tmp_path):
    add(1.0, metrics=METRICS)
    assert "There is no equity curve of the best trial." in body_of(study, spec, tmp_path)


def test_a_long_table_shows_the_best_and_the_latest(study, add, spec, monkeypatch):
    monkeypatch.setattr(trial_table, "MAX_ROWS", 6)
    for number in range(10):
        add(float(number % 7))
    shown, note = trial_table.chosen(outcome_of(study, spec.metric_names))
    # values 0…6, 0, 1, 2: best 6, 5, 4; trial 0 is the default; then the latest: 9 and 8
    assert [trial.number for trial in shown] == [6, 5, 4, 0, 9, 8]
    assert note == ["The best 4 and the latest 2 others of 10 trials; the results file has all of them."]


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_draws_every_figure_and_sorts_the_trials(told, tmp_path):
    write_report(*told)
    with browser(tmp_path / "profile") as tab:
        tab.open((told[2] / REPORT).as_uri())
        tab.wait_for("document.readyState === 'complete'")
        tab.wait_for("document.querySelectorAll('.main-svg').length > 0")  # what is in sight
        tab.value("dispatchEvent(new Event('beforeprint'))")
        places = tab.value("document.querySelectorAll('.figure').length")
        assert places >= 6
        tab.wait_for(f"document.querySelectorAll('.figure.js-plotly-plot').length === {places}")
        first = "document.querySelector('#trial-table tbody tr td').textContent"
        assert tab.value(first) == "1"  # the best
        tab.value("document.querySelector('#trial-table th').click()")
        assert tab.value(first) == "0"
        tab.value("document.querySelector('#trial-table th').click()")
        assert tab.value(first) == "3"
        assert tab.complaints == []
        tab.look(width=390, height=800)
        assert tab.value("document.documentElement.scrollWidth") <= 390
