"""Weights & Biases: whether, and under which names, each trial of a study becomes a run there."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from fxai.config.base import Settings, Strings

_NOT_IN_A_NAME = "/\\#?%:"
"""Characters that W&B refuses in the name of a project."""


class WandbConfig(Settings):
    """Where the trials of a study are tracked. It decides no result: a study may be resumed under other values."""

    mode: Literal["auto", "online", "offline", "disabled"] = "auto"
    """`auto`: online where there are credentials, else off. `offline`: files in the study's folder (`wandb sync`)."""

    project: str = Field(default="fx-ai-optuna", min_length=1, max_length=128)
    """The W&B project."""

    entity: str | None = Field(default=None, min_length=1)
    """User or team that owns the project; null: the default one of the credentials."""

    group: str | None = Field(default=None, min_length=1, max_length=128)
    """What the runs of a study have in common; null: the study's name."""

    tags: Strings = ("optuna", "hyperparameter_search")
    """Tags of every run."""

    @field_validator("project")
    @classmethod
    def _is_a_project(cls, project: str) -> str:
        found = sorted(set(project) & set(_NOT_IN_A_NAME))
        if found:
            raise ValueError(f"must not contain {' '.join(found)}: W&B allows none of {' '.join(_NOT_IN_A_NAME)}")
        return project

    @field_validator("tags")
    @classmethod
    def _are_tags(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        for tag in tags:
            if not 1 <= len(tag) <= 64:
                raise ValueError(f"{tag!r} has {len(tag)} characters: W&B allows 1 to 64")
        return tags
