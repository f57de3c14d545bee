"""Pruners: the table is Optuna's own, and one that can never act is found before trial 0."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import optuna
import pytest

from fxai.config import TrainingConfig
from fxai.errors import ConfigError
from fxai.study.options import REQUIRED, PrunerSpec
from fxai.study.pruners import (
    PRUNERS,
    brackets,
    build_pruner,
    check_schedule,
    first_acting_step,
    never_fires,
    parse_pruner,
    report_steps,
)

EVERYTHING: dict[str, dict[str, Any]] = {
    "MedianPruner": {"n_startup_trials": 1, "n_warmup_steps": 2, "interval_steps": 1, "n_min_trials": 1},
    "PercentilePruner": {"percentile": 25, "n_warmup_steps": 2},
    "SuccessiveHalvingPruner": {"min_resource": 2, "reduction_factor": 2, "bootstrap_count": 1},
    "HyperbandPruner": {"min_resource": 1, "max_resource": 20, "bootstrap_count": 1},
    "ThresholdPruner": {"lower": -1.0},
    "PatientPruner": {"patience": 1, "wrapped_pruner": {"type": "MedianPruner", "n_startup_trials": 2}},
    "WilcoxonPruner": {"p_threshold": 0.2},
    "NopPruner": {},
}


def parse(raw: dict[str, Any]) -> tuple[PrunerSpec, list[str]]:
    return parse_pruner(raw, where=lambda place: "f:" + ".".join(map(str, place)), place=("pruner",))


def spec(name: str, **options: Any) -> PrunerSpec:
    return parse({"type": name, **options})[0]


def schedule(total_updates: int, eval_frequency: int) -> TrainingConfig:
    return TrainingConfig(total_updates=total_updates, eval_frequency=eval_frequency)


def test_optuna_has_no_pruner_that_a_spec_cannot_name() -> None:
    assert set(PRUNERS) == {name for name in optuna.pruners.__all__ if name.endswith("Pruner")} - {"BasePruner"}
    assert set(EVERYTHING) == set(PRUNERS)


@pytest.mark.parametrize("name", PRUNERS)
def test_options_and_defaults_are_those_of_the_installed_optuna(name: str) -> None:
    arguments = dict(inspect.signature(getattr(optuna.pruners, name)).parameters)
    arguments = {key: a for key, a in arguments.items() if a.kind not in (a.VAR_POSITIONAL, a.VAR_KEYWORD)}
    assert set(PRUNERS[name].options) == set(arguments)
    for key, option in PRUNERS[name].options.items():
        default = arguments[key].default
        if key == "wrapped_pruner":  # required by Optuna, may be None; a spec that leaves it out means None
            continue
        assert option.default == (REQUIRED if default is inspect.Parameter.empty else default), key


@pytest.mark.parametrize("name", PRUNERS)
def test_each_pruner_is_built_without_a_warning(name: str) -> None:
    assert type(build_pruner(spec(name, **EVERYTHING[name]))) is getattr(optuna.pruners, name)


def test_a_patient_pruner_needs_no_wrapped_one() -> None:
    build_pruner(spec("PatientPruner", patience=2))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"type": "MedianPrunr"},
            "f:pruner.type: pruner: there is no pruner the text 'MedianPrunr'\nhint: did you mean Me",
        ),
        ({"type": "MedianPruner", "n_warmup": 3}, "f:pruner.n_warmup: pruner: MedianPruner has no option 'n_warmup'"),
        ({"type": "NopPruner", "patience": 3}, "NopPruner has no option 'patience'\nhint: NopPruner has no options"),
        ({"type": "PercentilePruner"}, "f:pruner: pruner: PercentilePruner needs the option percentile"),
        ({"type": "PercentilePruner", "percentile": 200}, "option percentile must be ≤ 100, got 200"),
        ({"type": "ThresholdPruner"}, "f:pruner: pruner: ThresholdPruner needs lower or upper"),
        ({"type": "ThresholdPruner", "lower": 2, "upper": 1}, "ThresholdPruner has lower 2 above upper 1"),
        ({"type": "ThresholdPruner", "lower": float("nan")}, "option lower must be a finite number, got nan"),
        ({"type": "HyperbandPruner", "max_resource": "all"}, "option max_resource must be a whole number or auto, got"),
        ({"type": "HyperbandPruner", "max_resource": 2, "min_resource": 3}, "has max_resource 2 below min_resource 3"),
        ({"type": "HyperbandPruner", "bootstrap_count": 2}, "with bootstrap_count needs max_resource as a number"),
        (
            {"type": "SuccessiveHalvingPruner", "bootstrap_count": 2},
            "with bootstrap_count needs min_resource as a number",
        ),
        ({"type": "PatientPruner", "patience": 1, "wrapped_pruner": 3}, "option wrapped_pruner must be a mapping"),
        (
            {"type": "PatientPruner", "patience": 1, "wrapped_pruner": {"type": "MedianPruner", "x": 1}},
            "f:pruner.wrapped_pruner.x: pruner: MedianPruner has no option 'x'",
        ),
    ],
)
def test_options_are_checked_without_optuna(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(raw)
    assert message in str(caught.value)


def test_wilcoxon_is_warned_about() -> None:
    assert "takes reports for independent problems" in parse({"type": "WilcoxonPruner"})[1][0]


@pytest.mark.parametrize(
    ("total", "every", "steps"),
    [(30, 10, [10, 20, 30]), (25, 10, [10, 20, 25]), (5, 10, [5]), (3, 1, [1, 2, 3])],
)
def test_reports_come_at_each_evaluation_and_at_the_end(total: int, every: int, steps: list[int]) -> None:
    assert report_steps(schedule(total, every)) == steps


@pytest.mark.parametrize(
    ("pruner", "reason"),
    [
        # Reports at updates 10, 20, 30; those before the end are 10 and 20.
        (spec("NopPruner"), None),
        (spec("MedianPruner", n_warmup_steps=20), None),
        (
            spec("MedianPruner", n_warmup_steps=21),
            "waits until update 21; the last report before a trial's end is at update 20",
        ),
        (spec("ThresholdPruner", lower=0, n_warmup_steps=25), "waits until update 25"),
        (
            spec("SuccessiveHalvingPruner", min_resource=5, reduction_factor=2, min_early_stopping_rate=2),
            None,
        ),  # 5 × 2²
        (
            spec("SuccessiveHalvingPruner", min_resource=11, reduction_factor=2, min_early_stopping_rate=1),
            "until update 22",
        ),
        (spec("SuccessiveHalvingPruner"), None),
        (spec("HyperbandPruner", min_resource=20), None),
        (spec("HyperbandPruner", min_resource=21), "waits until update 21"),
        (spec("PatientPruner", patience=0), None),
        (spec("PatientPruner", patience=1), "needs 3 reports, and a trial makes 2 before its end"),
        (
            spec("PatientPruner", patience=0, wrapped_pruner={"type": "MedianPruner", "n_warmup_steps": 21}),
            "until update 21",
        ),
        # two reports that are both worse have the p-value 0.5² = 0.25
        (spec("WilcoxonPruner", p_threshold=0.3), None),
        (spec("WilcoxonPruner", p_threshold=0.25), "needs 3 reports, and a trial makes 2 before its end"),
        (spec("WilcoxonPruner"), "needs 4 reports"),  # 0.5³ = 0.125 is not below 0.1, 0.5⁴ is
        (spec("WilcoxonPruner", p_threshold=0.3, n_startup_steps=3), "needs 3 reports"),
        (spec("WilcoxonPruner", p_threshold=0), "no number of reports gets its p-value below 0"),
        (spec("PatientPruner", patience=0, wrapped_pruner={"type": "NopPruner"}), "NopPruner stops none"),
        (
            # patience lets the second report through, and an interval of 100 updates looks at the first alone
            spec("PatientPruner", patience=0, wrapped_pruner={"type": "MedianPruner", "interval_steps": 100}),
            "after 2 reports, from update 20 on, MedianPruner looks at no other",
        ),
        (
            spec("PatientPruner", patience=0, wrapped_pruner={"type": "WilcoxonPruner", "p_threshold": 0.2}),
            "needs 3 reports",
        ),
    ],
)
def test_whether_a_pruner_can_ever_act(pruner: PrunerSpec, reason: str | None) -> None:
    got = never_fires(pruner, schedule(30, 10))
    assert got is None if reason is None else reason in str(got)


def test_one_report_only_is_never_enough() -> None:
    assert "reports only once, at its end, update 30" in str(never_fires(spec("MedianPruner"), schedule(30, 30)))


OF_EVERY_KIND = [
    {"type": "MedianPruner", "n_startup_trials": 1},
    {"type": "MedianPruner", "n_startup_trials": 1, "n_warmup_steps": 7},
    {"type": "MedianPruner", "n_startup_trials": 1, "n_warmup_steps": 5, "interval_steps": 6},
    {"type": "PercentilePruner", "percentile": 25, "n_startup_trials": 1, "n_warmup_steps": 20},
    {"type": "ThresholdPruner", "lower": 0.5, "n_warmup_steps": 9},
    {"type": "SuccessiveHalvingPruner", "reduction_factor": 2},
    {"type": "SuccessiveHalvingPruner", "min_resource": 3, "reduction_factor": 2, "min_early_stopping_rate": 1},
    {"type": "SuccessiveHalvingPruner", "min_resource": 40},
    {"type": "HyperbandPruner", "min_resource": 30, "max_resource": 32},  # one bracket
    {"type": "HyperbandPruner", "min_resource": 6, "max_resource": 8},
    {"type": "PatientPruner", "patience": 0},
    {"type": "PatientPruner", "patience": 3},
    {"type": "PatientPruner", "patience": 20},
    {"type": "WilcoxonPruner", "p_threshold": 0.2},
    {"type": "WilcoxonPruner"},
    {"type": "WilcoxonPruner", "p_threshold": 0.001},
    {"type": "WilcoxonPruner", "n_startup_steps": 6},
    {"type": "NopPruner"},
]
WRAPPED = [{"type": "PatientPruner", "patience": 1, "wrapped_pruner": raw} for raw in OF_EVERY_KIND[:-1]]


@pytest.mark.parametrize("raw", OF_EVERY_KIND + WRAPPED, ids=str)
@pytest.mark.parametrize("every", [2, 5])
def test_optuna_agrees_about_the_first_step_of_every_pruner(raw: dict[str, Any], every: int) -> None:
    """Four trials near 1 that fall a little, so that patience ends for them too, then one that falls and falls: nothing
    ever gives better reason to stop a trial."""
    pruner, training = parse(raw)[0], schedule(30, every)
    with warnings.catch_warnings():  # what Wilcoxon thinks of the last step that the bad trial has not reported
        warnings.simplefilter("ignore")
        study = optuna.create_study(direction="maximize", pruner=build_pruner(pruner))
        for k in range(4):
            good = study.ask()
            for step in report_steps(training):
                good.report(1.0 - step * (1 + k * step) / 10_000, step)  # no two differ alike: ties are slow to test
                good.should_prune()
            study.tell(good, 1.0)
        bad, stopped = study.ask(), None
        for i, step in enumerate(report_steps(training)[:-1]):
            bad.report(0.0 - i - i * i / 100, step)
            if bad.should_prune():
                stopped = step
                break
    assert first_acting_step(pruner, training) == stopped
    assert (never_fires(pruner, training) is None) is (stopped is not None or pruner.type == "NopPruner")


def test_the_brackets_are_optunas() -> None:
    # min 4, factor 3, max 36: rungs begin at 4, 12 and 36; budgets ⌈3·9/3⌉ = 9, ⌈3·3/2⌉ = 5, ⌈3·1/1⌉ = 3 of 17
    assert brackets(spec("HyperbandPruner", min_resource=4, max_resource=36), schedule(36, 4)) == [
        (4, 9 / 17),
        (12, 5 / 17),
        (36, 3 / 17),
    ]
    for smallest, largest, factor in ((1, 27, 3), (2, 100, 3), (1, 31, 2), (5, 5, 4), (3, 80, 4)):
        pruner = optuna.pruners.HyperbandPruner(min_resource=smallest, max_resource=largest, reduction_factor=factor)
        pruner._try_initialization(optuna.create_study())
        own = spec("HyperbandPruner", min_resource=smallest, max_resource=largest, reduction_factor=factor)
        total = pruner._total_trial_allocation_budget
        assert brackets(own, schedule(30, 5)) == [
            (p._min_resource * factor**p._min_early_stopping_rate, budget / total)
            for p, budget in zip(pruner._pruners, pruner._trial_allocation_budgets, strict=True)
        ]


def test_brackets_that_stop_nothing_are_warned_about() -> None:
    def check(**options: int) -> list[str]:
        return check_schedule(
            spec("HyperbandPruner", **options), schedule(30, 10), 20, where=lambda _: "f:1", place=("pruner",)
        )

    assert check(min_resource=10, max_resource=30) == []  # ⌈2·3/2⌉ = 3 of 5 trials have their rung at 10
    # brackets begin at 20 (3 of 5 trials) and 60; update 20 is the last report before the end
    assert check(min_resource=20, max_resource=60) == []
    # brackets begin at 1, 3, 9 and 27, budgets ⌈4·27/4⌉ = 27, 12, 6, 4: only 4 of 49 trials are spared
    assert check(min_resource=1, max_resource=30) == []
    # of brackets at 20, 40, …, 640 with factor 2 the first has ⌈6·32/6⌉ = 32 of 32+20+12+8+6+6 = 84 trials
    (warning,) = check(min_resource=20, max_resource=640, reduction_factor=2)
    assert "will stop none of 62% of the trials" in warning


@pytest.mark.parametrize("first", range(18, 23))
def test_optuna_agrees_about_the_first_step_of_a_median_pruner(first: int) -> None:
    pruner = spec("MedianPruner", n_startup_trials=1, n_warmup_steps=first)
    study = optuna.create_study(direction="maximize", pruner=build_pruner(pruner))
    pruned = []
    for value in (1.0, 0.0):  # the second is worse than the median, 1.0, at every step
        trial = study.ask()
        for step in report_steps(schedule(30, 10))[:-1]:
            trial.report(value, step)
            if trial.should_prune():
                pruned.append(step)
        study.tell(trial, value)
    assert bool(pruned) is (never_fires(pruner, schedule(30, 10)) is None)


def test_a_schedule_that_never_prunes_is_refused_and_a_short_study_warned_about() -> None:
    def check(pruner: PrunerSpec, n_trials: int) -> list[str]:
        return check_schedule(pruner, schedule(30, 10), n_trials, where=lambda _: "f:1", place=("pruner",))

    with pytest.raises(ConfigError) as caught:
        check(spec("MedianPruner", n_warmup_steps=25), 20)
    assert str(caught.value) == (
        "f:1: pruner: MedianPruner can never stop a trial: it waits until update 25; the last report before a trial's "
        "end is at update 20\n"
        "hint: report steps are update numbers (total_updates 30, eval_frequency 10): evaluate more often, lower the "
        "pruner's steps, or use NopPruner"
    )
    assert check(spec("MedianPruner"), 6) == []
    assert check(spec("MedianPruner"), 5) == [
        "f:1: pruner: MedianPruner starts after 5 finished trials, and the study has 5: it will stop none"
    ]
    assert check(spec("HyperbandPruner"), 1) == []
