"""The Gymnasium environment is the batched one with a single account, and a proper member of its family."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from env.parts import make_part
from env.walking import CPU
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env
from small import small_config

from fxai.config import EnvConfig, FinancingConfig, RewardConfig, TrialConfig
from fxai.config.load import load_trial_config
from fxai.env.account import fresh, outcome, renew, step
from fxai.env.desk import ACCOUNT_BOUND
from fxai.env.gym import ENV_ID, AccountEnv
from fxai.env.gym_vector import AccountsEnv
from fxai.env.rewards import RewardFunction
from fxai.env.trading import ACCOUNT_FEATURES, TradingEnv
from fxai.errors import DataError, InputError
from fxai.market.data import MarketPart
from fxai.market.features import BOUND
from fxai.yaml_strict import dump

WINDOW, STEPS, LENGTHS = 6, 40, (60, 48, 90)

WILD = EnvConfig(
    leverage=4.0,
    commission_bp=0.5,
    slippage_bp=0.2,
    financing=FinancingConfig(long_bp_per_day=3.0, short_bp_per_day=-1.0),
    early_stop_loss_threshold=0.4,
    max_episode_steps=STEPS,
    reward=RewardConfig(enable_drawdown_penalty=True, enable_bankruptcy_penalty=True, enable_clean_trade=True),
)


GYM_STUDY = TrialConfig.model_validate({"env": {"gym_id": "CartPole-v1"}})


def bars(**changes: Any) -> MarketPart:
    """Bars with spreads of their own, whose first feature is the row / 100 and which keep to ±BOUND."""
    part = make_part(LENGTHS, seed=3, volatility=0.03, own_spreads=True, **changes)
    return replace(part, features_NF=part.features_NF / np.float32([100, 1, 1]))


def account(config: EnvConfig = WILD, **changes: Any) -> AccountEnv:
    return AccountEnv(config, bars(**changes), window=WINDOW)


class TestIsTheBatchedEnvironment:
    @pytest.mark.parametrize("execution", ["next_open", "next_close"])
    def test_step_by_step(self, execution: Any) -> None:
        """Every number of 30 episodes, of which some are stopped."""
        config = WILD.model_copy(update={"execution": execution})
        part, rng = bars(), np.random.default_rng(1)
        one = AccountEnv(config, part, window=WINDOW)
        batch = TradingEnv(part, [config], CPU)
        reward = RewardFunction([config.reward], CPU)
        starts = [row for low, high in batch.starts(STEPS, WINDOW) for row in rng.integers(low, high, 10)]
        rows = torch.tensor([starts])
        tape = rng.integers(batch.n_actions, size=(STEPS, 1, len(starts), 1))
        _, walked = batch.bars(rows, STEPS)
        windows = batch.windows(rows, WINDOW - 1, STEPS + 1)
        new = state = fresh(batch.rules, len(starts), 1)
        want = []
        seen = [batch.observe(state, walked[0].close_before)]
        for t, bar in enumerate(walked):
            done = step(state, torch.tensor(tape[t]), bar, batch.rules)
            state = renew(done, new)
            happened = outcome(done, bar)
            want.append((happened, reward(happened)))
            seen.append(batch.observe(state, bar.close))

        stopped = 0
        for e, start in enumerate(starts):
            observation, info = one.reset(options={"start": int(start)})
            for t in range(STEPS + 1):
                expected = np.concatenate([windows[0, e, t : t + WINDOW].reshape(-1), seen[t][0, e, 0]])
                np.testing.assert_array_equal(observation, expected)
                assert info["row"] == start + t
                if t == STEPS:
                    break
                observation, got, terminated, truncated, info = one.step(int(tape[t, 0, e, 0]))
                happened, rewards = want[t]
                assert got == float(rewards[0, e, 0])
                assert info["level"] == config.position_levels[tape[t, 0, e, 0]]
                for name in ("equity", "drawdown", "exposure", "traded", "cost", "closed", "closed_gain"):
                    assert info[name] == getattr(happened, name)[0, e, 0].item(), name
                assert terminated == bool(happened.terminated[0, e, 0])
                assert truncated == (t == STEPS - 1 and not terminated)
                if terminated:
                    assert observation[-len(ACCOUNT_FEATURES) :].tolist() == [0.0] * len(ACCOUNT_FEATURES)
                    stopped += 1
                    break
        assert 3 < stopped < len(starts) - 3

    def test_a_hand_worked_episode(self) -> None:
        # Closes 1.00, 1.00, 1.01; opens as the closes before; no cost; long at 1.00 for 10,000 units:
        #   +100 of 10,000 = 1% = reward 1.0; exposure 10,000 · 1.01 / 10,100 = 1; then flat at 1.01: nothing more.
        part = make_part((12,))
        closes = np.array([1.0] * 6 + [1.01] * 6)
        opens = np.concatenate([[1.0], closes[:-1]])
        flat = np.zeros_like(part.features_NF)
        part = replace(part, close_N=closes, open_N=opens, features_NF=flat)
        config = EnvConfig(position_levels=(-1.0, 0.0, 1.0), spread_bp=0.0, max_episode_steps=2)
        env = AccountEnv(config, part, window=2)
        observation, info = env.reset(options={"start": 5})
        assert observation.tolist() == [0.0] * (2 * 3 + 7)
        assert (info["equity"], info["level"], info["instrument"]) == (10_000.0, 0.0, "PAIR0")
        assert info["time"] == np.datetime64("1970-01-01T06", "ns")  # the sixth bar; the first is at 01:00
        observation, reward, terminated, truncated, info = env.step(2)
        assert reward == pytest.approx(1.0, rel=1e-12)
        assert info["equity"] == pytest.approx(10_100.0, rel=1e-12)
        assert info["exposure"] == pytest.approx(1.0, rel=1e-12)
        assert (terminated, truncated) == (False, False)
        assert observation[6:8].tolist() == pytest.approx([np.arcsinh(1.0)] * 2, rel=1e-6)  # level and exposure
        _, reward, terminated, truncated, info = env.step(1)
        assert (reward, info["level"], info["exposure"]) == (0.0, 0.0, 0.0)
        assert info["closed"] is True
        assert info["closed_gain"] == pytest.approx(0.01, rel=1e-12)
        assert (terminated, truncated) == (False, True)

    def test_a_stop_in_the_last_bar_is_a_termination_and_no_truncation(self) -> None:
        # the price halves and more in the second bar after the start: a long at leverage 4 has lost everything
        part = bars()
        part = replace(
            part, close_N=np.where(np.arange(len(part.close_N)) > 6, 0.4, 1.0), open_N=np.ones(len(part.close_N))
        )
        config = WILD.model_copy(update={"max_episode_steps": 2})
        one, many = AccountEnv(config, part, window=WINDOW), AccountsEnv(2, config, part, window=WINDOW)
        one.reset(options={"start": 5})
        many.reset(options={"start": 5})
        assert one.step(4)[2:4] == (False, False)
        assert one.step(4)[2:4] == (True, False)
        many.step(np.array([4, 2]))
        _, _, terminated, truncated, _ = many.step(np.array([4, 2]))
        assert (terminated.tolist(), truncated.tolist()) == ([True, False], [False, True])


class TestEpisodes:
    def test_starts_are_even_over_the_rows_that_fit_and_only_those(self) -> None:
        # window 6 and 40 steps: rows 5 … 19 of 0 … 59, 65 … 67 of 60 … 107, 113 … 157 of 108 … 197: 15 + 3 + 45 = 63
        env = account()
        env.reset(seed=4)
        drawn = np.array([env.reset()[1]["row"] for _ in range(1260)])
        allowed = [*range(5, 20), *range(65, 68), *range(113, 158)]
        rows, counts = np.unique(drawn, return_counts=True)
        assert rows.tolist() == allowed
        # Binomial(1260, 1/63): mean 20, standard deviation 4.4; 63 of them stay within four of those
        assert np.abs(counts - 20).max() < 18

    def test_a_seed_repeats_its_episodes(self) -> None:
        def rows(env: AccountEnv) -> list[int]:
            return [env.reset(seed=9)[1]["row"], *(env.reset()[1]["row"] for _ in range(5))]

        assert rows(account()) == rows(account())
        assert len(set(rows(account()))) > 1

    @pytest.mark.parametrize("start", [4, 20, 64, 68, 158, -1, 10**9, 7.0, True, "7"])
    def test_a_start_that_does_not_fit_is_refused_with_those_that_do(self, start: Any) -> None:
        with pytest.raises(InputError, match=r"no window and episode fit.*\nhint: .*5 to 19, 65 to 67, 113 to 157"):
            account().reset(options={"start": start})

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(InputError, match="'begin' is not an option"):
            account().reset(options={"begin": 7})

    def test_an_episode_that_is_over_or_has_not_begun_takes_no_step(self) -> None:
        env = account(WILD.model_copy(update={"max_episode_steps": 1}))
        with pytest.raises(ResetNeeded):
            env.step(2)
        env.reset(seed=0)
        assert env.step(2)[3]
        with pytest.raises(ResetNeeded, match="call reset"):
            env.step(2)

    @pytest.mark.parametrize("action", [-1, 5])
    def test_an_action_beyond_the_levels_is_refused(self, action: int) -> None:
        env = account()
        env.reset(seed=0)
        with pytest.raises(InvalidAction, match="5 levels"):
            env.step(action)


class TestSpaces:
    def test_every_observation_is_in_the_space_on_a_violent_market(self) -> None:
        part = replace(bars(), close_N=bars().close_N ** 3)
        env = AccountEnv(WILD.model_copy(update={"leverage": 50.0}), part, window=WINDOW)
        rng, stopped = np.random.default_rng(0), 0
        for episode in range(60):
            observation, _ = env.reset(seed=episode)
            over = False
            while not over:
                assert env.observation_space.contains(observation)
                observation, _, terminated, truncated, info = env.step(rng.integers(5))
                assert all(np.isfinite(v) for v in info.values() if isinstance(v, float))
                over = terminated or truncated
                stopped += terminated
            assert env.observation_space.contains(observation)
        assert stopped > 10

    def test_the_bounds(self) -> None:
        space = account().observation_space
        assert space.dtype == np.float32
        assert space.high.tolist() == [BOUND] * (WINDOW * 3) + [ACCOUNT_BOUND] * len(ACCOUNT_FEATURES)
        assert np.arcsinh(np.finfo(np.float32).max) < ACCOUNT_BOUND  # the largest float32, were it not cut before


@pytest.fixture(scope="module")
def ecb() -> Iterator[gymnasium.Env[Any, Any]]:
    """As `gymnasium.make` gives it, without any argument."""
    env = gymnasium.make(ENV_ID)
    yield env
    env.close()


class TestMake:
    def test_the_default_is_the_base_config_of_the_bundled_rates(self, ecb: gymnasium.Env[Any, Any]) -> None:
        own = ecb.unwrapped
        assert isinstance(own, AccountEnv)
        base = load_trial_config(Path(__file__).parents[2] / "config/base/ecb_daily.yaml")
        assert own.config == base.env
        assert (own.window, own.part_name, own.instruments) == (base.model.window, "train", base.data.instruments)
        assert own.observation_space.shape == (base.model.window * len(own.feature_names) + len(ACCOUNT_FEATURES),)

    def test_gymnasium_has_nothing_to_say(self, ecb: gymnasium.Env[Any, Any]) -> None:
        check_env(ecb.unwrapped)  # warnings are errors here

    def test_a_path_and_a_config_are_the_same(self, tmp_path: Path) -> None:
        config = small_config()
        path = tmp_path / "mine.yaml"
        path.write_text(dump(config.model_dump(mode="json")), encoding="utf-8")
        made = [gymnasium.make(ENV_ID, config=given, part="validation") for given in (config, path, str(path))]
        first, *others = [env.reset(seed=3)[0] for env in made]
        assert all(np.array_equal(first, other) for other in others)
        assert made[0].unwrapped.part_name == "validation"

    def test_bars_of_ones_own(self) -> None:
        env = gymnasium.make(ENV_ID, config=WILD, part=bars(), window=WINDOW)
        assert env.reset(seed=0)[0].shape == (WINDOW * 3 + len(ACCOUNT_FEATURES),)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"config": small_config(), "part": "test"}, "sealed"),
            ({"config": small_config(), "part": "tain"}, "'tain' is not a part"),
            ({"config": EnvConfig()}, "does not say where the bars are"),
            ({"config": GYM_STUDY}, "takes the place of the market"),
            ({"config": GYM_STUDY, "part": bars()}, "takes the place of the market"),
            ({"config": WILD, "part": bars(), "window": 0}, "at least 1 bar, got 0"),
        ],
    )
    def test_what_cannot_be_made_says_why(self, arguments: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            gymnasium.make(ENV_ID, **arguments)

    def test_too_few_bars(self) -> None:
        # 90 bars of the longest hold 50 of a window and 40 steps, and no start more; 51 do not fit
        assert AccountEnv(WILD, bars(), window=50).reset(seed=0)[1]["row"] == 108 + 49
        with pytest.raises(DataError, match="no instrument has the 91 bars"):
            AccountEnv(WILD, bars(), window=51)

    def test_next_open_needs_opens(self) -> None:
        with pytest.raises(DataError, match="no open"):
            account(has_open=False)


class TestStableBaselines3:
    """The extra `bench`."""

    def test_its_checker_has_nothing_to_say(self, ecb: gymnasium.Env[Any, Any]) -> None:
        checker = pytest.importorskip("stable_baselines3.common.env_checker")
        checker.check_env(ecb, warn=True)  # warnings are errors here

    def test_its_ppo_trains(self) -> None:
        """On an AR(1) market, whose next return the last one tells: what is learned is that and not a lucky drift."""
        ppo = pytest.importorskip("stable_baselines3").PPO
        from fxai.market.synthetic import ar1_bars, market_from_bars

        market = market_from_bars({"AR": ar1_bars(6_000, 0.5, seed=1)})
        config = EnvConfig(position_levels=(-1.0, 0.0, 1.0), spread_bp=0.0, max_episode_steps=128)
        assert market.train is not None
        assert market.validation is not None
        train = gymnasium.make(ENV_ID, config=config, part=market.train, window=2)
        agent = ppo(
            "MlpPolicy", train, n_steps=512, batch_size=128, gamma=0.5, learning_rate=1e-3, seed=0, device="cpu"
        )
        agent.learn(2_048)
        held_out = AccountEnv(config, market.validation, window=2)
        earned = []
        for row in range(1, 500, 128):
            observation, over = held_out.reset(options={"start": row})[0], False
            while not over:
                action, _ = agent.predict(observation, deterministic=True)
                observation, reward, _, over, _ = held_out.step(action)
                earned.append(reward)
        # the optimum is φ σ √(2/π) = 0.5 · 0.1% · 0.798 = 0.0399% a bar; a coin earns 0 ± 0.1%/√512 = 0.0044%
        assert np.mean(earned) > 0.02
