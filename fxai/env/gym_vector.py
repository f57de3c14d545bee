"""Many accounts as one Gymnasium vector environment: `gymnasium.make_vec("FxAI/Trading-v0", 64, "vector_entry_point")`.

It is what `SyncVectorEnv` makes of as many `AccountEnv` with `AutoresetMode.SAME_STEP`, number by number (a test), but
one batch: the tensor operations of a step are paid once for all accounts.  Axes: N accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from fxai.env.account import AccountState, fresh, outcome, renew, step
from fxai.env.desk import Config, Desk, Observation
from fxai.market.data import MarketPart

Flags = NDArray[np.bool_]
Stepped = tuple[Observation, NDArray[np.float64], Flags, Flags, dict[str, Any]]


class AccountsEnv(VectorEnv[Observation, NDArray[np.int64], NDArray[Any]]):
    """N accounts, each on a stretch of bars of its own; one whose episode ends begins anew in the same step.

    Where an episode ended, the observation is the first of the next one, and `info` has the last in `final_obs` and
    what was told with it in `final_info`, under the mask `_final_obs`. Arguments and errors are those of `Desk`.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - an instance attribute of gymnasium's base
        "render_modes": [],
        "autoreset_mode": AutoresetMode.SAME_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        config: Config | None = None,
        part: str | MarketPart = "train",
        *,
        window: int | None = None,
    ) -> None:
        self.num_envs = num_envs
        self._desk = desk = Desk(config, part, window)
        self.config, self.window, self.steps = desk.config, desk.window, desk.steps
        self.part_name, self.instruments = desk.part.name, desk.part.instruments
        self.feature_names = desk.part.feature_names
        self.single_observation_space, self.single_action_space = desk.observation_space, desk.action_space
        self.observation_space = batch_space(desk.observation_space, num_envs)
        self.action_space = batch_space(desk.action_space, num_envs)
        self._fresh = fresh(desk.env.rules, num_envs, 1)
        self._draws: list[np.random.Generator] = []
        """One generator of starts per account; none before the first reset."""
        self._row_N = np.zeros(num_envs, dtype=np.int64)
        self._walked_N = np.zeros(num_envs, dtype=np.int64)
        self._state: AccountState = self._fresh

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode in every account.

        Args:
            seed: of the draws of starts: one per account, or a number from which they count up.
            options: `start`, the row at which all of them begin.

        Raises:
            ValueError: another number of seeds than of accounts.
            InputError: an unknown option, or a start at which window or episode do not fit.
        """
        seeds = [int(seed) + i for i in range(self.num_envs)] if isinstance(seed, int | np.integer) else seed
        if seeds is not None and len(seeds) != self.num_envs:
            raise ValueError(f"there are {self.num_envs} accounts and {len(seeds)} seeds")
        if not self._draws:
            self._draws = [np_random()[0] for _ in range(self.num_envs)]
        for account, own in enumerate(seeds or ()):
            if own is not None:
                self._draws[account] = np_random(own)[0]
        start = self._desk.start(options)
        self._row_N = np.array([self._desk.draw(draw) if start is None else start for draw in self._draws])
        self._walked_N, self._state = np.zeros(self.num_envs, dtype=np.int64), self._fresh
        with torch.inference_mode():
            return self._desk.observe(self._row_N, self._state), self._masked(self._desk.told_first(self._row_N))

    def step(self, actions: NDArray[np.int64]) -> Stepped:
        """Order a level for every account, and go to the close of the next bar.

        Raises:
            InvalidAction: not the indices of levels, one for each account.
            ResetNeeded: before the first reset.
        """
        if not self._draws:
            raise ResetNeeded("call reset() first")
        given, desk = np.asarray(actions), self._desk
        action_N = given.astype(np.int64)
        whole = given.dtype.kind in "iu" and given.shape == (self.num_envs,)
        if not whole or not self.action_space.contains(action_N):
            raise InvalidAction(f"actions are {self.num_envs} indices of {desk.env.n_actions} levels, got {actions}")
        with torch.inference_mode():
            _, (bar,) = desk.env.bars(torch.from_numpy(self._row_N)[None], 1)
            chosen = torch.from_numpy(action_N)[None, :, None]
            done = step(self._state, chosen, bar, desk.env.rules)
            happened = outcome(done, bar)
            reward_N = desk.reward(happened).numpy().reshape(-1)
            self._state = renew(done, self._fresh)
            self._row_N, self._walked_N = self._row_N + 1, self._walked_N + 1
            terminated_N = done.terminated.numpy().reshape(-1)
            truncated_N = ~terminated_N & (self._walked_N == self.steps)
            observation = desk.observe(self._row_N, self._state)
            told = desk.told(self._row_N, action_N, happened)
            ended_N = terminated_N | truncated_N
            if not ended_N.any():
                return observation, reward_N, terminated_N, truncated_N, self._masked(told)
            return self._begin_anew(ended_N, observation, told, (reward_N, terminated_N, truncated_N))

    def _begin_anew(
        self,
        ended_N: Flags,
        observation: Observation,
        told: dict[str, NDArray[Any]],
        judged: tuple[NDArray[np.float64], Flags, Flags],
    ) -> Stepped:
        """Put fresh accounts at new starts where an episode ended, and the last that was told of it aside."""
        ended = np.flatnonzero(ended_N)
        final = np.full(self.num_envs, None, dtype=object)
        for account in ended:
            final[account] = observation[account].copy()
            self._row_N[account] = self._desk.draw(self._draws[account])
        self._walked_N[ended] = 0
        self._state = self._state.where(torch.from_numpy(ended_N)[None, :, None], self._fresh)
        first = self._desk.told_first(self._row_N)
        now = {name: np.where(ended_N, first[name], values) for name, values in told.items()}
        last = {name: np.where(ended_N, values, _nothing(values.dtype)) for name, values in told.items()}
        info = self._masked(now)
        info |= {"final_obs": final, "_final_obs": ended_N.copy()}
        info |= {"final_info": self._masked(last, ended_N), "_final_info": ended_N.copy()}
        return self._desk.observe(self._row_N, self._state), *judged, info

    def _masked(self, told: dict[str, NDArray[Any]], have_N: Flags | None = None) -> dict[str, Any]:
        """Gymnasium's form: beside every entry, the accounts that have it."""
        have = np.ones(self.num_envs, dtype=np.bool_) if have_N is None else have_N
        return {key: value for name, values in told.items() for key, value in ((name, values), (f"_{name}", have))}


def _nothing(dtype: np.dtype[Any]) -> NDArray[Any]:
    """What stands where an account has no entry: 0, False, None or no time."""
    return np.array([None if dtype.kind in "OM" else 0]).astype(dtype)
