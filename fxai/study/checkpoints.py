"""The checkpoint of one PPO training: when it is written, what it holds, and what is told again from it.

Beside the training's own state it holds every report told so far, so that the trial which goes on with it has the same
history for the pruner, the learning curve and the terminal.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from fxai.agent.snapshot import BadSnapshot, Meaning, Snapshot, load_snapshot, save_snapshot
from fxai.agent.train import Progress
from fxai.errors import InputError, StorageError
from fxai.evaluate.curve import EquityCurve
from fxai.study.objective import Report, TrialRequest
from fxai.study.trial_files import CHECKPOINT

log = logging.getLogger("fxai.worker")


class _Kept(BaseModel):
    """What is kept; numbers that JSON does not have are words."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


class _Equity(_Kept):
    """An equity curve as lists."""

    bar_R: list[int]
    mean_R: list[float]
    low_R: list[float]
    high_R: list[float]
    instruments: dict[str, list[float]]


class _Told(_Kept):
    """A report without its equity."""

    step: int
    total_steps: int
    env_steps: int
    metrics: dict[str, float] | None
    train: dict[str, float]
    device: str
    instruments: dict[str, dict[str, float]] | None
    elapsed_s: float
    failure: str | None


class _History(_Kept):
    """All that was told."""

    reports: list[_Told]
    equity: _Equity | None
    """Of the last evaluation."""
    equity_step: int
    """Update of that evaluation."""


class Checkpoints:
    """Writes and reads the checkpoint in a trial's folder."""

    def __init__(self, request: TrialRequest, meaning: Meaning, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing told.

        Args:
            request: whose folder it is, and how often to write.
            meaning: what a checkpoint must have been made with.
            clock: seconds.
        """
        self.path = request.folder / CHECKPOINT
        self._number, self._every_s, self._meaning, self._clock = request.number, request.checkpoint_s, meaning, clock
        self._told: list[Report] = []
        self._with_equity: int | None = None
        """Which of them holds the equity."""
        self._before_s = 0.0
        self._began = self._written = clock()

    def load(self) -> Snapshot | None:
        """The training to go on with; None where there is none.

        Raises:
            BadSnapshot: there is one that cannot be used.
        """
        if not self.path.is_symlink() and not self.path.exists():
            return None
        snapshot, notes = load_snapshot(self.path, self._meaning)
        try:
            history = _History.model_validate_json(notes)
        except ValidationError as error:
            raise BadSnapshot("the reports in it are damaged", where=str(self.path)) from error
        reports = list(_reports(history))
        if [report.step for report in reports] != list(range(1, snapshot.update + 1)):
            raise BadSnapshot(f"it has no report of some update before {snapshot.update}", where=str(self.path))
        self._told = reports
        self._with_equity = next((i for i, report in enumerate(reports) if report.equity is not None), None)
        return snapshot

    def refuse(self, error: BadSnapshot) -> None:
        """Begin anew, and say why."""
        log.warning("trial %d starts over: %s", self._number, " ".join(str(error).split()))
        self._told, self._with_equity = [], None
        with contextlib.suppress(OSError):
            self.path.unlink()

    def told_again(self) -> Iterator[Report]:
        """What was told before the checkpoint; the clock goes on from there."""
        if not self._told:
            return
        last = self._told[-1]
        log.info("trial %d goes on after update %d", self._number, last.step)
        for report in self._told:
            yield replace(_copy(report), continued_from=last.step)
        self._before_s = last.elapsed_s or 0.0
        self._began = self._written = self._clock()

    def note(self, report: Report) -> Report:
        """The report with the seconds of training until here; it is remembered as it is now, whatever is done to it."""
        report = replace(report, elapsed_s=self._before_s + self._clock() - self._began)
        if report.equity is not None:
            self._drop_equity()
            self._with_equity = len(self._told)
        self._told.append(_copy(report))
        return report

    def _drop_equity(self) -> None:
        """Only the last curve is kept."""
        if self._with_equity is not None:
            self._told[self._with_equity] = replace(self._told[self._with_equity], equity=None)

    @property
    def due(self) -> bool:
        """Whether it is time for the next one."""
        return self._every_s is not None and self._clock() - self._written >= self._every_s

    def save(self, progress: Progress) -> None:
        """Replace the checkpoint. A training that cannot be saved goes on without."""
        if progress.snapshot is None:
            return
        try:
            save_snapshot(self.path, progress.snapshot(), self._meaning, _history(self._told).model_dump_json())
        except (InputError, StorageError) as error:
            log.warning("trial %d has no new checkpoint: %s", self._number, " ".join(str(error).split()))
        self._written = self._clock()


def _copy(report: Report) -> Report:
    """A report whose tables nobody else holds."""
    metrics = None if report.metrics is None else dict(report.metrics)
    return replace(report, metrics=metrics, train=dict(report.train))


def _history(reports: list[Report]) -> _History:
    told = [_Told(**{name: getattr(report, name) for name in _Told.model_fields}) for report in reports]
    step, curve = next(((report.step, report.equity) for report in reports if report.equity is not None), (0, None))
    names = [] if curve is None else [f.name for f in fields(curve) if f.name != "instruments"]
    lists = {name: getattr(curve, name).tolist() for name in names}
    own = {} if curve is None else {name: each.tolist() for name, each in curve.instruments.items()}
    return _History(reports=told, equity=_Equity(**lists, instruments=own) if curve else None, equity_step=step)


def _reports(history: _History) -> Iterator[Report]:
    for told in history.reports:
        equity = history.equity if told.step == history.equity_step else None
        yield Report(**told.model_dump(), equity=None if equity is None else _curve(equity))


def _curve(equity: _Equity) -> EquityCurve:
    return EquityCurve(
        bar_R=np.array(equity.bar_R, dtype=np.int64),
        mean_R=np.array(equity.mean_R),
        low_R=np.array(equity.low_R),
        high_R=np.array(equity.high_R),
        instruments={name: np.array(each) for name, each in equity.instruments.items()},
    )
