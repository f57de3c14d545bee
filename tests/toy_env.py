"""A Gymnasium environment whose every number is known beforehand, registered as `toy_env:Countdown-v0`."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray


class Countdown(gymnasium.Env[NDArray[np.float32], np.int64]):
    """Shows [[steps since the reset], [the seed's first draw]]; 3 goes on and earns 1, 4 ends and earns 10."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2, 1), np.float32)
    action_space = gymnasium.spaces.Discrete(2, start=3)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._steps, self._drawn = 0, self.np_random.random()
        return self._see(), {}

    def step(self, action: np.int64) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert action in (3, 4)
        self._steps += 1
        return self._see(), 1.0 if action == 3 else 10.0, bool(action == 4), False, {}

    def _see(self) -> NDArray[np.float32]:
        return np.array([[self._steps], [self._drawn]], dtype=np.float32)


gymnasium.register("Countdown-v0", Countdown, max_episode_steps=4)
gymnasium.register("CountdownForEver-v0", Countdown)


class Broken(Countdown):
    """Cannot be made."""

    def __init__(self) -> None:
        raise RuntimeError("a constructor of somebody else's")


gymnasium.register("Broken-v0", Broken)
