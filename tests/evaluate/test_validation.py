"""The ruler: fixed episodes, base coefficients, the end of an episode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fxai.agent.policy import Policy
from fxai.config import TrialConfig
from fxai.env.rewards import RewardFunction
from fxai.env.trading import ACCOUNT_FEATURES, TradingEnv
from fxai.errors import DataError
from fxai.evaluate import episodes
from fxai.evaluate.backtest import AGENT, backtest, merge
from fxai.evaluate.baselines import baselines
from fxai.evaluate.episodes import run_tape
from fxai.evaluate.metrics import measure
from fxai.evaluate.validation import Evaluator, episode_rows
from fxai.market.data import Market
from fxai.market.synthetic import ar1_bars, market_from_bars

CPU = torch.device("cpu")
WINDOW = 12


@pytest.fixture(scope="module")
def market() -> Market:
    return market_from_bars({"A": ar1_bars(3000, 0.2, seed=1), "B": ar1_bars(2500, -0.2, sigma=0.02, seed=2)})


def config(**env: Any) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "data": {"source": "file", "path": "{instrument}", "instruments": ["A", "B"], "timezone": "UTC"},
            "env": {"max_episode_steps": 64, **env},
            "evaluation": {"warmup_bars": WINDOW},
            "model": {"window": WINDOW, "d_model": 16, "n_heads": 2, "head_width": 16},
            "training": {"rollout_steps": 32, "batch_size": 256, "eval_episodes": 5, "device": "cpu"},
        }
    )


def policy(market: Market, population: int = 2) -> Policy:
    """Untrained, but its weights are scaled up so that it moves between levels."""
    made = Policy(
        config().model,
        n_features=market.validation.features_NF.shape[1],
        n_account=len(ACCOUNT_FEATURES),
        n_actions=5,
        generators=[torch.Generator().manual_seed(i) for i in range(population)],
        device=CPU,
    )
    made.weights_PN.mul_(3.0)
    return made


def test_episodes_are_dealt_evenly_over_instruments_and_time():
    # 5 over two instruments: 3 and 2, the first and the last start included
    assert episode_rows([(10, 21), (100, 111)], 5).tolist() == [10, 15, 20, 100, 110]
    assert episode_rows([(10, 21), (100, 111)], 1).tolist() == [10]


def test_evaluation_is_fixed_and_deterministic(market):
    evaluate = Evaluator(config(), market.validation, market.bars_per_year)
    subject = policy(market)
    first, second = evaluate(subject), evaluate(subject)
    assert first == second
    assert first[0] != first[1]
    assert first[0]["n_trades"] > 0


@pytest.mark.parametrize("factor", [10.0, 0.0])
def test_the_ruler_does_not_move_with_the_searched_reward(market, factor):
    base = config()
    coefficients = {
        name: getattr(base.env.reward, name) * factor
        for name in type(base.env.reward).model_fields
        if name.endswith(("_coefficient", "_per_trade", "_per_step"))
    }
    searched = config(
        reward={
            **coefficients,
            "enable_activity_bonus": True,
            "enable_inactivity_penalty": True,
            "enable_drawdown_penalty": True,
        }
    )
    subject = policy(market)
    ruler = Evaluator(base, market.validation, 252.0)(subject)
    for trial in (searched, base):
        scores = Evaluator(base, market.validation, 252.0, shaped=[trial] * 2)(subject)
        assert [s["mean_reward"] for s in scores] == [s["mean_reward"] for s in ruler]
    shaped = Evaluator(base, market.validation, 252.0, shaped=[searched] * 2)(subject)
    assert shaped[0]["mean_shaped_reward"] != shaped[0]["mean_reward"]


def test_a_trial_cannot_choose_its_exam_by_its_window(market):
    # agents that always hold the top level, one looking at 4 bars and one at 12: the same episodes, so the same score
    scores = []
    for window in (4, WINDOW):
        own = config().model_copy(update={"model": config().model.model_copy(update={"window": window})})
        made = Policy(
            own.model,
            n_features=market.validation.features_NF.shape[1],
            n_account=len(ACCOUNT_FEATURES),
            n_actions=5,
            generators=[torch.Generator()],
            device=CPU,
        )
        made.parameters["head.out.bias"].data[:, 4] = 1e3
        scores += Evaluator(config(), market.validation, 252.0)(made)
    assert scores[0] == scores[1]
    assert scores[0]["n_trades"] == 5


def test_mean_reward_under_pnl_alone_is_the_summed_per_cent_return(market):
    paths = Evaluator(config(), market.validation, 252.0).paths(policy(market))[0]
    equity = paths.equity_ET
    by_hand = (100 * (equity[:, 1:] / equity[:, :-1] - 1)).sum(1).mean()
    assert measure(paths, 252.0)["mean_reward"] == pytest.approx(by_hand, rel=1e-12)


def test_an_episode_ends_where_the_account_is_stopped(market):
    # B moves 2% a bar, so an account that may lose 1% is soon stopped
    always_long = policy(market)
    always_long.parameters["head.out.bias"].data[:, 4] = 1e3
    paths = Evaluator(config(early_stop_loss_threshold=0.01), market.validation, 252.0).paths(always_long)[0]
    ended = paths.length_E < 64
    assert ended.any()
    for episode in np.flatnonzero(ended):
        length = paths.length_E[episode]
        assert (paths.equity_ET[episode, length:] == paths.equity_ET[episode, length]).all()
        assert paths.equity_ET[episode, length] <= 9_900.0
        assert (paths.equity_ET[episode, 1:length] > 9_900.0).all()
        assert (paths.traded_ET[episode, length:] == 0).all()
        assert paths.last_E[episode]  # closed by the stop


def test_encoding_in_chunks_changes_nothing(market, monkeypatch):
    subject, own = policy(market, 1), config()
    whole = backtest(subject, market.validation, own, 252.0)
    monkeypatch.setattr(episodes, "CHUNK", 37)
    cut = backtest(subject, market.validation, own, 252.0)
    for a, b in zip(whole.paths[AGENT], cut.paths[AGENT], strict=True):
        np.testing.assert_allclose(a.equity_ET, b.equity_ET, rtol=1e-12)


def test_backtest_walks_each_instrument_to_its_last_bar(market):
    run = backtest(policy(market, 1), market.validation, config(), 252.0)
    lengths = np.diff(market.validation.offsets_I)
    assert [p.reward_ET.shape[1] for p in run.paths[AGENT]] == [n - WINDOW for n in lengths]
    assert run.time_I[0][-1] == market.validation.time_N[lengths[0] - 1]
    assert [len(t) for t in run.time_I] == [p.equity_ET.shape[1] for p in run.paths[AGENT]]
    times, flat = run.portfolio("do nothing")
    assert (flat == 1.0).all()
    assert len(times) == max(len(t) for t in run.time_I)
    # holding both from the first close: each instrument's own gain, averaged
    _, held = run.portfolio("buy and hold")
    gains = [p.equity_ET[0, -1] / p.equity_ET[0, 0] for p in run.paths["buy and hold"]]
    assert held[-1] == pytest.approx(np.mean(gains))
    assert merge(run.paths[AGENT]).length_E.tolist() == [n - WINDOW for n in lengths]


def test_buy_and_hold_by_hand(market):
    # costs off: units = capital / open of the next bar; equity follows the close
    own = config(spread_bp=0.0)
    part, steps = market.validation, 50
    paths = baselines(part, own.env, torch.tensor([20]), steps).paths["buy and hold"]
    expected = part.close_N[21 : 21 + steps] / part.open_N[21]
    np.testing.assert_allclose(paths.equity_ET[0, 1:] / 10_000.0, expected, rtol=1e-12)
    assert paths.opened_ET.sum() == 1
    assert paths.last_E.all()


def test_metrics_of_each_instrument_are_those_of_its_own_episodes(market):
    evaluate = Evaluator(config(), market.validation, market.bars_per_year)
    both = evaluate(policy(market))
    found = evaluate.by_instrument()
    assert [list(member) for member in found] == [["A", "B"]] * 2
    for whole, own in zip(both, found, strict=True):
        # 3 of the 5 episodes are A's, and B moves twenty times as much
        for name in ("mean_reward", "total_return", "costs"):
            assert whole[name] == pytest.approx((3 * own["A"][name] + 2 * own["B"][name]) / 5)
        assert whole["n_trades"] == own["A"]["n_trades"] + own["B"]["n_trades"]
        assert whole["max_drawdown"] == max(own["A"]["max_drawdown"], own["B"]["max_drawdown"])
        assert own["A"]["max_drawdown"] < own["B"]["max_drawdown"]


def test_a_tape_of_flat_levels_earns_and_pays_nothing(market):
    own = config()
    env, reward = TradingEnv(market.validation, [own.env], CPU), RewardFunction([own.env.reward], CPU)
    paths = run_tape(env, torch.tensor([20, 30]), torch.full((2, 40), 2), reward)
    assert (paths.equity_ET == 10_000.0).all()
    assert paths.cost_ET.sum() == 0.0


def test_too_few_validation_bars_names_both_numbers(market):
    short = market_from_bars({"A": ar1_bars(900, 0.2)})
    evaluate = Evaluator(config(max_episode_steps=320), short.validation, 252.0)
    with pytest.raises(
        DataError, match=r"one episode needs 332 \(evaluation\.warmup_bars 12 \+ env\.max_episode_steps 320\)"
    ):
        evaluate(policy(market))
