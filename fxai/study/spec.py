"""A study spec: the YAML file that says what is searched, on what, and how often.

Loading imports neither Optuna nor torch; every fault is a ConfigError with its line.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from fxai import defaults, yaml_strict
from fxai.config.base import Count, Positive, Settings, Strings, as_tuple
from fxai.config.load import find_base, merge, parse, suggest, validate
from fxai.config.metrics import METRIC_DIRECTIONS, rewards_idleness
from fxai.config.objective import is_own_name
from fxai.config.trial import TrialConfig
from fxai.errors import ConfigError, InputError
from fxai.secrets import ELSEWHERE, has_password, others_can_read, redact_url, unescaped
from fxai.study.names import name_fault
from fxai.study.objective import DEFAULT_OBJECTIVE, source_of
from fxai.study.options import PrunerSpec, SamplerSpec
from fxai.study.pruners import check_schedule, parse_pruner
from fxai.study.samplers import check_sampler, parse_sampler
from fxai.study.space import Parameter
from fxai.study.space import defaults as space_defaults
from fxai.study.space_checks import check_fixed, check_space
from fxai.study.starts import check_starts
from fxai.study.study import STALL_S, Direction
from fxai.study.study import StudySpec as StudySpec
from fxai.yaml_strict import Document, Place


def _not_empty(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError("is empty: list at least one")
    return value


class _StudyKeys(Settings):
    """The keys of one study, as the file has them."""

    study_name: str
    direction: Direction | None = None
    directions: Annotated[tuple[Direction, ...] | None, BeforeValidator(as_tuple)] = None
    metric_name: str | None = None
    metric_names: Strings | None = None
    storage: str = Field(repr=False)
    load_if_exists: bool = True
    base_config: str
    objective: str = DEFAULT_OBJECTIVE
    sampler: dict[str, Any] = Field(default_factory=lambda: {"type": "TPESampler"})
    pruner: dict[str, Any] | None = None
    parameters: Annotated[tuple[Parameter, ...], BeforeValidator(as_tuple), AfterValidator(_not_empty)]
    n_trials: Count
    timeout: Positive | None = None
    stall_s: Positive | None = STALL_S
    n_jobs: Count | None = None
    catch_exceptions: bool = True
    oom: Literal["fail", "shrink"] = "fail"
    training_config: dict[str, Any] = Field(default_factory=dict)
    fixed: dict[str, Any] = Field(default_factory=dict)
    start: dict[str, Any] = Field(default_factory=dict)
    enqueue: Annotated[tuple[dict[str, Any], ...], BeforeValidator(as_tuple)] = ()
    phase: Count | None = None
    inherits: Strings = ()

    @field_validator("study_name")
    @classmethod
    def _is_a_plain_name(cls, name: str) -> str:
        fault = name_fault(name)
        if fault:
            raise ValueError(fault)
        return name

    @field_validator("inherits")
    @classmethod
    def _are_plain_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(cls._is_a_plain_name(name) for name in names)


class _FileKeys(Settings):
    """The keys of a spec file."""

    name: str
    description: str = ""
    results_dir: str = Field(default=defaults.RESULTS, min_length=1)
    dashboard_port: int = Field(default=defaults.DASHBOARD_PORT, ge=1, le=65535)
    save_study_plots: bool = True
    notify_on_complete: bool = False
    max_concurrent_trials: Count | None = None
    gpu_per_trial: float | None = Field(default=None, gt=0.0, le=1.0)
    studies: Annotated[tuple[_StudyKeys, ...], BeforeValidator(as_tuple), AfterValidator(_not_empty)]


class SpecFile(Settings):
    """A spec file, checked."""

    path: Path
    name: str
    description: str
    results_dir: Path
    dashboard_port: int
    save_study_plots: bool
    notify_on_complete: bool
    """Send a message when a study ends (fxai.tracking.notify)."""
    studies: tuple[StudySpec, ...]
    warnings: tuple[str, ...]
    """What is allowed but probably not meant, one line each with its place."""


def load_specs(path: Path) -> SpecFile:
    """Read and check a spec file.

    Raises:
        ConfigError: with file and line; nothing has been created or imported by then.
    """
    document = yaml_strict.load(path)
    if "studies" not in document.data and {"data", "env", "training"} & set(document.data):
        raise ConfigError(
            "this is a training config, not a study spec", where=str(path), hint=f"train it: poe train --config {path}"
        )
    keys = parse(_FileKeys, document.data, where=document.where)
    first_line: dict[str, str] = {}
    for i, study in enumerate(keys.studies):
        at = document.where(("studies", i, "study_name"))
        if study.study_name in first_line:
            first = first_line[study.study_name]
            raise ConfigError(f"study_name {study.study_name} stands twice, first at {first}", where=at)
        first_line[study.study_name] = at
    notes: list[str] = []
    studies = tuple(_Reader(document, path, i, keys, notes).study() for i in range(len(keys.studies)))
    return SpecFile(
        path=path,
        name=keys.name,
        description=keys.description,
        results_dir=Path(keys.results_dir),
        dashboard_port=keys.dashboard_port,
        save_study_plots=keys.save_study_plots,
        notify_on_complete=keys.notify_on_complete,
        studies=studies,
        warnings=tuple(notes),
    )


class _Reader:
    """Checks one study of a file; adds to `notes`."""

    def __init__(self, document: Document, path: Path, index: int, file: _FileKeys, notes: list[str]) -> None:
        self.document, self.path, self.file, self.notes = document, path, file, notes
        self.place: Place = ("studies", index)
        self.keys = file.studies[index]

    def at(self, *place: str | int) -> str:
        """`file:line` of a place within the study."""
        return self.document.where(self.place + place)

    def study(self) -> StudySpec:
        """The study, with its base config and all checks done."""
        keys = self.keys
        self._check_storage()
        self._check_objective()
        if keys.inherits and (keys.phase or 0) < 2:
            raise ConfigError("inherits belongs to a phase after the first", where=self.at("inherits"), hint="phase: 2")
        ruler = self._ruler()
        self._check_own_settings(ruler)
        fixed_place = (*self.place, "fixed")
        base = check_fixed(ruler, keys.fixed, keys.parameters, where=self.document.where, place=fixed_place)
        where = self.document.where
        base = check_starts(base, keys.start, keys.enqueue, keys.parameters, where=where, place=self.place)
        directions, metrics = self._objectives(base)
        self.notes += check_space(
            base, keys.parameters, metrics, where=self.document.where, place=(*self.place, "parameters")
        )
        return StudySpec(
            study_name=keys.study_name,
            directions=directions,
            metric_names=metrics,
            storage=keys.storage,
            load_if_exists=keys.load_if_exists,
            base_config=keys.base_config,
            ruler=ruler,
            base=base,
            fixed=keys.fixed,
            start=keys.start,
            enqueue=keys.enqueue,
            phase=keys.phase,
            inherits=keys.inherits,
            objective=keys.objective,
            sampler=self._sampler(len(directions), base),
            pruner=self._pruner(len(directions), base),
            parameters=keys.parameters,
            n_trials=keys.n_trials,
            timeout=keys.timeout,
            stall_s=_stall_s(keys),
            n_jobs=keys.n_jobs or self.file.max_concurrent_trials or 1,
            gpu_per_trial=self.file.gpu_per_trial,
            catch_exceptions=keys.catch_exceptions,
            oom=keys.oom,
        )

    def _objectives(self, base: TrialConfig) -> tuple[tuple[Direction, ...], tuple[str, ...]]:
        keys = self.keys
        metrics = self._metrics(base)
        natural: tuple[Direction, ...] = tuple(
            "minimize" if METRIC_DIRECTIONS.get(metric) == "minimize" else "maximize" for metric in metrics
        )
        if keys.direction is None and keys.directions is None and not set(metrics) <= METRIC_DIRECTIONS.keys():
            own = next(metric for metric in metrics if metric not in METRIC_DIRECTIONS)
            raise ConfigError(f"{own} is a metric of your own: say its direction", where=self.at(), hint="maximize?")
        directions = keys.directions or ((keys.direction,) if keys.direction else natural)
        if len(directions) != len(metrics):
            raise ConfigError(
                f"{len(directions)} directions for {len(metrics)} metrics",
                where=self.at("directions" if keys.directions else "direction"),
                hint="write directions: [...] and metric_names: [...] of one length",
            )
        for metric, direction, usual in zip(metrics, directions, natural, strict=True):
            if direction != usual and metric in METRIC_DIRECTIONS:
                key = "directions" if keys.directions else "direction"
                self.notes.append(f"{self.at(key)}: {metric} is usually {usual}d, and this study {direction}s it")
        if len(metrics) == 1 and rewards_idleness(metrics[0], directions[0]):
            self.notes.append(
                f"{self.at('metric_names' if keys.metric_names else 'metric_name')}: doing nothing scores 0 in "
                f"{metrics[0]}, which alone cannot choose a trader: write "
                f"metric_names: [mean_reward, {metrics[0]}] and directions: [maximize, minimize]"
            )
        return directions, metrics

    def _metrics(self, base: TrialConfig) -> tuple[str, ...]:
        """The metrics, each of which a trial of this base config has."""
        keys = self.keys
        for one, many in (("direction", "directions"), ("metric_name", "metric_names")):
            if getattr(keys, one) is not None and getattr(keys, many) is not None:
                raise ConfigError(f"has both {one} and {many}", where=self.at(many), hint="keep one of them")
        metrics = keys.metric_names or (keys.metric_name or "mean_reward",)
        key = "metric_names" if keys.metric_names else "metric_name"
        for metric in metrics:
            if metric not in METRIC_DIRECTIONS and keys.objective == DEFAULT_OBJECTIVE:
                raise ConfigError(
                    f"{key} {metric!r} is not a metric",
                    where=self.at(key),
                    hint=suggest(metric, METRIC_DIRECTIONS),
                )
            if not is_own_name(metric):
                raise ConfigError(f"{key} {metric!r} cannot be the name of a metric", where=self.at(key))
        if keys.objective == DEFAULT_OBJECTIVE and base.env.gym_id is not None and metrics != ("mean_reward",):
            raise ConfigError(
                f"{key} {', '.join(metrics)}: an episode of {base.env.gym_id} has no such metric",
                where=self.at(key),
                hint="with env.gym_id write metric_name: mean_reward, the mean return of an episode",
            )
        if len(set(metrics)) < len(metrics):
            raise ConfigError("metric_names has one twice", where=self.at("metric_names"))
        return metrics

    def _check_storage(self) -> None:
        url, at = self.keys.storage, self.at("storage")
        if fault := _storage_fault(url):
            raise ConfigError(
                f"storage {redact_url(url)!r}: {fault}",
                where=at,
                hint="write sqlite:///optuna_studies.db for one machine, postgresql://user@host/name for several",
            )
        if has_password(url) and (mode := others_can_read(self.path)) is not None:
            raise ConfigError(
                f"storage holds a password, and other users can read this file (mode {mode})",
                where=at,
                hint=f"chmod 600 {shlex.quote(str(self.path))}; or leave the password out and {ELSEWHERE}",
            )

    def _check_objective(self) -> None:
        try:
            source_of(self.keys.objective)
        except InputError as error:
            raise ConfigError(error.what, where=self.at("objective"), hint=error.hint) from None

    def _check_own_settings(self, base: TrialConfig) -> None:
        if self.keys.objective == DEFAULT_OBJECTIVE and (names := list(base.objective.by_name)):
            raise ConfigError(
                f"objective.{names[0]}: FxAI's training has no such setting",
                where=self.at("training_config", "objective"),
                hint="name your function in the study: objective: module:function",
            )

    def _ruler(self) -> TrialConfig:
        try:
            base = find_base(self.keys.base_config, self.path)
        except ConfigError as error:
            if error.where is not None:  # a fault inside the base file
                raise
            raise ConfigError(error.what, where=self.at("base_config"), hint=error.hint) from None

        def where(place: Place) -> str:
            """The override's line where there is one, else the base file's."""
            inside = (*self.place, "training_config", *place)
            return self.document.where(inside) if place and self.document.has(inside) else base.where(place)

        return validate(merge(base.data, self.keys.training_config), where=where)

    def _sampler(self, n_directions: int, base: TrialConfig) -> SamplerSpec:
        keys, where, place = self.keys, self.document.where, (*self.place, "sampler")
        spec, notes = parse_sampler(keys.sampler, where=where, place=place)
        notes += check_sampler(
            spec,
            keys.parameters,
            n_trials=keys.n_trials,
            n_directions=n_directions,
            where=where,
            place=place,
            start=space_defaults(base, keys.parameters),
        )
        self.notes += notes
        return spec

    def _pruner(self, n_directions: int, base: TrialConfig) -> PrunerSpec:
        """The pruner; a spec that names none has none."""
        keys, where, place = self.keys, self.document.where, (*self.place, "pruner")
        if keys.pruner is None:
            return PrunerSpec()
        spec, notes = parse_pruner(keys.pruner, where=where, place=place)
        self.notes += notes
        if n_directions > 1:
            if spec.type != "NopPruner":
                self.notes.append(f"{where(place)}: pruner: {spec.type} is not used with several directions")
            return PrunerSpec()
        longest = max(
            (p.high for p in keys.parameters if p.name == "training.total_updates" and p.high is not None),
            default=base.training.total_updates,
        )
        training = base.training.model_copy(update={"total_updates": int(longest)})
        self.notes += check_schedule(spec, training, keys.n_trials, where=where, place=place)
        return spec


def _stall_s(keys: _StudyKeys) -> float | None:
    """A function of the user's own may report nothing before its end: its silence says nothing unless the spec does."""
    return keys.stall_s if keys.objective == DEFAULT_OBJECTIVE or "stall_s" in keys.model_fields_set else None


def _storage_fault(url: str) -> str | None:
    """Why FxAI does not keep a study in this database; None if it does."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return "is not a database URL"
    if scheme == "sqlite":
        if rest and not rest.startswith("/"):
            return f"write three slashes, sqlite:///{rest}"
        if rest in ("", "/", "/:memory:") or "mode=memory" in rest:
            return "an in-memory database cannot be shared by workers and is lost at the end"
        if "?" in rest:
            return "takes no options after ?: FxAI sets SQLite's locking and waiting itself"
        return None
    if scheme == "postgresql" and (character := unescaped(url)) is not None:
        return f"write %{ord(character):02X} for {character!r} in a user name or password"
    if scheme == "postgresql":
        return None if rest.strip("/") else "names no host or database"
    if scheme == "postgres" or scheme.startswith("postgresql+"):
        return "write postgresql:// (the driver is chosen by FxAI)"
    if scheme.startswith("sqlite+"):
        return "write sqlite:/// (the driver is chosen by FxAI)"
    return f"{scheme} is not supported: only SQLite and PostgreSQL are tested to lose no trial"
