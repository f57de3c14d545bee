"""The result files of a study: best_params.json, <study>_results.json, <study>_best_config.yaml, ruler.yaml.

All are products of the study database: written at the end of every run, also an interrupted one, and safe to
delete. Files are replaced as a whole; one that has lost its meaning (no completed trial) is removed.
"""

from __future__ import annotations

import hashlib
import json
import math
import textwrap
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from fxai.config import TrialConfig
from fxai.config.base import Settings
from fxai.errors import InputError
from fxai.files import ensure_writable_dir, write_json_atomic, write_text_atomic
from fxai.report.baselines import BASELINES, load_baselines, verdicts
from fxai.report.outcome import Outcome, duration_s, first_value, is_feasible, outcome_of, remarks
from fxai.report.text import clean, number
from fxai.study import space
from fxai.study.objective import DEFAULT_OBJECTIVE
from fxai.yaml_strict import dump

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from fxai.study.spec import StudySpec

FORMAT = 1
"""Version of the files' structure."""

BEST_PARAMS = "best_params.json"

REPORT = "report.html"
"""The page that `fxai.report.page` makes of all of it."""

RULER = "ruler.yaml"
"""The study's base config: `train` and `backtest` of the best config beside it score with this, as the trials were."""


class BestParams(Settings):
    """What best_params.json holds."""

    format: int
    study: str
    spec_hash: str
    trial: int
    """Number of the best trial."""

    params: dict[str, bool | int | float | str | None]
    """Its searched parameters by dotted name."""

    metric: str
    direction: str
    value: float
    """Its value in the (first) metric."""

    objectives: dict[str, float]
    """Its value in every metric of the study."""

    pareto_front: tuple[int, ...] | None
    """Trials on the front where there are several objectives; `trial` is its best by `metric`."""

    feasible: bool
    """Whether the trial keeps all constraints; false only where no completed trial does."""

    start: str
    """What trial 0 ran: `default config`, in a later phase `inherited config`, or the spec's own `start config`."""

    start_value: float | None
    """Trial 0's value; null where it did not complete."""

    improvement_over_start: float | None
    """By how much `value` is better; positive is better in either direction."""

    completed_trials: int
    note: str


def write_results(study: optuna.Study, spec: StudySpec, folder: Path) -> list[Path]:
    """Write the result files of the study as it is now.

    With no completed trial only <study>_results.json is written, which says so; what an earlier run left of
    the others is removed.

    Returns:
        The paths written.

    Raises:
        StorageError, InputError: the disk is full, or the folder cannot be written to.
    """
    best = write_best(study, spec, folder)
    results = write_trials(study, spec, folder)
    return [*best[:1], results, *best[1:]]


def write_best(study: optuna.Study, spec: StudySpec, folder: Path, outcome: Outcome | None = None) -> list[Path]:
    """Write the files of the best trial, best_params.json first, or remove them where there is none.

    Args:
        outcome: of the study, where it is known already.

    Returns, raises: as `write_results`.
    """
    ensure_writable_dir(folder)
    outcome = outcome or outcome_of(study, spec.metric_names)
    best_params, best_config, ruler = folder / BEST_PARAMS, best_config_path(spec, folder), folder / RULER
    if outcome.best is None:
        for stale in (best_params, best_config, ruler, folder / BASELINES):
            stale.unlink(missing_ok=True)
        return []
    said = sentences(study, spec, folder, outcome)
    write_text_atomic(ruler, ruler_text(spec))
    write_text_atomic(best_config, best_config_text(spec, outcome, outcome.best, said))
    write_json_atomic(best_params, _with_checksum(_best_record(spec, outcome, outcome.best, said)))
    return [best_params, best_config, ruler]


def write_trials(study: optuna.Study, spec: StudySpec, folder: Path) -> Path:
    """Write <study>_results.json, which holds every trial.

    Returns, raises: as `write_results`.
    """
    ensure_writable_dir(folder)
    outcome = outcome_of(study, spec.metric_names)
    said = sentences(study, spec, folder, outcome)
    path = results_path(spec, folder)
    write_json_atomic(path, _study_record(study, spec, outcome, said))
    return path


def results_path(spec: StudySpec, folder: Path) -> Path:
    """Where all trials are written."""
    return folder / f"{spec.study_name}_results.json"


def sentences(study: optuna.Study, spec: StudySpec, folder: Path, outcome: Outcome) -> list[str]:
    """What to make of the study, with the baselines that its folder holds."""
    beside = verdicts(outcome, load_baselines(study, spec, folder))
    of_market = spec.of_market
    return remarks(outcome, min_trades=spec.ruler.evaluation.min_trades, beside=beside, of_market=of_market)


def scored_on(spec: StudySpec) -> str:
    """What the values of a study's trials are of."""
    if spec.of_market:
        return "validation data"
    if spec.objective != DEFAULT_OBJECTIVE:
        return f"what {spec.objective} reports"
    return f"{spec.ruler.training.eval_episodes} episodes of {spec.ruler.env.gym_id}"


def load_best_params(path: Path) -> BestParams:
    """Read best_params.json; `path` is the file or the study's folder.

    Raises:
        InputError: it is missing, or it is not what FxAI wrote.
    """
    file = path / BEST_PARAMS if path.is_dir() else path
    hint = f"it is written again from the database by: poe optuna-best {clean(file.absolute().parent.name)}"
    try:
        data = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        fits = isinstance(data, dict) and data.pop("checksum", None) == _checksum(data)
    except FileNotFoundError:
        what = "no such file; it is written when a trial has completed"
        raise InputError(what, where=str(file), hint=hint) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(file)) from error
    except (ValueError, RecursionError) as error:  # broken JSON or UTF-8, 1e999, a thousand brackets
        raise InputError(f"is corrupted: {error}", where=str(file), hint=hint) from error
    if not fits:
        raise InputError("is corrupted or was edited: its checksum does not fit", where=str(file), hint=hint)
    try:
        return BestParams.model_validate_json(json.dumps(data))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        what = f"is of another version: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise InputError(what, where=str(file), hint=hint) from error


def best_config_of(spec: StudySpec, trial: FrozenTrial) -> TrialConfig:
    """The config that the trial trained with, its own seed included: complete, and trains as it is."""
    return space.as_run(space.apply(spec.base, trial.params), trial.user_attrs)


def best_config_text(spec: StudySpec, outcome: Outcome, best: FrozenTrial, said: Sequence[str]) -> str:
    """The best trial's config as YAML, with a header that says what it is."""
    default = "did not complete" if outcome.default_value is None else number(outcome.default_value)
    header = [
        f"Best config of study {spec.study_name}: trial {best.number}, "
        f"{spec.metric_names[0]} {number(first_value(best))} on {scored_on(spec)}; {outcome.start} {default}.",
        *said,
        *(["Train it: poe train --config THIS_FILE"] if spec.of_ppo else []),
        "Written by FxAI from the study database; the next run of the study replaces it.",
    ]
    return _commented(header, best_config_of(spec, best))


def ruler_text(spec: StudySpec) -> str:
    """The study's base config as YAML: what every trial was scored with, whatever it searched."""
    header = [
        f"The ruler of study {spec.study_name}: its base config, with whose account rules and reward every trial "
        "is scored. train and backtest use it for a config that lies beside it.",
        "Written by FxAI; the next run of the study replaces it.",
    ]
    return _commented(header, spec.ruler)


def _commented(header: list[str], config: TrialConfig) -> str:
    lines = [part for line in header for part in textwrap.wrap(clean(line, 1000), width=107)]
    return "".join(f"# {line}\n" for line in lines) + "\n" + dump(config.model_dump(mode="json"))


def best_config_path(spec: StudySpec, folder: Path) -> Path:
    """Where the best trial's config is written."""
    return folder / f"{spec.study_name}_best_config.yaml"


def _best_record(spec: StudySpec, outcome: Outcome, best: FrozenTrial, said: Sequence[str]) -> dict[str, Any]:
    several = len(outcome.directions) > 1
    return {
        "format": FORMAT,
        "study": spec.study_name,
        "spec_hash": spec.spec_hash,
        "trial": best.number,
        "params": dict(best.params),
        "metric": outcome.metric_names[0],
        "direction": outcome.directions[0],
        "value": first_value(best),
        "objectives": dict(zip(outcome.metric_names, best.values, strict=True)),
        "pareto_front": [trial.number for trial in outcome.front] if several else None,
        "feasible": is_feasible(best),
        "start": outcome.start,
        "start_value": outcome.default_value,
        "improvement_over_start": outcome.improvement,
        "completed_trials": len(outcome.completed),
        "note": " ".join(said),
    }


def _study_record(study: optuna.Study, spec: StudySpec, outcome: Outcome, said: Sequence[str]) -> dict[str, Any]:
    attrs = study.user_attrs
    return {
        "format": FORMAT,
        "study": spec.study_name,
        "spec_hash": spec.spec_hash,
        "metric_names": list(outcome.metric_names),
        "directions": list(outcome.directions),
        "n_trials": spec.n_trials,
        "trials_by_state": dict(sorted(outcome.counts.items())),
        "best_trial": None if outcome.best is None else outcome.best.number,
        "default_trial": None if outcome.default is None else outcome.default.number,
        "pareto_front": [trial.number for trial in outcome.front] if len(outcome.directions) > 1 else None,
        "note": " ".join(said),
        **{name: jsonable(attrs.get(name)) for name in ("data_hash", "versions", "git_commit", "created")},
        "trials": [_trial_record(trial) for trial in outcome.trials],
    }


def _trial_record(trial: FrozenTrial) -> dict[str, Any]:
    attrs = trial.user_attrs
    always = (
        "seed",
        "env_steps",
        "env_steps_per_s",
        "device",
        "error",
        "failure",
        "config_file",
        "versions",
        "git_commit",
    )
    sometimes = (
        "default",
        "requeue_of",
        "requeued_as",
        "continued_from",
        "attempt",
        "gradient_accumulation_steps",
        "instruments",
    )
    reported = sorted(trial.intermediate_values.items())
    record: dict[str, Any] = {
        "number": trial.number,
        "state": trial.state.name,
        "params": trial.params,
        "values": trial.values,
        "feasible": is_feasible(trial),
        "intermediate_values": {str(step): value for step, value in reported},
        "metrics": attrs.get("metrics"),
        "start": _utc(trial.datetime_start),
        "end": _utc(trial.datetime_complete),
        "duration_s": duration_s(trial),
        **{name: attrs.get(name) for name in always},
        **{name: attrs[name] for name in sometimes if name in attrs},
    }
    return {key: jsonable(value) for key, value in record.items()}


def jsonable(value: Any) -> Any:
    """`value` with what JSON lacks made plain: non-finite numbers become "NaN", "Infinity", "-Infinity"."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


def _utc(moment: datetime | None) -> str | None:
    """Optuna keeps naive local times."""
    return None if moment is None else moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")


def _with_checksum(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "checksum": _checksum(record)}


def _checksum(record: dict[str, Any]) -> str:
    canonical = json.dumps(record, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a value")
