"""The files of config/base: complete, valid, and the defaults where these fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shipped import shipped

from fxai import yaml_strict
from fxai.config import DataConfig, TrialConfig
from fxai.config.load import field_names, get_dotted, load_trial_config

FOLDER = Path(__file__).parents[2] / "config" / "base"
FILES = shipped("config/base")

MARKETS = [file for file in FILES if file.stem not in ("cartpole", "acrobot")]

OWN = {
    "ecb_daily": {"env.execution", "evaluation.min_trades"},
    "fx_hourly": {"data.source", "data.path", "data.instruments", "data.timezone", "evaluation.min_trades"},
}
"""What each file sets to something else than the default."""


def leaves(data: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in data.items():
        found += leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return found


def test_there_is_something_to_check() -> None:
    assert {file.stem for file in FILES} >= {"ecb_daily", "fx_hourly"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_setting_is_written_out_in_the_order_of_the_classes(file: Path) -> None:
    names = field_names()
    if file not in MARKETS:
        names = [name for name in names if name in ("env.gym_id", "model.head_width", "model.activation")] + [
            name for name in names if name.startswith(("training.", "wandb."))
        ]
    assert leaves(yaml_strict.load(file).data) == names


@pytest.mark.parametrize("file", MARKETS, ids=lambda file: file.stem)
def test_values_are_the_defaults_except_for_what_the_file_is_about(file: Path) -> None:
    config = load_trial_config(file)
    default = TrialConfig.model_construct(data=DataConfig())
    differing = {name for name in field_names() if get_dotted(config, name) != get_dotted(default, name)}
    assert differing == OWN[file.stem]


def test_hourly_bars_are_filled_at_the_open_and_daily_rates_at_the_next_close() -> None:
    assert load_trial_config(FOLDER / "ecb_daily.yaml").env.execution == "next_close"
    hourly = load_trial_config(FOLDER / "fx_hourly.yaml")
    assert hourly.env.execution == "next_open"
    assert (hourly.data.path, hourly.data.timezone) == ("data/{instrument}.csv", "UTC")
