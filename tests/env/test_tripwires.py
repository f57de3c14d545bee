"""An agent that peeks trips a wire: honest bars pass both probes of `env.probes`, planted leaks are caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from env.probes import Plant, differing, rolled, scrambled_after, share_of_hindsight, told
from env.walking import CPU
from torch import Tensor

from fxai.agent.policy import Policy
from fxai.config import EnvConfig, FinancingConfig, ModelConfig, RewardConfig
from fxai.env.gym import AccountEnv
from fxai.env.rewards import RewardFunction
from fxai.env.trading import ACCOUNT_FEATURES, TradingEnv
from fxai.evaluate.episodes import run_policy
from fxai.market.data import MarketPart
from fxai.market.features import LOOKBACK
from fxai.market.synthetic import market_from_bars, white_noise_bars

WINDOW, STEPS, START = 8, 30, 40

CONFIG = EnvConfig(
    leverage=2.0,
    financing=FinancingConfig(long_bp_per_day=2.0, short_bp_per_day=1.0),
    max_episode_steps=STEPS,
    reward=RewardConfig(enable_drawdown_penalty=True, enable_clean_trade=True),
)

FREE = EnvConfig(spread_bp=0.0, early_stop_loss_threshold=1.0, max_drawdown=1.0)
"""No cost and no stop: what is known can be earned."""


def train_part(bars: pd.DataFrame) -> MarketPart:
    part = market_from_bars({"NOISE": bars}, parts=("train",)).train
    assert part is not None
    return part


def honest(part: MarketPart) -> MarketPart:
    return part


def next_features(part: MarketPart) -> MarketPart:
    """Every feature one bar too early."""
    return replace(part, features_NF=rolled(part.features_NF))


def one_next_feature(part: MarketPart) -> MarketPart:
    """Only the volatility, which tells nothing about the direction."""
    column = part.feature_names.index("volatility")
    features = part.features_NF.copy()
    features[:, column] = rolled(features[:, column])
    return replace(part, features_NF=features)


def whole_series_scaling(part: MarketPart) -> MarketPart:
    """Features standardised by the mean and deviation of the whole part, as many a notebook does."""
    features = part.features_NF
    return replace(part, features_NF=(features - features.mean(axis=0)) / (features.std(axis=0) + np.float32(1e-6)))


def marked_too_early(part: MarketPart) -> MarketPart:
    """Equity at the close after: the account's features and the reward tell of a bar that is not over."""
    return replace(part, close_N=rolled(part.close_N))


def filled_too_early(part: MarketPart) -> MarketPart:
    """Orders filled at the open after the next."""
    assert part.open_N is not None
    return replace(part, open_N=rolled(part.open_N))


LEAKS: dict[Plant, set[str]] = {
    next_features: {"observation"},
    one_next_feature: {"observation"},
    whole_series_scaling: {"observation"},
    marked_too_early: {"observation", "reward", "equity"},
    filled_too_early: {"observation", "reward", "equity"},
}
"""Each leak, and some of what has to show it."""


class TestLaterBarsChangeNothing:
    bars = white_noise_bars(600, sigma=5e-3, seed=1)
    actions = tuple(np.random.default_rng(1).choice([0, 1, 3, 4], size=STEPS).tolist())
    """Never flat, so that every bar is felt."""

    def probe(self, plant: Plant, after: int) -> tuple[set[str], set[str]]:
        """From bars to what the agent is told: what changes up to bar `after`, and what in the bar that follows."""
        changed = scrambled_after(self.bars, LOOKBACK + START + after, seed=after)
        whole, other = (
            told(AccountEnv(CONFIG, plant(train_part(bars)), window=WINDOW), START, self.actions)
            for bars in (self.bars, changed)
        )
        return differing(whole, other, after), differing(whole[after + 1 :], other[after + 1 :], 0)

    @pytest.mark.parametrize("after", [0, 1, 9, STEPS - 1])
    def test_honest_bars(self, after: int) -> None:
        upto, following = self.probe(honest, after)
        assert upto == set()
        # and the probe is awake: the very next bar shows the change
        assert {"observation", "reward", "equity"} <= following

    @pytest.mark.parametrize("plant", LEAKS)
    def test_a_planted_leak_is_caught(self, plant: Plant) -> None:
        upto, _ = self.probe(plant, after=9)
        assert upto >= LEAKS[plant]


class Peeking(Policy):
    """Reads the embedding of the bar after."""

    def encode(self, features_PBLF: Tensor, dropout: Any = None) -> Tensor:
        embedding = super().encode(features_PBLF, dropout)
        return torch.cat([embedding[:, :, 1:], embedding[:, :, -1:]], dim=2)


class Averaging(Policy):
    """Centres embeddings over the stretch: a batch norm over time."""

    def encode(self, features_PBLF: Tensor, dropout: Any = None) -> Tensor:
        embedding = super().encode(features_PBLF, dropout)
        return embedding - embedding.mean(dim=2, keepdim=True)


class TestAPolicyThatPeeks:
    """FxAI's own agent, from bars to what it thinks of each level at each bar."""

    bars = white_noise_bars(600, sigma=5e-3, seed=2)

    def logits(self, kind: type[Policy], bars: pd.DataFrame) -> Tensor:
        """At every step of one evaluation episode, [T, A]."""
        heard: list[Tensor] = []

        class Recorded(kind):  # type: ignore[valid-type,misc]
            def head(self, projected: Tensor, account: Tensor) -> tuple[Tensor, Tensor]:
                logits, value = super().head(projected, account)
                heard.append(logits.reshape(-1).clone())
                return logits, value

        part = train_part(bars)
        env, reward = TradingEnv(part, [CONFIG], CPU), RewardFunction([CONFIG.reward], CPU)
        policy = Recorded(
            ModelConfig(window=WINDOW, d_model=8, n_heads=2, head_width=8),
            n_features=part.features_NF.shape[1],
            n_account=len(ACCOUNT_FEATURES),
            n_actions=env.n_actions,
            generators=[torch.Generator().manual_seed(0)],
            device=CPU,
        )
        run_policy(policy, env, torch.tensor([START]), STEPS, reward, reward)
        return torch.stack(heard)

    def first_difference(self, kind: type[Policy], after: int) -> int:
        """The first step, counted from the first decision, whose logits change with the bars after step `after`."""
        changed = scrambled_after(self.bars, LOOKBACK + START + after, seed=1)
        differ = (self.logits(kind, self.bars) != self.logits(kind, changed)).any(dim=1)
        return int(differ.int().argmax())

    def test_an_honest_one_changes_its_mind_in_the_bar_that_changed(self) -> None:
        assert self.first_difference(Policy, after=9) == 10

    @pytest.mark.parametrize(("kind", "first"), [(Peeking, 9), (Averaging, 0)])
    def test_one_that_peeks_is_caught(self, kind: type[Policy], first: int) -> None:
        assert self.first_difference(kind, after=9) == first


class TestNothingCanBeEarnedOnWhiteNoise:
    """6,000 bars, of which the train part has some 4,100 and the bets half of those.

    Bets without knowledge lie within four standard errors (63 of a million do not), which is a share of hindsight of
    4 · √(π/2) / √2,000 = 11%.
    """

    bars = white_noise_bars(6_000, seed=3)

    @pytest.mark.parametrize("execution", ["next_open", "next_close"])
    def test_honest_features_earn_nothing(self, execution: Any) -> None:
        config = FREE.model_copy(update={"execution": execution})
        share, errors = share_of_hindsight(train_part(self.bars), config, window=2)
        assert abs(errors) < 4.0
        assert abs(share) < 0.11

    @pytest.mark.parametrize(
        ("plant", "least"), [(next_features, 0.9), (whole_series_scaling, None), (one_next_feature, None)]
    )
    def test_a_leak_that_pays_is_caught(self, plant: Callable[[MarketPart], MarketPart], least: float | None) -> None:
        """And one that does not pay is not, which is what the exact probe is for."""
        share, errors = share_of_hindsight(plant(train_part(self.bars)), FREE, window=2)
        if least is None:
            assert abs(errors) < 4.0
        else:
            assert share > least
            assert errors > 4.0

    def test_a_little_leak_is_enough(self) -> None:
        """A feature with a fifth of the next return in it, and four fifths of noise, by standard deviation.

        The forecast's correlation is 0.2 / √(0.2² + 0.8²) = 0.243; the sign of a bivariate normal with that correlation
        earns that share of Σ|r|.  In standard errors: 0.243 · √(2/π) · √2,000 = 8.7.
        """
        part = train_part(self.bars)
        log_returns = np.diff(np.log(part.close_N), append=np.log(part.close_N[-1]))
        noise = np.random.default_rng(4).normal(0.0, log_returns.std(), len(log_returns))
        features = part.features_NF.copy()
        features[:, 0] = (0.2 * log_returns + 0.8 * noise) / log_returns.std()
        share, errors = share_of_hindsight(replace(part, features_NF=features), FREE, window=2)
        assert errors > 4.0
        assert share == pytest.approx(0.243, abs=0.11)
