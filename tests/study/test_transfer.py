"""What one study hands on to the next, and what it refuses to."""

from __future__ import annotations

import pytest
from chained import COEFFICIENT, FLAG, GAMMA, RATE, fill, spec_of, write_specs

from fxai.errors import ConfigError, InputError, StudyConflict
from fxai.study.inherited import write_inherited
from fxai.study.recorded import recorded_spec
from fxai.study.transfer import (
    Finished,
    check_bars,
    check_enough,
    check_ruler,
    inherit,
    inherited_by,
    minimum_of,
    unlike,
    with_inherited,
)

BEST_OF_ONE = {RATE: 0.002, GAMMA: 0.7}


@pytest.fixture
def specs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_specs(tmp_path)


def done(spec, params, value=1.0) -> Finished:
    """The study of a spec with one completed trial."""
    study = fill(spec, [(value, params)])
    return Finished(
        spec=recorded_spec(study, spec.storage), data_hash="bars", best=study.trials[1], completed=1, finished=1
    )


def test_a_small_budget_needs_half_of_it_and_a_large_one_ten():
    # 100 trials: 10; 12: half, 6; 3: 1 (half of 3, cut); 1: 1, for there must be a best
    assert [minimum_of(n) for n in (100, 20, 12, 3, 1)] == [10, 10, 6, 1, 1]


def test_too_few_completed_trials_are_refused_with_their_counts():
    check_enough("one", completed=10, finished=30, n_trials=100, min_trials=None)
    with pytest.raises(InputError) as caught:
        check_enough("one", completed=9, finished=30, n_trials=100, min_trials=None)
    assert "has completed 9 of at least 10" in caught.value.what
    assert "30 of 100 finished" in caught.value.what
    assert "--min-trials 9" in caught.value.hint
    check_enough("one", completed=9, finished=30, n_trials=100, min_trials=9)


def test_phase_two_freezes_what_phase_one_found_and_the_ruler_stays(specs):
    one, two = done(spec_of(specs, 1), BEST_OF_ONE), spec_of(specs, 2)
    inherited = inherit(two, [one])
    assert (inherited.values, inherited.enqueued) == (dict(sorted(BEST_OF_ONE.items())), {})
    last = inherited.last
    assert (last.study, last.trial, last.value, last.metric, last.direction) == (
        "one",
        1,
        1.0,
        "mean_reward",
        "maximize",
    )
    assert (last.data_hash, last.git_commit, last.database) == ("bars", "abc", "sqlite:///chain.db")
    spec = with_inherited(two, inherited)
    assert (spec.base.training.learning_rate, spec.base.training.gamma) == (0.002, 0.7)
    assert spec.ruler == two.ruler


def test_phase_three_receives_both_and_starts_where_it_searches_again(specs):
    one = done(spec_of(specs, 1), BEST_OF_ONE)
    two = done(with_inherited(spec_of(specs, 2), inherit(spec_of(specs, 2), [one])), {FLAG: True, COEFFICIENT: 0.2})
    inherited = inherit(spec_of(specs, 3), [two])
    assert [source.study for source in inherited.sources] == ["one", "two"]
    assert inherited.values == {GAMMA: 0.7}
    assert inherited.enqueued == {COEFFICIENT: 0.2, FLAG: True, RATE: 0.002}
    three = with_inherited(spec_of(specs, 3), inherited)
    (start,) = fill(three, []).trials
    assert start.system_attrs["fixed_params"] == {RATE: 0.002, FLAG: True, COEFFICIENT: 0.2}
    # four tenths of ln(0.01 / 0.0001) = ln 100, so 100^0.2 = 2.512 to either side of 0.002
    assert three.parameters[0].bounds == pytest.approx((0.002 / 2.512, 0.002 * 2.512), rel=1e-3)
    assert not three.ruler.env.reward.enable_drawdown_penalty
    assert three.scoring == spec_of(specs, 1).scoring


def test_what_a_source_fixed_is_handed_on_with_what_it_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    only = [{"name": COEFFICIENT, "type": "float", "low": 0.0, "high": 0.5}]
    specs = write_specs(tmp_path, {2: {"fixed": {FLAG: True}, "parameters": only}})
    two = spec_of(specs, 2)
    two = done(with_inherited(two, inherit(two, [done(spec_of(specs, 1), BEST_OF_ONE)])), {COEFFICIENT: 0.4})
    # without the flag the coefficient would mean nothing
    assert two.values == {**BEST_OF_ONE, FLAG: True, COEFFICIENT: 0.4}


def test_what_the_next_spec_fixes_goes_before_what_it_inherits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    specs = write_specs(tmp_path, {2: {"fixed": {GAMMA: 0.9}}})
    inherited = inherit(spec_of(specs, 2), [done(spec_of(specs, 1), BEST_OF_ONE)])
    assert inherited.values == {RATE: 0.002}
    assert with_inherited(spec_of(specs, 2), inherited).base.training.gamma == 0.9


def test_what_is_set_by_hand_goes_before_both(specs):
    inherited = inherit(spec_of(specs, 2), [done(spec_of(specs, 1), BEST_OF_ONE)])
    free = with_inherited(spec_of(specs, 2), inherited, free=[RATE])
    assert free.base.training.learning_rate == free.ruler.training.learning_rate == 3e-4
    assert free.base.training.gamma == 0.7


def test_every_value_that_does_not_fit_is_listed(specs, tmp_path):
    inherited = inherit(spec_of(specs, 3), [done(spec_of(specs, 1), BEST_OF_ONE)])
    bad = inherited.model_copy(
        update={
            "values": {"training.gone": 1.0, GAMMA: 1.5},
            "enqueued": {RATE: 0.5, COEFFICIENT: 0.9},
        }
    )
    with pytest.raises(InputError) as caught:
        with_inherited(spec_of(specs, 3), bad)
    assert caught.value.what.splitlines() == [
        "three cannot take over trial 1 of one:",
        "  training.gone: there is no such setting",
        "  training.gamma: must be ≤ 1, got 1.5",
        "  training.learning_rate: 0.5 is not among the searched values, 0.0001 to 0.01",
        "  env.reward.drawdown_penalty_coefficient: 0.9 is not among the searched values, 0.0 to 0.5",
    ]


def test_values_that_do_not_go_together_are_refused(specs):
    inherited = inherit(spec_of(specs, 2), [done(spec_of(specs, 1), BEST_OF_ONE)])
    # SMALL warms up over 8 bars, and no window may be longer
    bad = inherited.model_copy(update={"values": {"model.window": 16}})
    with pytest.raises(InputError, match=r"model\.window 16 must not exceed evaluation\.warmup_bars 8"):
        with_inherited(spec_of(specs, 2), bad)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"training_config": {"env": {"spread_bp": 3.0}}}, "env.spread_bp: 1.0 in one, 3.0 in two"),
        ({"training_config": {"training": {"eval_episodes": 8}}}, "training.eval_episodes: 4 in one, 8 in two"),
        (
            {"training_config": {"data": {"start": "2005-01-01"}}},
            "data.start: null in one, the text '2005-01-01' in two",
        ),
        ({"metric_name": "sharpe"}, "metric_names: ['mean_reward'] in one, ['sharpe'] in two"),
        ({"direction": "minimize"}, "directions: ['maximize'] in one, ['minimize'] in two"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_another_ruler_is_refused_with_what_differs(tmp_path, monkeypatch, change, line):
    monkeypatch.chdir(tmp_path)
    specs = write_specs(tmp_path, {2: change})
    with pytest.raises(StudyConflict) as caught:
        check_ruler(spec_of(specs, 1), spec_of(specs, 2))
    assert f"  {line}" in caught.value.what.splitlines()


def test_longer_trainings_and_another_start_are_the_same_ruler(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    specs = write_specs(tmp_path, {2: {"training_config": {"training": {"total_updates": 9}}, "fixed": {GAMMA: 0.9}}})
    check_ruler(spec_of(specs, 1), spec_of(specs, 2))


def test_other_bars_are_refused(specs):
    inherited = inherit(spec_of(specs, 2), [done(spec_of(specs, 1), BEST_OF_ONE)])
    spec = with_inherited(spec_of(specs, 2), inherited)
    check_bars(spec, "bars")
    with pytest.raises(StudyConflict, match="two inherits from one, which was trained and scored on other bars"):
        check_bars(spec, "new bars")


def test_what_a_source_set_and_did_not_search_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    specs = write_specs(tmp_path, {1: {"training_config": {"training": {"clip_epsilon": 0.3, "total_updates": 5}}}})
    one = done(spec_of(specs, 1), BEST_OF_ONE)
    two = with_inherited(spec_of(specs, 2), inherit(spec_of(specs, 2), [one]))
    assert unlike(one, two) == ["training.clip_epsilon: 0.3 in one, 0.2 in two"]  # how long it trains is its own


def test_a_phase_is_run_with_what_lies_in_its_folder(specs, tmp_path):
    two = spec_of(specs, 2)
    inherited = inherit(two, [done(spec_of(specs, 1), BEST_OF_ONE)])
    with pytest.raises(InputError) as caught:
        inherited_by(two, tmp_path, written_for="two", missing="poe optuna-transfer-1to2")
    assert "starts from the best of one, and that has not been transferred" in caught.value.what
    assert caught.value.hint.startswith("poe optuna-transfer-1to2; or")
    (tmp_path / "two").mkdir()
    write_inherited(tmp_path / "two", inherited, study="two")
    renamed = two.model_copy(update={"study_name": "two-2"})
    for spec in (two, renamed):
        assert inherited_by(spec, tmp_path, written_for="two", missing="").base.training.gamma == 0.7
    (tmp_path / "two" / "inherited.yaml").write_text("from: 7\n")
    with pytest.raises(ConfigError, match="is damaged"):
        inherited_by(two, tmp_path, written_for="two", missing="")
    assert inherited_by(spec_of(specs, 1), tmp_path, written_for="one", missing="") == spec_of(specs, 1)
