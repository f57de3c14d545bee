"""Where the results come from: data, versions, seeds, and the commands that give them again."""

from __future__ import annotations

import shlex
from pathlib import Path

from fxai import defaults
from fxai.report.html import escape, heading, table
from fxai.report.page.subject import Told
from fxai.report.results import best_config_path
from fxai.report.text import NOTHING, clean, number
from fxai.secrets import redact_url, without_password


def provenance(told: Told) -> str:
    """A table of facts, and the commands."""
    commands = "".join(f"<pre>{escape(line, 4000)}</pre>" for line in _commands(told))
    return "\n".join([heading("Where this comes from"), table(["study", told.spec.study_name], _facts(told)), commands])


def _facts(told: Told) -> list[list[str]]:
    spec, attrs = told.spec, told.attrs
    versions = attrs.get("versions")
    devices = sorted({str(t.user_attrs["device"]) for t in told.outcome.trials if t.user_attrs.get("device")})
    ends = [trial.datetime_complete for trial in told.outcome.trials if trial.datetime_complete is not None]
    rows = [
        ("objective", spec.objective),
        ("sampler, pruner", f"{spec.sampler.type}, {spec.pruner.type}"),
        ("searched parameters", str(len(spec.parameters))),
        *_data(told),
        ("data hash", attrs.get("data_hash") or NOTHING),
        ("spec hash", spec.spec_hash),
        ("study seed", number(attrs.get("seed"))),
        ("seed of the best trial", number(told.outcome.best.user_attrs.get("seed")) if told.outcome.best else NOTHING),
        ("git commit", attrs.get("git_commit") or NOTHING),
        ("versions", ", ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, dict) else NOTHING),
        ("trained on", ", ".join(devices[:4]) or NOTHING),
        ("created", attrs.get("created") or NOTHING),
        ("last trial ended", max(ends).isoformat(sep=" ", timespec="seconds") if ends else NOTHING),
        ("database", redact_url(spec.storage)),
    ]
    return [[name, clean(value, 300)] for name, value in rows]


def _data(told: Told) -> list[tuple[str, str]]:
    ruler = told.spec.ruler
    if ruler.data is None:
        return [("environment", str(ruler.env.gym_id))] if ruler.env.gym_id else []
    data = ruler.data
    where = str(data.source) if data.path is None else Path(data.path).name
    split = f"the last {data.split.test:.0%} sealed, {data.split.validation:.0%} before them validation"
    return [
        ("data", f"{where}: {', '.join(data.instruments or ()) or 'all instruments'}"),
        ("split by time", split),
        ("scored on", f"{ruler.training.eval_episodes} fixed episodes of {ruler.env.max_episode_steps} bars"),
    ]


def _commands(told: Told) -> list[str]:
    spec, folder = told.spec, told.folder
    storage = "" if spec.storage == defaults.STORAGE else f" --storage {shlex.quote(without_password(spec.storage))}"
    results = "" if folder.parent == Path(defaults.RESULTS) else f" --results-dir {shlex.quote(str(folder.parent))}"
    lines = [f"poe optuna-best {shlex.quote(spec.study_name)}{storage}{results}"]
    if told.outcome.best is not None and spec.of_ppo:
        config, out = best_config_path(spec, folder), folder / "best"
        seeds = told.outcome.best.params.get("training.n_seeds", spec.base.training.n_seeds)
        weights = out / ("weights.safetensors" if seeds == 1 else "weights_0.safetensors")
        lines.append(f"poe train --config {shlex.quote(str(config))} --out {shlex.quote(str(out))}")
        if spec.of_market:
            lines.append(f"poe backtest --config {shlex.quote(str(config))} --weights {shlex.quote(str(weights))}")
    return [*lines, f"poe optuna-dashboard{storage}{results}"]
