"""The section `wandb`: names that W&B would refuse are refused at load."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from fxai.config import WandbConfig


def test_the_defaults_are_those_of_a_study_tracked_where_there_are_credentials() -> None:
    config = WandbConfig()
    assert (config.mode, config.project, config.group) == ("auto", "fx-ai-optuna", None)
    assert config.tags == ("optuna", "hyperparameter_search")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"project": "a/b"}, "must not contain /"),
        ({"project": ""}, "at least 1 character"),
        ({"tags": ["x" * 65]}, "has 65 characters"),
        ({"tags": [""]}, "has 0 characters"),
        ({"mode": "on"}, "'auto', 'online', 'offline' or 'disabled'"),
        ({"api_key": "k"}, "Extra inputs"),
    ],
    ids=["slash", "no project", "long tag", "empty tag", "mode", "a key has no place here"],
)
def test_what_wandb_would_refuse_is_refused(setting: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        WandbConfig.model_validate(setting)
