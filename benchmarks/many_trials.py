"""How long the commands that only look take beside 10,000 stored trials: python benchmarks/many_trials.py

Builds a study of ten parameters, six reports a trial and the attributes of a real one in a folder of its own, runs
every command several times as a program of its own and prints medians of wall and CPU time; beside them Python
itself, and a program that only imports Optuna.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from stored_trials import drawn_trials, insert_trials  # noqa: E402

STUDY = "many"
URL = "sqlite:///many.db"

PARAMETERS = [
    {"name": "training.learning_rate", "type": "float_log", "low": 0.0001, "high": 0.003},
    {"name": "training.gamma", "type": "float", "low": 0.8, "high": 0.999},
    {"name": "training.gae_lambda", "type": "float", "low": 0.8, "high": 1.0},
    {"name": "training.clip_epsilon", "type": "float", "low": 0.1, "high": 0.3},
    {"name": "training.entropy_coef", "type": "float_log", "low": 0.0001, "high": 0.1},
    {"name": "training.value_coef", "type": "float", "low": 0.25, "high": 1.0},
    {"name": "training.n_epochs", "type": "int", "low": 1, "high": 8},
    {"name": "training.max_grad_norm", "type": "float", "low": 0.25, "high": 2.0},
    {"name": "model.d_model", "type": "categorical", "choices": [32, 64, 128]},
    {"name": "model.n_layers", "type": "int", "low": 1, "high": 4},
]


def main() -> None:
    """Build the study, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="folder that is used and kept")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "many.db").exists():
            build(folder, args.trials)
        size = (folder / "many.db").stat().st_size / 2**20
        print(f"{args.trials} trials, {size:.0f} MiB; median of {args.repeats}: wall s, CPU s")
        for name, command in commands(folder).items():
            runs = [timed(command, folder) for _ in range(args.repeats)]
            wall, cpu = (statistics.median(times) for times in zip(*runs, strict=True))
            print(f"{name:<34}{wall:7.2f}{cpu:7.2f}", flush=True)


def commands(folder: Path) -> dict[str, list[str]]:
    """Name → what is run, in this order: the first `best` of a folder writes all trials, the others find them."""
    entry = [sys.executable, str(ROOT / "optuna_optimization.py")]
    at = ["--storage", URL]
    wrong = folder / "wrong.yaml"
    wrong.write_text((folder / "spec.yaml").read_text().replace("n_epochs", "n_epoch"))
    stale = f"import os, runpy, sys; os.utime('optuna_results/{STUDY}/{STUDY}_results.json', (0, 0)); "
    stale += f"sys.argv = {[*entry[1:], 'best', STUDY, *at]!r}; runpy.run_path({entry[1]!r}, run_name='__main__')"
    return {
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -c 'import optuna'": [sys.executable, "-c", "import optuna"],
        "--help": [*entry, "--help"],
        "a spec error": [*entry, "--spec", str(wrong)],
        "status": [*entry, "status", *at],
        "results": [*entry, "results", *at],
        "compare": [*entry, "compare", STUDY, "few", *at],
        "best": [*entry, "best", STUDY, *at],
        "best, all trials to be written": [sys.executable, "-c", stale],
    }


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds on the clock and on the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=_quiet())
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 2) or "Traceback" in done.stderr:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _quiet() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "FXAI_CACHE": "off"}


def build(folder: Path, count: int) -> None:
    """The study `many` of `count` trials and one of 100 beside it, as FxAI makes them."""
    import optuna
    import yaml

    from fxai.study.database.storage import opened
    from fxai.study.fingerprint import open_study
    from fxai.study.spec import load_specs

    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    (folder / "base.yaml").write_text("data: {source: ecb}\nenv: {execution: next_close}\n")
    keys: dict[str, Any] = {"storage": URL, "base_config": "base", "parameters": PARAMETERS, "n_trials": count + 1}
    studies = [{"study_name": name, **keys} for name in (STUDY, "few")]
    (folder / "spec.yaml").write_text(yaml.safe_dump({"name": STUDY, "studies": studies}))
    for spec, many in zip(load_specs(folder / "spec.yaml").studies, (count, 100), strict=True):
        with opened(f"sqlite:///{folder / 'many.db'}", create=True) as storage:
            study = open_study(storage, spec, "bars")
            default = study.ask()
            for parameter in spec.parameters:
                _suggest(default, parameter)
            for key, value in _attrs().items():
                default.set_user_attr(key, value)
            study.tell(default, 0.1)
            pattern = study.trials[0]
            insert_trials(storage, study._study_id, drawn_trials(pattern.distributions, many, pattern=pattern))


def _suggest(trial: Any, parameter: Any) -> None:
    from fxai.study import space

    space.suggest(trial, (parameter,))


def _attrs() -> dict[str, Any]:
    """What a worker writes with a trial."""
    from fxai.config.metrics import METRIC_NAMES

    metrics = dict.fromkeys(METRIC_NAMES, 0.1)
    return {
        "versions": {"python": "3.11.2", "fxai": "0.1.0", "optuna": "5.0.0", "torch": "2.13.0", "numpy": "2.4.6"},
        "git_commit": "0" * 40,
        "config_file": "trials/0000/config.yaml",
        "env_steps": 491520,
        "env_steps_per_s": 41234.5,
        "device": "cpu",
        "failure": None,
        "error": None,
        "metrics": metrics,
        "instruments": {name: dict(metrics) for name in ("EURUSD", "USDJPY")},
        "owner": {"host": "host", "pid": 4242, "pid_start": 123456, "pid_namespace": 4026531836},
    }


if __name__ == "__main__":
    main()
