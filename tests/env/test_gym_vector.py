"""Many accounts in one batch are as many single ones, number by number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from env.parts import make_part
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from fxai.config import EnvConfig, FinancingConfig, RewardConfig
from fxai.env.gym import ENV_ID, AccountEnv
from fxai.env.gym_vector import AccountsEnv
from fxai.errors import InputError
from fxai.market.data import MarketPart

N, WINDOW, STEPS = 7, 5, 12

WILD = EnvConfig(
    leverage=8.0,
    commission_bp=0.5,
    financing=FinancingConfig(long_bp_per_day=3.0, short_bp_per_day=-1.0),
    early_stop_loss_threshold=0.3,
    max_episode_steps=STEPS,
    reward=RewardConfig(enable_drawdown_penalty=True, enable_bankruptcy_penalty=True),
)


def bars() -> MarketPart:
    part = make_part((60, 48), seed=3, volatility=0.03, own_spreads=True)
    return replace(part, features_NF=part.features_NF / np.float32([100, 1, 1]))


def batch() -> AccountsEnv:
    return AccountsEnv(N, WILD, bars(), window=WINDOW)


def same(one: Any, other: Any, where: str = "") -> None:
    """Equal in every number, through the dictionaries of infos."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            same(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for position, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            same(mine, theirs, f"{where}/{position}")
    elif isinstance(one, np.ndarray) and one.dtype == object:
        assert [np.asarray(x).tolist() for x in one] == [np.asarray(x).tolist() for x in other], where
    else:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other).astype(np.asarray(one).dtype), err_msg=where)


class TestIsManySingleOnes:
    def test_number_by_number(self) -> None:
        part = bars()
        many = AccountsEnv(N, WILD, part, window=WINDOW)
        singles = SyncVectorEnv(
            [lambda: AccountEnv(WILD, part, window=WINDOW)] * N, autoreset_mode=AutoresetMode.SAME_STEP
        )
        same(many.reset(seed=5), singles.reset(seed=5))
        rng, stopped, cut = np.random.default_rng(0), 0, 0
        for _ in range(5 * STEPS):
            actions = rng.integers(5, size=N)
            one, other = many.step(actions), singles.step(actions)
            same(one, other)
            stopped, cut = stopped + one[2].sum(), cut + one[3].sum()
        assert stopped > 10
        assert cut > 10

    def test_seeds_of_each_and_none(self) -> None:
        seeds = [3, None, 4, 4, None, 9, 1]
        rows = batch().reset(seed=seeds)[1]["row"]
        for account, seed in enumerate(seeds):
            if seed is not None:
                assert rows[account] == AccountEnv(WILD, bars(), window=WINDOW).reset(seed=seed)[1]["row"]
        many = batch()
        first = many.reset(seed=5)[1]["row"]
        assert not np.array_equal(many.reset()[1]["row"], first)  # goes on with the same generators
        assert np.array_equal(many.reset(seed=5)[1]["row"], first)

    def test_a_start_for_all(self) -> None:
        many = batch()
        assert many.reset(options={"start": 7})[1]["row"].tolist() == [7] * N
        with pytest.raises(InputError, match="no window and episode fit"):
            many.reset(options={"start": 3})


class TestIsAVectorEnvironment:
    def test_made_by_its_name(self) -> None:
        env = gymnasium.make_vec(ENV_ID, N, "vector_entry_point", config=WILD, part=bars(), window=WINDOW)
        observation, _ = env.reset(seed=0)
        assert env.num_envs == N
        assert env.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP
        assert env.observation_space.contains(observation)
        assert env.observation_space.shape == (N, *env.single_observation_space.shape)
        env.action_space.seed(0)
        for _ in range(STEPS):
            observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            assert env.observation_space.contains(observation)
            assert reward.shape == terminated.shape == truncated.shape == (N,)

    def test_what_it_told_stays_as_it_was(self) -> None:
        """Nothing that is handed out is written to later, or is the account's own."""
        many = batch()
        many.reset(seed=0)
        kept = [many.step(np.full(N, 4)) for _ in range(STEPS + 2)]
        again = batch()
        again.reset(seed=0)
        for step in kept:
            fresh = again.step(np.full(N, 4))
            same(step, fresh)
            for array in (fresh[0], fresh[1], fresh[4]["equity"], fresh[4]["row"]):
                array[:] = 0

    @pytest.mark.parametrize("actions", [[5] * N, [-1] * N, [0] * (N - 1), 3])
    def test_actions_that_are_none_are_refused(self, actions: Any) -> None:
        many = batch()
        many.reset(seed=0)
        with pytest.raises(InvalidAction, match="7 indices of 5 levels"):
            many.step(np.array(actions))

    def test_it_must_be_reset_first_and_with_as_many_seeds(self) -> None:
        with pytest.raises(ResetNeeded):
            batch().step(np.zeros(N, dtype=np.int64))
        with pytest.raises(ValueError, match="7 accounts and 2 seeds"):
            batch().reset(seed=[1, 2])
