"""The worker's loop, run in this process with objectives that train nothing."""

from __future__ import annotations

import errno
import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import optuna
import pytest

from fxai.config.load import load_trial_config
from fxai.errors import DataError, FxaiError, StorageError
from fxai.evaluate.curve import EquityCurve
from fxai.study.database import budget
from fxai.study.database.storage import open_storage
from fxai.study.fingerprint import open_study
from fxai.study.objective import Report, TrialRequest
from fxai.study.spec import StudySpec
from fxai.study.workers import turns
from fxai.study.workers.lock import study_lock
from fxai.study.workers.slots import Slot
from fxai.study.workers.worker import Worker, WorkerSetup, _one_line


@dataclass
class Run:
    """A worker that ran here, and all it said."""

    spec: StudySpec
    folder: Path
    objective: Callable[[TrialRequest], Iterator[Report]]
    events: list[dict[str, Any]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    drain: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.study = open_study(open_storage(self.spec.storage, create=True), self.spec, None)
        seed = self.study.user_attrs["seed"]
        setup = WorkerSetup(
            slot=Slot(0), spec=self.spec, study_seed=seed, folder=self.folder, objective="fakes:quadratic"
        )
        self.worker = Worker(setup, self.events.append, self.stop, self.drain)
        self.worker._objective = self.objective

    def go(self) -> str:
        return self.worker.run()

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    @property
    def states(self) -> list[str]:
        return [trial.state.name for trial in self.trials]

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["kind"] == kind]


def gives(*reports: Report) -> Callable[[TrialRequest], Iterator[Report]]:
    def objective(_: TrialRequest) -> Iterator[Report]:
        yield from reports

    return objective


def test_a_budget_of_four_is_four_trials_and_the_first_has_the_defaults(tmp_path):
    run = Run(fakes.load(tmp_path), tmp_path, fakes.quadratic)
    assert run.go() == "budget"
    assert run.states == ["COMPLETE"] * 4
    first = run.trials[0]
    assert first.params == {"training.learning_rate": 3e-4}
    # (0.3 − 1)² = 0.49; before it −0.49 − 2 and −0.49 − 1
    assert first.values == pytest.approx([-0.49])
    assert first.intermediate_values == pytest.approx({1: -2.49, 2: -1.49, 3: -0.49})
    assert first.user_attrs["default"] is True


def test_a_trial_records_what_it_was(tmp_path):
    run = Run(fakes.load(tmp_path, n_trials=2), tmp_path, fakes.quadratic)
    run.go()
    trial = run.trials[1]
    attrs = trial.user_attrs
    assert attrs["seed"] == budget.trial_seed(7, 1)  # the sampler's seed is the study's
    assert (attrs["env_steps"], attrs["device"], attrs["error"], attrs["failure"]) == (300, "cpu", None, None)
    assert attrs["metrics"]["sharpe"] == trial.values[0]
    assert {"python", "torch", "optuna"} <= set(attrs["versions"])
    assert "git_commit" in attrs
    config = load_trial_config(tmp_path / attrs["config_file"])
    assert config.training.learning_rate == trial.params["training.learning_rate"]
    assert config.training.seed == attrs["seed"]
    assert attrs["config_file"] == "trials/0001/config.yaml"


def test_events_tell_the_whole_story(tmp_path):
    run = Run(fakes.load(tmp_path, n_trials=1), tmp_path, fakes.quadratic)
    run.go()
    assert [event["kind"] for event in run.events] == ["trial_started", *["report"] * 3, "trial_finished"]
    assert run.said("trial_started")[0]["params"] == {"training.learning_rate": 3e-4}
    assert [event["step"] for event in run.said("report")] == [1, 2, 3]
    assert run.said("trial_finished")[0]["state"] == "COMPLETE"


def test_a_resumed_study_draws_the_points_of_an_unbroken_one_and_repeats_none(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    whole = Run(fakes.load(tmp_path / "whole", n_trials=6), tmp_path / "whole", fakes.quadratic)
    whole.go()
    for n_trials in (2, 4, 6):
        broken = Run(fakes.load(tmp_path / "broken", n_trials=n_trials), tmp_path / "broken", fakes.quadratic)
        broken.go()
    rates = [trial.params["training.learning_rate"] for trial in whole.trials]
    assert len(set(rates)) == 6
    assert [trial.params["training.learning_rate"] for trial in broken.trials] == rates
    assert [trial.user_attrs["seed"] for trial in broken.trials] == [t.user_attrs["seed"] for t in whole.trials]


def test_a_finished_study_gets_no_more_trials(tmp_path):
    Run(fakes.load(tmp_path, n_trials=2), tmp_path, fakes.quadratic).go()
    again = Run(fakes.load(tmp_path, n_trials=2), tmp_path, fakes.quadratic)
    assert again.go() == "budget"
    assert (len(again.trials), again.events) == (2, [])


def test_the_pruner_ends_a_trial_at_its_report(tmp_path):
    closed = []

    def objective(request: TrialRequest) -> Iterator[Report]:
        try:
            yield fakes.report(1, 0.0)
            yield fakes.report(2, -1.0)
            yield fakes.report(3, 5.0)
        finally:
            closed.append(request.number)

    pruner = {"type": "ThresholdPruner", "lower": -0.5}
    run = Run(fakes.load(tmp_path, n_trials=2, pruner=pruner), tmp_path, objective)
    run.go()
    # −1 at step 2 is below −0.5: pruned there, with its last value; the default, trial 0, is never pruned
    assert run.states == ["COMPLETE", "PRUNED"]
    assert (run.trials[1].value, run.trials[1].last_step) == (-1.0, 2)
    assert run.trials[1].user_attrs["env_steps"] == 200
    assert closed == [0, 1]
    assert run.said("trial_finished")[1] | {"duration_s": 0} == {
        "kind": "trial_finished",
        "number": 1,
        "state": "PRUNED",
        "value": -1.0,
        "values": [-1.0],
        "error": None,
        "feasible": True,
        "duration_s": 0,
    }


def test_a_training_that_is_over_is_not_pruned(tmp_path):
    def objective(request: TrialRequest) -> Iterator[Report]:
        yield fakes.report(1, 0.0)
        yield fakes.report(fakes.UPDATES, -1.0)

    run = Run(fakes.load(tmp_path, n_trials=2, pruner={"type": "ThresholdPruner", "lower": -0.5}), tmp_path, objective)
    run.go()
    assert run.states == ["COMPLETE", "COMPLETE"]
    assert run.trials[1].value == -1.0


def test_updates_without_evaluation_are_shown_but_not_reported(tmp_path):
    run = Run(fakes.load(tmp_path, n_trials=1), tmp_path, gives(fakes.report(1, None), fakes.report(2, 3.0)))
    run.go()
    assert run.trials[0].intermediate_values == {2: 3.0}
    assert [event["value"] for event in run.said("report")] == [None, 3.0]


@pytest.mark.parametrize(
    ("reports", "error"),
    [
        ([fakes.report(1, float("nan"))], "mean_reward is nan at update 1"),
        ([fakes.report(1, float("inf"))], "mean_reward is inf at update 1"),
        ([fakes.report(1, float("-inf"))], "mean_reward is -inf at update 1"),
        ([fakes.report(2, 0.0), fakes.report(2, 1.0)], "the objective reported step 2 after step 2"),
        ([fakes.report(2, 0.0), fakes.report(1, 1.0)], "the objective reported step 1 after step 2"),
        ([fakes.report(1, None)], "the objective ended without an evaluated report"),
        ([], "the objective ended without an evaluated report"),
    ],
)
def test_an_objective_that_breaks_its_word_fails_the_trial(tmp_path, reports, error):
    run = Run(fakes.load(tmp_path, n_trials=1), tmp_path, gives(*reports))
    run.go()
    assert run.states == ["FAIL"]
    assert run.trials[0].user_attrs["error"] == error


def test_an_exception_fails_the_trial_and_counts(tmp_path):
    run = Run(fakes.load(tmp_path, n_trials=2), tmp_path, fakes.raises_on_default)
    assert run.go() == "budget"
    assert run.states == ["FAIL", "COMPLETE"]
    assert run.trials[0].user_attrs["error"] == "ZeroDivisionError: no luck"


def test_a_password_in_an_error_is_not_stored():
    told = _one_line(OSError("connection to postgresql://quant:hunter2@db/studies failed"))
    assert told.startswith("OSError: connection to postgresql://quant:***")
    assert "hunter2" not in told


def test_without_catch_exceptions_the_first_failure_ends_the_study(tmp_path):
    run = Run(fakes.load(tmp_path, catch_exceptions=False), tmp_path, fakes.raises_on_default)
    with pytest.raises(FxaiError, match="trial 0 failed: ZeroDivisionError: no luck"):
        run.go()
    assert run.states == ["FAIL"]


def test_an_error_that_every_trial_would_meet_gives_the_trial_back_and_ends_the_study(tmp_path):
    run = Run(fakes.load(tmp_path), tmp_path, fakes.has_no_data)
    with pytest.raises(DataError, match="the file is gone"):
        run.go()
    assert run.states == ["FAIL", "WAITING"]
    assert run.trials[0].user_attrs["requeued_as"] == 1


def test_divergence_completes_with_its_floor_value_and_its_reason(tmp_path):
    run = Run(
        fakes.load(tmp_path, n_trials=1, pruner={"type": "ThresholdPruner", "lower": -5.0}),
        tmp_path,
        gives(fakes.report(1, -10.0, failure="loss is nan"), fakes.report(2, 0.0)),
    )
    run.go()
    # The floor of mean_reward is told as a value, so that the sampler learns from it; the pruner must not hide it.
    assert (run.states, run.trials[0].value) == (["COMPLETE"], -1000.0)
    assert run.trials[0].user_attrs["failure"] == "loss is nan"


def test_few_closed_trades_break_a_constraint(tmp_path):
    config = {"evaluation": {"min_trades": 5}}
    run = Run(fakes.load(tmp_path, n_trials=1, training_config=config), tmp_path, gives(fakes.report(1, 3.0)))
    run.go()
    # every metric of the fake is 3, its trades too: 5 − 3 = 2 > 0 is infeasible
    assert run.trials[0].constraints == {"min_trades": 2.0}
    assert run.said("trial_finished")[0]["feasible"] is False


def test_trades_that_are_never_closed_do_not_count(tmp_path):
    config = {"evaluation": {"min_trades": 5}}
    held = fakes.report(1, 3.0)
    assert held.metrics is not None
    once_an_episode = replace(held, metrics={**held.metrics, "n_trades": 28.0, "n_closed": 0.0})
    run = Run(fakes.load(tmp_path, n_trials=1, training_config=config), tmp_path, gives(once_an_episode))
    run.go()
    assert run.trials[0].constraints == {"min_trades": 5.0}


def test_instruments_of_the_last_report_are_stored(tmp_path):
    told = replace(fakes.report(1, 3.0), instruments={"EURUSD": {"sharpe": 1.0, "calmar": math.inf}})
    run = Run(fakes.load(tmp_path, n_trials=1), tmp_path, gives(told))
    run.go()
    assert run.trials[0].user_attrs["instruments"] == {"EURUSD": {"sharpe": 1.0, "calmar": None}}


def test_several_directions_tell_all_values_and_prune_nothing(tmp_path):
    spec = fakes.load(
        tmp_path,
        n_trials=1,
        direction=None,
        metric_name=None,
        directions=["maximize", "minimize"],
        metric_names=["sharpe", "max_drawdown"],
    )
    run = Run(spec, tmp_path, gives(fakes.report(1, 1.0), fakes.report(2, 2.0)))
    run.go()
    assert run.trials[0].values == [2.0, 2.0]


def test_a_stop_gives_the_trial_back_and_the_next_worker_repeats_it(tmp_path):
    def objective(_: TrialRequest) -> Iterator[Report]:
        yield fakes.report(1, 0.0)
        run.stop.set()
        yield fakes.report(2, 0.0)
        raise AssertionError("the training went on")

    run = Run(fakes.load(tmp_path, n_trials=2), tmp_path, objective)
    assert run.go() == "stopped"
    assert run.states == ["FAIL", "WAITING"]
    assert run.said("trial_finished")[-1]["state"] == "REQUEUED"
    again = Run(fakes.load(tmp_path, n_trials=2), tmp_path, fakes.quadratic)
    assert again.go() == "budget"
    assert again.states == ["FAIL", "COMPLETE", "COMPLETE"]
    assert again.trials[1].params == again.trials[0].params
    assert again.trials[1].user_attrs["seed"] == again.trials[0].user_attrs["seed"]


def test_a_disk_without_room_for_a_trials_folder_uses_up_no_trial(tmp_path, monkeypatch):
    # on most file systems a folder is the first thing that a full disk refuses; the next trial would meet it too
    real = Path.mkdir

    def mkdir(self, *args, **options):
        if self.parent.name == "trials":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    run = Run(fakes.load(tmp_path), tmp_path, fakes.quadratic)
    with pytest.raises(StorageError, match="the disk is full"):
        run.go()
    assert run.states == ["FAIL", "WAITING"]
    assert "requeued_as" in run.trials[0].user_attrs


def test_a_folder_without_locks_uses_up_no_trial(tmp_path, monkeypatch):
    def flock(*_):  # some NFS and Lustre mounts
        raise OSError(errno.ENOLCK, "No locks available")

    parameters = [{"name": "training.n_epochs", "type": "int", "low": 1, "high": 5}]
    run = Run(fakes.load(tmp_path, sampler={"type": "GridSampler"}, parameters=parameters), tmp_path, fakes.quadratic)
    monkeypatch.setattr(turns.fcntl, "flock", flock)
    with pytest.raises(StorageError, match="cannot be locked here"):
        run.go()
    assert run.states == ["FAIL", "WAITING"]
    with pytest.raises(StorageError, match="cannot be locked here"), study_lock(tmp_path):
        pass


def test_a_drain_finishes_the_running_trial_and_starts_no_other(tmp_path):
    def objective(request: TrialRequest) -> Iterator[Report]:
        run.drain.set()
        yield from fakes.quadratic(request)

    run = Run(fakes.load(tmp_path), tmp_path, objective)
    assert run.go() == "drained"
    assert run.states == ["COMPLETE"]


def test_a_trial_that_was_reclaimed_meanwhile_is_dropped_and_the_worker_goes_on(tmp_path):
    def objective(request: TrialRequest) -> Iterator[Report]:
        yield fakes.report(1, 0.0)
        if request.number == 0:  # what another worker does after a grace period without a beat
            trial_id = run.trials[0]._trial_id
            budget.requeue(run.worker.storage, trial_id, "no heartbeat", blame=True)
        yield fakes.report(2, 1.0)

    run = Run(fakes.load(tmp_path, n_trials=2), tmp_path, objective)
    assert run.go() == "budget"
    assert run.states == ["FAIL", "COMPLETE", "COMPLETE"]
    assert run.trials[0].values is None
    assert run.said("log")[0]["text"].startswith("trial 0 was reclaimed")


@pytest.mark.parametrize("sampler", ["TPESampler", "GridSampler", "QMCSampler", "NSGAIISampler", "BruteForceSampler"])
def test_every_kind_of_sampler_works_without_optimize(tmp_path, sampler):
    parameters = [{"name": "training.n_epochs", "type": "int", "low": 1, "high": 5}]
    spec = fakes.load(tmp_path, n_trials=6, sampler={"type": sampler}, parameters=parameters)
    run = Run(spec, tmp_path, gives(fakes.report(1, 0.0)))
    assert run.go() == "budget"
    assert run.states == ["COMPLETE"] * 6


def test_a_failing_beat_is_tried_again(tmp_path, monkeypatch):
    from fxai.study.workers.heart import Heart

    beats = []
    enough = threading.Event()

    class Flaky:
        def record_heartbeat(self, trial_id: int) -> None:
            beats.append(trial_id)
            if len(beats) == 3:
                enough.set()
            if len(beats) < 3:
                raise RuntimeError("database is away")

    heart = Heart(Flaky(), interval_s=3600, retry_s=0)  # type: ignore[arg-type]
    heart.watch(5)
    assert enough.wait(10)
    heart.watch(None)
    assert beats == [5, 5, 5]


def test_every_trial_leaves_its_learning_curve_also_one_that_is_cut_short(tmp_path):
    def objective(request: TrialRequest) -> Iterator[Report]:
        yield replace(fakes.report(1, 0.0), equity=equity(1.0))
        yield replace(fakes.report(2, -1.0 if request.number == 1 else 0.0), equity=equity(2.0))
        if request.number == 2:
            raise ZeroDivisionError
        yield fakes.report(3, 5.0)

    run = Run(fakes.load(tmp_path, n_trials=3, pruner={"type": "ThresholdPruner", "lower": -0.5}), tmp_path, objective)
    run.go()
    assert run.states == ["COMPLETE", "PRUNED", "FAIL"]
    for number, rows in ((0, 3), (1, 2), (2, 2)):
        folder = tmp_path / "trials" / f"{number:04d}"
        header, *lines = (folder / "learning_curve.csv").read_text().splitlines()
        assert header.startswith("update,env_steps,seconds,")
        assert [line.split(",")[:2] for line in lines] == [[str(i), str(100 * i)] for i in range(1, rows + 1)]
        # the last curve that was told
        assert (folder / "equity.csv").read_text() == "bar,mean,low,high\n0,2,2,2\n"


def equity(value: float) -> EquityCurve:
    one = np.full(1, value)
    return EquityCurve(bar_R=np.arange(1), mean_R=one, low_R=one, high_R=one, instruments={})


def test_a_trial_that_has_its_first_beat_gets_the_next_one_after_an_interval():
    from fxai.study.workers.heart import Heart

    beats = []
    both = threading.Event()

    class Storage:
        def record_heartbeat(self, trial_id: int) -> None:
            beats.append(trial_id)
            if trial_id == 6:
                both.set()

    heart = Heart(Storage(), interval_s=3600, retry_s=0)  # type: ignore[arg-type]
    heart.watch(5, beaten=True)
    heart.watch(6)
    assert both.wait(10)
    assert beats == [6]  # 5 would have been due in an hour
    heart.watch(None)


def test_beats_follow_the_first_one():
    from fxai.study.workers.heart import Heart

    beats = []
    enough = threading.Event()

    class Storage:
        def record_heartbeat(self, trial_id: int) -> None:
            beats.append(trial_id)
            if len(beats) == 2:
                enough.set()
                heart.watch(None)

    heart = Heart(Storage(), interval_s=0, retry_s=3600)  # type: ignore[arg-type]
    heart.watch(5, beaten=True)
    assert enough.wait(10)
    assert beats == [5, 5]
