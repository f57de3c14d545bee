"""A training of a second on two bundled pairs, for tests that go through the whole program."""

from __future__ import annotations

from typing import Any

from fxai.config import TrialConfig

SMALL: dict[str, dict[str, Any]] = {
    "data": {"source": "ecb", "instruments": ["EURUSD", "USDJPY"]},
    "env": {"execution": "next_close", "max_episode_steps": 64},
    "evaluation": {"warmup_bars": 8},
    "model": {"window": 8, "d_model": 8, "n_heads": 2, "head_width": 8, "n_layers": 1},
    "training": {
        "n_segments": 4,
        "accounts_per_segment": 2,
        "rollout_steps": 32,
        "batch_size": 128,
        "n_epochs": 1,
        "total_updates": 2,
        "eval_frequency": 1,
        "eval_episodes": 4,
        "device": "cpu",
        "seed": 11,
    },
}


def small_config(**sections: dict[str, Any]) -> TrialConfig:
    """`SMALL` with sections overridden key by key."""
    merged = {name: {**SMALL.get(name, {}), **sections.get(name, {})} for name in {**SMALL, **sections}}
    return TrialConfig.model_validate(merged)
