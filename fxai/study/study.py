"""One study as its spec file defines it, checked: what is searched, what every trial trains with, what scores them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from fxai.config.base import Settings, as_tuple
from fxai.config.data import FILE_OPTIONS
from fxai.config.load import flat
from fxai.config.trial import TrialConfig
from fxai.study.inherited import Inherited, Values
from fxai.study.narrow import narrowed
from fxai.study.objective import DEFAULT_OBJECTIVE
from fxai.study.options import PrunerSpec, SamplerSpec
from fxai.study.space import Parameter, apply

Direction = Literal["maximize", "minimize"]

STALL_S = 1800.0
"""Longer than any update, with the reading of the bars before the first one."""


class StudySpec(Settings):
    """One study, checked: its space fits its base config and its pruner can act."""

    study_name: str
    directions: tuple[Direction, ...]
    """One per metric."""
    metric_names: tuple[str, ...]
    storage: str = Field(repr=False)
    """`sqlite:///file` or `postgresql://…`, as written; may hold a password."""
    load_if_exists: bool
    base_config: str
    """Name of the base config."""
    ruler: TrialConfig
    """Base config with the study's training_config: what every trial is scored with."""
    base: TrialConfig
    """The ruler with what is fixed and inherited on top: what trial 0 trains with."""
    fixed: Values = Field(default_factory=dict)
    """Settings by dotted name that every trial trains with, and none is scored with."""
    start: Values = Field(default_factory=dict)
    """Searched settings that trial 0 has another value of than the ruler."""
    enqueue: Annotated[tuple[Values, ...], BeforeValidator(as_tuple)] = ()
    """Values of searched settings that trials after trial 0 start with; the sampler draws what a mapping leaves out."""
    phase: int | None = None
    """Its place in a chain of studies, each of which starts from the best of the one before; from 1."""
    inherits: tuple[str, ...] = ()
    """Studies whose best settings it starts from."""
    inherited: Inherited | None = None
    """What it did inherit; None before the transfer."""
    objective: str = DEFAULT_OBJECTIVE
    """`module:function` that a trial runs."""
    sampler: SamplerSpec
    pruner: PrunerSpec
    parameters: tuple[Parameter, ...]
    n_trials: int
    """Total budget of the study."""
    timeout: float | None
    """Seconds."""
    stall_s: float | None = STALL_S
    """Seconds without an update after which a worker is taken to hang, and killed; None: never."""
    n_jobs: int
    gpu_per_trial: float | None
    """Share of a GPU that one worker takes."""
    catch_exceptions: bool
    oom: Literal["fail", "shrink"] = "fail"
    """What becomes of a trial that runs out of memory: it fails, or is tried again with smaller micro-batches."""

    def on_ruler(self, ruler: TrialConfig, free: Collection[str] = ()) -> StudySpec:
        """The same study scored with `ruler`; its trials keep what is fixed and inherited, but for the names in `free`.

        Raises:
            ConfigError: the settings do not go together.
        """
        fixed = {name: value for name, value in self.fixed.items() if name not in free}
        inherited = {} if self.inherited is None else self.inherited.all_values
        start = {name: value for name, value in self.start.items() if name not in free}
        only_trained = {name: value for name, value in inherited.items() if name not in free} | fixed | start
        changed = {"ruler": ruler, "fixed": fixed, "start": start, "base": apply(ruler, only_trained)}
        return self.model_copy(update=changed)

    def inheriting(self, inherited: Inherited | None, free: Collection[str] = ()) -> StudySpec:
        """The study with what it inherits, but for the names in `free`; what its spec fixes comes before that.

        Parameters with `around` are searched around what they inherit.

        Raises:
            ConfigError: the settings do not go together.
        """
        values = {} if inherited is None else inherited.all_values
        kept = {name: value for name, value in values.items() if name not in free}
        changed = {"inherited": inherited, "parameters": narrowed(self.parameters, kept)}
        return self.model_copy(update=changed).on_ruler(self.ruler, free)

    @property
    def of_ppo(self) -> bool:
        """Whether a trial is FxAI's own training, which `poe train` repeats; else it is a function of the user's."""
        return self.objective == DEFAULT_OBJECTIVE

    @property
    def of_market(self) -> bool:
        """Whether trials are scored on validation bars: neither on a Gymnasium environment nor by a user's function."""
        return self.base.data is not None and self.of_ppo

    @property
    def spec_hash(self) -> str:
        """SHA-256 over what a trial's value depends on: metrics, space, base config, ruler; not budget and sampler."""
        no_matter: Any = {"training": {"device", "seed", "gradient_accumulation_steps"}, "wandb": True}
        what: dict[str, Any] = {
            "directions": self.directions,
            "metric_names": self.metric_names,
            "objective": self.objective,
            "parameters": [p.model_dump(mode="json", exclude_defaults=True) for p in self.parameters],
            "base": self.base.model_dump(mode="json", exclude=no_matter),
        }
        if self.ruler != self.base:
            what["ruler"] = self.ruler.model_dump(mode="json", exclude=no_matter)
        return hashlib.sha256(json.dumps(what, sort_keys=True, allow_nan=False).encode()).hexdigest()

    @property
    def scoring(self) -> dict[str, Any]:
        """All that scores a trial, as one flat mapping: values of studies in which it is equal are on one ruler.

        The bars themselves are not in it: `data_hash` stands for those.
        """
        ruler = self.ruler.model_dump(mode="json", include={"data", "env", "evaluation"})
        data = {name: value for name, value in (ruler.pop("data") or {}).items() if name not in FILE_OPTIONS}
        return {
            "directions": list(self.directions),
            "metric_names": list(self.metric_names),
            "objective": self.objective,
            **flat({"data": data, **ruler}),
            "training.eval_episodes": self.ruler.training.eval_episodes,
        }
