"""A study's events as W&B runs: one run per trial, one step per update.

Runs in the tracking process (fxai.tracking.process): wandb may block here without a trial noticing.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import wandb

from fxai.config.load import set_dotted
from fxai.report.text import short_names
from fxai.tracking.study import TrackedStudy

FINISHERS = 8
"""Runs whose last data are uploaded at the same time."""

log = logging.getLogger("fxai.wandb")


@dataclass(slots=True)
class Runs:
    """The open runs of one study.

    Args:
        study: what they share.
        note: takes a line for the person who runs the study.
    """

    study: TrackedStudy
    note: Callable[[str], None]
    _mode: str = field(init=False)
    _key: str = ""
    """Tells this study from others of its name."""
    _open: dict[int, Any] = field(default_factory=dict)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(FINISHERS, "wandb-finish"))
    _noted: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._mode = self.study.mode

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in one event; whatever goes wrong is noted once and costs that trial's run alone."""
        try:
            self._take(event)
        except Exception as error:
            log.exception("event %s", event.get("kind"))
            self._open.pop(event.get("number", -1), None)
            self._note_once("event", f"W&B lacks data: {one_line(error)} (logs/wandb.log)")

    def close(self) -> None:
        """Finish the runs whose trial has not ended, and wait until all are."""
        for number in list(self._open):
            try:
                self._finish(number, {"state": "interrupted"}, exit_code=1)
            except Exception:
                log.exception("run of trial %d", number)
        self._pool.shutdown(wait=True)
        with suppress(Exception):
            wandb.teardown()

    def _take(self, event: Mapping[str, Any]) -> None:
        kind = event.get("kind")
        if kind == "study":
            self._key = f"{self.study.study_name} {event.get('created')}"
        elif kind == "trial_started":
            self._start(event)
        elif kind == "report" and event["number"] in self._open:
            self._open[event["number"]].log(step_metrics(event), step=event["step"])
        elif kind == "trial_finished" and event["number"] in self._open:
            state = str(event["state"]).lower()
            self._finish(event["number"], self._outcome(event, state), 0 if state in ("complete", "pruned") else 1)

    def _start(self, event: Mapping[str, Any]) -> None:
        number = event["number"]
        run_id = f"{hashlib.sha256(self._key.encode()).hexdigest()[:10]}-{number:04d}"
        try:
            self._open[number] = self._init(event, run_id)
        except Exception as error:
            log.exception("run %s", run_id)
            if self._mode == "online":
                self._fall_back(error)
            self._open[number] = self._init(event, self._freed(run_id))

    def _freed(self, run_id: str) -> str:
        """The id again, after an attempt that failed: wandb's own process holds it, or has ended."""
        if self._open:
            return f"{run_id}-2"
        with suppress(Exception):
            wandb.teardown()
        for rest in self.study.folder.glob(f"wandb/*run-*-{run_id}"):
            shutil.rmtree(rest, ignore_errors=True)
        return run_id

    def _init(self, event: Mapping[str, Any], run_id: str) -> Any:
        """Open a run; its id is a function of study and trial."""
        study = self.study
        return wandb.init(
            project=study.project,
            entity=study.entity,
            group=study.group,
            tags=list(study.tags),
            id=run_id,
            name=f"{study.study_name}-{event['number']:04d}",
            job_type="trial",
            config=run_config(study, event),
            dir=str(study.folder),
            mode="online" if self._mode == "online" else "offline",
            reinit="create_new",
            settings=_settings(study.silence_s),
        )

    def _outcome(self, event: Mapping[str, Any], state: str) -> dict[str, Any]:
        """What the run's summary says of the trial."""
        told: dict[str, Any] = {"state": state}
        names, values = self.study.metric_names, event.get("values")
        if values:
            told |= {"value": values[0]} if len(values) == 1 else {}
            told |= {f"final/{name}": value for name, value in zip(names, values, strict=True)}
        for name in ("feasible", "duration_s", "error"):
            if event.get(name) is not None:
                told[name] = event[name]
        return told

    def _finish(self, number: int, summary: Mapping[str, Any], exit_code: int) -> None:
        """End a run; its last data are uploaded beside what comes next."""
        run = self._open.pop(number)
        run.summary.update(dict(summary))
        self._pool.submit(self._upload, run, exit_code)

    def _upload(self, run: Any, exit_code: int) -> None:
        try:
            run.finish(exit_code=exit_code)
        except Exception as error:
            log.exception("the last data of a run were not taken in")
            self._fall_back(error)

    def _fall_back(self, error: Exception) -> None:
        """From now on runs are kept in files."""
        self._mode = "offline"
        where = self.study.folder / "wandb"
        self._note_once(
            "offline",
            f"W&B does not answer ({one_line(error)}); runs are kept in files from now on, to be uploaded with: "
            f"wandb sync {where}/*run-*",
        )

    def _note_once(self, what: str, text: str) -> None:
        if what not in self._noted:
            self._noted.add(what)
            self.note(text)


def run_config(study: TrackedStudy, event: Mapping[str, Any]) -> dict[str, Any]:
    """The trial's effective config by section, and what was searched once more by itself.

    W&B shows a setting by its dotted name, `training.learning_rate`; a searched one as `searched.learning_rate` too.
    """
    short = short_names(study.parameters)
    config, searched = study.base, {}
    for name, value in event["params"].items():
        config = set_dotted(config, name, value)
        searched[short.get(name, name).replace(".", "/")] = value
    if event.get("seed") is not None:
        config = set_dotted(config, "training.seed", event["seed"])
    return {
        **config,
        "searched": searched,
        "study": {"name": study.study_name, "metrics": study.metric_names, "directions": study.directions},
        "trial": event["number"],
        "requeue_of": event.get("requeue_of"),
    }


def step_metrics(event: Mapping[str, Any]) -> dict[str, float]:
    """What an update gave: losses under `train/`, the evaluation under `eval/`; what is not finite is left out."""
    told = {name: event.get(name) for name in ("value", "env_steps", "env_steps_per_s")}
    for prefix, own in (("train", event.get("train")), ("eval", event.get("metrics"))):
        told |= {f"{prefix}/{name}": value for name, value in (own or {}).items()}
    return {name: value for name, value in told.items() if value is not None}


def one_line(error: Exception) -> str:
    """An error in a line, without the key and without wandb's advice on its own settings."""
    text = " ".join(str(error).split()).partition(" Consider increasing")[0] or type(error).__name__
    key = os.environ.get("WANDB_API_KEY")
    return text.replace(key, "***") if key else text


def _settings(silence_s: float) -> wandb.Settings:
    """Nothing printed, nothing saved of the machine, the command line, the code or its repository."""
    return wandb.Settings(
        console="off",
        silent=True,
        quiet=True,
        symlink=False,
        disable_code=True,
        disable_git=True,
        save_code=False,
        host="",
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_disable_stats=True,
        x_save_requirements=False,
        init_timeout=silence_s,
        finish_timeout=silence_s,
        finish_timeout_raises=True,
    )
