"""One trial: from suggested parameters through reports and pruning to a verdict."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import TrialState

from fxai import yaml_strict
from fxai.config import TrialConfig
from fxai.config.metrics import floor
from fxai.errors import FxaiError, InputError
from fxai.files import make_dir, refuse_links, write_text_atomic
from fxai.study import space
from fxai.study.fingerprint import git_commit, versions
from fxai.study.objective import Objective, Report, TrialRequest
from fxai.study.spec import StudySpec
from fxai.study.trial_files import LearningCurve, checkpoint_update, take_checkpoints, trial_folder, write_equity

if TYPE_CHECKING:
    from fxai.evaluate.curve import EquityCurve

Emit = Callable[[dict[str, Any]], None]
"""Sends an event to the parent process."""


class Stopped(Exception):
    """The worker was asked to stop; the trial goes back to the queue."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What Optuna is told about a trial."""

    state: TrialState
    values: tuple[float, ...] | None = None
    error: str | None = None
    feasible: bool = True
    """The trial keeps the study's constraints."""


class TrialRun:
    """The course of one trial in a worker."""

    def __init__(
        self,
        trial: optuna.Trial,
        spec: StudySpec,
        folder: Path,
        *,
        seed: int,
        emit: Emit,
        stopped: Callable[[], bool],
        flush: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare a trial.

        Args:
            trial: the claimed trial.
            spec: its study.
            folder: the study's folder.
            seed: of the training.
            emit: receives events.
            stopped: asked between updates whether to give up.
            flush: writes what samplers and pruners have stored and other workers should see.
        """
        self.trial = trial
        self.spec = spec
        self.folder = folder
        self.seed = seed
        self.attrs: dict[str, Any] = {"seed": seed, "versions": versions(), "git_commit": git_commit()}
        """User attributes to be stored with the trial."""
        self.config: TrialConfig | None = None
        """What it trains with, once that is drawn."""
        self._emit = emit
        self._stopped = stopped
        self._flush = flush
        self._last_step = 0
        self._values: tuple[float, ...] | None = None
        self._curve = LearningCurve()
        self._equity: EquityCurve | None = None
        self._expected: int | None = None
        """Update of the checkpoint from which the training should go on."""

    def run(self, objective: Objective) -> Verdict:
        """Suggest, train, report, prune.

        Raises:
            Stopped: the worker was asked to stop.
            Exception: whatever the objective raised.
        """
        request = self._request()
        self._emit(
            {
                "kind": "trial_started",
                "number": self.trial.number,
                "params": self.trial.params,
                "seed": self.seed,
                "requeue_of": self.trial.user_attrs.get("requeue_of"),
                "continued_from": self._expected,
            }
        )
        try:
            pruned = self._train(objective, request)
        except BaseException:
            with contextlib.suppress(Exception):  # what went wrong first is what counts
                self._write_curves(request.folder)
            raise
        self._write_curves(request.folder)
        if pruned:
            return Verdict(TrialState.PRUNED)
        feasible = self._constrain()
        if self._values is None:
            return Verdict(TrialState.FAIL, error="the objective ended without an evaluated report")
        return Verdict(TrialState.COMPLETE, self._values, feasible=feasible)

    def _train(self, objective: Objective, request: TrialRequest) -> bool:
        """Take the objective's reports; True means that the trial was pruned."""
        started = time.monotonic()
        with contextlib.closing(_closable(objective(request))) as reports:
            for report in reports:
                elapsed_s = time.monotonic() - started if report.elapsed_s is None else report.elapsed_s
                self._note_begin(report)
                self._curve.add(report, elapsed_s)
                self._equity = report.equity or self._equity
                if self._take(report, elapsed_s):
                    return True
                if report.failure is not None:
                    break
        return False

    def _note_begin(self, report: Report) -> None:
        """Record from where the training goes on, or say that it does not although it should."""
        if report.continued_from is not None:
            self.attrs["continued_from"] = report.continued_from
            # at once: whether a trial that dies again has got further decides about its attempts
            self.trial.set_user_attr("continued_from", report.continued_from)
        elif self._expected is not None and self._last_step == 0:
            self._log("starts over: its checkpoint cannot be used, and the worker's log says why")

    def _log(self, text: str) -> None:
        self._emit({"kind": "log", "text": f"trial {self.trial.number} {text}"})

    def _write_curves(self, folder: Path) -> None:
        """Leave the learning curve, also of a trial that was cut short, and the equity of its last evaluation."""
        self._curve.write(folder)
        if self._equity is not None:
            write_equity(folder, self._equity)

    def _request(self) -> TrialRequest:
        """Suggest parameters, write the effective config, and say so in the trial."""
        params = space.suggest(self.trial, self.spec.parameters)
        self._flush()  # before anything is trained: a trial that is run again keeps its parameters and seed
        config = space.as_run(space.apply(self.spec.base, params), {**self.trial.user_attrs, "seed": self.seed})
        self.config = config
        folder = trial_folder(self.folder, self.trial.number)
        refuse_links(folder.parent, folder)
        make_dir(folder)
        self._take_over(folder)
        path = folder / "config.yaml"
        write_text_atomic(path, yaml_strict.dump(config.model_dump(mode="json")))
        self.attrs["config_file"] = path.relative_to(self.folder).as_posix()
        if self._stopped():
            raise Stopped
        return TrialRequest(
            number=self.trial.number,
            config=config,
            ruler=self.spec.ruler,
            seed=self.seed,
            folder=folder,
            stopping=self._stopped,
        )

    def _take_over(self, folder: Path) -> None:
        """Take the checkpoints of the trial that this one repeats, if it left any."""
        try:
            take_checkpoints(self.folder, self._repeated(), self.trial.number)
        except (OSError, InputError) as error:
            self._log(f"starts over: {' '.join(str(error).split())}")
            return
        self._expected = checkpoint_update(folder)

    def _repeated(self) -> list[int]:
        """Trials that this one repeats, the latest first: one that was cut short before its begin took over nothing."""
        number, chain = self.trial.user_attrs.get("requeue_of"), list[int]()
        if number is None:
            return chain
        trials = self.trial.study.get_trials(deepcopy=False)
        before = {trial.number: trial.user_attrs.get("requeue_of") for trial in trials}
        while isinstance(number, int) and number not in chain:
            chain.append(number)
            number = before.get(number)
        return chain

    def _take(self, report: Report, elapsed_s: float) -> bool:
        """Record one report; True means prune."""
        if report.step <= self._last_step:
            raise FxaiError(f"the objective reported step {report.step} after step {self._last_step}")
        self._last_step = report.step
        rate = report.env_steps / elapsed_s if elapsed_s > 0 else 0.0
        self.attrs.update(
            env_steps=report.env_steps,
            env_steps_per_s=round(rate, 1),
            device=report.device,
            failure=report.failure,
        )
        value = None
        if report.metrics is not None:
            self.attrs["metrics"] = _finite_or_none(report.metrics)
            self._values = self._finite(report)
            value = self._values[0]
        if report.instruments is not None:
            self.attrs["instruments"] = {name: _finite_or_none(own) for name, own in report.instruments.items()}
        self._emit(
            {
                "kind": "report",
                "number": self.trial.number,
                "step": report.step,
                "total_steps": report.total_steps,
                "value": value,
                "env_steps": report.env_steps,
                "env_steps_per_s": rate,
                "metrics": None if report.metrics is None else _finite_or_none(report.metrics),
                "train": _finite_or_none(report.train),
            }
        )
        pruned = value is not None and len(self.spec.directions) == 1 and self._prune(report, value)
        if self._stopped():
            raise Stopped
        return pruned and report.failure is None

    def _constrain(self) -> bool:
        """Tell the sampler when an agent (almost) never trades: such a trial is best only if all others are too.

        Closed trades count: to open once and hold to the end is to have decided once.

        Returns:
            Whether it trades enough.
        """
        least = self.spec.ruler.evaluation.min_trades
        n_closed = (self.attrs.get("metrics") or {}).get("n_closed")
        if least == 0 or n_closed is None:
            return True
        self.trial.set_constraint("min_trades", least - n_closed)
        return bool(n_closed >= least)

    def _prune(self, report: Report, value: float) -> bool:
        """Tell the value. A training that is over has nothing to save, and others are held against the default.

        What is told once more was judged before the training went on: the pruner takes note, and decides at the update
        that is continued from.
        """
        self.trial.report(value, report.step)
        spared = report.step >= report.total_steps or self.trial.user_attrs.get("default") is True
        judged = report.continued_from is not None and report.step < report.continued_from
        pruned = not spared and self.trial.should_prune() and not judged
        self._flush()  # rungs of successive halving, which count for the trials of other workers
        return pruned

    def _finite(self, report: Report) -> tuple[float, ...]:
        """The values of the study's metrics, the worst ones where the training diverged.

        Optuna would take an infinite one as the best ever.
        """
        metrics = report.metrics or {}
        if report.failure is not None:
            return tuple(
                worst(floor(name, direction), metrics.get(name, floor(name, direction)))
                for name, direction in zip(self.spec.metric_names, self.spec.directions, strict=True)
                for worst in [min if direction == "maximize" else max]
            )
        for name in self.spec.metric_names:
            if name not in metrics:
                raise FxaiError(f"the objective gave no {name} at update {report.step}")
            if not math.isfinite(metrics[name]):
                raise FxaiError(f"{name} is {metrics[name]} at update {report.step}")
        return tuple(float(metrics[name]) for name in self.spec.metric_names)


def _finite_or_none(metrics: dict[str, float]) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def _closable(reports: Iterator[Report]) -> Any:
    """A generator as it is; any other iterator wrapped into one."""
    return reports if hasattr(reports, "close") else (report for report in reports)
