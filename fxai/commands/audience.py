"""Who is told of a run: a terminal or a script, W&B while it goes on, and people by message when it ends."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fxai.errors import FxaiError, StudyConflict
from fxai.report.talk import say

if TYPE_CHECKING:
    from fxai.report.json_lines import JsonView
    from fxai.report.outcome import Outcome
    from fxai.study.spec import SpecFile, StudySpec
    from fxai.study.workers.launch import RunOutcome, View
    from fxai.tracking.notify import Notifier


class Audience:
    """Whom the studies of one spec file are told to."""

    def __init__(self, specs: SpecFile, args: argparse.Namespace) -> None:
        """Find the addresses of a notification before anything runs.

        Raises:
            InputError: `notify_on_complete` is true, and nothing can be sent.
        """
        self._quiet: bool = args.quiet
        self._json: JsonView | None = None
        self._notifier: Notifier | None = None
        self._started = time.monotonic()
        if args.json:
            from fxai.report.json_lines import JsonView

            self._json = JsonView()
        if specs.notify_on_complete:
            from fxai.tracking.notify import notifier

            self._notifier = notifier()

    @property
    def reads(self) -> bool:
        """Whether results are printed for a person."""
        return not self._quiet and self._json is None

    def view(self, spec: StudySpec, folder: Path) -> View:
        """What is told of a running study.

        Raises:
            InputError: `wandb.mode: online` without credentials.
        """
        from fxai.report.terminal import make_view
        from fxai.tracking.tracker import tracked

        self._started = time.monotonic()
        view: View = self._json if self._json is not None else make_view(quiet=self._quiet)
        hint = (lambda _: None) if self._quiet else say
        # lines of a log are not shown to a quiet run, and warnings are
        return tracked(view, spec, folder, hint, warn=(lambda text: say(f"warning: {text}")) if self._quiet else None)

    def ended(self, spec: StudySpec, run: RunOutcome, files: Sequence[Path]) -> None:
        """Tell how a run ended and what it found."""
        state = "interrupted" if run.interrupted else "timed_out" if run.timed_out else "finished"
        told = {
            "n_trials": run.n_trials,
            "finished": run.finished,
            "added": run.added,
            "exit_code": run.exit_code,
            "error": None,
            "folder": str(run.folder),
            "files": [str(path) for path in files],
        }
        self._end(spec, state, told)

    @contextmanager
    def hears_errors(self, spec: StudySpec, folder: Path) -> Iterator[None]:
        """Tell of an error that ends the run within; a study that never began is no news."""
        try:
            yield
        except StudyConflict:
            raise
        except Exception as error:
            self._failed(spec, folder, error)
            raise

    def _failed(self, spec: StudySpec, folder: Path, error: Exception) -> None:
        """Tell that an error ended a run; never fails itself, so that the error is what is heard."""
        from fxai.secrets import redact

        what = error.what if isinstance(error, FxaiError) else f"{type(error).__name__}: {error}"
        code = error.exit_code if isinstance(error, FxaiError) else FxaiError.exit_code
        told = {"n_trials": spec.n_trials, "exit_code": code, "error": redact(what), "folder": str(folder)}
        with suppress(Exception):
            self._end(spec, "failed", {"finished": None, "added": None, "files": [], **told})

    def _end(self, spec: StudySpec, state: str, told: dict[str, Any]) -> None:
        if self._json is None and self._notifier is None:
            return
        elapsed_s = time.monotonic() - self._started
        outcome = _outcome(spec)
        if self._json is not None:
            self._write_summary(spec, state, told, outcome, elapsed_s)
        if self._notifier is not None:
            self._notify(self._notifier, spec, state, told, outcome, elapsed_s)

    def _write_summary(
        self, spec: StudySpec, state: str, told: dict[str, Any], outcome: Outcome | None, elapsed_s: float
    ) -> None:
        from fxai.report.json_lines import result_record
        from fxai.report.outcome import remarks

        assert self._json is not None
        result: dict[str, Any] = {}
        if outcome is not None:
            least = spec.ruler.evaluation.min_trades
            result = result_record(outcome)
            result["remarks"] = remarks(outcome, min_trades=least, of_market=spec.of_market)
        self._json.write("summary", study=spec.study_name, state=state, **told, duration_s=elapsed_s, **result)

    def _notify(
        self,
        notifier: Notifier,
        spec: StudySpec,
        state: str,
        told: dict[str, Any],
        outcome: Outcome | None,
        elapsed_s: float,
    ) -> None:
        from fxai.report.text import done_of
        from fxai.tracking.notify import message

        title, body = message(
            spec.study_name,
            {"timed_out": "stopped: its time was up"}.get(state, state),
            elapsed_s=elapsed_s,
            trials="" if told["finished"] is None else done_of(told["finished"], spec.n_trials),
            sentence="" if outcome is None else best_sentence(outcome),
            error=told["error"] or "",
        )
        for warning in notifier.send(title, body):
            say(f"warning: {warning}")


def best_sentence(outcome: Outcome) -> str:
    """Best beside default, in a line."""
    from fxai.report.text import number

    if outcome.best is None:
        return "no trial has completed"
    name, best = outcome.metric_names[0], outcome.best
    line = f"best {name} {number(best.values[0])} in trial {best.number}"
    if outcome.default_value is None:
        return line
    if best is outcome.default:
        return f"{line}, the {outcome.start}"
    return f"{line}, the {outcome.start} {number(outcome.default_value)}"


def _outcome(spec: StudySpec) -> Outcome | None:
    """The study as its database has it; None where that cannot be read any more."""
    from fxai.report.outcome import outcome_of
    from fxai.study.database.storage import load_study, opened

    with suppress(FxaiError), opened(spec.storage, readonly=True, patience_s=0.0) as storage:
        return outcome_of(load_study(storage, spec.study_name), spec.metric_names)
    return None
