"""Findings of studies whose truth is known, and the file that keeps them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from report.known import PARAMETERS, add, asked, drawn, spec_of

from fxai.report.insights import INSIGHTS, Finding, Insights, band, insights_of, lines, load_insights, write_insights
from fxai.report.insights import findings as parts
from fxai.study.spec import StudySpec

MIDDLE = {
    "training.learning_rate": 0.001,
    "training.gamma": 0.75,
    "training.entropy_coef": 0.01,
    "training.gae_lambda": 0.75,
    "training.n_epochs": 4,
    "model.d_model": 64,
}


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    return spec_of(tmp_path)


def place(params: Mapping[str, Any]) -> float:
    """Position of the learning rate, 0 to 1."""
    return math.log10(params["training.learning_rate"] / 0.0001) / 2.0


def found(insights: Insights) -> dict[str, Finding]:
    return {finding.kind: finding for finding in insights.findings}


def test_bands() -> None:
    assert [band(value) for value in (0.11, 0.1, 0.05, 0.049)] == ["high", "medium", "medium", "low"]


@pytest.mark.parametrize("end", ["low", "high"])
def test_a_good_end_of_a_logarithmic_range(spec: StudySpec, end: str) -> None:
    sign = 1.0 if end == "high" else -1.0
    study = drawn(spec.parameters, 60, lambda p: sign * place(p), noise=0.02, seed=1)
    finding = found(insights_of(study, spec))["edge"]
    assert (finding.severity, finding.evidence["parameter"], finding.evidence["end"]) == (
        "warning",
        "training.learning_rate",
        end,
    )
    # three tenths of two decades: a factor of 10^0.6 = 3.98
    expected = 0.01 * 10**0.6 if end == "high" else 0.0001 / 10**0.6
    assert finding.evidence["widen_to"] == pytest.approx(expected, rel=0.01)
    assert finding.evidence["good"] == 12  # a fifth of 60


def test_an_end_that_the_setting_itself_has_cannot_be_widened(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 60, lambda p: p["training.gamma"], noise=0.01, seed=1)
    finding = found(insights_of(study, spec))["edge"]
    assert (finding.severity, finding.evidence["widen_to"]) == ("info", None)
    assert finding.advice == "The setting allows nothing above 1."


def test_an_optimum_inside_and_a_choice_are_no_edges(spec: StudySpec) -> None:
    inside = drawn(spec.parameters, 60, lambda p: -abs(place(p) - 0.5), noise=0.02, seed=1)
    chosen = drawn(spec.parameters, 60, lambda p: p["model.d_model"] / 128.0, noise=0.02, seed=1)
    assert "edge" not in found(insights_of(inside, spec))
    assert "edge" not in found(insights_of(chosen, spec))


def test_a_history_that_went_flat(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 0, place)
    generator = np.random.default_rng(0)
    for i in range(45):
        params = {**MIDDLE, "training.gamma": float(generator.uniform(0.5, 1.0))}
        add(
            study,
            spec.parameters,
            params,
            min(i, 12) / 12.0 + 0.1 * float(generator.standard_normal()) - 0.5 * (i > 20),
        )
    finding = found(insights_of(study, spec))["plateau"]
    values = [trial.value for trial in study.trials]
    assert finding.evidence["last_improved"] == int(np.argmax(values))
    assert finding.evidence["since"] == 44 - int(np.argmax(values))
    assert finding.evidence["gain"] == 0.0


def test_a_study_that_still_gets_better(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 0, place)
    for i in range(30):
        add(study, spec.parameters, {**MIDDLE, "training.gamma": 0.5 + i / 60}, 0.1 * i)
    finding = found(insights_of(study, spec))["improving"]
    assert finding.evidence["gain"] == pytest.approx(1.0)  # 2.9 after 30 trials, 1.9 after the first 20
    assert "plateau" not in found(insights_of(study, spec))


def test_a_lead_that_luck_gives(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 40, lambda _: 0.0, noise=1.0, seed=7)
    insights = insights_of(study, spec)
    assert found(insights)["luck"].severity == "warning"
    assert "poe optuna-confirm known" in insights.next_steps[1]


def test_a_lead_far_beyond_luck_is_not_doubted(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 0, place)
    add(study, spec.parameters, MIDDLE, 0.0, user_attrs={"default": True})
    for i in range(30):
        add(study, spec.parameters, {**MIDDLE, "training.gamma": 0.5 + i / 60}, 5.0 + 0.01 * (i % 3))
    assert "luck" not in found(insights_of(study, spec))


def test_the_search_that_still_moves(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 0, place)
    generator = np.random.default_rng(1)
    for i in range(60):
        where = float(np.clip(i / 80.0 + 0.1 * generator.standard_normal(), 0.0, 1.0))
        params = {**MIDDLE, "training.learning_rate": 0.0001 * 100.0**where}
        add(study, spec.parameters, {**params, "training.gae_lambda": float(generator.uniform(0.5, 1.0))}, where)
    finding = found(insights_of(study, spec))["drift"]
    assert finding.evidence["parameter"] == "training.learning_rate"
    assert finding.evidence["after"] > finding.evidence["before"]


def test_in_noise_nothing_is_claimed_of_ranges_drift_or_progress(spec: StudySpec) -> None:
    """20 studies by TPE of noise alone. Edge and drift need a clear parameter (0.05), progress comes once in a hundred:
    more than four claims would come once in 150 times at a rate of 0.06."""
    claims, warned = 0, 0
    for seed in range(20):
        kinds = found(insights_of(asked(spec.parameters, 40, lambda _: 0.0, noise=1.0, seed=500 + seed), spec))
        claims += bool(kinds.keys() & {"edge", "drift", "improving"})
        warned += "luck" in kinds
    assert claims <= 4
    assert warned >= 16  # its own rate is 0.95 where the best beats the default at all


def with_pruned(spec: StudySpec, pruned: int, early: bool) -> optuna.Study:
    """30 completed trials, which were worth `end` at step 8, and as many pruned at step 2 as told."""
    study, generator = drawn(spec.parameters, 0, place), np.random.default_rng(4)
    for i in range(30):
        end = float(generator.standard_normal())
        at_2 = float(generator.standard_normal()) if early else end + 0.1 * float(generator.standard_normal())
        params = {**MIDDLE, "training.gamma": 0.5 + i / 60}
        add(study, spec.parameters, params, end, intermediate_values={2: at_2, 8: end})
    for i in range(pruned):
        params = {**MIDDLE, "training.gae_lambda": 0.5 + i / 200}
        add(study, spec.parameters, params, state=TrialState.PRUNED, intermediate_values={2: -1.0})
    return study


def test_many_pruned_trials(spec: StudySpec) -> None:
    finding = found(insights_of(with_pruned(spec, 20, early=False), spec))["pruning"]
    assert finding.evidence["rate"] == pytest.approx(0.4)  # 20 of 50
    assert "pruning" not in found(insights_of(with_pruned(spec, 12, early=False), spec))  # 12 of 42: 0.29


def test_pruned_where_the_score_says_nothing_yet(spec: StudySpec) -> None:
    finding = found(insights_of(with_pruned(spec, 10, early=True), spec))["pruned_early"]
    assert (finding.evidence["step"], finding.evidence["stopped"]) == (2, 10)
    assert finding.advice == "Set the pruner's n_warmup_steps above 2."
    assert "pruned_early" not in found(insights_of(with_pruned(spec, 10, early=False), spec))


def test_a_pruner_that_never_pruned(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, pruner={"type": "MedianPruner", "n_startup_trials": 5})
    assert "never_pruned" in found(insights_of(with_pruned(spec, 0, early=False), spec))
    without = spec_of(tmp_path)
    assert "never_pruned" not in found(insights_of(with_pruned(without, 0, early=False), without))


def test_failures_with_their_commonest_error_and_where_they_are(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 40, place, noise=0.1)
    for i in range(6):
        params = {**MIDDLE, "training.gamma": 0.5 + i / 1000}
        attrs = {"error": f"OutOfMemoryError: {100 + i} MiB" if i else "ValueError: \x1b[31mno"}
        add(study, spec.parameters, params, state=TrialState.FAIL, user_attrs=attrs)
    add(study, spec.parameters, MIDDLE, state=TrialState.FAIL, user_attrs={"error": "died", "requeued_as": 47})
    finding = found(insights_of(study, spec))["failures"]
    assert finding.severity == "warning"  # 6 of 46: 13%
    assert finding.evidence["failed"] == 6
    assert (finding.evidence["error"], finding.evidence["times"]) == ("OutOfMemoryError: … MiB.", 5)
    assert (finding.evidence["parameter"], finding.evidence["side"]) == ("training.gamma", "below")
    assert "\x1b" not in "".join(lines(insights_of(study, spec)))


def test_trainings_that_broke_off(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 40, lambda p: -place(p), noise=0.1)
    for i in range(5):
        params = {**MIDDLE, "training.learning_rate": 0.0099 - 0.0001 * i}
        add(study, spec.parameters, params, -100.0, user_attrs={"failure": "loss is not finite"})
    finding = found(insights_of(study, spec))["divergence"]
    assert (finding.evidence["broken"], finding.evidence["of"]) == (5, 45)
    assert "All had training.learning_rate 0.0095 or more" in finding.text


@pytest.mark.parametrize(("idle", "severity"), [(4, None), (5, "info"), (8, "warning")])
def test_trials_that_stand_aside(spec: StudySpec, idle: int, severity: str | None) -> None:
    study = optuna.create_study(direction="maximize")
    for i in range(15):  # of 15, more than 30% are 5, more than half are 8
        params = {**MIDDLE, "training.gamma": 0.95 + i / 1000 if i < idle else 0.6 + i / 1000}
        add(study, spec.parameters, params, 0.0, constraints={"min_trades": 1.0 if i < idle else 0.0})
    finding = found(insights_of(study, spec)).get("few_trades")
    assert (finding and finding.severity) == severity
    if finding is not None:
        assert (finding.evidence["idle"], finding.evidence["of"]) == (idle, 15)
        assert finding.text.startswith(f"{idle} of 15 completed trials close fewer than")


def test_repeated_parameters(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, [PARAMETERS[4], PARAMETERS[5]])  # 8 × 3 combinations
    study = drawn(spec.parameters, 60, lambda _: 0.0, noise=1.0)
    different = len({tuple(sorted(trial.params.items())) for trial in study.trials})
    finding = found(insights_of(study, spec))["duplicates"]
    assert finding.evidence == {"repeated": 60 - different, "trials": 60, "combinations": 24}


def test_a_slow_value_for_nothing(spec: StudySpec) -> None:
    def seconds(params: Mapping[str, Any]) -> float:
        return 30.0 if params["model.d_model"] == 128 else 12.0 if params["model.d_model"] == 64 else 10.0

    useless = drawn(spec.parameters, 60, lambda _: 0.0, noise=1.0, seconds=seconds)
    finding = found(insights_of(useless, spec))["cost"]
    assert (finding.evidence["parameter"], finding.evidence["slow"], finding.evidence["ratio"]) == (
        "model.d_model",
        "128",
        3.0,
    )
    useful = drawn(spec.parameters, 60, lambda p: float(p["model.d_model"] == 128), noise=0.2, seconds=seconds)
    assert "cost" not in found(insights_of(useful, spec))


def test_a_slow_value_is_held_against_all_others(spec: StudySpec) -> None:
    def seconds(params: Mapping[str, Any]) -> float:
        return 30.0 if params["model.d_model"] == 128 else 10.0

    # 64 is the best by far: what is slow may go, what lies between may not
    study = drawn(spec.parameters, 60, lambda p: float(p["model.d_model"] == 64), noise=0.1, seconds=seconds)
    assert found(insights_of(study, spec))["cost"].advice.startswith("Leave model.d_model 128 out")


def test_a_new_best_at_the_end_is_no_plateau(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 40, lambda _: 0.0, noise=1.0, seed=3)
    add(study, spec.parameters, study.trials[3].params, value=study.best_value + 0.1)
    assert "plateau" not in found(insights_of(study, spec))


def test_advice_names_an_option_that_the_pruner_has(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, pruner={"type": "HyperbandPruner", "min_resource": 4, "max_resource": 32})
    assert "min_resource" in found(insights_of(with_pruned(spec, 20, early=True), spec))["pruned_early"].advice


def test_several_objectives_go_by_the_first(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, metric_names=["sharpe", "max_drawdown"], directions=["maximize", "minimize"])
    study = optuna.create_study(directions=["maximize", "minimize"])
    for trial in drawn(spec.parameters, 40, place, noise=0.02).trials:
        made = optuna.trial.create_trial(
            params=trial.params, distributions=trial.distributions, values=[*trial.values, 0.1]
        )
        study.add_trial(made)
    insights = insights_of(study, spec)
    assert insights.importances[0].name == "training.learning_rate"
    assert "by sharpe alone" in insights.importance_note


def test_a_study_without_a_result_says_what_to_look_into(spec: StudySpec) -> None:
    study = drawn(spec.parameters, 0, place)
    assert insights_of(study, spec).importances == ()
    add(study, spec.parameters, MIDDLE, state=TrialState.FAIL, user_attrs={"error": "no"})
    assert insights_of(study, spec).next_steps[-1].startswith("Look into logs/")


def test_the_next_steps_of_a_finished_phase(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, phase=1, n_trials=40)
    folder = tmp_path / "results" / "known"
    folder.mkdir(parents=True)
    study = drawn(spec.parameters, 40, place, noise=0.02)
    steps = insights_of(study, spec, folder).next_steps
    places = f"--storage {spec.storage} --results-dir {folder.parent}"
    assert f"`poe optuna-confirm known {places}`" in steps[0]
    assert f"`poe optuna-refine known {places}`" in steps[1]
    assert f"`poe optuna-transfer-1to2 {places}`" in steps[-1]
    path, best = folder / "confirmation.json", study.best_trial.number
    path.write_text(json.dumps({"study": "known", "trial": best + 1, "data_hash": None}), encoding="utf-8")
    assert any("optuna-confirm" in step for step in insights_of(study, spec, folder).next_steps)
    path.write_text(json.dumps({"study": "known", "trial": best, "data_hash": None}), encoding="utf-8")
    assert not any("optuna-confirm" in step for step in insights_of(study, spec, folder).next_steps)


def test_the_file_stands_for_the_computation_until_the_study_moves(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = drawn(spec.parameters, 30, place, noise=0.1)
    path = write_insights(study, spec, tmp_path)
    assert path.name == INSIGHTS
    written = load_insights(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(parts, "measure", lambda *_: 1 / 0)
        assert insights_of(study, spec, tmp_path) == written
        before = path.stat().st_mtime_ns
        write_insights(study, spec, tmp_path)
        assert path.stat().st_mtime_ns == before
        add(study, spec.parameters, MIDDLE, 1.0)
        with pytest.raises(ZeroDivisionError):
            insights_of(study, spec, tmp_path)
    assert insights_of(study, spec, tmp_path).state.complete == 31
    longer = spec.model_copy(update={"n_trials": 99})
    assert insights_of(study, longer, tmp_path).next_steps[0].startswith("Finish the study, 31 of 99")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}', "[" * 100_000], ids=range(6))
def test_a_damaged_file_is_as_good_as_none(spec: StudySpec, tmp_path: Path, text: str) -> None:
    (tmp_path / INSIGHTS).write_text(text, encoding="utf-8")
    assert load_insights(tmp_path) is None
    study = drawn(spec.parameters, 12, place, noise=0.1)
    write_insights(study, spec, tmp_path)
    assert load_insights(tmp_path) == insights_of(study, spec, tmp_path)


def test_a_file_of_another_version_is_computed_anew(spec: StudySpec, tmp_path: Path) -> None:
    path = write_insights(drawn(spec.parameters, 12, place), spec, tmp_path)
    told = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**told, "format": 99}), encoding="utf-8")
    assert load_insights(tmp_path) is None


def test_reading_the_file_imports_nothing_heavy(spec: StudySpec, tmp_path: Path) -> None:
    write_insights(drawn(spec.parameters, 12, place, noise=0.1), spec, tmp_path)
    code = (
        "import sys; from pathlib import Path; from fxai.report.insights import lines, load_insights; "
        f"assert lines(load_insights(Path({str(tmp_path)!r}))); "
        "print([m for m in ('optuna', 'numpy', 'scipy', 'sqlalchemy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
