"""What a study inherits: the file `inherited.yaml` that a transfer writes into the study's folder.

The values shape what the study's trials train with; what scores them, the ruler, stays that of the spec.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from fxai import yaml_strict
from fxai.config.base import Settings, as_tuple
from fxai.config.load import parse
from fxai.errors import ConfigError
from fxai.files import write_text_atomic
from fxai.study.space import Choice

INHERITED = "inherited.yaml"

Values = dict[str, Choice]
"""Dotted name of a setting → its value."""


class Source(Settings):
    """The trial of an earlier study that values come from."""

    study: str
    trial: int
    """Number of the study's best trial when it was taken."""
    value: float
    """Its value in `metric`."""
    metric: str
    direction: str
    spec_hash: str
    data_hash: str | None
    """Of the bars that it was trained and scored on; null where there were none."""
    git_commit: str | None
    """That the trial ran from."""
    completed: int
    """Trials of the study that had completed when it was taken."""
    database: str
    """Where the study is, without a password."""


class Inherited(Settings):
    """What inherited.yaml holds."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    sources: Annotated[tuple[Source, ...], BeforeValidator(as_tuple)] = Field(
        validation_alias="from", serialization_alias="from", min_length=1
    )
    """From the first study of the chain to the last, which handed all values on."""
    values: Values
    """Settings that every trial trains with."""
    enqueued: Values
    """Settings that this study searches again: trial 0 starts from these."""
    written: str
    """When, UTC."""

    @property
    def all_values(self) -> Values:
        """Frozen ones and start points together: the config of trial 0, where it differs from the ruler's."""
        return {**self.values, **self.enqueued}

    @property
    def last(self) -> Source:
        """The trial that was taken over."""
        return self.sources[-1]

    def same_as(self, other: Inherited | None) -> bool:
        """Whether both carry the same from the same trials, whenever that was, and however many trials came after."""
        return other is not None and self._what() == other._what()

    def _what(self) -> tuple[object, ...]:
        same_trials = [source.model_dump(exclude={"completed"}) for source in self.sources]
        return same_trials, list(self.values.items()), list(self.enqueued.items())


def load_inherited(folder: Path) -> Inherited | None:
    """The file in a study's folder; None where there is none.

    Raises:
        ConfigError: it cannot be read or was damaged.
    """
    path = folder / INHERITED
    if not path.exists():
        return None
    try:
        document = yaml_strict.load(path)
        return parse(Inherited, document.data, where=document.where)
    except ConfigError as error:
        hint = "run the transfer again, which replaces it: poe optuna-transfer-1to2, or -2to3"
        raise ConfigError(f"is damaged: {error.what}", where=error.where or str(path), hint=hint) from None


def write_inherited(
    folder: Path, inherited: Inherited, *, study: str, damaged: Callable[[ConfigError], None] | None = None
) -> bool:
    """Write the file of `study`; False where it already says the same and was left as it is.

    Args:
        folder: the study's.
        inherited: what it is to hold.
        study: its name, for the head of the file.
        damaged: is told of a file that could not be read and is replaced.

    Raises:
        StorageError, InputError: the disk is full, or the folder cannot be written to.
    """
    try:
        before = load_inherited(folder)
    except ConfigError as error:
        before = None
        if damaged is not None:
            damaged(error)
    if inherited.same_as(before):
        return False
    last = inherited.last
    head = [
        f"What study {study} inherits: trial {last.trial} of {last.study}, {last.metric} {last.value:.6g}.",
        "values: every trial trains with them. enqueued: this study searches them again, and trial 0 starts there. "
        "Trials are scored with the spec's own base config, whatever stands here.",
        "Written by FxAI's transfer, which replaces it; do not edit.",
    ]
    comment = "".join(f"# {line}\n" for text in head for line in textwrap.wrap(text, 107))
    write_text_atomic(folder / INHERITED, comment + "\n" + yaml_strict.dump(inherited.model_dump(mode="json")))
    return True
