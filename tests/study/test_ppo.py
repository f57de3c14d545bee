"""The PPO objective on bundled rates: reports, the floor of a diverged training, the ruler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small import small_config

from fxai.agent.train import Progress
from fxai.config import TrialConfig
from fxai.config.metrics import FLOOR, METRIC_NAMES
from fxai.errors import DataError
from fxai.study.objective import DEFAULT_OBJECTIVE, TrialRequest, load_objective
from fxai.study.ppo import as_report, objective


def config(**sections: dict[str, Any]) -> TrialConfig:
    """Three updates, of which the second and the last are evaluated."""
    training = {"total_updates": 3, "eval_frequency": 2, **sections.pop("training", {})}
    return small_config(training=training, **sections)


def request(own: TrialConfig, folder: Path, ruler: TrialConfig | None = None, seed: int = 1) -> TrialRequest:
    return TrialRequest(number=0, config=own, ruler=ruler or own, seed=seed, folder=folder)


def test_the_default_objective_is_this_one(tmp_path):
    [first, *_] = load_objective(DEFAULT_OBJECTIVE)(request(config(), tmp_path))
    [same, *_] = objective(request(config(), tmp_path))
    assert first.train == same.train


def test_reports_every_update_and_scores_on_schedule(tmp_path):
    reports = list(objective(request(config(), tmp_path)))
    assert [r.step for r in reports] == [1, 2, 3]
    assert [r.metrics is not None for r in reports] == [False, True, True]
    # 4 segments × 2 accounts × 32 steps
    assert [r.env_steps for r in reports] == [256, 512, 768]
    assert set(reports[-1].metrics) == set(METRIC_NAMES)
    assert reports[-1].failure is None
    assert reports[-1].device == "cpu"


def test_the_last_report_tells_each_instrument(tmp_path):
    *others, last = objective(request(config(training={"n_seeds": 2}), tmp_path))
    assert all(report.instruments is None for report in others)
    assert list(last.instruments) == ["EURUSD", "USDJPY"]
    # two of the four episodes each; means over both seeds
    for name in ("mean_reward", "total_return"):
        assert last.metrics[name] == pytest.approx(sum(own[name] for own in last.instruments.values()) / 2)


def test_one_instrument_is_the_whole(tmp_path):
    one = config(data={"source": "ecb", "instruments": ["EURUSD"]})
    *_, last = objective(request(one, tmp_path))
    assert last.instruments is None


def test_the_same_seed_scores_the_same_and_another_does_not(tmp_path):
    scores = [list(objective(request(config(), tmp_path, seed=s)))[-1] for s in (1, 1, 2)]
    assert scores[0] == scores[1]
    assert scores[0].train != scores[2].train


def test_a_diverged_training_ends_with_finite_floor_values_and_its_reason(tmp_path):
    wild = config(training={"learning_rate": 1e30, "max_grad_norm": 1e30})
    *_, last = objective(request(wild, tmp_path))
    assert last.failure is not None
    assert "not finite at update" in last.failure
    assert last.metrics == FLOOR
    assert last.instruments is None


def test_several_seeds_are_averaged(tmp_path):
    own = config(training={"n_seeds": 3})
    *_, last = objective(request(own, tmp_path))
    assert last.env_steps == 3 * 768


def test_what_a_trial_searches_in_env_does_not_change_its_score(tmp_path):
    # the training differs only in a cost that the ruler does not have; with learning off the policies are equal
    base = config(training={"learning_rate": 1e-30})
    dear = config(training={"learning_rate": 1e-30}, env={"spread_bp": 500.0})
    plain, searched = (list(objective(request(c, tmp_path, ruler=base)))[-1].metrics for c in (base, dear))
    assert plain == searched


def test_closing_the_iterator_ends_the_training(tmp_path):
    running = objective(request(config(), tmp_path))
    next(running)
    running.close()
    assert list(running) == []


def test_too_short_data_is_refused_before_training(tmp_path):
    own = config(data={"source": "ecb", "instruments": ["EURUSD"], "start": "2026-01-01"})
    with pytest.raises(DataError, match="EURUSD"):
        next(objective(request(own, tmp_path)))


def test_a_gymnasium_environment_is_trained_and_scored_in_the_markets_place(tmp_path):
    small = {"n_segments": 2, "accounts_per_segment": 2, "rollout_steps": 16, "batch_size": 32, "total_updates": 2}
    own = TrialConfig.model_validate(
        {
            "env": {"gym_id": "CartPole-v1"},
            "model": {"head_width": 8},
            "training": {**small, "eval_frequency": 2, "eval_episodes": 3, "n_seeds": 2, "device": "cpu"},
        }
    )
    first, last = objective(request(own, tmp_path))
    assert first.metrics is None
    assert last.env_steps == 2 * 2 * 64  # members, updates, 4 copies of 16 steps
    assert set(last.metrics) == {"mean_reward", "mean_shaped_reward", "mean_episode_length"}
    assert last.metrics["mean_reward"] == last.metrics["mean_episode_length"]  # CartPole pays 1 a step
    assert last.instruments is None
    wild = own.training.model_copy(update={"learning_rate": 1e30, "max_grad_norm": 1e30})
    *_, diverged = objective(request(own.model_copy(update={"training": wild}), tmp_path))
    assert diverged.failure is not None
    assert diverged.metrics["mean_reward"] == FLOOR["mean_reward"]


def test_the_floor_of_a_gymnasium_environment_lies_below_its_ordinary_returns():
    stopped = Progress(
        update=1,
        total_updates=1,
        env_steps=1,
        losses=[{}, {}],
        scores=[{"mean_reward": -4000.0, "mean_episode_length": 7.0}] * 2,
        stopped=("diverged", None),
        policy=None,
    )
    # twice −4000 for the one that diverged; the mean with the other is (−8000 − 4000) / 2
    assert as_report(stopped, "cpu").metrics["mean_reward"] == -6000.0


def test_every_evaluation_tells_the_equity_of_its_episodes(tmp_path):
    first, *_, last = objective(request(config(training={"n_seeds": 2}), tmp_path))
    assert first.equity is None
    curve = last.equity
    # 64 bars and the begin
    assert (len(curve.bar_R), curve.mean_R[0]) == (65, 1.0)
    # episodes of both seeds end with the mean total return that the metrics have
    assert curve.mean_R[-1] - 1.0 == pytest.approx(last.metrics["total_return"], abs=1e-12)
    for name, mean_R in curve.instruments.items():
        assert mean_R[-1] - 1.0 == pytest.approx(last.instruments[name]["total_return"], abs=1e-12)
