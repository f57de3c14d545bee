"""Time per trial outside of the training: FxAI's worker beside bare Optuna, at 100 and 1,000 stored trials.

Both suggest the same ten parameters with the same TPE sampler, report six times to the same MedianPruner and store on
SQLite; the training is empty. Bare Optuna is `study.optimize` on `sqlite:///…` as it comes. FxAI's worker does all
that it does in a study: exact budget, owner and heartbeat, seeds, versions, the trial's files, events to the parent.
They take turns in one process, so that a busy machine disturbs both; the best round of each counts.

    python benchmarks/study_overhead.py
    python benchmarks/study_overhead.py --stored 100 --rounds 2
    python benchmarks/study_overhead.py --results 1000 10000   # instead: seconds to write all results of so many trials
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import optuna
import yaml
from apart import Result
from stored_trials import STEPS, drawn_trials, insert_trials, quality

from fxai.config.metrics import METRIC_NAMES
from fxai.study import space
from fxai.study.database.storage import load_study, open_storage, opened
from fxai.study.fingerprint import open_study
from fxai.study.objective import Report, TrialRequest
from fxai.study.pruners import build_pruner
from fxai.study.samplers import build_sampler
from fxai.study.spec import StudySpec, load_specs
from fxai.study.workers.process import Mailbox
from fxai.study.workers.slots import Slot
from fxai.study.workers.worker import Worker, WorkerSetup

PARAMETERS: list[dict[str, Any]] = [
    {"name": "training.learning_rate", "type": "float_log", "low": 1e-5, "high": 1e-2},
    {"name": "training.gamma", "type": "float", "low": 0.5, "high": 0.99},
    {"name": "training.gae_lambda", "type": "float", "low": 0.5, "high": 0.99},
    {"name": "training.clip_epsilon", "type": "float", "low": 0.1, "high": 0.4},
    {"name": "training.value_coef", "type": "float", "low": 0.1, "high": 1.0},
    {"name": "training.entropy_coef", "type": "float_log", "low": 1e-4, "high": 0.1},
    {"name": "training.n_epochs", "type": "int", "low": 1, "high": 8},
    {"name": "model.d_model", "type": "categorical", "choices": [32, 64, 128, 256]},
    {"name": "model.n_layers", "type": "int", "low": 1, "high": 6},
    {"name": "model.dropout", "type": "float", "low": 0.0, "high": 0.5, "step": 0.1},
]

TRIALS_PER_ROUND = 10

TARGET_S = 0.040
"""What FxAI's worker may take at 1,000 trials."""

AHEAD = 1.0
"""The trials that are timed do better than all stored ones by this, so that none is pruned: each reports six times."""


def nothing(request: TrialRequest) -> Iterator[Report]:
    """An objective without a training: six reports, and updates between them that are not evaluated."""
    config = request.config
    value = quality({p["name"]: _setting(config, p["name"]) for p in PARAMETERS}) + AHEAD
    for step in STEPS:
        metrics = dict.fromkeys(METRIC_NAMES, value * step / STEPS[-1])
        yield Report(
            step=step, total_steps=STEPS[-1], env_steps=step * 1000, metrics=metrics, train={"loss": 0.5, "kl": 0.01}
        )


def _setting(config: Any, name: str) -> Any:
    section, _, key = name.partition(".")
    return getattr(getattr(config, section), key)


def make_spec(folder: Path, n_trials: int, name: str = "ours", **changes: Any) -> StudySpec:
    """The study of this benchmark, on a database in `folder`; `changes` replace keys of the study."""
    (folder / "base.yaml").write_text("data: {source: ecb}\nenv: {execution: next_close}\n")
    study = {
        "study_name": name,
        "direction": "maximize",
        "metric_name": "mean_reward",
        "storage": f"sqlite:///{folder / name}.db",
        "base_config": "base",
        "sampler": {"type": "TPESampler", "seed": 42},
        "pruner": {"type": "MedianPruner", "n_startup_trials": 5, "n_warmup_steps": 5},
        "parameters": PARAMETERS,
        "n_trials": n_trials,
        "training_config": {"training": {"total_updates": STEPS[-1], "eval_frequency": STEPS[0]}},
        **changes,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"name": name, "results_dir": str(folder / "results"), "studies": [study]}))
    return load_specs(path).studies[0]


class Ours:
    """FxAI's worker in this process; its events are pickled and written, as to its parent, but nobody reads them."""

    def __init__(self, folder: Path, stored: int) -> None:
        spec = make_spec(folder, stored)
        self.spec = spec
        with_default = open_storage(spec.storage, create=True)
        study = open_study(with_default, spec, None)
        self._setup = WorkerSetup(
            slot=Slot(0),
            spec=spec,
            study_seed=int(study.user_attrs["seed"]),
            folder=folder / "results",
            objective="study_overhead:nothing",
        )
        self.mailbox = Mailbox(Connection(os.open(os.devnull, os.O_WRONLY), readable=False), 0)
        self.worker = self._worker(1)
        self.worker.run()
        pattern = study.get_trials()[0]
        trials = drawn_trials(space.distributions(spec.parameters), stored - 1, pattern=pattern)
        insert_trials(with_default, study._study_id, trials)
        with_default.engine.dispose()
        self.worker = self._worker(stored)
        self._done = stored

    def _worker(self, n_trials: int) -> Worker:
        from dataclasses import replace

        setup = replace(self._setup, spec=self.spec.model_copy(update={"n_trials": n_trials}))
        return Worker(setup, self.mailbox.emit, threading.Event(), threading.Event())

    def trials(self) -> int:
        """One round."""
        self._done += TRIALS_PER_ROUND
        self.worker.spec = self.spec.model_copy(update={"n_trials": self._done})
        reason = self.worker.run()
        assert reason == "budget", reason
        return TRIALS_PER_ROUND


class Bare:
    """Optuna's own loop and storage, as its documentation shows them."""

    def __init__(self, folder: Path, stored: int) -> None:
        self.spec = make_spec(folder, stored, "bare")
        self.study = optuna.create_study(
            storage=f"sqlite:///{folder / 'optuna'}.db",
            study_name="bare",
            direction="maximize",
            sampler=build_sampler(self.spec.sampler, self.spec.parameters, 42),
            pruner=build_pruner(self.spec.pruner),
        )
        backend = self.study._storage._backend  # type: ignore[attr-defined]
        trials = drawn_trials(space.distributions(self.spec.parameters), stored)
        insert_trials(backend, self.study._study_id, trials)

    def trials(self) -> int:
        """One round."""
        self.study.optimize(self._objective, n_trials=TRIALS_PER_ROUND)
        return TRIALS_PER_ROUND

    def _objective(self, trial: optuna.Trial) -> float:
        value = quality(space.suggest(trial, self.spec.parameters)) + AHEAD
        for step in STEPS:
            trial.report(value * step / STEPS[-1], step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value


def timed(work: Callable[[], int]) -> Result:
    """One round by the clock and by the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    steps = work()
    return {"steps": steps, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def side_by_side(stored: int, rounds: int) -> dict[str, Result]:
    """Milliseconds per trial of both, the best round of each."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        contenders: dict[str, Callable[[], int]] = {
            "FxAI": Ours(folder, stored).trials,
            "bare Optuna": Bare(folder, stored).trials,
        }
        for work in contenders.values():
            work()  # imports, first read of the stored trials
        results: dict[str, list[Result]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, work in contenders.items():
                results[name].append(timed(work))
    return {
        name: {
            "cpu_ms": min(r["cpu_s"] / r["steps"] for r in measured) * 1e3,
            "wall_ms": min(r["wall_s"] / r["steps"] for r in measured) * 1e3,
        }
        for name, measured in results.items()
    }


def all_results(stored: int) -> Iterator[str]:
    """Write what a run leaves at its end beside many trials; one line for each part."""
    from fxai.report.insights import write_insights
    from fxai.report.page import write_report
    from fxai.report.plots import write_plots
    from fxai.report.results import write_results
    from fxai.report.summary import print_summary

    with tempfile.TemporaryDirectory() as text:
        ours = Ours(Path(text), stored)
        folder = Path(text) / "results"
        with opened(ours.spec.storage, readonly=True) as storage:
            study = load_study(storage, ours.spec.study_name)
            parts: dict[str, Callable[[], object]] = {
                "first read": lambda: study.get_trials(deepcopy=False),
                "results": lambda: write_results(study, ours.spec, folder),
                "insights": lambda: write_insights(study, ours.spec, folder),
                "plots": lambda: write_plots(study, ours.spec, folder),
                "report.html": lambda: write_report(study, ours.spec, folder),
                "summary": lambda: print_summary(study, ours.spec, folder, [], elapsed_s=1.0, interrupted=False),
            }
            for name, work in parts.items():
                wall, cpu = time.perf_counter(), time.process_time()
                with contextlib.redirect_stdout(io.StringIO()):
                    work()
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                yield f"{stored:6,} stored  {name:12}  wall {wall:6.2f} s  CPU {cpu:6.2f} s"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stored", type=int, nargs="+", default=[100, 1000], help="trials in the database")
    parser.add_argument("--rounds", type=int, default=3, help="of ten trials each, of each contender")
    parser.add_argument("--results", type=int, nargs="+", help="write the results of so many trials instead")
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for stored in args.results or ():
        for line in all_results(stored):
            print(line, flush=True)
    for stored in args.stored if not args.results else ():
        found = side_by_side(stored, args.rounds)
        for name, result in found.items():
            print(f"{stored:6,} stored  {name:12}  CPU {result['cpu_ms']:6.1f} ms  wall {result['wall_ms']:6.1f} ms")
        ratio = found["FxAI"]["cpu_ms"] / found["bare Optuna"]["cpu_ms"]
        print(f"{stored:6,} stored  FxAI / bare Optuna: CPU {ratio:.2f}")


if __name__ == "__main__":
    main()
