"""Seconds and megabytes of redrawing all plots of a study: 200 trials of 25 parameters, unless told otherwise.

Builds such a study in a database of its own: random settings of the parameters of comprehensive_search.yaml, values
that depend on three of them and on chance, a third pruned, some failed or with too few trades, two workers, one pause.
Then a fresh process redraws the pages from the database twice, as `poe optuna-plots` does: first with the importances
still to be computed, then with insights.json beside the pages. Imports of libraries count.

    python benchmarks/redraw.py
    python benchmarks/redraw.py --trials 1000 --parameters 33 --keep FOLDER    # and look at the pages
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from fxai.study.space import distributions, is_active
from fxai.study.spec import StudySpec, load_specs

PRESET = Path(__file__).parents[1] / "config" / "optuna" / "comprehensive_search.yaml"
UPDATES = range(4, 33, 4)
START = datetime(2026, 3, 2, 9, 0, 0)


def made_up_spec(parameters: int, storage: str = "sqlite:///unused.db") -> StudySpec:
    """The preset's study with as many of its parameters."""
    spec = load_specs(PRESET).studies[0]
    return spec.model_copy(update={"parameters": spec.parameters[:parameters], "storage": storage})


def made_up_trials(spec: StudySpec, count: int, seed: int = 0) -> list[FrozenTrial]:
    """Trials as a study leaves them; the first is the default config."""
    rng = np.random.default_rng(seed)
    return [_trial(spec, number, rng) for number in range(count)]


def _trial(spec: StudySpec, number: int, rng: np.random.Generator) -> FrozenTrial:
    params = _params(spec, rng)
    best = _quality(params) + rng.normal(0.0, 0.15)
    # each of two workers takes a trial in turn; the night lies after the first half
    seconds = float(rng.uniform(20, 60))
    start = START + timedelta(seconds=60 * (number // 2) + (0 if number < 100 else 36_000))
    curve = {step: best * (1.0 - math.exp(-step / 8.0)) + float(rng.normal(0.0, 0.05)) for step in UPDATES}
    kind = rng.random()
    state, value, error = TrialState.COMPLETE, curve[UPDATES[-1]], None
    if number and kind < 0.33:
        curve = {step: curve[step] for step in UPDATES[: int(rng.integers(2, 5))]}
        state, value, seconds = TrialState.PRUNED, None, seconds * len(curve) / len(UPDATES)
    elif number and kind < 0.36:
        curve, state, value, error = {}, TrialState.FAIL, None, "CUDA out of memory"
    elif number and kind < 0.38:
        value = -1000.0  # the floor of a training that diverged
    told = {"seed": number, "env_steps": 500_000, "metrics": {} if value is None else {"mean_reward": value}}
    trial = create_trial(
        state=state,
        value=value,
        params=params,
        distributions={name: kind for name, kind in distributions(spec.parameters).items() if name in params},
        intermediate_values=curve,
        user_attrs=told | ({"default": True} if not number else {}) | ({"error": error} if error else {}),
        constraints={"min_trades": float(rng.integers(-40, 5))},
    )
    trial.datetime_start, trial.datetime_complete = start, start + timedelta(seconds=seconds)
    return trial


def _params(spec: StudySpec, rng: np.random.Generator) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for parameter in spec.parameters:
        if not is_active(parameter, values):
            continue
        if parameter.choices is not None:
            values[parameter.name] = parameter.choices[int(rng.integers(len(parameter.choices)))]
            continue
        low, high = parameter.bounds
        if parameter.type.endswith("_log"):
            at = math.exp(rng.uniform(math.log(low), math.log(high)))
        else:
            step = parameter.step or (1 if parameter.type == "int" else None)
            at = rng.uniform(low, high) if step is None else low + step * int(rng.integers(parameter.size or 1))
        values[parameter.name] = round(at) if parameter.type.startswith("int") else float(f"{at:.9g}")
    return values


def _quality(params: dict[str, Any]) -> float:
    rate = math.log10(params["training.learning_rate"]) + 3.2
    return (
        0.6 - 0.5 * rate**2 + 0.5 * (params["training.gamma"] - 0.7) - 0.04 * abs(params.get("model.n_layers", 2) - 2)
    )


def redraw(url: str, name: str, folder: Path) -> dict[str, Any]:
    """What `optuna-plots` does, in this process: seconds, and bytes of each file."""
    began = time.perf_counter()
    from fxai.report.insights import write_insights
    from fxai.report.page import write_report
    from fxai.report.plots import write_plots
    from fxai.study.database.storage import load_study, opened
    from fxai.study.recorded import recorded_spec

    with opened(url, readonly=True) as storage:
        study = load_study(storage, name)
        spec = recorded_spec(study, url)
        read = time.perf_counter()
        write_insights(study, spec, folder)
        judged = time.perf_counter()
        paths = write_plots(study, spec, folder)
        drawn = time.perf_counter()
        report_page = write_report(study, spec, folder)
    done = time.perf_counter()
    return {
        "all_s": done - began,
        "cpu_s": time.process_time(),
        "load_s": read - began,
        "insights_s": judged - read,
        "plots_s": drawn - judged,
        "report_s": done - drawn,
        "bytes": {path.name: path.stat().st_size for path in [*paths, folder / "plotly.min.js", report_page]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--parameters", type=int, default=25)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave database and pages there")
    parser.add_argument("--redraw", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.redraw:
        url, name, folder = args.redraw
        print(json.dumps(redraw(url, name, Path(folder))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        spec = made_up_spec(args.parameters, f"sqlite:///{folder / 'redraw.db'}")
        build(spec, args.trials)
        for title in ("importances computed", "importances read"):
            command = [sys.executable, __file__, "--redraw", spec.storage, spec.study_name, str(folder)]
            run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            report(title, json.loads(run.stdout.splitlines()[-1]))


def build(spec: StudySpec, trials: int) -> None:
    from fxai.study.database.storage import opened
    from fxai.study.fingerprint import open_study

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with opened(spec.storage, create=True) as storage:
        study = open_study(storage, spec, data_hash=None)
        storage.set_trial_state_values(study.trials[0]._trial_id, TrialState.FAIL)  # the queued default
        study.add_trials(made_up_trials(spec, trials - 1))


def report(title: str, result: dict[str, Any]) -> None:
    sizes = result["bytes"]
    whole = sizes["report.html"]
    parts = ", ".join(f"{name} {result[name + '_s']:.2f}" for name in ("load", "insights", "plots", "report"))
    print(
        f"{title}: {result['all_s']:.2f} s by the clock, {result['cpu_s']:.2f} of the processor ({parts}); "
        f"{(sum(sizes.values()) - whole) / 1e6:.2f} MB of plots and plotly.min.js, {whole / 1e6:.2f} MB of report.html"
    )
    for name, size in sizes.items():
        print(f"  {size / 1e6:7.3f} MB  {name}")


if __name__ == "__main__":
    main()
