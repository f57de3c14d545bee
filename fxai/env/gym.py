"""One account as a Gymnasium environment, for any other library: `FxAI/Trading-v0`, registered when this is imported.

    gymnasium.make("fxai.env.gym:FxAI/Trading-v0")                                    # bundled ECB rates, train
    gymnasium.make("fxai.env.gym:FxAI/Trading-v0", config="my.yaml", part="validation")
    gymnasium.make("fxai.env.gym:FxAI/Trading-v0", config=EnvConfig(), part=my_market_part)
    gymnasium.make_vec("fxai.env.gym:FxAI/Trading-v0", 64, "vector_entry_point", config="my.yaml")

The account is that of `fxai.env.account`, stepped as a batch of one: what it pays, earns and shows is what the agents
of a study see, and the tests hold the two equal.  That makes a single account slow, about half a millisecond a step;
`make_vec` walks 64 in less than twice that (`fxai.env.gym_vector`, `benchmarks/env_speed.py`).

    observation  Box [W · F + O], float32: W bars of F features, the oldest bar first (`feature_names`), then O numbers
                 of the account (`ACCOUNT_FEATURES`); `observation[: W * F].reshape(W, F)` are the bars
    action       Discrete: index of the level in `env.position_levels` that is held from the next fill on
    reward       the sum of the terms of `env.reward`, per cent of account value
    terminated   the account was stopped; what is observed then is the fresh one that takes its place in training
    truncated    `env.max_episode_steps` bars were walked; nothing is closed, nothing is paid
    info         row, time, instrument, level; equity and cost in the quote currency; drawdown, traded, closed_gain as
                 fractions; exposure, signed notional over equity; closed, whether a trade ended
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.error import InvalidAction, ResetNeeded
from numpy.typing import NDArray

from fxai.env.account import AccountState, Bar, fresh, outcome, renew, step
from fxai.env.desk import Config, Desk, Observation
from fxai.market.data import MarketPart

ENV_ID = "FxAI/Trading-v0"


class AccountEnv(gymnasium.Env[Observation, np.int64]):
    """One account that walks stretches of one market part, each `env.max_episode_steps` bars long.

    An episode begins at a row drawn evenly from all at which window and episode fit into one instrument, or at
    `reset(options={"start": row})`. Arguments and errors are those of `Desk`.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - an instance attribute of gymnasium's base

    def __init__(
        self, config: Config | None = None, part: str | MarketPart = "train", *, window: int | None = None
    ) -> None:
        # the bars are no part of what an agent may look at
        self._desk = desk = Desk(config, part, window)
        self.config, self.window, self.steps = desk.config, desk.window, desk.steps
        self.part_name, self.instruments = desk.part.name, desk.part.instruments
        self.feature_names = desk.part.feature_names
        self.observation_space, self.action_space = desk.observation_space, desk.action_space
        self._actions = [torch.tensor([[[action]]]) for action in range(desk.env.n_actions)]
        self._fresh = fresh(desk.env.rules, 1, 1)
        self._row_1 = np.zeros(1, dtype=np.int64)
        self._bars: list[Bar] = []
        """Of the episode, one for each step; empty when it is over."""
        self._walked = 0
        self._state: AccountState = self._fresh

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode with a fresh account.

        Args:
            seed: of the draws of starts, from here on.
            options: `start`, the row of the part at whose close the first decision is made.

        Raises:
            InputError: an unknown option, or a start at which window or episode do not fit.
        """
        super().reset(seed=seed)
        start = self._desk.start(options)
        self._row_1 = np.array([self._desk.draw(self.np_random) if start is None else start])
        with torch.inference_mode():
            _, self._bars = self._desk.env.bars(torch.from_numpy(self._row_1)[None], self.steps)
            self._state, self._walked = self._fresh, 0
            return self._desk.observe(self._row_1, self._state)[0], _first(self._desk.told_first(self._row_1))

    def step(self, action: np.int64 | int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Order a level at this bar's close, and go to the close of the next bar.

        Raises:
            InvalidAction: not the index of a level.
            ResetNeeded: the episode is over, or none has begun.
        """
        if not self._bars:
            raise ResetNeeded("the episode is over: call reset() first")
        chosen = int(action)
        if chosen != action or not 0 <= chosen < len(self._actions):
            raise InvalidAction(f"action {action} is not the index of one of {len(self._actions)} levels")
        bar = self._bars[self._walked]
        with torch.inference_mode():
            done = step(self._state, self._actions[chosen], bar, self._desk.env.rules)
            happened = outcome(done, bar)
            reward = float(self._desk.reward(happened))
            self._state = renew(done, self._fresh)
            self._row_1, self._walked = self._row_1 + 1, self._walked + 1
            observation = self._desk.observe(self._row_1, self._state)[0]
        terminated = bool(done.terminated)
        truncated = not terminated and self._walked == self.steps
        if terminated or truncated:
            self._bars = []
        told = self._desk.told(self._row_1, np.array([chosen]), happened)
        return observation, reward, terminated, truncated, _first(told)


def _first(told: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """The info of a single account, as plain values; a time stays a datetime64, which knows nanoseconds."""
    return {name: values[0] if name == "time" else values.tolist()[0] for name, values in told.items()}


if ENV_ID not in gymnasium.registry:
    gymnasium.register(
        ENV_ID, entry_point="fxai.env.gym:AccountEnv", vector_entry_point="fxai.env.gym_vector:AccountsEnv"
    )
