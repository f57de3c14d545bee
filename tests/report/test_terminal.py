from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console, ConsoleDimensions

from fxai.report.terminal import LiveView, PlainView, QuietView, make_console, make_view

STARTED: dict[str, Any] = {
    "kind": "trial_started",
    "number": 3,
    "params": {"training.learning_rate": 0.0003, "model.d_model": 64},
    "worker": 0,
}
REPORT: dict[str, Any] = {
    "kind": "report",
    "number": 3,
    "step": 5,
    "total_steps": 30,
    "value": 0.25,
    "env_steps_per_s": 28000.0,
    "worker": 0,
}
FINISHED: dict[str, Any] = {
    "kind": "trial_finished",
    "number": 3,
    "state": "COMPLETE",
    "value": 0.5,
    "error": None,
    "duration_s": 12.0,
    "worker": 0,
}
FAILED = {**FINISHED, "state": "FAIL", "value": None, "error": "oom \x1b[2J[bold]\nsecond line"}


def plain() -> tuple[PlainView, io.StringIO]:
    out = io.StringIO()
    return PlainView(out, clock=lambda: 0.0, time_of_day=lambda: "12:00:00"), out


class Screen:
    """A live view on a terminal of fixed size with a clock that is turned by hand."""

    def __init__(self, **console: Any) -> None:
        self.out = io.StringIO()
        settings: dict[str, Any] = {"width": 100, "height": 30, "color_system": "standard", **console}
        self.console = Console(
            file=self.out, force_terminal=True, markup=False, highlight=False, emoji=False, **settings
        )
        self.now = 0.0
        self.view = LiveView(self.console, clock=lambda: self.now, ticking=False)

    def new_output(self) -> str:
        text = self.out.getvalue()
        self.out.seek(0)
        self.out.truncate()
        return text


def test_plain_view_prints_one_line_per_start_and_end() -> None:
    view, out = plain()
    view.start("fx_ai_quick", 20, 3, (1, 0.4), "maximize", "mean_reward")
    for event in (STARTED, REPORT, FINISHED):
        view.handle(event)
    view.close()
    # 16 trials left × 12 s, one worker = 192 s
    assert out.getvalue().splitlines() == [
        "12:00:00 study fx_ai_quick: maximize mean_reward, 3 of 20 trials done, best 0.4 in trial 1",
        "12:00:00 trial 3 started: learning_rate=0.0003 d_model=64",
        "12:00:00 trial 3 complete after 12s: mean_reward 0.5; best 0.5 in trial 3; 4 of 20 done; about 3m 12s left",
    ]


def test_plain_view_says_after_which_update_a_trial_goes_on() -> None:
    view, out = plain()
    view.start("fx_ai_quick", 20, 3, None, "maximize", "mean_reward")
    view.handle({**STARTED, "requeue_of": 2, "continued_from": 12})
    assert out.getvalue().splitlines()[-1] == (
        "12:00:00 trial 3 started after update 12, where trial 2 was cut short: learning_rate=0.0003 d_model=64"
    )


def test_plain_view_never_writes_an_escape_code() -> None:
    view, out = plain()
    view.start("a\x1b[31m", 20, 0, None, "maximize", "m\x1b]0;title\x07")
    view.handle({**STARTED, "params": {"x\x1b[2J": "\x1b[31m"}})
    view.handle(FAILED)
    view.handle({"kind": "log", "text": "\x1b[2Jtrial 3 reclaimed"})
    assert "\x1b" not in out.getvalue()
    assert "\x07" not in out.getvalue()
    assert "trial 3 failed after 12s (oom \\x1b[2J[bold] second line)" in out.getvalue()


def test_plain_view_says_when_a_trial_goes_back_to_the_queue() -> None:
    view, out = plain()
    view.start("s", 20, 0, None, "maximize", "m")
    view.handle({**FINISHED, "state": "REQUEUED", "value": None, "error": "stopped"})
    assert "trial 3 requeued" in out.getvalue()
    assert "0 of 20 done" in out.getvalue()


def test_plain_view_prints_each_line_of_a_log() -> None:
    view, out = plain()
    view.handle({"kind": "log", "text": "one\ntwo"})
    assert out.getvalue() == "12:00:00 one\n12:00:00 two\n"


def test_a_pipe_gets_plain_lines_a_terminal_gets_the_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(make_view(stream=io.StringIO()), PlainView)
    assert isinstance(make_view(stream=Terminal()), LiveView)
    assert isinstance(make_view(quiet=True, stream=Terminal()), QuietView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_view(stream=Terminal()), PlainView)


def test_live_view_draws_the_trials() -> None:
    screen = Screen()
    screen.view.start("fx_ai_quick", 20, 0, None, "maximize", "mean_reward")
    screen.new_output()
    screen.view.handle(STARTED)
    screen.view.handle(REPORT)
    screen.view.refresh()
    frame = screen.new_output()
    assert "update 5/30" in frame
    assert "0.25" in frame
    assert "28,000 env steps/s" in frame
    screen.view.close()


def test_nothing_is_drawn_while_nothing_changes() -> None:
    screen = Screen()
    screen.view.start("s", 20, 0, None, "maximize", "m")
    screen.view.handle(STARTED)
    screen.view.refresh()
    screen.new_output()
    screen.now = 0.9
    screen.view.refresh()
    assert screen.new_output() == ""
    screen.now = 1.1  # the clock in the picture counts whole seconds
    screen.view.refresh()
    assert "1.1s elapsed" in screen.new_output()
    screen.view.close()


def test_events_are_drawn_together_with_the_next_frame() -> None:
    screen = Screen()
    screen.view.start("s", 20, 0, None, "maximize", "m")
    screen.new_output()
    for step in range(100):
        screen.view.handle({**REPORT, "step": step})
    assert screen.new_output() == ""
    screen.view.refresh()
    assert screen.new_output().count("\x1b[?2026h") == 1
    screen.view.close()


def test_every_frame_is_one_synchronised_update() -> None:
    screen = Screen()
    screen.view.start("s", 20, 0, None, "maximize", "m")
    screen.new_output()
    screen.view.handle(STARTED)
    screen.view.refresh()
    frame = screen.new_output()
    assert frame.startswith("\x1b[?2026h")
    assert frame.endswith("\x1b[?2026l")
    screen.view.close()


def test_a_resize_clears_what_the_terminal_may_have_wrapped() -> None:
    screen = Screen(width=160, height=40)
    screen.view.start("s", 20, 0, None, "maximize", "m")
    screen.view.handle(STARTED)
    screen.view.refresh()
    assert "\x1b[2J" not in screen.new_output()
    screen.console.size = ConsoleDimensions(80, 24)
    screen.view.refresh()
    frame = screen.new_output()
    assert "\x1b[2J\x1b[H" in frame
    plain_text = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", frame)
    assert max(map(len, plain_text.splitlines())) <= 80
    screen.view.handle(REPORT)
    screen.view.refresh()
    assert "\x1b[2J" not in screen.new_output()
    screen.view.close()


def test_failures_and_logs_are_printed_above_and_stay() -> None:
    screen = Screen()
    screen.view.start("s", 20, 0, None, "maximize", "m")
    screen.view.handle(STARTED)
    screen.new_output()
    screen.view.handle(FAILED)
    text = screen.new_output()
    assert "trial 3 failed: oom \\x1b[2J[bold]" in text
    assert "\x1b[2J" not in text
    screen.view.handle({"kind": "log", "text": "trial 7 [red]reclaimed[/red]"})
    assert "trial 7 [red]reclaimed[/red]" in screen.new_output()
    screen.view.close()


def test_no_color_is_respected_and_states_stay_legible() -> None:
    screen = Screen(_environ={"NO_COLOR": "1", "TERM": "xterm-256color"})
    screen.view.start("s", 20, 0, None, "maximize", "m")
    screen.view.handle(STARTED)
    screen.view.refresh()
    screen.view.close()
    text = screen.new_output()
    assert "starting" in text
    colours = [code for codes in re.findall(r"\x1b\[([\d;]+)m", text) for code in codes.split(";")]
    assert not [code for code in colours if 30 <= int(code) <= 49 or 90 <= int(code) <= 107]


def test_colours_are_there_without_no_color() -> None:
    screen = Screen(_environ={"TERM": "xterm-256color"})
    screen.view.start("s", 20, 0, None, "maximize", "m")
    screen.view.handle(STARTED)
    screen.view.refresh()
    screen.view.close()
    assert "\x1b[36m" in screen.new_output()  # cyan: running


def test_close_gives_the_cursor_back_and_may_be_called_twice() -> None:
    screen = Screen()
    screen.view.start("s", 20, 0, None, "maximize", "m")
    assert "\x1b[?25l" in screen.new_output()
    screen.view.close()
    assert "\x1b[?25h" in screen.new_output()
    screen.view.close()
    screen.view.refresh()
    assert screen.new_output() == ""


def test_the_last_frame_promises_no_time_left() -> None:
    screen = Screen()
    screen.view.start("s", 20, 0, None, "maximize", "m")
    screen.view.handle(STARTED)
    screen.view.handle(FINISHED)
    screen.view.refresh()
    assert "about 3m 48s left" in screen.new_output()  # 19 trials × 12 s
    screen.view.close()
    last = screen.new_output()
    assert "1 of 20 trials" in last
    assert "left" not in last


def test_close_without_start() -> None:
    LiveView(Screen().console).close()


def test_the_drawing_thread_ends_with_the_view() -> None:
    screen = Screen()
    view = LiveView(screen.console, clock=lambda: 0.0)
    view.start("s", 20, 0, None, "maximize", "m")
    thread = view._thread
    assert thread is not None
    assert thread.is_alive()
    view.close()
    assert not thread.is_alive()


def test_a_lost_terminal_does_not_hurt_the_study() -> None:
    class Lost(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    console = make_console(Lost())
    view = LiveView(Console(file=console.file, force_terminal=True, width=80, height=24), ticking=False)
    view.start("s", 20, 0, None, "maximize", "m")
    view.handle(FAILED)
    view.refresh()
    view.close()


def test_quiet_view_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    view = QuietView()
    view.start("s", 20, 0, None, "maximize", "m")
    view.handle(FAILED)
    view.close()
    assert capsys.readouterr() == ("", "")
