"""The contenders of benchmarks/env_speed.py walk what they say they walk."""

from __future__ import annotations

import argparse

import env_speed
import pytest

OPTIONS = argparse.Namespace(accounts=32, share=8)


@pytest.mark.parametrize(
    ("contender", "steps", "says"),
    [
        ("fxai", 32 * 64, "32 accounts, 8 on each of 4 stretches of 64 bars; 5 actions"),
        ("vector", 64 * 64, "64 accounts"),
        ("single", 256, "1 environment; 5 actions; windows of 60 bars"),  # the default env.max_episode_steps
    ],
)
def test_fxai(contender: str, steps: int, says: str) -> None:
    stretch, settings = env_speed.PREPARE[contender](OPTIONS)
    assert settings.startswith(says)
    assert stretch() == steps


def test_gym_anytrading() -> None:
    pytest.importorskip("gym_anytrading")
    stretch, settings = env_speed.PREPARE["anytrading"](OPTIONS)
    # its frame is the bars from the 60th on, 6,165 of them; a trade is decided at each but the last
    assert settings == "1 environment; 2 actions; windows of 60 bars × 2 features"
    assert stretch() == 6_164
