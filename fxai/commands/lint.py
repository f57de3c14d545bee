"""`lint`: a spec checked without being run, and what it will cost on this machine."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fxai.commands.find import find_spec
from fxai.commands.overrides import warn_of_overrides, with_overrides
from fxai.commands.phases import SPECS
from fxai.config.load import get_dotted
from fxai.report.talk import say
from fxai.report.text import clean, duration, number
from fxai.study.forecast import forecast
from fxai.study.objective import DEFAULT_OBJECTIVE
from fxai.study.pruners import first_acting_step
from fxai.study.spec import StudySpec, load_specs
from fxai.study.workers.slots import slots_of

START_S = 6.0
"""What a worker takes to import and to read the bars, about."""


SAMPLERS = {
    "TPESampler": "draws where good trials lie denser than the others",
    "CmaEsSampler": "moves a cloud of points towards the good ones of each generation",
    "RandomSampler": "draws at random",
    "GridSampler": "walks all combinations",
    "QMCSampler": "spreads its points evenly",
    "GPSampler": "models the value as a Gaussian process, and tries where it may be best",
    "NSGAIISampler": "crosses and mutates the unbeaten trials of each generation",
    "NSGAIIISampler": "crosses and mutates the unbeaten trials of each generation, spread over directions",
    "BruteForceSampler": "walks all combinations, conditional ones too",
}
PRUNERS = {
    "MedianPruner": "stops what is below the median of the trials before it at the same update",
    "PercentilePruner": "stops what is beyond a percentile of the trials before it at the same update",
    "SuccessiveHalvingPruner": "lets the best share go on at each rung",
    "HyperbandPruner": "lets the best share go on at each rung, in several brackets",
    "ThresholdPruner": "stops what leaves its bounds",
    "PatientPruner": "stops what has not improved for some reports",
    "WilcoxonPruner": "stops what is surely below the best trial, update by update",
    "NopPruner": "stops nothing",
}


def lint_command(args: argparse.Namespace) -> int:
    """Check a spec, print or dump what it holds and costs; a fault of it is an error as in `run`."""
    path, only = Path(args.spec), None
    if not path.is_file() and path.suffix != ".yaml":
        found = find_spec(args.spec, SPECS)
        path, only = found.path, found.study
    specs = load_specs(path)
    chosen = [spec for spec in specs.studies if only in (None, spec.study_name)]
    chosen = [with_overrides(spec, args) for spec in chosen]
    for spec in chosen:
        warn_of_overrides(spec, args)
    told = [_study(spec, calibrated=not args.no_calibration) for spec in chosen]
    if args.json:
        print(json.dumps({"spec": str(path), "warnings": list(specs.warnings), "studies": told}, indent=2))
        return 0
    print(f"{clean(path)}: {clean(specs.name)}, no error")
    for warning in specs.warnings:
        say(f"warning: {warning}")
    for study in told:
        print("\n" + "\n".join(_lines(study)))
    return 0


def _study(spec: StudySpec, *, calibrated: bool) -> dict[str, Any]:
    """What is said of a study, as plain data."""
    cost, (slots, note) = forecast(spec), slots_of(spec)
    workers = len(slots)
    told: dict[str, Any] = {
        "study": spec.study_name,
        "metrics": dict(zip(spec.metric_names, spec.directions, strict=True)),
        "trials": spec.n_trials,
        "workers": workers,
        "note": note,
        "sampler": spec.sampler.type,
        "pruner": spec.pruner.type,
        "pruner_first_acts": first_acting_step(spec.pruner, spec.base.training),
        "total_updates": spec.base.training.total_updates,
        "reports": cost.reports,
        "parameters": [
            {
                "name": p.name,
                "type": p.type,
                "values": p.describe(),
                "default": get_dotted(spec.base, p.name),
                "when": {name: list(values) for name, values in p.when.items()},
            }
            for p in spec.parameters
        ],
        "env_steps": cost.env_steps,
        "pruning_leaves": cost.kept,
        "disk_bytes": cost.disk_bytes,
        "time": None,
    }
    if calibrated and spec.objective == DEFAULT_OBJECTIVE:
        told["time"] = _time(spec, workers, cost.kept)
    return told


def _time(spec: StudySpec, workers: int, kept: float | None) -> dict[str, float]:
    """Seconds, from a few updates trained here; torch is imported now."""
    from fxai.study.calibration import calibrate

    say("note: training a few updates of the default and of the largest config")
    cost = calibrate(spec)
    whole = START_S + spec.n_trials * cost.mean_trial_s / workers
    pruned = START_S + spec.n_trials * cost.mean_trial_s * (1.0 if kept is None else kept) / workers
    return {
        "default_trial_s": cost.default_trial_s,
        "mean_trial_s": cost.mean_trial_s,
        "largest_trial_s": cost.largest_trial_s,
        "study_s": whole,
        "study_with_pruning_s": pruned,
    }


def _lines(study: dict[str, Any]) -> list[str]:
    metrics = ", ".join(f"{way} {name}" for name, way in study["metrics"].items())
    lines = [f"{clean(study['study'])}: {study['trials']} trials, {metrics}"]
    lines += _table(study["parameters"])
    lines += [f"sampler    {study['sampler']} {SAMPLERS[study['sampler']]}", f"pruner     {_pruner_words(study)}"]
    together = "1 trial at a time" if study["workers"] == 1 else f"{study['workers']} trials at a time"
    lines.append(f"workers    {together}" + (f" ({study['note']})" if study["note"] else ""))
    steps = f"env steps  {study['env_steps'] / 1e6:,.1f} million"
    kept = study["pruning_leaves"]
    if kept is not None and kept < 1.0:
        steps += f", about {kept * study['env_steps'] / 1e6:,.1f} with pruning"
    lines += [steps, f"time       {_time_words(study)}", f"disk       about {study['disk_bytes'] / 1e6:,.1f} MB"]
    return lines


def _pruner_words(study: dict[str, Any]) -> str:
    if study["pruner_first_acts"] is None:
        return f"{study['pruner']} stops nothing: every trial runs to its end, {study['total_updates']} updates"
    return (
        f"{study['pruner']} {PRUNERS[study['pruner']]}, first after update {study['pruner_first_acts']} of "
        f"{study['total_updates']}; "
        f"a trial makes {study['reports']} reports"
    )


def _time_words(study: dict[str, Any]) -> str:
    time = study["time"]
    if time is None:
        return "not measured"
    whole, pruned = time["study_s"], time["study_with_pruning_s"]
    total = duration(whole) if whole == pruned else f"{duration(pruned)} with pruning, {duration(whole)} without"
    told = (
        f"about {total} (a trial {duration(time['mean_trial_s'])} on average, the default "
        f"{duration(time['default_trial_s'])}, the largest {duration(time['largest_trial_s'])})"
    )
    longest = whole * time["largest_trial_s"] / time["mean_trial_s"]
    if longest > 1.5 * whole:
        told += f"; up to {duration(longest)} if the sampler finds the slowest settings to be the best"
    return told


def _table(parameters: list[dict[str, Any]]) -> list[str]:
    rows = [("parameter", "type", "values", "default")]
    for p in parameters:
        when = "".join(f", when {name} is {' or '.join(map(number, own))}" for name, own in p["when"].items())
        rows.append((p["name"], p["type"], p["values"], number(p["default"]) + when))
    wide = [max(len(row[i]) for row in rows) for i in range(3)]
    return ["  " + "  ".join([*(row[i].ljust(wide[i]) for i in range(3)), row[3]]) for row in rows]
