"""The spec file of a refined study: a plan as YAML, with the reason for every change beside it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from fxai import yaml_strict
from fxai.config.load import find_base, flat, validate
from fxai.report.insights import Insights
from fxai.report.insights.refine import Plan
from fxai.report.outcome import Outcome, first_value
from fxai.report.text import clean, count, number
from fxai.secrets import without_password
from fxai.study.names import name_fault
from fxai.study.spec import StudySpec

FIRST_LINE = "# Refined from study "
"""How a file begins that may be replaced."""

_WIDTH = 112


def refined_name(study_name: str) -> str:
    """Name of the refined study: x_refined, then x_refined_2, x_refined_3 …; a long name is cut."""
    stem, number_ = study_name, 1
    if found := re.fullmatch(r"(.+)_refined(?:_(\d+))?", study_name):
        stem, number_ = found[1], int(found[2] or 1) + 1
    tail = "_refined" if number_ == 1 else f"_refined_{number_}"
    name = stem[: 64 - len(tail)] + tail
    fault = name_fault(name)
    if fault:  # cannot be: the study's own name was one
        raise ValueError(fault)
    return name


def refined_text(
    outcome: Outcome, spec: StudySpec, insights: Insights, plan: Plan, path: Path, *, results_dir: Path
) -> str:
    """The file's text.

    Args:
        outcome: the study as it is now.
        spec: its spec.
        insights: what it shows.
        plan: what is decided on its parameters.
        path: where the file will be, beside which its base config may be.
        results_dir: results folder to be named in it.

    Raises:
        ConfigError: the base config of the study is not there any more.
    """
    name = refined_name(spec.study_name)
    head = {
        "name": name,
        "description": f"{spec.study_name} again, refined by its insights.",
        "results_dir": str(results_dir),
        "save_study_plots": True,
    }
    if spec.gpu_per_trial is not None:
        head["gpu_per_trial"] = spec.gpu_per_trial
    lines = [*_header(outcome, spec, insights, plan), "", *yaml_strict.dump(head).splitlines(), "", "studies:"]
    body = [*_before(spec, name), *_parameters(plan), *_fixed(plan), *_starts(outcome, plan), *_after(spec, path)]
    lines += [f"  - {body[0]}", *(f"    {line}" if line else "" for line in body[1:])]
    return "\n".join(lines) + "\n"


def _header(outcome: Outcome, spec: StudySpec, insights: Insights, plan: Plan) -> list[str]:
    best = outcome.best
    told = [
        f"{FIRST_LINE.removeprefix('# ')}{spec.study_name} on {datetime.now(timezone.utc).date().isoformat()}, after "
        f"{count(len(outcome.trials), 'trial')}, {len(outcome.completed)} of them completed."
    ]
    if best is not None:
        told.append(
            f"Its best: trial {best.number}, {spec.metric_names[0]} {number(first_value(best))}, chosen among them; "
            "trial 0 of this study trains those parameters again with another seed."
        )
    done = ", ".join(f"{many} {what}" for what, many in plan.counts.items())
    told += [insights.importance_note, f"Parameters: {done}. The ruler is the study's own: values can be compared."]
    told.append("Written by FxAI (poe optuna-refine); edit it as you like.")
    return list(_commented(told))


def _before(spec: StudySpec, name: str) -> list[str]:
    several = len(spec.metric_names) > 1
    keys: dict[str, Any] = {"study_name": name}
    if several:
        keys |= {"directions": list(spec.directions), "metric_names": list(spec.metric_names)}
    else:
        keys |= {"direction": spec.directions[0], "metric_name": spec.metric_names[0]}
    keys |= {"storage": without_password(spec.storage), "load_if_exists": True, "base_config": spec.base_config}
    if spec.objective != StudySpec.model_fields["objective"].default:
        keys["objective"] = spec.objective
    options = dict(spec.sampler.options)
    lines = _block(keys)
    if isinstance(options.get("seed"), int):
        options["seed"] += 1
        lines.append("# another seed than the study's: the same one would draw the same first points")
    lines += _block({"sampler": {"type": spec.sampler.type, **options}})
    return lines + _block({"pruner": {"type": spec.pruner.type, **spec.pruner.options}})


def _parameters(plan: Plan) -> list[str]:
    lines = ["parameters:"]
    for parameter, why in plan.parameters:
        lines += [f"  {line}" for line in _commented([why])]
        entry = parameter.model_dump(mode="json", exclude_defaults=True)
        if "when" in entry:
            entry["when"] = {key: values[0] if len(values) == 1 else values for key, values in entry["when"].items()}
        first, *rest = _block(entry)
        lines += [f"  - {first}", *(f"    {line}" for line in rest)]
    for name, why in plan.dropped:
        lines += [f"  {line}" for line in _commented([f"{name}: left out, {why}"])]
    return lines


def _fixed(plan: Plan) -> list[str]:
    if not plan.fixed:
        return []
    lines = ["# every trial trains with these; none is scored with them", "fixed:"]
    for name, value, why in plan.fixed:
        lines += [f"  {line}" for line in (*_commented([why]), *_block({name: value}))]
    return lines


def _starts(outcome: Outcome, plan: Plan) -> list[str]:
    best = "the best trial" if outcome.best is None else f"trial {outcome.best.number}"
    lines = [f"# trial 0 starts from {best} of that study", *_block({"start": dict(plan.start)})]
    if plan.enqueue:
        lines += ["# then its next best, where the new ranges hold them"]
        lines += _block({"enqueue": [dict(values) for values in plan.enqueue]})
    return lines


def _after(spec: StudySpec, path: Path) -> list[str]:
    keys = {
        "n_trials": spec.n_trials,
        "timeout": spec.timeout,
        "stall_s": spec.stall_s,
        "n_jobs": spec.n_jobs,
        "catch_exceptions": spec.catch_exceptions,
        "oom": spec.oom,
    }
    lines, changed = _block(keys), _overrides(spec, path)
    if changed:
        lines += _block({"training_config": changed})
    return lines


def _overrides(spec: StudySpec, path: Path) -> dict[str, Any]:
    """What the study's ruler has otherwise than its base config, nested as training_config is."""
    document = find_base(spec.base_config, path)
    base = flat(validate(document.data, where=document.where).model_dump(mode="json"))
    nested: dict[str, Any] = {}
    for name, value in flat(spec.ruler.model_dump(mode="json")).items():
        if name in base and base[name] == value and type(base[name]) is type(value):
            continue
        *sections, leaf = name.split(".")
        inside = nested
        for section in sections:
            inside = inside.setdefault(section, {})
        inside[leaf] = value
    return nested


def _block(keys: Mapping[str, Any]) -> list[str]:
    return yaml_strict.dump(dict(keys)).splitlines()


def _commented(sentences: Iterable[str]) -> Iterable[str]:
    for sentence in sentences:
        for line in textwrap.wrap(clean(sentence, 2000), _WIDTH, break_long_words=False, break_on_hyphens=False):
            yield f"# {line}"
