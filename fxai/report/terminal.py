"""What a terminal shows while a study runs: a live table, plain lines, or nothing.

A view is told of events (fxai.study.workers.launch.View) and only shows them; a lost terminal never hurts the study.
Names and messages pass through `text.clean`, no markup is parsed, and no meaning hangs on colour alone.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleDimensions, ConsoleRenderable, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment, Segments
from rich.text import Text

from fxai.report.frame import finished_line, frame
from fxai.report.progress import RunProgress
from fxai.report.stream import SteadyStream
from fxai.report.text import assignments, clean, done_of, number

FRAME_S = 0.25
"""Shortest time between two frames."""

Best = tuple[int, float]
"""Number and value of a trial."""


def make_view(*, quiet: bool = False, stream: TextIO | None = None) -> LiveView | PlainView | QuietView:
    """The view that suits the stream (default stdout): live on a terminal, plain lines elsewhere."""
    if quiet:
        return QuietView()
    console = make_console(stream)
    return LiveView(console) if console.is_interactive and not console.is_dumb_terminal else PlainView(stream)


PIPE = 200
"""Columns of a table where there is no terminal: its rows stay on one line."""


def make_console(stream: TextIO | None = None, width: int | None = None) -> Console:
    """A rich console that parses no markup, obeys NO_COLOR and survives the loss of its stream (stdout)."""
    steady = cast(TextIO, SteadyStream(stream if stream is not None else sys.stdout))
    return Console(file=steady, width=width, markup=False, emoji=False, highlight=False)


class QuietView:
    """Shows nothing."""

    def start(
        self,
        study_name: str,
        n_trials: int,
        finished: int,
        best: Best | None,
        direction: str,
        metric_name: str,
    ) -> None:
        """Begin."""

    def handle(self, event: Mapping[str, Any]) -> None:
        """Take in one event."""

    def close(self) -> None:
        """End."""


class PlainView:
    """For logs and pipes: one line per trial started and finished, with the time of day; no escape codes."""

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], str] = lambda: time.strftime("%H:%M:%S"),
    ) -> None:
        self._stream = SteadyStream(stream if stream is not None else sys.stdout)
        self._clock = clock
        self._time_of_day = time_of_day
        self._progress: RunProgress | None = None
        self._metric = ""

    def start(
        self,
        study_name: str,
        n_trials: int,
        finished: int,
        best: Best | None,
        direction: str,
        metric_name: str,
    ) -> None:
        """Say what is about to run."""
        self._metric = clean(metric_name)
        self._progress = RunProgress(
            n_trials=n_trials, finished=finished, best=best, direction=direction, clock=self._clock
        )
        what = f"study {clean(study_name)}: {clean(direction)} {self._metric}"
        line = f"{what}, {done_of(finished, n_trials, 'trial')} done"
        self._line(f"{line}, best {number(best[1])} in trial {best[0]}" if best else line)

    def handle(self, event: Mapping[str, Any]) -> None:
        """Print what starts and finishes; reports of running trials only update the numbers."""
        if event.get("kind") == "log":
            self._lines(str(event["text"]))
        if self._progress is None:
            return
        row = self._progress.apply(event)
        if row is not None and event["kind"] == "trial_started":
            self._line(f"trial {row.number} started{_where(event)}: {assignments(row.params)}")
        elif row is not None and event["kind"] == "trial_finished":
            self._line(finished_line(self._progress, row, self._metric))

    def close(self) -> None:
        """Nothing to put back."""
        self._stream.flush()

    def _lines(self, text: str) -> None:
        for line in text.splitlines():
            self._line(clean(line, 1000))

    def _line(self, text: str) -> None:
        self._stream.write(f"{self._time_of_day()} {text}\n")
        self._stream.flush()


def _where(event: Mapping[str, Any]) -> str:
    """Of a trial that goes on from a checkpoint, from which."""
    update = event.get("continued_from")
    return "" if update is None else f" after update {update}, where trial {event.get('requeue_of')} was cut short"


class LiveView:
    """A steady picture at the bottom of the terminal, redrawn four times a second at most, when it changed.

    A thread draws, so the clock goes on while workers are silent. Failures and log lines scroll by above.

    Args:
        console: where to draw; by default stdout's.
        ticking: start the drawing thread; tests call `refresh` themselves.
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        ticking: bool = True,
    ) -> None:
        self.console = console if console is not None else make_console()
        self._clock = clock
        self._ticking = ticking
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._live: _SteadyLive | None = None
        self._progress: RunProgress | None = None
        self._title = ""
        self._metric = ""
        self._changed = True
        self._drawn_at_s = -1

    def start(
        self,
        study_name: str,
        n_trials: int,
        finished: int,
        best: Best | None,
        direction: str,
        metric_name: str,
    ) -> None:
        """Draw the first frame."""
        self._metric = clean(metric_name)
        self._title = f"{clean(study_name)} · {clean(direction)} {self._metric}"
        self._progress = RunProgress(
            n_trials=n_trials, finished=finished, best=best, direction=direction, clock=self._clock
        )
        self._live = _SteadyLive(console=self.console, auto_refresh=False, get_renderable=self._frame)
        self._live.start(refresh=True)
        if self._ticking:
            self._thread = threading.Thread(target=self._tick, name="fxai-view", daemon=True)
            self._thread.start()

    def handle(self, event: Mapping[str, Any]) -> None:
        """Take in one event; what it changed is drawn with the next frame."""
        if self._progress is None:
            if event.get("kind") == "log":
                self._above(str(event["text"]))
            return
        with self._lock:
            row = self._progress.apply(event)
            self._changed = True
        if event.get("kind") == "log":
            self._above(str(event["text"]))
        elif row is not None and row.state == "fail" and event["kind"] == "trial_finished":
            self._above(f"trial {row.number} failed: {row.error or 'no reason given'}")

    def refresh(self) -> None:
        """Draw a frame if anything differs from the last one; the clock counts once a second."""
        if self._live is None or self._progress is None:
            return
        with self._lock:
            second = int(self._progress.elapsed_s)
            due = self._changed or second != self._drawn_at_s or self._live.resized
            self._changed, self._drawn_at_s = False, second
        if due:
            self._live.refresh()

    def close(self) -> None:
        """Draw the last frame, leave it standing and give the terminal back; safe to call twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)
            self._thread = None
        if self._live is not None and self._progress is not None:
            self._progress.ended = True
            self._live.stop()
            self._live = None

    def _tick(self) -> None:
        while not self._stop.wait(FRAME_S):
            self.refresh()

    def _above(self, text: str) -> None:
        for line in text.splitlines():
            self.console.print(Text(clean(line, 1000)))

    def _frame(self) -> RenderableType:
        if self._progress is None:
            return ""
        with self._lock:
            size = self.console.size
            return frame(self._progress, self._title, self._metric, width=size.width, height=size.height)


class _SteadyLive(Live):
    """rich's Live without flicker and without debris after a resize.

    Each frame is wrapped in a synchronised update (DEC private mode 2026: terminals that know it swap whole
    frames, the others ignore it). After a change of size the old lines may be wrapped anew, so the screen is
    cleared.
    """

    _drawn_size: ConsoleDimensions | None = None

    @property
    def resized(self) -> bool:
        """Whether the terminal has another size than the last frame was drawn for."""
        return self._drawn_size is not None and self._drawn_size != self.console.size

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Called by rich with what is about to be written; puts the frame after it."""
        framed = super().process_renderables(renderables)
        if not self.console.is_interactive:
            return framed
        if self.resized:
            framed[0] = Control((ControlType.CLEAR,), (ControlType.HOME,))
        self._drawn_size = self.console.size
        return [_control("\x1b[?2026h"), *framed, _control("\x1b[?2026l")]


def _control(code: str) -> Segments:
    """Text of no width; rich looks only at whether there is a control type, not at which."""
    return Segments([Segment(code, None, [(ControlType.BELL,)])])
