"""Pictures and tables drawn from a trial's folder when the dashboard asks for them."""

from __future__ import annotations

import numpy as np

from fxai.evaluate.curve import EquityCurve
from fxai.report.trial_files import config_table, equity_picture, learning_picture
from fxai.study.objective import Report
from fxai.study.trial_files import LearningCurve, write_equity


def folder_of(place, value):
    place.mkdir()
    learned = LearningCurve()
    for step in (1, 2):
        learned.add(Report(step=step, total_steps=2, metrics={"sharpe": value * step}, train={}), float(step))
    learned.write(place)
    one = np.array([1.0, 1.0 + value])
    write_equity(place, EquityCurve(bar_R=np.arange(2), mean_R=one, low_R=one, high_R=one, instruments={}))
    return place


def test_a_trial_stands_beside_the_default(tmp_path):
    own, default = folder_of(tmp_path / "0007", 0.5), folder_of(tmp_path / "0000", 0.1)
    alone, both = learning_picture(own, "sharpe"), learning_picture(own, "sharpe", default)
    assert (alone.count("<polyline"), both.count("<polyline")) == (1, 2)
    assert "sharpe at each evaluation" in both
    assert equity_picture(own, default).count("<polyline") == 2
    assert equity_picture(own).count("<polygon") == 1


def test_a_metric_that_nobody_reported_is_said(tmp_path):
    assert "nothing was reported" in learning_picture(folder_of(tmp_path / "0007", 0.5), "profit")


def test_without_files_there_is_nothing(tmp_path):
    assert learning_picture(tmp_path, "sharpe") is None
    assert equity_picture(tmp_path) is None
    assert config_table(tmp_path) is None


def test_settings_are_listed_with_their_dotted_names(tmp_path):
    (tmp_path / "config.yaml").write_text("env: {levels: [-1, 1], empty: {}}\nname: '=1+1'\nwandb: null\nlow: -0.5\n")
    (tmp_path / "ruler.yaml").write_text("env: {levels: [0, 1]}\nwandb: null\n")
    assert config_table(tmp_path, tmp_path / "ruler.yaml").splitlines() == [
        "setting,trial,base,differs",
        'env.levels,"[-1, 1]","[0, 1]",yes',
        "env.empty,{},,",
        "name,'=1+1,,",
        "wandb,,,",
        "low,-0.5,,",
    ]


def test_a_broken_config_is_none(tmp_path):
    (tmp_path / "config.yaml").write_text("a: [1\n")
    assert config_table(tmp_path) is None
