"""What may change between two runs of a study, and what may not."""

from __future__ import annotations

import optuna
import pytest
from fakes import load

from fxai.errors import InputError, StudyConflict
from fxai.study.database.storage import load_study, open_storage
from fxai.study.fingerprint import check_plugins, fingerprint, free_name, open_study, recorded_spec, study_seed

RATE = {"name": "training.learning_rate", "type": "float", "low": 0.0001, "high": 0.002}


def opened(spec, data_hash="bars", contents=None):
    return open_study(open_storage(spec.storage, create=True), spec, data_hash, contents)


def test_a_new_study_says_what_it_is(spec):
    attrs = opened(spec).user_attrs
    assert attrs["seed"] == 7  # the sampler's
    assert attrs["spec_hash"] == spec.spec_hash
    assert attrs["base_config"]["training"]["learning_rate"] == 3e-4
    assert attrs["data_hash"] == "bars"
    assert attrs["versions"]["optuna"] == optuna.__version__


def test_where_trials_are_tracked_is_no_part_of_what_a_study_means(tmp_path):
    tracked = load(tmp_path, training_config={"wandb": {"mode": "offline", "tags": ["mine"]}})
    assert tracked.spec_hash == load(tmp_path).spec_hash
    assert fingerprint(tracked, "bars") == fingerprint(load(tmp_path), "bars")


def test_without_a_sampler_seed_the_base_configs_counts(tmp_path):
    assert study_seed(load(tmp_path, sampler={"type": "TPESampler"}, training_config={"training": {"seed": 5}})) == 5


@pytest.mark.parametrize(
    "change",
    [
        {"n_trials": 9},
        {"timeout": 60.0},
        {"sampler": {"type": "TPESampler", "seed": 1}},
        {"pruner": {"type": "ThresholdPruner", "lower": 0.0}},
        {"catch_exceptions": False},
        {"training_config": {"training": {"device": "cpu"}}},
        {"training_config": {"training": {"gradient_accumulation_steps": 2}}},
        {"training_config": {"wandb": {"mode": "offline", "project": "another"}}},
    ],
)
def test_what_leaves_trials_comparable_may_change(tmp_path, change):
    opened(load(tmp_path))
    assert len(opened(load(tmp_path, **change)).trials) == 1  # trial 0, not queued a second time


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"parameters": [{**RATE, "high": 0.003}]},
            "parameters.training.learning_rate.high: 0.002 in the study, 0.003",
        ),
        ({"parameters": [{**RATE, "type": "float_log"}]}, "parameters.training.learning_rate.type: float in the study"),
        (
            {"parameters": [RATE, {"name": "model.n_layers", "type": "int", "low": 1, "high": 2}]},
            "parameters.model.n_layers.low: absent in the study, 1 now",
        ),
        ({"direction": "minimize"}, "directions: ['maximize'] in the study, ['minimize'] now"),
        ({"metric_name": "sharpe"}, "metric_names: ['mean_reward'] in the study, ['sharpe'] now"),
        ({"training_config": {"env": {"spread_bp": 3.0}}}, "base.env.spread_bp: 1.0 in the study, 3.0 now"),
        ({"training_config": {"env": {"reward": {"pnl_coefficient": 2.0}}}}, "base.env.reward.pnl_coefficient: 1.0"),
    ],
)
def test_what_changes_the_meaning_is_refused_with_a_diff(tmp_path, change, line):
    opened(load(tmp_path))
    with pytest.raises(StudyConflict) as caught:
        opened(load(tmp_path, **change))
    assert line in str(caught.value)
    assert "--new-study" in caught.value.hint
    assert caught.value.exit_code == 4


def test_other_bars_are_refused(spec):
    opened(spec, "bars")
    with pytest.raises(StudyConflict, match="data_hash: bars in the study, other bars now"):
        opened(spec, "other bars")


THEN = {"EURUSD": "6,000 bars to Friday", "USDJPY": "9 bars"}


def test_of_other_bars_the_instrument_is_named(spec):
    opened(spec, "e732", THEN)
    now = {**THEN, "EURUSD": "5,999 bars to Thursday"}
    with pytest.raises(StudyConflict) as caught:
        opened(spec, "f7d6", now)
    lines = caught.value.what.splitlines()[1:]
    then, there = "    6,000 bars to Friday in the study,", "    5,999 bars to Thursday now"
    assert lines == ["  data of EURUSD:", then, there]
    assert opened(spec, "e732", THEN).user_attrs["data"] == THEN  # the refusal changed nothing


def test_of_a_study_that_noted_no_bars_the_hash_is_named_and_the_next_run_notes_them(spec):
    opened(spec, "e732")
    with pytest.raises(StudyConflict, match="data_hash: e732 in the study, f7d6 now"):
        opened(spec, "f7d6", THEN)
    opened(spec, "e732", THEN)
    with pytest.raises(StudyConflict, match=r"data of USDJPY:\s+9 bars in the study,\s+8 bars now"):
        opened(spec, "f7d6", {**THEN, "USDJPY": "8 bars"})


def test_an_instrument_that_has_come_or_gone_is_named(spec):
    opened(spec, "e732", THEN)
    with pytest.raises(StudyConflict, match=r"data of USDJPY:\s+9 bars in the study,\s+absent now"):
        opened(spec, "f7d6", {"EURUSD": THEN["EURUSD"]})


def test_a_hash_that_differs_by_its_settings_alone_stays_in_the_message(spec):
    opened(spec, "e732", THEN)
    with pytest.raises(StudyConflict, match="data_hash: e732 in the study, f7d6 now"):
        opened(spec, "f7d6", THEN)


def test_a_file_of_the_same_bars_may_be_moved(tmp_path):
    def at(path, **options):
        data = {"source": "file", "path": path, "timezone": "UTC", "instruments": ["EURUSD"], **options}
        return load(tmp_path, training_config={"data": data})

    assert fingerprint(at("a.csv"), "bars") == fingerprint(at("b.csv"), "bars")
    assert fingerprint(at("a.csv"), "bars") == fingerprint(at("a.csv.gz", format="table", sort=True), "bars")
    assert fingerprint(at("a.csv"), None) != fingerprint(at("b.csv"), None)


def test_load_if_exists_false_refuses_an_existing_study(tmp_path):
    spec = load(tmp_path, load_if_exists=False)
    opened(spec)
    with pytest.raises(StudyConflict, match="exists already"):
        opened(spec)


def test_a_creation_that_was_cut_short_is_completed(spec):
    storage = open_storage(spec.storage, create=True)
    optuna.create_study(storage=storage, study_name=spec.study_name, direction="maximize")
    study = opened(spec)
    assert len(study.trials) == 1
    assert study.user_attrs["spec_fingerprint"] == fingerprint(spec, "bars")


def test_a_creation_that_was_cut_short_with_another_direction_is_refused(spec):
    storage = open_storage(spec.storage, create=True)
    optuna.create_study(storage=storage, study_name=spec.study_name, direction="minimize")
    with pytest.raises(StudyConflict, match="directions"):
        opened(spec)


def test_trials_of_another_program_are_refused(spec):
    storage = open_storage(spec.storage, create=True)
    optuna.create_study(storage=storage, study_name=spec.study_name, direction="maximize").add_trial(
        optuna.trial.create_trial(value=1.0)
    )
    with pytest.raises(StudyConflict, match="trials that FxAI did not make"):
        opened(spec)


def test_the_spec_comes_back_from_the_database_without_its_url(tmp_path):
    spec = load(tmp_path, pruner={"type": "PatientPruner", "patience": 1, "wrapped_pruner": {"type": "MedianPruner"}})
    opened(spec)
    more = load(tmp_path, n_trials=9)
    study = opened(more)
    assert "study.db" not in str(study.user_attrs)
    assert recorded_spec(study, spec.storage) == more  # as it was run last


def test_a_study_of_another_program_has_no_spec(spec):
    storage = open_storage(spec.storage, create=True)
    optuna.create_study(storage=storage, study_name="raw")
    with pytest.raises(InputError, match="does not hold the spec"):
        recorded_spec(load_study(storage, "raw"), spec.storage)


def test_the_first_free_name_is_found(spec):
    storage = open_storage(spec.storage, create=True)
    for name in ("fake", "fake-2"):
        optuna.create_study(storage=storage, study_name=name)
    assert free_name(storage, "fake") == "fake-3"


def with_terms(tmp_path, monkeypatch, body="return o.traded * c.mine", **custom):
    """A spec with a user's own reward term, whose file lies in the working directory."""
    monkeypatch.chdir(tmp_path)
    head = "from fxai.env.plugins import reward_term\n@reward_term(mine=0.1)\ndef a(o, c):\n    "
    (tmp_path / "mine.py").write_text(head + body + "\n")
    return load(tmp_path, training_config={"env": {"reward": {"plugins": ["mine.py"], "custom": custom}}})


def test_a_study_goes_on_with_the_same_terms_of_the_users_own(tmp_path, monkeypatch):
    opened(with_terms(tmp_path, monkeypatch))
    study = opened(with_terms(tmp_path, monkeypatch))
    assert len(study.trials) == 1
    check_plugins(study, with_terms(tmp_path, monkeypatch))


def test_an_edited_term_of_the_users_own_is_refused(tmp_path, monkeypatch):
    study = opened(with_terms(tmp_path, monkeypatch))
    edited = with_terms(tmp_path, monkeypatch, "return -o.traded * c.mine")
    with pytest.raises(StudyConflict, match=r"content of mine\.py: [0-9a-f]{64} in the study, [0-9a-f]{64} now"):
        opened(edited)
    # a worker that starts while the study runs looks too
    with pytest.raises(StudyConflict, match=r"mine\.py was changed while study fake ran"):
        check_plugins(study, edited)


def test_another_coefficient_of_a_users_own_term_is_refused(tmp_path, monkeypatch):
    opened(with_terms(tmp_path, monkeypatch, mine=0.2))
    with pytest.raises(StudyConflict, match=r"base\.env\.reward\.custom\.mine: 0\.2 in the study, 0\.3 now"):
        opened(with_terms(tmp_path, monkeypatch, mine=0.3))


def test_a_missing_file_of_terms_is_named(tmp_path, monkeypatch):
    spec = with_terms(tmp_path, monkeypatch)
    (tmp_path / "mine.py").unlink()
    with pytest.raises(InputError, match=r"^mine\.py: cannot read this file of env\.reward\.plugins"):
        opened(spec)


def test_the_spec_with_terms_of_the_users_own_comes_back_from_the_database(tmp_path, monkeypatch):
    spec = with_terms(tmp_path, monkeypatch, mine=0.2)
    assert recorded_spec(opened(spec), spec.storage) == spec
