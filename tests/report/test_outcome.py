from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from fxai.report.outcome import Outcome, metrics_of, outcome_of, remarks, speed

AddTrial = Callable[..., FrozenTrial]


def judged(study: optuna.Study, *metrics: str) -> Outcome:
    return outcome_of(study, metrics or ("mean_reward",))


def test_counts_by_state_with_requeued_attempts_apart(finished: optuna.Study) -> None:
    assert judged(finished).counts == {"complete": 2, "pruned": 1, "requeued": 1, "fail": 1}


def test_best_default_and_improvement(finished: optuna.Study) -> None:
    outcome = judged(finished)
    assert outcome.best is not None
    assert (outcome.best.number, outcome.default_value) == (1, 0.10)
    assert outcome.improvement == pytest.approx(0.20)  # 0.30 − 0.10


def test_improvement_is_positive_for_the_better_side_of_a_minimised_metric() -> None:
    study = optuna.create_study(direction="minimize")
    study.add_trial(create_trial(value=0.5))
    study.add_trial(create_trial(value=0.2))
    outcome = judged(study, "max_drawdown")
    assert outcome.best is not None
    assert outcome.best.number == 1
    assert outcome.improvement == pytest.approx(0.3)


def test_infinite_values_are_never_best(study: optuna.Study, add: AddTrial) -> None:
    add(0.1)
    add(math.inf)
    outcome = judged(study)
    assert study.best_value == math.inf  # what optuna says
    assert outcome.best is not None
    assert outcome.best.number == 0


def test_of_equal_trials_the_earlier_is_best(study: optuna.Study, add: AddTrial) -> None:
    add(0.1)
    add(0.1)
    outcome = judged(study)
    assert outcome.best is outcome.default
    assert "No trial beat the default config: keep it." in remarks(outcome)


def test_a_default_that_broke_off_is_no_rival(study: optuna.Study, add: AddTrial) -> None:
    add(-1000.0, user_attrs={"default": True, "failure": "the loss is not finite"})
    add(0.1)
    outcome = judged(study)
    assert outcome.improvement is None
    assert any("broke off" in sentence for sentence in remarks(outcome))


def test_the_first_of_several_metrics_does_not_judge_alone() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for values in ([1.0, 0.40], [0.99, 0.02]):  # neither is better in both
        study.add_trial(create_trial(values=values))
    said = remarks(judged(study, "sharpe", "max_drawdown"))
    assert "No trial beat the default config in sharpe; on the front stand 1 more, better in other metrics." in said


@pytest.mark.parametrize(
    ("spec", "start"),
    [
        ({"inherited": {"values": {}}}, "inherited config"),
        ({"start": {"a": 1}}, "start config"),
        ({}, "default config"),
    ],
)
def test_what_trial_0_ran_is_named(study: optuna.Study, add: AddTrial, spec: dict[str, Any], start: str) -> None:
    study.set_user_attr("spec", spec)
    add(0.1)
    add(0.1)
    assert judged(study).start == start
    assert f"No trial beat the {start}: keep it." in remarks(judged(study))


def test_a_trial_that_breaks_a_constraint_is_best_only_if_all_do(study: optuna.Study, add: AddTrial) -> None:
    add(0.9, constraints={"min_trades": 3.0})
    only = judged(study)
    assert only.best is not None
    assert only.best.number == 0
    assert any("constraints" in sentence for sentence in remarks(only))
    add(0.1, constraints={"min_trades": 0.0})
    both = judged(study)
    assert both.best is not None
    assert both.best.number == 1


def test_the_default_config_is_found_through_the_queue(study: optuna.Study, add: AddTrial) -> None:
    add(None, TrialState.FAIL, user_attrs={"default": True, "requeued_as": 2})
    add(0.4)
    add(None, TrialState.FAIL, user_attrs={"requeue_of": 0, "requeued_as": 3})
    add(0.2, user_attrs={"requeue_of": 2})
    assert judged(study).default_value == 0.2


def test_trial_0_is_the_default_where_none_is_marked(study: optuna.Study, add: AddTrial) -> None:
    add(0.2)
    add(0.4)
    assert judged(study).default_value == 0.2


def test_a_circle_of_requeues_is_no_default(study: optuna.Study, add: AddTrial) -> None:
    add(None, TrialState.PRUNED)
    add(0.1, user_attrs={"requeue_of": 2})
    add(0.2, user_attrs={"requeue_of": 1})
    assert judged(study).default is None


def test_pareto_front_of_two_objectives() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    # (1, 0.1) and (3, 0.3) beat (2, 0.3) in one and are no worse in the other; (3, 0.3) twice, both stay
    for values in [(1.0, 0.1), (2.0, 0.3), (3.0, 0.3), (3.0, 0.3), (math.nan, 0.0)]:
        state = TrialState.FAIL if math.isnan(values[0]) else TrialState.COMPLETE
        study.add_trial(create_trial(state=state, values=values if state is TrialState.COMPLETE else None))
    outcome = judged(study, "sharpe", "max_drawdown")
    assert [trial.number for trial in outcome.front] == [0, 2, 3]
    assert outcome.best is not None
    assert outcome.best.number == 2  # the best sharpe; of equals the earlier


def test_metrics_leave_out_what_is_not_a_number(study: optuna.Study, add: AddTrial) -> None:
    trial = add(0.1, metrics={"sharpe": 1.0, "calmar": None, "sortino": math.inf})  # type: ignore[dict-item]
    assert metrics_of(trial) == {"sharpe": 1.0}


def test_speed_is_steps_over_the_seconds_of_the_trials_that_tell_them(finished: optuna.Study) -> None:
    # 1000 + 3000 steps in 10 + 10 s
    assert speed(finished.trials) == pytest.approx(200.0)
    assert speed([]) is None


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        ({"n_trades": 0.0, "n_closed": 0.0}, "makes no trade: nothing that this study tried did better in mean_reward"),
        ({"n_trades": 28.0, "n_closed": 0.0}, "never closes a trade: it opens 28 and holds them to the end"),
        ({"n_trades": 28.0, "n_closed": 3.0}, "closes 3 trades, fewer than evaluation.min_trades 5"),
        ({"n_trades": 28.0, "n_closed": 1.0}, "closes 1 trade, fewer than"),
        ({"n_trades": 9.0, "n_closed": 9.0, "total_return": -0.01}, "loses money on validation"),
    ],
)
def test_remarks_on_what_the_best_trial_does(
    study: optuna.Study, add: AddTrial, metrics: dict[str, Any], sentence: str
) -> None:
    add(0.1)
    add(0.2, metrics=metrics)
    assert any(sentence in said for said in remarks(judged(study), min_trades=5))


@pytest.mark.parametrize(
    ("metric", "direction", "told"),
    [("turnover", "minimize", True), ("stopped", "minimize", True), ("sharpe", "minimize", False)],
)
def test_of_a_minimised_metric_it_is_not_said_that_nothing_did_better(metric: str, direction: str, told: bool) -> None:
    study = optuna.create_study(direction=direction)
    for _ in range(2):
        study.add_trial(create_trial(value=0.0, user_attrs={"metrics": {"n_trades": 0.0, "n_closed": 0.0}}))
    said = remarks(judged(study, metric))
    assert "The best trial makes no trade." in said
    assert (f"Doing nothing scores 0 here: {metric} alone cannot choose a trader." in said) == told


def test_of_a_metric_that_doing_nothing_has_least_of_it_is_told_also_of_a_best_trial_that_trades() -> None:
    metrics = {"n_trades": 28.0, "n_closed": 28.0, "total_return": 0.01}
    study = optuna.create_study(direction="minimize")
    study.add_trial(create_trial(value=0.004, user_attrs={"metrics": metrics}))
    assert any("turnover alone cannot choose a trader" in said for said in remarks(judged(study, "turnover")))
    # beside another objective it is a sound one
    two = optuna.create_study(directions=["minimize", "maximize"])
    two.add_trial(create_trial(values=(0.004, 0.3), user_attrs={"metrics": metrics}))
    assert not any("alone" in said for said in remarks(judged(two, "turnover", "mean_reward")))


def test_remarks_always_say_that_choosing_on_validation_is_no_evidence(finished: optuna.Study) -> None:
    last = remarks(judged(finished))[-1]
    assert "best of 2 completed trials" in last
    assert "no evidence of an edge; only unseen bars can give one" in last


def test_remarks_on_episodes_of_a_gymnasium_environment_speak_of_no_market(finished: optuna.Study) -> None:
    last = remarks(judged(finished), of_market=False)[-1]
    assert "best of 2 completed trials was chosen by the score that it is shown with" in last
    assert "sealed" not in last


def test_remarks_when_the_default_did_not_complete(study: optuna.Study, add: AddTrial) -> None:
    add(None, TrialState.FAIL, user_attrs={"default": True})
    add(0.2)
    assert remarks(judged(study))[0].startswith("The default config did not complete")


def test_remarks_when_only_the_default_completed(study: optuna.Study, add: AddTrial) -> None:
    add(0.2)
    assert remarks(judged(study))[0] == "Only the default config has completed."


def test_a_study_without_a_completed_trial(study: optuna.Study, add: AddTrial) -> None:
    add(None, TrialState.RUNNING)
    outcome = judged(study)
    assert (outcome.best, outcome.default, outcome.improvement, outcome.front) == (None, None, None, ())
    assert remarks(outcome) == ["No trial has completed with a finite value, so there is no best trial."]
