"""A trial that was cut short goes on from its checkpoint and ends with what an unbroken one has."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import pytest
from safetensors import safe_open
from safetensors.torch import save_file
from small import SMALL, small_config

from fxai.agent import snapshot as snapshots
from fxai.config import TrialConfig
from fxai.errors import StorageError
from fxai.study import checkpoints as kept
from fxai.study import ppo
from fxai.study.checkpoints import Checkpoints
from fxai.study.database.storage import open_storage
from fxai.study.fingerprint import open_study
from fxai.study.objective import Report, TrialRequest
from fxai.study.trial_files import CHECKPOINT, checkpoint_update
from fxai.study.workers.slots import Slot
from fxai.study.workers.worker import Worker, WorkerSetup


def config(**sections: dict[str, Any]) -> TrialConfig:
    """Five updates of two members with dropout; the second, the fourth and the last are evaluated."""
    training = {"total_updates": 5, "eval_frequency": 2, "n_seeds": 2, **sections.pop("training", {})}
    return small_config(training=training, model={**SMALL["model"], "dropout": 0.1}, **sections)


def request(own: TrialConfig, folder: Path, **changes: Any) -> TrialRequest:
    return TrialRequest(number=0, config=own, ruler=own, seed=1, folder=folder, **{"checkpoint_s": None, **changes})


def stop_after(asked: TrialRequest, updates: int) -> list[Report]:
    """The reports of a training that is closed after some of them while the worker stops."""
    running = ppo.objective(replace(asked, stopping=lambda: True))
    reports = [next(running) for _ in range(updates)]
    running.close()
    return reports


@pytest.mark.parametrize("cuts", [[1], [2], [3, 4], [5]], ids=str)
def test_reports_are_those_of_an_unbroken_training(tmp_path, cuts):
    own = config()
    (tmp_path / "whole").mkdir()
    whole = list(ppo.objective(request(own, tmp_path / "whole")))
    assert not (tmp_path / "whole" / CHECKPOINT).exists()
    for cut in cuts:
        stop_after(request(own, tmp_path), cut)
        assert checkpoint_update(tmp_path) == cut
    seen = list(ppo.objective(request(own, tmp_path)))
    assert seen == whole
    assert [r.continued_from for r in seen] == [cuts[-1]] * cuts[-1] + [None] * (5 - cuts[-1])
    curves = [r.equity for r in seen if r.equity is not None]
    # of the evaluations before the checkpoint the last one's equity is kept
    assert len(curves) == {1: 3, 2: 3, 3: 3, 4: 2, 5: 1}[cuts[-1]]
    assert curves[-1].mean_R.tolist() == whole[-1].equity.mean_R.tolist()
    assert curves[-1].instruments.keys() == whole[-1].equity.instruments.keys()


def test_seconds_go_on_from_those_before(tmp_path, monkeypatch):
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            self.now += 1.0
            return self.now

    def seconds(reports: list[Report]) -> list[float | None]:
        return [report.elapsed_s for report in reports]

    asked = request(config(), tmp_path)
    real = kept.Checkpoints
    monkeypatch.setattr(ppo, "Checkpoints", lambda own, meaning: real(own, meaning, Clock()))
    # each look at the clock is a second: begin, each report, each time it asks whether the next one is due (never here)
    first = stop_after(asked, 2)
    again = list(ppo.objective(asked))
    assert seconds(first) == [1.0, 2.0]
    # told as they were, and the clock runs on from 2: the time between the two runs is nobody's
    assert seconds(again) == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_checkpoint_is_written_when_its_time_has_come_and_not_at_the_end(tmp_path):
    updates = []
    for report in ppo.objective(request(config(), tmp_path, checkpoint_s=0.0)):
        updates.append((report.step, checkpoint_update(tmp_path)))
    # seen at the report after it; the last update needs none
    assert updates == [(1, None), (2, 1), (3, 2), (4, 3), (5, 4)]
    assert checkpoint_update(tmp_path) == 4


def test_a_training_that_is_closed_for_another_reason_writes_none(tmp_path):
    running = ppo.objective(request(config(), tmp_path))
    next(running)
    running.close()
    assert list(tmp_path.iterdir()) == []


def test_stopped_while_the_past_is_told_the_checkpoint_stays(tmp_path):
    own = request(config(), tmp_path)
    stop_after(own, 3)
    before = (tmp_path / CHECKPOINT).read_bytes()
    stop_after(own, 2)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_what_a_wrapper_does_to_a_report_is_not_what_is_kept(tmp_path):
    running = ppo.objective(request(config(), tmp_path, stopping=lambda: True))
    for report in running:
        if report.metrics is not None:
            report.metrics["own"] = 1.0
            break
    running.close()
    assert not any("own" in (r.metrics or {}) for r in ppo.objective(request(config(), tmp_path)))


def seal(path: Path, notes: str) -> None:
    """Replace the notes of a checkpoint, its checksum right."""
    with safe_open(str(path), framework="pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    import torch

    tensors["notes"] = torch.frombuffer(bytearray(notes.encode()), dtype=torch.uint8)
    header.pop("checksum")
    save_file(tensors, str(path), metadata={**header, "checksum": snapshots._checksum(header, tensors)})


def some_reports(path: Path) -> None:
    with safe_open(str(path), framework="pt") as file:
        told = json.loads(bytes(file.get_tensor("notes").numpy()))
    seal(path, json.dumps({**told, "reports": told["reports"][1:]}))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "not readable as safetensors"),
        (lambda path: path.write_bytes(b""), "not readable as safetensors"),
        (lambda path: seal(path, "{"), "the reports in it are damaged"),
        (some_reports, "no report of some update before 3"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/null")), "no regular file"),
    ],
    ids=["truncated", "empty", "no reports", "few reports", "link"],
)
def test_f65_a_checkpoint_that_cannot_be_used_costs_one_line_and_the_training_starts_over(
    tmp_path, caplog, damage, reason
):
    own = request(config(), tmp_path)
    stop_after(own, 3)
    damage(tmp_path / CHECKPOINT)
    with caplog.at_level(logging.WARNING, "fxai.worker"):
        seen = list(ppo.objective(own))
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("trial 0 starts over: ")
    assert reason in line
    assert "\n" not in line
    assert [r.continued_from for r in seen] == [None] * 5
    assert not (tmp_path / CHECKPOINT).is_symlink()


def test_a_checkpoint_of_another_config_is_not_used(tmp_path, caplog):
    stop_after(request(config(), tmp_path), 3)
    other = request(config(training={"gamma": 0.5}), tmp_path)
    with caplog.at_level(logging.WARNING, "fxai.worker"):
        seen = list(ppo.objective(other))
    assert "made with another config, another ruler" in caplog.text
    assert seen[0].continued_from is None


def test_more_micro_batches_go_on_from_the_same_checkpoint(tmp_path):
    stop_after(request(config(), tmp_path), 3)
    more = config(training={"gradient_accumulation_steps": 2})
    seen = list(ppo.objective(request(more, tmp_path)))
    assert [r.continued_from for r in seen] == [3, 3, 3, None, None]


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(tmp_path, monkeypatch, caplog):
    def full(*_: object) -> None:
        raise StorageError("the disk is full", where="checkpoint.safetensors")

    monkeypatch.setattr(kept, "save_snapshot", full)
    with caplog.at_level(logging.WARNING, "fxai.worker"):
        assert len(list(ppo.objective(request(config(), tmp_path, checkpoint_s=0.0)))) == 5
    assert "trial 0 has no new checkpoint: checkpoint.safetensors: the disk is full" in caplog.text


def test_numbers_that_json_lacks_come_back(tmp_path):
    asked = request(config(), tmp_path)
    first = Checkpoints(asked, {})
    first.note(replace(fakes.report(1, 0.5), train={"loss": float("nan"), "norm": float("inf")}))
    told = kept._History.model_validate_json(kept._history(first._told).model_dump_json())
    [report] = kept._reports(told)
    assert str(report.train) == "{'loss': nan, 'norm': inf}"


class Run:
    """A worker on a small study of real trainings, in this process."""

    def __init__(self, folder: Path, objective: Callable[[TrialRequest], Iterator[Report]], **changes: Any) -> None:
        (folder / "base.yaml").write_text("")
        self.folder, self.events = folder, list[dict[str, Any]]()
        self.stop = threading.Event()
        training = {"total_updates": 5, "eval_frequency": 2, "n_seeds": 2}
        small = {**SMALL, "training": {**SMALL["training"], **training}}
        self.spec = fakes.load(folder, training_config=small, **{"n_trials": 1, **changes})
        self.study = open_study(open_storage(self.spec.storage, create=True), self.spec, None)
        setup = WorkerSetup(slot=Slot(0), spec=self.spec, study_seed=7, folder=folder, objective="fakes:quadratic")
        self.worker = Worker(setup, self.events.append, self.stop, threading.Event())
        self.worker._objective = objective

    def go(self) -> Any:
        """Run, and the trials there are."""
        self.worker.run()
        return self.study.get_trials(deepcopy=False)

    def stop_at(self, step: int) -> Callable[[TrialRequest], Iterator[Report]]:
        """The PPO training, stopped at an update of any trial."""

        def objective(asked: TrialRequest) -> Iterator[Report]:
            for report in ppo.objective(asked):
                if report.step == step:
                    self.stop.set()
                yield report

        return objective


def whole(tmp_path: Path) -> Any:
    folder = tmp_path / "whole"
    folder.mkdir()
    [trial] = Run(folder, ppo.objective).go()
    return trial


def test_a_worker_that_is_stopped_twice_ends_with_the_value_of_an_unbroken_trial(tmp_path):
    unbroken = whole(tmp_path)
    for cut in (2, 3):
        run = Run(tmp_path, ppo.objective)
        run.worker._objective = run.stop_at(cut)
        run.go()
        assert checkpoint_update(tmp_path / "trials" / f"{cut - 2:04d}") == cut
    last = Run(tmp_path, ppo.objective)
    *_, trial = last.go()
    assert [t.state.name for t in last.study.get_trials()] == ["FAIL", "FAIL", "COMPLETE"]
    assert trial.values == unbroken.values
    assert trial.intermediate_values == unbroken.intermediate_values
    assert trial.user_attrs["metrics"] == unbroken.user_attrs["metrics"]
    assert trial.user_attrs["continued_from"] == 3
    assert "continued_from" not in unbroken.user_attrs
    [started] = [event for event in last.events if event["kind"] == "trial_started"]
    assert (started["requeue_of"], started["continued_from"]) == (1, 3)
    assert [event["step"] for event in last.events if event["kind"] == "report"] == [1, 2, 3, 4, 5]
    # rows are update, env_steps, seconds and figures; the seconds are each run's own
    tables = [
        (f / "learning_curve.csv").read_text().splitlines()
        for f in (tmp_path / "trials/0002", tmp_path / "whole/trials/0000")
    ]
    one, other = ([line.split(",")[:2] + line.split(",")[3:] for line in table] for table in tables)
    assert one == other
    assert (tmp_path / "trials/0002/equity.csv").read_text() == (tmp_path / "whole/trials/0000/equity.csv").read_text()
    assert not list(tmp_path.glob("trials/*/checkpoint*"))


def test_a_trial_takes_over_from_the_one_before_the_one_that_never_began(tmp_path):
    from fxai.study.database import budget
    from fxai.study.owner import Owner

    first = Run(tmp_path, ppo.objective)
    first.worker._objective = first.stop_at(2)
    first.go()
    claimed = budget.claim(first.worker.storage, first.study._study_id, 1, Owner.current())
    assert budget.requeue(first.worker.storage, claimed, "killed at once", blame=True).number == 1
    last = Run(tmp_path, ppo.objective)
    *_, trial = last.go()
    assert (trial.number, trial.user_attrs["requeue_of"], trial.user_attrs["continued_from"]) == (2, 1, 2)
    assert trial.values == whole(tmp_path).values


def test_a_checkpoint_that_does_not_fit_is_said_and_not_recorded(tmp_path):
    first = Run(tmp_path, ppo.objective)
    first.worker._objective = first.stop_at(2)
    first.go()
    path = tmp_path / "trials/0000" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    last = Run(tmp_path, ppo.objective)
    *_, trial = last.go()
    assert trial.state.name == "COMPLETE"
    assert "continued_from" not in trial.user_attrs
    lines = [event["text"] for event in last.events if event["kind"] == "log"]
    assert lines == ["trial 1 starts over: its checkpoint cannot be used, and the worker's log says why"]


def test_f63_a_linked_checkpoint_is_not_taken(tmp_path):
    first = Run(tmp_path, ppo.objective)
    first.worker._objective = first.stop_at(2)
    first.go()
    path = tmp_path / "trials/0000" / CHECKPOINT
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    last = Run(tmp_path, ppo.objective)
    *_, trial = last.go()
    assert trial.state.name == "COMPLETE"
    assert "continued_from" not in trial.user_attrs
    [line] = [event["text"] for event in last.events if event["kind"] == "log"]
    assert line.startswith("trial 1 starts over: ")
    assert "symbolic link" in line
    assert (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("second", "state"), [(0.0, "COMPLETE"), (-1.0, "PRUNED")])
def test_the_pruner_judges_a_continued_trial_where_it_goes_on_and_not_before(tmp_path, second, state):
    def objective(asked: TrialRequest) -> Iterator[Report]:
        if asked.number == 0:
            yield fakes.report(3, 0.0)  # the default, which no pruner ends
            return
        # −1 at update 1 was judged before; at update 2, from which it goes on, it is judged anew
        for step, value in ((1, -1.0), (2, second), (3, 0.0)):
            yield replace(fakes.report(step, value), continued_from=2 if step < 3 else None)

    run = Run(tmp_path, objective, n_trials=2, pruner={"type": "ThresholdPruner", "lower": -0.5})
    assert [trial.state.name for trial in run.go()] == ["COMPLETE", state]


def test_a_pruner_that_keeps_rungs_has_those_of_the_whole_history(tmp_path):
    def objective(asked: TrialRequest) -> Iterator[Report]:
        for step, value in ((1, 5.0 + asked.number), (2, 1.0), (3, 0.0)):
            yield replace(fakes.report(step, value), continued_from=2 if step < 3 else None)

    pruner = {"type": "SuccessiveHalvingPruner", "min_resource": 1, "reduction_factor": 2}
    *_, trial = Run(tmp_path, objective, n_trials=2, pruner=pruner).go()
    rungs = {name: value for name, value in trial.system_attrs.items() if name.startswith("completed_rung")}
    # rung 0 at update 1, not at the first update that is new; rung 1 at update 2, where it is alone and goes on
    assert rungs == {"completed_rung_0": 6.0, "completed_rung_1": 1.0}
    assert trial.state.name == "COMPLETE"


@pytest.mark.parametrize("ending", ["COMPLETE", "PRUNED", "FAIL"])
def test_what_an_own_objective_leaves_is_handed_on_and_removed_at_the_end(tmp_path, ending):
    found = []

    def objective(asked: TrialRequest) -> Iterator[Report]:
        if asked.number == 0:
            yield fakes.report(1, 0.0)
            return
        found.append({path.name: path.read_text() for path in asked.folder.glob("checkpoint*")})
        (asked.folder / "checkpoint_two.txt").write_text("two")
        (asked.folder / "notes.txt").write_text("kept")
        yield fakes.report(1, 0.0)
        if asked.number == 1:
            run.stop.set()
        if ending == "FAIL" and asked.number == 2:
            raise ZeroDivisionError
        yield fakes.report(2, -1.0 if ending == "PRUNED" else 0.0)

    for _ in range(2):
        run = Run(tmp_path, objective, n_trials=2, pruner={"type": "ThresholdPruner", "lower": -0.5})
        trials = run.go()
    assert [t.state.name for t in trials] == ["COMPLETE", "FAIL", ending]
    assert found == [{}, {"checkpoint_two.txt": "two"}]
    assert not list(tmp_path.glob("trials/*/checkpoint*"))
    assert (tmp_path / "trials/0001/notes.txt").exists()


def test_micro_batches_that_a_trial_was_given_are_in_its_config_and_in_the_best_one(tmp_path):
    from fxai.config.load import load_trial_config
    from fxai.report.results import best_config_of

    run = Run(tmp_path, ppo.objective, n_trials=1)
    waiting = run.study.get_trials(deepcopy=False)[0]
    run.study._storage.set_trial_user_attr(waiting._trial_id, "gradient_accumulation_steps", 2)
    [trial] = run.go()
    assert trial.state.name == "COMPLETE"
    saved = load_trial_config(tmp_path / "trials/0000/config.yaml")
    assert saved.training.gradient_accumulation_steps == 2
    assert best_config_of(run.spec, trial) == saved
