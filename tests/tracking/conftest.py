"""A study to track; no credentials but those that a test brings. Helpers are imported by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "study"))
sys.path.insert(0, str(Path(__file__).parent))

from fakes import load

from fxai.study.spec import StudySpec


@pytest.fixture(autouse=True)
def no_credentials_but_those_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own settings of wandb and its keys are out of reach."""
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_MODE", "WANDB_DISABLED", "NETRC", "WANDB_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    return load(tmp_path, study_name="tracked")
