"""Small markets and configs for the agent's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from fxai.config import TrialConfig
from fxai.market.data import Market
from fxai.market.synthetic import ar1_bars, market_from_bars


@pytest.fixture(scope="session")
def market() -> Market:
    """Two instruments of 3,000 bars."""
    return market_from_bars({"A": ar1_bars(3000, 0.2, seed=1), "B": ar1_bars(3000, -0.2, seed=2)})


@pytest.fixture
def config() -> Callable[..., TrialConfig]:
    """A small, fast config; keyword arguments override sections."""

    def make(**sections: dict[str, Any]) -> TrialConfig:
        base: dict[str, dict[str, Any]] = {
            "data": {"source": "file", "path": "{instrument}", "instruments": ["A", "B"], "timezone": "UTC"},
            "env": {"max_episode_steps": 64},
            "model": {"window": 12, "d_model": 16, "n_heads": 2, "head_width": 16},
            "training": {
                "n_segments": 4,
                "accounts_per_segment": 3,
                "rollout_steps": 32,
                "batch_size": 192,
                "n_epochs": 2,
                "total_updates": 2,
                "eval_frequency": 1,
                "eval_episodes": 4,
                "device": "cpu",
            },
        }
        for name, values in sections.items():
            base[name] = {**base.get(name, {}), **values}
        return TrialConfig.model_validate(base)

    return make


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
