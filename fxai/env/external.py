"""Copies of any Gymnasium environment with a Box observation and Discrete actions, stepped together.

Axes: N copies, O numbers of the flattened observation.  They run on the CPU, one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FlattenObservation
from numpy.typing import NDArray

from fxai.errors import ConfigError

WHERE = "env.gym_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What one step did to the copies."""

    observation_NO: NDArray[np.float32]
    """Where an episode ended, that of the next one."""
    reward_N: NDArray[np.float64]
    terminated_N: NDArray[np.bool_]
    truncated_N: NDArray[np.bool_]
    """Cut off by a time limit, and not terminated."""
    final_NO: NDArray[np.float32]
    """The last observation of an episode that ended; what the copy shows now elsewhere."""


class Copies:
    """N copies of one environment, each begun anew when its episode ends.

    Args:
        gym_id: as `gymnasium.make` takes it; `module:Name-v0` imports `module` first.
        seeds: one per copy, for its first episode; its later ones go on with the same generator.

    Raises:
        ConfigError: there is no such environment, or its spaces are of other kinds.
    """

    def __init__(self, gym_id: str, seeds: Sequence[int]) -> None:
        self._envs = SyncVectorEnv(
            [lambda: FlattenObservation(make(gym_id))] * len(seeds), autoreset_mode=AutoresetMode.SAME_STEP
        )
        actions = self._envs.single_action_space
        assert isinstance(actions, gymnasium.spaces.Discrete)
        self.n_actions, self._first_action = int(actions.n), int(actions.start)
        observation, _ = self._envs.reset(seed=[int(seed) for seed in seeds])
        self.observation_NO = np.asarray(observation, dtype=np.float32)

    def step(self, action_N: NDArray[np.int64]) -> Moved:
        """Act in every copy; actions count from 0."""
        observation, reward, terminated, truncated, info = self._envs.step(action_N + self._first_action)
        final = np.array(observation, dtype=np.float32)
        for copy in np.flatnonzero(terminated | truncated):
            final[copy] = info["final_obs"][copy]
        self.observation_NO = np.array(observation, dtype=np.float32)
        return Moved(
            observation_NO=self.observation_NO,
            reward_N=np.array(reward, dtype=np.float64),
            terminated_N=np.array(terminated),
            truncated_N=truncated & ~terminated,
            final_NO=final,
        )

    def close(self) -> None:
        """Release what the environments hold."""
        self._envs.close()


def observed_names(gym_id: str, observed: int) -> tuple[str, ...]:
    """What the numbers of an observation are called in a weights file: that environment's, by position."""
    return tuple(f"{gym_id}[{place}]" for place in range(observed))


def make(gym_id: str) -> gymnasium.Env[Any, Any]:
    """One environment, its spaces checked.

    Raises:
        ConfigError: as `Copies`.
    """
    try:
        env = gymnasium.make(gym_id, disable_env_checker=True)
    except Exception as error:  # whatever the constructor of a foreign environment raises
        told = " ".join(str(error).split()) or type(error).__name__
        hint = "python -c 'import gymnasium; gymnasium.pprint_registry()' lists what is installed"
        raise ConfigError(f"{gym_id!r} cannot be made: {told}", where=WHERE, hint=hint) from None
    for kind, space, wanted in (
        ("observation", env.observation_space, gymnasium.spaces.Box),
        ("action", env.action_space, gymnasium.spaces.Discrete),
    ):
        if not isinstance(space, wanted):
            env.close()
            raise ConfigError(
                f"the {kind} space of {gym_id} is {space}",
                where=WHERE,
                hint="FxAI's agent needs a Box observation and Discrete actions",
            )
    return env
