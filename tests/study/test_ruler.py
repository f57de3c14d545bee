"""What a trial trains with and what it is scored with are two configs: what a spec fixes shapes the first alone."""

from __future__ import annotations

import json

import optuna
import pytest
from fakes import load, report

from fxai.errors import ConfigError, StudyConflict
from fxai.study.database.storage import open_storage
from fxai.study.fingerprint import differences, fingerprint, open_study
from fxai.study.recorded import recorded_spec
from fxai.study.workers.trial import TrialRun

FLAG = "env.reward.enable_drawdown_penalty"
COEFFICIENT = "env.reward.drawdown_penalty_coefficient"


def opened(spec):
    return open_study(open_storage(spec.storage, create=True), spec, "bars")


def test_what_is_fixed_is_trained_with_and_not_scored_with(tmp_path):
    spec = load(tmp_path, fixed={FLAG: True, COEFFICIENT: 0.3, "training.gamma": 0.9})
    requests = []

    def objective(request):
        requests.append(request)
        yield report(1, 0.0)

    trial = optuna.create_study().ask()
    TrialRun(trial, spec, tmp_path, seed=5, emit=lambda event: None, stopped=lambda: False).run(objective)
    (request,) = requests
    assert request.config.env.reward.enable_drawdown_penalty
    assert request.config.env.reward.drawdown_penalty_coefficient == 0.3
    assert request.config.training.gamma == 0.9
    assert not request.ruler.env.reward.enable_drawdown_penalty
    assert request.ruler == load(tmp_path).base == load(tmp_path).ruler


def test_a_fixed_flag_switches_a_searched_coefficient_on(tmp_path):
    search = [{"name": COEFFICIENT, "type": "float", "low": 0.0, "high": 0.5}]
    with pytest.raises(ConfigError, match="would do nothing"):
        load(tmp_path, parameters=search)
    assert load(tmp_path, parameters=search, fixed={FLAG: True}).base.env.reward.enable_drawdown_penalty


@pytest.mark.parametrize(
    ("fixed", "words"),
    [
        ({"training.learning_rate": 0.001}, "both fixed and searched"),
        ({"training.gama": 0.9}, "fixed setting 'training.gama' is not a setting"),
        ({"training.eval_episodes": 14}, "cannot be fixed for training alone: it would move the ruler"),
        ({"data.source": "file"}, "cannot be fixed for training alone: it would move the ruler"),
        ({"training.gamma": 1.5}, "cannot be 1.5: must be ≤ 1"),
        ({"training.gamma": "high"}, "must be a number"),
        ({"env.position_levels": [0.0, 1.0]}, "must be one value"),
        ({"training.batch_size": 100}, "fixed settings: "),
    ],
    ids=str,
)
def test_what_cannot_be_fixed_is_refused_with_its_line(tmp_path, fixed, words):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, fixed=fixed)
    assert words in caught.value.what
    assert "spec.yaml:" in caught.value.where


def test_inherits_belongs_to_a_later_phase(tmp_path):
    with pytest.raises(ConfigError, match="inherits belongs to a phase after the first"):
        load(tmp_path, inherits=["other"])


def test_a_study_goes_on_with_what_it_fixed_only(tmp_path):
    opened(load(tmp_path, fixed={FLAG: True}))
    assert len(opened(load(tmp_path, fixed={FLAG: True})).trials) == 1
    with pytest.raises(StudyConflict) as caught:
        opened(load(tmp_path, fixed={FLAG: True, "training.gamma": 0.9}))
    # the one line that matters, of training and ruler; base.gamma was 0.95, and the ruler's still is
    assert caught.value.what.splitlines()[1:] == ["  base.training.gamma: 0.95 in the study, 0.9 now"]


def test_a_ruler_that_moves_is_told_from_a_training_that_changes(tmp_path):
    trains = fingerprint(load(tmp_path, fixed={FLAG: True}), "bars")
    scores = fingerprint(load(tmp_path, training_config={"env": {"reward": {"enable_drawdown_penalty": True}}}), "bars")
    assert differences(trains, scores) == [f"ruler.{FLAG}: False in the study, True now"]
    assert differences(trains, trains) == []


def test_the_hash_of_a_spec_knows_the_ruler(tmp_path):
    plain = load(tmp_path)
    trains = load(tmp_path, fixed={FLAG: True})
    scores = load(tmp_path, training_config={"env": {"reward": {"enable_drawdown_penalty": True}}})
    assert trains.base == scores.base
    assert len({plain.spec_hash, trains.spec_hash, scores.spec_hash}) == 3
    assert trains.scoring == plain.scoring != scores.scoring


def test_a_setting_by_hand_goes_before_a_fixed_one(tmp_path):
    spec = load(tmp_path, fixed={FLAG: True, "training.gamma": 0.9})
    ruler = load(tmp_path, training_config={"training": {"gamma": 0.8}}).ruler
    assert spec.on_ruler(ruler).base.training.gamma == 0.9
    by_hand = spec.on_ruler(ruler, free=["training.gamma"])
    assert (by_hand.base.training.gamma, by_hand.fixed) == (0.8, {FLAG: True})


def test_fixed_settings_come_back_from_the_database_and_older_records_have_one_config_for_both(tmp_path):
    spec = load(tmp_path, fixed={FLAG: True})
    study = opened(spec)
    assert recorded_spec(study, spec.storage) == spec
    older = {k: v for k, v in study.user_attrs["spec"].items() if k not in ("ruler", "fixed", "phase", "inherits")}
    study.set_user_attr("spec", json.loads(json.dumps(older)))
    read = recorded_spec(study, spec.storage)
    assert read.ruler == read.base == spec.base
