"""The lines of `run --json`: one object per event, always parseable, keys as documented."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import optuna
import pytest

from fxai.report import json_lines
from fxai.report.json_lines import JsonView, result_record
from fxai.report.outcome import outcome_of

STARTED = {
    "kind": "trial_started",
    "number": 3,
    "params": {"model.d_model": 64},
    "seed": 7,
    "requeue_of": 2,
    "continued_from": 4,
    "worker": 1,
}
REPORT = {
    "kind": "report",
    "number": 3,
    "step": 5,
    "total_steps": 30,
    "value": 0.25,
    "env_steps": 100,
    "env_steps_per_s": 28000.0,
    "metrics": {"mean_reward": 0.25, "sharpe": None},
    "train": {"policy_loss": float("nan")},
    "worker": 1,
}
FINISHED = {
    "kind": "trial_finished",
    "number": 3,
    "state": "COMPLETE",
    "value": 0.5,
    "values": [0.5],
    "error": None,
    "feasible": False,
    "duration_s": 12.0,
    "worker": 1,
}


def lines_of(*events: dict[str, Any]) -> list[dict[str, Any]]:
    out = io.StringIO()
    view = JsonView(out, now=lambda: "2026-03-01T12:00:00.000+00:00")
    view.start("fx_ai_quick", 20, 3, (1, 0.4), "maximize", "mean_reward")
    for event in events:
        view.handle(event)
    view.close()
    lines = [json.loads(line, parse_constant=lambda name: pytest.fail(name)) for line in out.getvalue().splitlines()]
    assert all(line["time"] == "2026-03-01T12:00:00.000+00:00" for line in lines)
    return [{key: value for key, value in line.items() if key != "time"} for line in lines]


def test_every_event_is_one_line() -> None:
    assert lines_of(STARTED, REPORT, FINISHED, {"kind": "log", "text": "one\ntwo \x1b[2J"}) == [
        {
            "event": "study_started",
            "study": "fx_ai_quick",
            "n_trials": 20,
            "finished": 3,
            "best": {"trial": 1, "value": 0.4},
            "direction": "maximize",
            "metric": "mean_reward",
        },
        {
            "event": "trial_started",
            "trial": 3,
            "worker": 1,
            "params": {"model.d_model": 64},
            "seed": 7,
            "requeue_of": 2,
            "continued_from": 4,
        },
        {
            "event": "report",
            "trial": 3,
            "worker": 1,
            "step": 5,
            "total_steps": 30,
            "value": 0.25,
            "env_steps": 100,
            "env_steps_per_s": 28000.0,
            "metrics": {"mean_reward": 0.25, "sharpe": None},
            "train": {"policy_loss": None},
        },
        {
            "event": "trial_finished",
            "trial": 3,
            "worker": 1,
            "state": "complete",
            "value": 0.5,
            "values": [0.5],
            "feasible": False,
            "error": None,
            "duration_s": 12.0,
        },
        {"event": "log", "text": "one\ntwo \x1b[2J"},
    ]


def test_an_event_without_all_keys_has_null_for_them() -> None:
    requeued = {"kind": "trial_finished", "number": 3, "state": "REQUEUED", "value": None, "error": "killed"}
    line = lines_of(requeued)[1]
    assert line == {
        "event": "trial_finished",
        "trial": 3,
        "worker": 0,
        "state": "requeued",
        "value": None,
        "values": None,
        "feasible": True,
        "error": "killed",
        "duration_s": None,
    }


def test_events_outside_the_schema_and_keys_outside_it_are_left_out() -> None:
    lines = lines_of({"kind": "study", "created": "x"}, {**STARTED, "config_file": "trials/0003/config.yaml"})
    assert [line["event"] for line in lines] == ["study_started", "trial_started"]
    assert "config_file" not in lines[1]


def test_the_documented_keys_are_those_written() -> None:
    told = dict(re.findall(r"^(\w+)  +(.*(?:\n {8,}.*)*)", json_lines.__doc__ or "", flags=re.M))
    for line in lines_of(STARTED, REPORT, FINISHED, {"kind": "log", "text": ""}):
        documented = set(re.findall(r"\w+", told[line["event"]]))
        assert set(line) - {"event"} <= documented, line["event"]


def test_a_reader_that_has_gone_does_not_hurt_the_study() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    view = JsonView(Gone())
    view.handle(STARTED)
    view.close()


def test_the_result_holds_best_default_and_front(finished: optuna.Study) -> None:
    told = result_record(outcome_of(finished, ("mean_reward",)))
    assert told["best"]["trial"] == 1
    assert told["best"]["params"] == {"training.learning_rate": 0.0005, "model.d_model": 128}
    assert told["best"]["metrics"]["total_return"] == 0.0312
    assert (told["start"]["trial"], told["start"]["values"], told["front"]) == (0, [0.10], [1])


def test_a_study_without_a_completed_trial_has_none_of_them() -> None:
    told = result_record(outcome_of(optuna.create_study(), ("mean_reward",)))
    assert (told["best"], told["start"], told["front"]) == (None, None, [])
