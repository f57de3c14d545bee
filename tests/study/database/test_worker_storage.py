"""A worker's storage against plain Optuna: the same trials drawn, pruned and stored, in fewer transactions."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fakes
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.search_space import IntersectionSearchSpace
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import event
from sqlalchemy.dialects import postgresql

from fxai.study import space
from fxai.study.database import budget, rows
from fxai.study.database.storage import load_study, open_storage
from fxai.study.database.worker_storage import WorkerStorage
from fxai.study.fingerprint import open_study
from fxai.study.objective import Report, TrialRequest
from fxai.study.owner import Owner
from fxai.study.pruners import build_pruner
from fxai.study.samplers import build_sampler
from fxai.study.sampling import Intersection, make_quick
from fxai.study.spec import StudySpec
from fxai.study.workers.slots import Slot
from fxai.study.workers.worker import Worker, WorkerSetup

N_TRIALS = 9
UPDATES = 5
ME = Owner.current()

MIXED: list[dict[str, Any]] = [
    {"name": "training.learning_rate", "type": "float_log", "low": 1e-4, "high": 1e-2},
    {"name": "training.n_epochs", "type": "int", "low": 1, "high": 5},
    {"name": "model.d_model", "type": "categorical", "choices": [32, 64]},
    {
        "name": "model.dropout",
        "type": "float",
        "low": 0.0,
        "high": 0.4,
        "step": 0.1,
        "when": {"model.d_model": 64},
    },
]
FINITE = [MIXED[1], MIXED[2]]

SAMPLERS: dict[str, dict[str, Any]] = {
    "TPESampler": {"n_startup_trials": 3},
    "CmaEsSampler": {},
    "RandomSampler": {},
    "GridSampler": {},
    "QMCSampler": {},
    "GPSampler": {"n_startup_trials": 5},
    "NSGAIISampler": {"population_size": 3},
    "NSGAIIISampler": {"population_size": 3},
    "BruteForceSampler": {},
}
PRUNERS: dict[str, dict[str, Any]] = {
    "MedianPruner": {"n_startup_trials": 2},
    "PercentilePruner": {"percentile": 60.0, "n_startup_trials": 1},
    "SuccessiveHalvingPruner": {"min_resource": 1, "reduction_factor": 2},
    "HyperbandPruner": {"min_resource": 1, "max_resource": 5, "reduction_factor": 2},
    "ThresholdPruner": {"lower": -3.0},
    "PatientPruner": {"patience": 0, "wrapped_pruner": {"type": "MedianPruner", "n_startup_trials": 1}},
    "WilcoxonPruner": {},
    "NopPruner": {},
}


def curve(params: dict[str, Any]) -> list[float]:
    """What a trial reports after its updates 1 to 5; some curves rise and some fall, so that pruners have work."""
    end = -((params["training.n_epochs"] - 3) ** 2) + params["model.d_model"] / 64
    end -= abs(params.get("training.learning_rate", 0.0) - 1e-3) * 100
    slope = 0.3 * (params["training.n_epochs"] % 3 - 1)
    return [end + (step - UPDATES) * slope for step in range(1, UPDATES + 1)]


def objective(request: TrialRequest) -> Iterator[Report]:
    """The curve of the request's configuration."""
    config = request.config
    params = {
        "training.n_epochs": config.training.n_epochs,
        "model.d_model": config.model.d_model,
        "training.learning_rate": config.training.learning_rate,
    }
    for step, value in enumerate(curve(params), start=1):
        yield replace(fakes.report(step, value), total_steps=UPDATES)


def spec_of(folder: Path, sampler: str, pruner: str) -> StudySpec:
    folder.mkdir(exist_ok=True)
    finite = sampler in ("GridSampler", "BruteForceSampler")
    return fakes.load(
        folder,
        n_trials=N_TRIALS,
        sampler={"type": sampler, "seed": 7, **SAMPLERS[sampler]},
        pruner={"type": pruner, **PRUNERS[pruner]},
        parameters=FINITE if finite else MIXED,
        training_config={"evaluation": {"min_trades": 0}, "training": {"total_updates": UPDATES, "eval_frequency": 1}},
    )


def run_worker(spec: StudySpec, folder: Path) -> Worker:
    study = open_study(open_storage(spec.storage, create=True), spec, None)
    setup = WorkerSetup(
        slot=Slot(0), spec=spec, study_seed=study.user_attrs["seed"], folder=folder, objective="fakes:quadratic"
    )
    worker = Worker(setup, lambda _: None, threading.Event(), threading.Event())
    worker._objective = objective
    assert worker.run() == "budget"
    return worker


def run_plain(spec: StudySpec) -> None:
    """The same study with Optuna's own ask and tell, on its own storage."""
    study = open_study(open_storage(spec.storage, create=True), spec, None)
    study.pruner = build_pruner(spec.pruner)
    for number in range(spec.n_trials):
        seed = budget.sampler_seed(study.user_attrs["seed"], number)
        study.sampler = build_sampler(spec.sampler, spec.parameters, seed)
        trial = study.ask()
        params = space.suggest(trial, spec.parameters)
        base = {"training.learning_rate": spec.base.training.learning_rate}
        for step, value in enumerate(curve({**base, **params}), start=1):
            trial.report(value, step)
            if number > 0 and step < UPDATES and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                break
        else:
            study.tell(trial, value)


def stored(spec: StudySpec) -> list[FrozenTrial]:
    """As plain Optuna reads them."""
    return load_study(open_storage(spec.storage, create=False), spec.study_name).get_trials()


PAIRS = [
    *((sampler, "SuccessiveHalvingPruner") for sampler in SAMPLERS),  # a pruner that keeps notes in the trials
    *(("TPESampler", pruner) for pruner in PRUNERS if pruner != "SuccessiveHalvingPruner"),
    ("CmaEsSampler", "HyperbandPruner"),  # one that shows a sampler some trials only
]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize(("sampler", "pruner"), PAIRS)
def test_a_worker_draws_prunes_and_stores_what_plain_optuna_does(tmp_path, sampler, pruner):
    ours, plain = spec_of(tmp_path / "ours", sampler, pruner), spec_of(tmp_path / "plain", sampler, pruner)
    worker = run_worker(ours, tmp_path / "ours")
    run_plain(plain)
    mine, theirs = stored(ours), stored(plain)
    assert len(mine) == len(theirs) == N_TRIALS
    for ours_one, theirs_one in zip(mine, theirs, strict=True):
        assert ours_one.params == theirs_one.params
        assert list(ours_one.params) == list(theirs_one.params)  # and in this order
        assert ours_one.distributions == theirs_one.distributions
        assert ours_one.intermediate_values == theirs_one.intermediate_values
        assert (ours_one.state, ours_one.values) == (theirs_one.state, theirs_one.values)
        assert ours_one.system_attrs == theirs_one.system_attrs
    # What the worker remembers of the trials that it ran is what the database has of them.
    assert worker._memory.get_all_trials(worker.study._study_id) == mine
    if pruner not in ("NopPruner", "PatientPruner", "WilcoxonPruner"):
        assert TrialState.PRUNED in {trial.state for trial in mine}


def test_the_points_of_a_study_are_those_of_earlier_versions(tmp_path):
    spec = spec_of(tmp_path / "ours", "TPESampler", "NopPruner")
    run_worker(spec, tmp_path / "ours")
    rates = [trial.params["training.learning_rate"] for trial in stored(spec)]
    # Written down from the version that had Optuna's storage between worker and database.
    assert rates == PINNED_RATES


PINNED_RATES = [
    0.0003,
    0.0012753531892872121,
    0.0005308709171583583,
    0.00010293231579650667,
    0.00010079025829156896,
    0.006748653686427648,
    0.009564593952600843,
    0.0017517508177431358,
    0.00054554381799373,
]


def statements(storage: RDBStorage) -> list[str]:
    """Fills with what is sent to the database."""
    sent: list[str] = []

    @event.listens_for(storage.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    return sent


def test_a_trial_of_five_reports_is_eight_writing_transactions(tmp_path):
    spec = spec_of(tmp_path / "ours", "TPESampler", "NopPruner")
    study = open_study(open_storage(spec.storage, create=True), spec, None)
    setup = WorkerSetup(
        slot=Slot(0), spec=spec, study_seed=study.user_attrs["seed"], folder=tmp_path, objective="fakes:quadratic"
    )
    worker = Worker(setup, lambda _: None, threading.Event(), threading.Event())
    worker._objective = objective
    sent = statements(worker.storage)
    assert worker.run() == "budget"
    # claim, parameters, five reports, the end; and the claim that finds the budget spent
    assert sent.count("BEGIN IMMEDIATE") == N_TRIALS * 8 + 1


@pytest.fixture
def pair(tmp_path: Path) -> tuple[WorkerStorage, WorkerStorage, int]:
    """The storages of two workers of a study, each with its running trial (0 and 1), and the study's id."""
    spec = spec_of(tmp_path / "study", "RandomSampler", "NopPruner")
    study = open_study(open_storage(spec.storage, create=True), spec, None)
    both = (WorkerStorage(open_storage(spec.storage, create=False)) for _ in range(2))
    first, second = both
    for storage in (first, second):
        trial_id = budget.claim(storage._backend, study._study_id, 9, ME)
        assert trial_id is not None
        storage.adopt(study._study_id, trial_id)
    return first, second, study._study_id


UNIT = FloatDistribution(0.0, 1.0)


def test_others_see_what_was_flushed_and_a_trial_that_finishes_late_is_not_lost(pair):
    first, second, study_id = pair
    ids = [first._mine._trial_id, second._mine._trial_id]
    first.set_trial_param(ids[0], "x", 0.25, UNIT)
    first.set_trial_system_attr(ids[0], "rung", 1.5)
    assert first.get_trial(ids[0]).params == {"x": 0.25}
    assert second.get_all_trials(study_id)[0].params == {}
    first.flush()
    assert second.get_all_trials(study_id)[0].params == {"x": 0.25}
    assert second.get_all_trials(study_id)[0].system_attrs["rung"] == 1.5
    # The younger trial ends first: what lies below it must still be looked at.
    second.set_trial_state_values(ids[1], TrialState.COMPLETE, [2.0])
    assert [t.state.name for t in second.get_all_trials(study_id)] == ["RUNNING", "COMPLETE"]
    first.set_trial_state_values(ids[0], TrialState.COMPLETE, [1.0])
    for storage in pair[:2]:
        assert [trial.values for trial in storage.get_all_trials(study_id)] == [[1.0], [2.0]]
        assert storage.get_all_trials(study_id) == storage._backend.get_all_trials(study_id)


def test_what_a_caller_got_does_not_change_under_it(pair):
    first, _, study_id = pair
    trial_id = first._mine._trial_id
    before = first.get_all_trials(study_id, deepcopy=False)[0]
    first.set_trial_param(trial_id, "x", 0.25, UNIT)
    first.set_trial_intermediate_value(trial_id, 1, 3.0)
    assert (before.params, before.intermediate_values) == ({}, {})
    after = first.get_all_trials(study_id, deepcopy=False)[0]
    assert (after.params, after.intermediate_values) == ({"x": 0.25}, {1: 3.0})


@pytest.mark.parametrize("last", ["flush", "report", "finish"])
def test_a_trial_that_was_taken_away_is_written_no_more(pair, last):
    first, _, study_id = pair
    trial_id = first._mine._trial_id
    first.set_trial_param(trial_id, "x", 0.25, UNIT)
    budget.requeue(first._backend, trial_id, "no heartbeat", blame=True)
    write = {
        "flush": first.flush,
        "report": partial(first.set_trial_intermediate_value, trial_id, 1, 3.0),
        "finish": partial(first.set_trial_state_values, trial_id, TrialState.COMPLETE, [1.0]),
    }[last]
    with pytest.raises(UpdateFinishedTrialError):
        write()
    first.disown()
    taken = first.get_all_trials(study_id)[0]
    assert taken == first._backend.get_trial(trial_id)
    assert (taken.state, taken.params, taken.intermediate_values, taken.values) == (TrialState.FAIL, {}, {}, None)


def test_a_finished_trial_leaves_nothing_to_be_written(pair):
    first, _, study_id = pair
    trial_id = first._mine._trial_id
    first.set_trial_user_attr(trial_id, "metrics", {"sharpe": 1.0, "pair": (1, 2)})
    first.set_trial_state_values(trial_id, TrialState.FAIL)
    stored_one = first._backend.get_trial(trial_id)
    assert stored_one.user_attrs["metrics"] == {"sharpe": 1.0, "pair": [1, 2]}  # as JSON has it
    assert first.get_all_trials(study_id)[0] == stored_one
    assert first.get_trial(trial_id) == stored_one


def test_other_categories_than_the_study_has_are_refused(pair):
    first, second, _ = pair
    first.set_trial_param(first._mine._trial_id, "kind", 0, CategoricalDistribution(("a", "b")))
    first.flush()
    with pytest.raises(ValueError, match="CategoricalDistribution does not support dynamic value space"):
        second.set_trial_param(second._mine._trial_id, "kind", 0, CategoricalDistribution(("a", "c")))


def test_a_later_value_of_an_attribute_or_a_report_replaces_the_earlier_one(pair):
    first, _, _ = pair
    trial_id = first._mine._trial_id
    for value in (1.0, 2.0):
        first.set_trial_user_attr(trial_id, "note", value)
        first.set_trial_intermediate_value(trial_id, 1, value)
    stored_one = first._backend.get_trial(trial_id)
    assert (stored_one.user_attrs["note"], stored_one.intermediate_values) == (2.0, {1: 2.0})


def test_postgresql_gets_its_own_words():
    dialect = postgresql.dialect()
    upsert = rows._upsert("postgresql", rows.REPORTS, "step", ("intermediate_value",))
    assert "ON CONFLICT (trial_id, step) DO UPDATE SET" in str(upsert.compile(dialect=dialect))
    for query in (rows._STATE, budget._STUDY, budget._WAITING):
        assert str(query.compile(dialect=dialect)).endswith("FOR UPDATE")


def trial_of(params: dict[str, float], distributions: dict[str, BaseDistribution], state: TrialState) -> FrozenTrial:
    trial = create_trial(state=state, value=0.0, params=params, distributions=distributions)
    trial.state = state
    return trial


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("include_pruned", [True, False])
def test_the_common_parameters_are_those_that_optuna_finds(seed, include_pruned):
    rng = random.Random(seed)
    study = optuna.create_study(storage=None)
    wide = {"a": UNIT, "b": UNIT, "c": FloatDistribution(0.0, 2.0)}
    other = {**wide, "c": FloatDistribution(0.0, 3.0)}  # one name, two ranges: in no common space
    for _ in range(12):
        full = rng.choice([wide, wide, wide, other] if seed else [wide])
        kept = {name: full[name] for name in full if name == "a" or rng.random() < (0.9 if seed else 1.0)}
        state = rng.choice([TrialState.COMPLETE, TrialState.PRUNED])
        study.add_trial(trial_of(dict.fromkeys(kept, 0.5), kept, state))
    found = Intersection(include_pruned=include_pruned).calculate(study)
    expected = IntersectionSearchSpace(include_pruned=include_pruned).calculate(study)
    assert found == expected
    assert list(found) == list(expected)
    assert list(found) == ["a", "b", "c"] or seed


def test_tpe_sees_the_same_numbers_with_and_without_a_memory():
    space_of = {"a": UNIT, "k": CategoricalDistribution(("x", "y")), "n": optuna.distributions.IntDistribution(1, 9)}
    study = optuna.create_study(storage=None)
    for number in range(6):
        params = {"a": number / 6, "k": "xy"[number % 2], "n": number + 1}
        names = list(space_of)[: 2 + (number != 3)]  # trial 3 has no n: it is left out
        kept = {name: space_of[name] for name in names}
        study.add_trial(trial_of({name: params[name] for name in names}, kept, TrialState.COMPLETE))
    trials = study.get_trials()
    seen: dict[Any, Any] = {}
    quick = make_quick(optuna.samplers.TPESampler(seed=1), seen)
    for _ in range(2):  # the second time from memory
        found = quick._get_internal_repr(trials, space_of, study)  # type: ignore[attr-defined]
        expected = optuna.samplers.TPESampler()._get_internal_repr(trials, space_of, study)
        assert {name: column.tolist() for name, column in found.items()} == {
            name: column.tolist() for name, column in expected.items()
        }
        assert {name: column.dtype for name, column in found.items()} == {
            name: column.dtype for name, column in expected.items()
        }
        assert found["n"].tolist() == [1, 2, 3, 5, 6]
    assert len(seen[tuple(space_of)]) == 6
    nothing = quick._get_internal_repr([], space_of, study)  # type: ignore[attr-defined]
    assert {name: len(column) for name, column in nothing.items()} == {"a": 0, "k": 0, "n": 0}
