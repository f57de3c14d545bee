from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fxai.agent.gae import gae
from fxai.agent.gym_walker import GymWalker
from fxai.agent.policy import RunningScale
from fxai.agent.seeding import MemberStreams, member_seeds
from fxai.agent.train import Learner, train
from fxai.agent.update import as_batch
from fxai.config import TrialConfig
from fxai.config.load import load_trial_config
from fxai.errors import InputError
from fxai.evaluate.gym_episodes import GymEvaluator

CPU = torch.device("cpu")
TOY = "toy_env:Countdown-v0"


def config(gym_id: str = TOY, **training: object) -> TrialConfig:
    small = {"n_segments": 2, "accounts_per_segment": 3, "rollout_steps": 24, "batch_size": 72, "n_epochs": 2}
    return TrialConfig.model_validate(
        {
            "env": {"gym_id": gym_id},
            "model": {"head_width": 8, "activation": "tanh"},
            "training": {**small, "total_updates": 3, "eval_frequency": 1, "device": "cpu", **training},
        }
    )


def learner(configs: list[TrialConfig], seeds: list[int]) -> tuple[Learner, GymWalker]:
    streams = [MemberStreams.from_seed(seed) for seed in seeds]
    t = configs[0].training
    walker = GymWalker(
        configs[0].env.gym_id,
        segments=t.n_segments,
        accounts=t.accounts_per_segment,
        steps=t.rollout_steps,
        streams=streams,
    )
    policy = walker.policy(configs[0].model, CPU)
    return Learner(configs, walker, policy, streams), walker


def test_a_rollout_is_what_the_environment_did():
    subject, walker = learner([config()], [3])
    rollout = walker.rollout(subject._policy, [0.0])
    ended = rollout.action_PSTK == 1
    shown = rollout.account_PSTKO[..., 0]  # steps since the reset
    reward, over = rollout.reward_TPSK.permute(1, 2, 0, 3), rollout.ended_TPSK.permute(1, 2, 0, 3)
    torch.testing.assert_close(reward, torch.where(ended, 10.0, 1.0))
    # an episode is over where it was ended, or with the fourth step
    assert torch.equal(over, ended | (shown == 3))
    follows = torch.where(over, 0.0, shown + 1)[:, :, :-1]
    assert torch.equal(shown[:, :, 1:], follows)
    assert (ended & over).any()
    assert (~ended & over).any()


def test_a_truncated_step_bootstraps_from_the_state_it_was_cut_off_in():
    subject, walker = learner([config()], [3])
    policy = subject._policy
    rollout = walker.rollout(policy, [0.0])
    cut = (rollout.ended_TPSK & (rollout.action_PSTK.permute(2, 0, 1, 3) == 0)).nonzero()
    assert len(cut)
    assert rollout.final_value_TPSK is not None
    for t, p, s, k in cut.tolist():
        drawn = rollout.account_PSTKO[p, s, t, k, 1]
        final = torch.tensor([4.0, drawn.item()])  # four steps were walked, the draw is the episode's
        _, value = policy.head(policy.bars(torch.empty(0))[:, :, 0], final.view(1, 1, 1, 2))
        torch.testing.assert_close(rollout.final_value_TPSK[t, p, s, k], value.item() * torch.ones(()))
    others = torch.ones_like(rollout.ended_TPSK)
    others[tuple(cut.T)] = False
    assert not rollout.final_value_TPSK[others].any()


def test_advantage_of_a_truncated_step_by_hand():
    # r = 1, V = 2, γ = 0.5, cut off in a state of value 6: δ = 1 + 0.5·6 − 2 = 2, and nothing of the next episode
    reward, value = torch.ones(2, 1, 1, 1), torch.full((3, 1, 1, 1), 2.0)
    ended, final = torch.tensor([True, False]).view(2, 1, 1, 1), torch.tensor([6.0, 0.0]).view(2, 1, 1, 1)
    half = torch.full((1, 1, 1), 0.5)
    got = gae(reward + half * final, value, ended, half, half)
    # the second step: δ = 1 + 0.5·2 − 2 = 0
    torch.testing.assert_close(got.flatten(), torch.tensor([2.0, 0.0]))


@torch.no_grad()
def test_the_ratio_is_one_before_the_first_gradient_step_although_the_scale_has_moved():
    subject, walker = learner([config()], [5])
    for _ in range(2):
        with torch.enable_grad():
            subject.update()
    policy = subject._policy
    assert policy.observed.count == 2 * 144
    rollout = walker.rollout(policy, [0.0])
    batch = as_batch(rollout, rollout.value_TPSK[:-1], rollout.value_TPSK[:-1])
    logits, _ = policy.head(policy.bars(batch.features_PMLF), batch.account_PMTKO)
    now = torch.log_softmax(logits, -1).gather(-1, batch.action[..., None])[..., 0]
    assert (now - batch.log_prob).exp().sub(1).abs().max() <= 1e-6


def test_a_member_of_three_trains_as_it_does_alone():
    configs = [config(learning_rate=rate, gamma=gamma) for rate, gamma in ((1e-3, 0.9), (1e-2, 0.5), (3e-3, 0.99))]
    together, _ = learner(configs, [5, 6, 7])
    losses = [together.update() for _ in range(2)]
    for member, seed in enumerate((5, 6, 7)):
        alone, _ = learner([configs[member]], [seed])
        for at in range(2):
            (own,) = alone.update()
            assert own == pytest.approx(losses[at][member], rel=1e-4, abs=1e-6)
        torch.testing.assert_close(together._policy.weights_PN[member], alone._policy.weights_PN[0])


def test_the_running_scale_is_the_mean_and_deviation_of_all_that_was_seen():
    rng = np.random.default_rng(0)
    seen = [rng.normal(3.0, 2.0, (2, 4, size, 3)).astype(np.float32) for size in (1, 5, 30)]
    scale = RunningScale.fresh(2, 3, CPU)
    first = torch.from_numpy(seen[0])
    torch.testing.assert_close(scale(first), first, atol=1e-6, rtol=1e-6)  # nothing seen yet
    for part in seen:
        scale.add(torch.from_numpy(part))
    whole = np.concatenate([part.reshape(2, -1, 3) for part in seen], axis=1)
    np.testing.assert_allclose(scale.mean_PO, whole.mean(1), rtol=1e-5)
    np.testing.assert_allclose(scale.variance_PO, whole.var(1), rtol=1e-4)
    far = torch.full((2, 1, 3), 1e6)
    assert (scale(far) == RunningScale.BOUND).all()


def test_evaluation_plays_fixed_episodes_and_counts_returns():
    cfg = config()
    policy = learner([cfg], [1])[0]._policy
    with torch.no_grad():
        for weight in policy.parameters.values():
            weight.zero_()
        policy.parameters["head.out.bias"][:, 0] = 1.0  # always goes on: four steps of 1, then the time limit
    assert GymEvaluator(TOY, 5)(policy) == [{"mean_reward": 4.0, "mean_shaped_reward": 4.0, "mean_episode_length": 4.0}]
    with torch.no_grad():
        policy.parameters["head.out.bias"][:, 1] = 2.0  # ends at once
    (played,) = GymEvaluator(TOY, 5).play(policy)
    assert played.return_E.tolist() == [10.0] * 5
    assert played.length_E.tolist() == [1] * 5


def test_an_episode_that_never_ends_is_named():
    cfg = config(gym_id="toy_env:CountdownForEver-v0")
    policy = learner([cfg], [1])[0]._policy
    with torch.no_grad():
        for weight in policy.parameters.values():
            weight.zero_()
        policy.parameters["head.out.bias"][:, 0] = 1.0  # always goes on
    with pytest.raises(InputError, match=r"an episode of toy_env:CountdownForEver-v0 had not ended after 50 steps"):
        GymEvaluator("toy_env:CountdownForEver-v0", 2, longest=50).play(policy)


def test_a_training_that_is_left_closes_its_environments(monkeypatch):
    closed = []
    monkeypatch.setattr("fxai.env.external.Copies.close", lambda self: closed.append(self))
    training = train([config()] * 2, [1, 2], None, GymEvaluator(TOY, 2))
    next(training)
    after_evaluation = len(closed)  # two members' copies of the first evaluation
    training.close()
    assert (after_evaluation, len(closed)) == (2, 4)


def test_the_same_seed_gives_the_same_training():
    cfg = config(gym_id="CartPole-v1")
    runs = [list(train([cfg], [4], None, GymEvaluator("CartPole-v1", 3))) for _ in range(2)]
    assert [p.scores for p in runs[0]] == [p.scores for p in runs[1]]
    assert [p.losses for p in runs[0]] == [p.losses for p in runs[1]]


def test_it_learns_cartpole():
    # 500 is the most there is, and about 22 what chance gets; the base config's seeds are there after 20,000 steps
    cfg = base_config("cartpole", total_updates=28, eval_frequency=28)
    (*_, last) = train([cfg] * 3, member_seeds(0, 3), None, GymEvaluator("CartPole-v1", 20))
    assert sorted(scores["mean_reward"] for scores in last.scores)[1] >= 475


def base_config(name: str, **training: object) -> TrialConfig:
    base = load_trial_config(Path(__file__).parents[2] / "config" / "base" / f"{name}.yaml")
    return base.model_copy(update={"training": base.training.model_copy(update=training)})
