from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from fxai.report.frame import broken_name, finished_line, frame
from fxai.report.progress import RunProgress
from fxai.report.terminal import make_console

PARAMS = {
    "training.learning_rate": 0.00032,
    "model.d_model": 128,
    "training.gamma": 0.97,
    "training.clip_epsilon": 0.2,
    "training.entropy_coef": 0.0123,
    "env.reward.drawdown_penalty_coefficient": 0.5,
    "training.use_lr_annealing": True,
    "model.activation": "gelu",
}


def running(n_rows: int = 3, params: dict[str, Any] | None = None, **changes: Any) -> RunProgress:
    """`n_rows` trials: the last is running, the one before failed, the others are complete."""
    settings: dict[str, Any] = {"n_trials": 50, "finished": 2, "best": None, "direction": "maximize", **changes}
    progress = RunProgress(**settings, clock=lambda: 0.0)
    for number in range(n_rows):
        event: dict[str, Any] = {"number": number, "worker": 0}
        progress.apply({"kind": "trial_started", "params": PARAMS if params is None else params, **event})
        shown = {"step": 6, "total_steps": 30, "value": -0.001 * number, "env_steps_per_s": 28412.0}
        progress.apply({"kind": "report", **shown, **event})
        if number < n_rows - 1:
            state = "FAIL" if number == n_rows - 2 and n_rows > 2 else "COMPLETE"
            end = {"state": state, "value": 0.4 - 0.01 * number, "error": "oom", "duration_s": 60.0}
            progress.apply({"kind": "trial_finished", **end, **event})
    return progress


def drawn(progress: RunProgress, width: int, height: int = 40, **console: Any) -> list[str]:
    out = io.StringIO()
    screen = Console(file=out, width=width, height=height, force_terminal=True, color_system=None, **console)
    screen.print(frame(progress, "fx_ai_quick · maximize mean_reward", "mean_reward", width=width, height=height))
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_longer_than_the_terminal_and_none_is_wrapped(width: int) -> None:
    lines = drawn(running(12), width)
    assert max(map(len, lines)) <= width
    # 12 trials, one line each in the table but for the one that runs, which has a panel, and the one that failed
    assert sum(line.strip().startswith(tuple("0123456789")) and "complete" in line for line in lines[5:]) == 10


@pytest.mark.parametrize("height", [12, 15, 24, 40])
def test_the_picture_is_lower_than_the_terminal(height: int) -> None:
    assert len(drawn(running(30), 80, height)) < height


def test_without_a_trial_that_keeps_the_constraints_there_is_no_best() -> None:
    progress = running(1)
    assert any("no completed trial yet" in line for line in drawn(progress, 120))
    end = {"state": "COMPLETE", "value": 0.4, "error": None, "duration_s": 60.0, "feasible": False}
    progress.apply({"kind": "trial_finished", "number": 0, "worker": 0, **end})
    lines = drawn(progress, 120)
    assert any("no trial has kept the study's constraints (evaluation.min_trades) yet" in line for line in lines)


def test_wide_terminals_show_every_parameter() -> None:
    text = "\n".join(drawn(running(), 200))
    for part in ("learning_", "d_model", "gamma", "epsilon", "drawdown_", "activation", "gelu", "true", "0.00032"):
        assert part in text
    assert "not shown" not in text


def test_narrow_terminals_name_the_parameters_that_they_have_no_room_for() -> None:
    lines = drawn(running(), 80)
    assert "0.00032" in "\n".join(lines)
    assert lines[-1].startswith("not shown for want of width: drawdown_penalty_coefficient")
    assert "…" not in "\n".join(lines[5:-1])  # nothing inside the table is cut


def test_heading_counts_and_estimate() -> None:
    lines = drawn(running(4), 120)
    # 2 before + 3 finished of 50; 45 trials left × 60 s, one worker = 45 min
    assert lines[0] == "fx_ai_quick · maximize mean_reward"
    assert lines[1].startswith("5 of 50 trials ━")
    assert lines[1].endswith("0.0s elapsed, about 45m 00s left")
    assert lines[2].startswith("best 0.4 in trial 0: learning_rate=0.00032 d_model=128")
    assert lines[3] == "2 complete · 0 pruned · 1 failed · 2 before this run · 28,412 env steps/s"


def test_states_are_words() -> None:
    text = "\n".join(drawn(running(4), 120))
    for word in ("complete", "failed", "update 6/30"):
        assert word in text


def test_before_the_first_event() -> None:
    lines = drawn(running(0, finished=0), 80)
    assert len(lines) == 4
    assert lines[1].endswith("time left not known yet")
    assert lines[2] == "waiting for the first trial to start"
    assert drawn(running(1), 80)[2] == "no completed trial yet"


def test_best_of_an_earlier_run_is_shown_without_parameters() -> None:
    assert drawn(running(0, best=(1, 0.25)), 80)[2] == "best 0.25 in trial 1"


def test_several_objectives() -> None:
    assert "several objectives: no single best" in drawn(running(2, direction="maximize, minimize"), 80)


def test_parameters_that_only_some_trials_have_leave_a_blank() -> None:
    progress = running(0)
    for number, params in enumerate(({"model.kind": "transformer"}, {"model.n_heads": 4})):
        progress.apply({"kind": "trial_started", "number": number, "worker": 0, "params": params})
        progress.apply({"kind": "trial_finished", "number": number, "worker": 0, "state": "PRUNED", "duration_s": 1.0})
    lines = drawn(progress, 100)
    assert [line.split()[-1] for line in lines[-2:]] == ["transformer", "4"]


def test_hostile_names_and_values_are_shown_not_obeyed() -> None:
    lines = drawn(running(2, params={"[red]x[/red]": "\x1b[2J[bold]"}), 120)
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "[red]x[/red]" in text
    assert "\\x1b[2J[bold]" in text


def test_frame_in_ascii_where_the_terminal_has_no_unicode() -> None:
    raw = io.BytesIO()
    console = make_console(io.TextIOWrapper(raw, encoding="ascii"), width=80)
    console.print(frame(running(2), "s", "m", width=80, height=24))
    text = raw.getvalue().decode("ascii")
    assert "1 complete | 0 pruned" in text
    assert "----" in text


@pytest.mark.parametrize(
    ("name", "width", "lines"),
    [
        ("learning_rate", 9, ["learning_", "rate"]),
        ("d_model", 9, ["d_model"]),
        ("activity_bonus_per_trade", 10, ["activity_", "bonus_per_", "trade"]),
        ("reward.scale", 8, ["reward.", "scale"]),
        ("activation", 4, ["activation"]),
        ("", 5, [""]),
    ],
)
def test_broken_name(name: str, width: int, lines: list[str]) -> None:
    assert broken_name(name, width) == lines


def test_finished_line_says_what_became_of_the_trial_and_what_is_left() -> None:
    progress = running(4)
    assert finished_line(progress, progress.rows[0], "mean_reward") == (
        "trial 0 complete after 1m 00s: mean_reward 0.4 (oom); best 0.4 in trial 0; 5 of 50 done; about 45m 00s left"
    )


def with_a_trial_of_too_few_trades() -> RunProgress:
    """Trial 0 keeps the constraints at −0.3; trial 1 scores 0 and does not; trial 2 runs."""
    progress = running(0, finished=0, n_trials=3)
    for number, value, feasible in ((0, -0.3, True), (1, 0.0, False)):
        event: dict[str, Any] = {"number": number, "worker": 0}
        progress.apply({"kind": "trial_started", "params": PARAMS, **event})
        end = {"state": "COMPLETE", "value": value, "error": None, "duration_s": 60.0, "feasible": feasible}
        progress.apply({"kind": "trial_finished", **end, **event})
    progress.apply({"kind": "trial_started", "params": PARAMS, "number": 2, "worker": 0})
    return progress


def test_a_line_says_why_a_trial_that_scores_higher_is_not_the_best() -> None:
    progress = with_a_trial_of_too_few_trades()
    assert finished_line(progress, progress.rows[1], "mean_reward") == (
        "trial 1 complete after 1m 00s: mean_reward 0, too few trades (evaluation.min_trades); best -0.3 in trial 0; "
        "2 of 3 done; about 1m 00s left"
    )
    assert "too few" not in finished_line(progress, progress.rows[0], "mean_reward")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_says_why_a_trial_that_scores_higher_is_not_the_best(width: int) -> None:
    lines = drawn(with_a_trial_of_too_few_trades(), width)
    table = [line.split() for line in lines if re.match(r" +\d ", line)]  # numbers are on the right of their column
    assert [words[0] for words in table] == ["0", "1"]
    assert (table[0][1], table[1][1:4]) == ("complete", ["too", "few", "trades"])
    assert max(map(len, lines)) <= width


def test_a_budget_that_was_lowered_is_told_apart_from_what_is_left() -> None:
    progress = running(0, finished=60, n_trials=8)
    assert drawn(progress, 80)[1].startswith("60 trials (budget 8) ━")
    start = {"kind": "trial_started", "number": 60, "worker": 0, "params": {}}
    progress.apply(start)
    end = {"kind": "trial_finished", "state": "COMPLETE", "value": 0.1, "error": None, "duration_s": 1.0}
    progress.apply({**end, "number": 60, "worker": 0})
    assert finished_line(progress, progress.rows[60], "m").endswith("; 61 (budget 8) done")


def workers(many: int, params: dict[str, Any] = PARAMS, *, ended: int = 0) -> RunProgress:
    """`many` workers, each at a trial; `ended` trials are complete."""
    progress = RunProgress(n_trials=50, finished=0, best=None, direction="maximize", clock=lambda: 0.0)
    for number in range(ended):
        progress.apply({"kind": "trial_started", "number": number, "worker": 0, "params": params})
        end = {"state": "COMPLETE", "value": 0.1, "error": None, "duration_s": 60.0}
        progress.apply({"kind": "trial_finished", "number": number, "worker": 0, **end})
    for worker in range(many):
        event: dict[str, Any] = {"number": ended + worker, "worker": worker}
        progress.apply({"kind": "trial_started", "params": params, **event})
        progress.apply({"kind": "report", "step": worker + 1, "total_steps": 30, "value": 0.25, **event})
    return progress


@pytest.mark.parametrize("height", [8, 12, 16, 24, 50])
@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("many", [2, 8])
def test_panels_of_several_workers_fit_every_terminal(many: int, width: int, height: int) -> None:
    lines = drawn(workers(many, ended=12), width, height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    shown = [line for line in lines if re.match(r"trial \d+ \(worker \d\)", line)]
    # 4 lines of heading, a blank one and one that stays free
    assert len(shown) == many if height - 6 >= many else f"and {many - len(shown)} more running" in lines


def test_a_panel_shows_every_parameter_where_there_is_room() -> None:
    lines = drawn(workers(2), 80, 24)
    text = "\n".join(lines)
    for name in ("learning_rate=0.00032", "drawdown_penalty_coefficient=0.5", "activation=gelu"):
        assert text.count(name) == 2
    assert lines[5].startswith("trial 0 (worker 0) ")
    assert lines[5].endswith("update 1/30, mean_reward 0.25, 0.0s")
    assert not any("…" in line for line in lines)


def test_what_a_panel_has_no_room_for_is_cut_and_the_table_keeps_its_own() -> None:
    many = {f"training.parameter_{i:02d}": 0.5 for i in range(25)}
    lines = drawn(workers(2, many, ended=12), 80, 24)
    panels = lines[5 : lines.index("", 5)]
    assert [line.endswith("…") for line in panels if line.startswith("  ")].count(True) == 2
    # 24 lines − 4 of heading − 1 blank − 1 free = 18, of which 9 stay for the table: 9 // 2 − 1 = 3 lines of parameters
    assert len(panels) == 2 * (1 + 3)
    assert sum("complete" in line and "parameter" not in line for line in lines[len(panels) + 5 :]) >= 3


def test_the_picture_does_not_jump_while_a_worker_is_between_two_trials() -> None:
    progress = workers(3)
    before = drawn(progress, 80, 40)
    end = {"state": "REQUEUED", "value": None, "error": None, "duration_s": 60.0}
    progress.apply({"kind": "trial_finished", "number": 1, "worker": 1, **end})
    after = drawn(progress, 80, 40)
    place = {worker: [f"(worker {worker})" in line for line in before].index(True) for worker in range(3)}
    for worker in (0, 2):
        assert f"(worker {worker})" in after[place[worker]]
    assert after[place[1]] == ""


def test_one_worker_needs_no_number() -> None:
    assert "worker" not in "\n".join(drawn(running(2), 80))


def test_a_trial_that_has_not_reported_is_starting() -> None:
    progress = running(0)
    progress.apply({"kind": "trial_started", "number": 0, "worker": 0, "params": {}})
    assert drawn(progress, 80)[-1].endswith("starting, 0.0s")
