"""Notes of trials and studies: every state, and words of others as code, never as markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.trial import TrialState

from fxai.report.notes import notebook, study_note
from fxai.report.outcome import outcome_of


@pytest.fixture
def book(finished, spec):
    """The study of `finished`: default 0.10, best 0.30, pruned, queued again, failed."""
    return notebook(spec, outcome_of(finished, spec.metric_names), Path("optuna_results/fx_ai_quick"))


def notes(book):
    return [book.of_trial(trial) for trial in book.outcome.trials]


def test_each_state_says_what_became_of_the_trial(book):
    default, best, pruned, requeued, failed = notes(book)
    assert default.startswith("**`mean_reward` 0.1**, place 2 of 2 completed trials; this is the default config")
    assert best.startswith(
        "**`mean_reward` 0.3**, place 1 of 2 completed trials; the default config (trial 0) has 0.1.\n\n"
        "**The best trial of the study.**"
    )
    # at update 5 the best had 0.2 and this one 0.02: median 0.11
    assert pruned.startswith("**Pruned** at update 5: `mean_reward` 0.02 there, where the median of 2 trials is 0.11.")
    assert requeued.startswith("**Failed**.\n\nError: `worker died`\n\nIts parameters were queued again as trial `4`.")
    assert "It repeats trial `3`, which was cut short." in failed


def test_metrics_stand_beside_the_defaults(book):
    best = notes(book)[1]
    assert "| metric | this trial | default config |\n| --- | ---: | ---: |" in best
    assert "| `total_return` | 3.12% | 1.00% |" in best
    assert "| `max_drawdown` | 8.00% | – |" in best
    assert "| metric | this trial |\n" in notes(book)[0]


def test_a_trial_with_a_config_says_how_to_go_on(book):
    default, best, *_ = notes(book)
    assert (
        "poe train \\\n  --config optuna_results/fx_ai_quick/trials/0001/config.yaml \\\n"
        "  --ruler optuna_results/fx_ai_quick/ruler.yaml \\\n"
        "  --out optuna_results/fx_ai_quick/trials/0001/trained\n" in best
    )
    assert "--weights optuna_results/fx_ai_quick/trials/0001/trained/weights.safetensors" in best
    assert "poe train" not in default


def test_few_trades_and_divergence_are_said(study, add, spec):
    add(0.5, constraints={"min_trades": 3.0})
    add(-1000.0, user_attrs={"failure": "loss was not finite"})
    first, second = notes(notebook(spec, outcome_of(study, spec.metric_names), Path("x")))
    assert "It closes fewer trades than `evaluation.min_trades` (5)" in first
    assert "The training diverged: `loss was not finite`" in second


def test_places_are_those_of_trials_that_can_be_best(study, add, spec):
    add(0.9, constraints={"min_trades": 3.0})
    add(0.1, constraints={"min_trades": 0.0})
    first, second = notes(notebook(spec, outcome_of(study, spec.metric_names), Path("x")))
    assert "place 2 of 2" in first
    assert "place 1 of 2" in second
    assert "**The best trial of the study.**" in second


def test_words_of_others_are_no_markup(study, add, spec):
    add(state=TrialState.FAIL, user_attrs={"error": "a`b\n# c | ![x](http://evil.example)", "device": "<b>`"})
    (note,) = notes(notebook(spec, outcome_of(study, spec.metric_names), Path("x")))
    assert "Error: `a'b # c ¦ ![x](http://evil.example)`" in note
    assert "on `<b>'`" in note


def test_the_study_in_a_note(finished, spec):
    note = study_note(spec, outcome_of(finished, spec.metric_names), ["No *edge* <here>."], [("report", "/a/b")])
    assert note.startswith("**Best: trial 1, `mean_reward` 0.3**; default config 0.1.")
    assert "| metric | best | default config |" in note
    assert "No \\*edge\\* \\<here\\>." in note
    assert note.endswith("[report](/a/b)")


def test_a_study_without_trials_has_a_note(study, spec):
    assert study_note(spec, outcome_of(study, spec.metric_names), ["Nothing yet."]) == "Nothing yet."
