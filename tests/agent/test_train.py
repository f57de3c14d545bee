"""Rollouts and training: the ratio starts at 1, members do not disturb each other, the guard holds."""

from __future__ import annotations

import pytest
import torch

from fxai.agent import train as training
from fxai.agent.gae import gae
from fxai.agent.policy import Policy
from fxai.agent.rollout import gumbel
from fxai.agent.seeding import MemberStreams, member_seeds
from fxai.agent.train import Learner, check_shapes, resolve_device, train
from fxai.agent.update import as_batch
from fxai.errors import InputError

CPU = torch.device("cpu")


def learner(config, market, seeds=(0,), configs=None):
    configs = configs or [config] * len(seeds)
    streams = [MemberStreams.from_seed(s) for s in seeds]
    walker = training.new_walker(configs, market.train, streams, CPU)
    policy = walker.policy(configs[0].model, CPU)
    return Learner(configs, walker, policy, streams), policy


def no_scores(policy: Policy) -> list[dict[str, float]]:
    return [{}] * policy.population


@torch.no_grad()
def log_probs(policy, features, account, action, dropout=None):
    embedding = policy.encode(features, dropout)
    logits, _ = policy.head(policy.project(embedding).unsqueeze(3), account)
    return torch.log_softmax(logits, -1).gather(-1, action[..., None])[..., 0]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_ratio_is_one_before_the_first_step(config, market, dropout):
    subject, policy = learner(config(model={"dropout": dropout}), market)
    subject.update()  # weights that are not the initial ones
    rollout = subject._walker.rollout(policy, [dropout])
    batch = as_batch(rollout, rollout.value_TPSK[:-1], rollout.value_TPSK[:-1])
    for part in (batch, batch.slice(1, 3), batch.pick(torch.tensor([[3, 0]]))):
        now = log_probs(policy, part.features_PMLF, part.account_PMTKO, part.action, part.dropout)
        assert ((now - part.log_prob).exp() - 1).abs().max().item() <= 1e-6


@pytest.mark.parametrize("cut", [1, 5, 16, 31])
def test_ratio_is_one_for_any_cut_of_a_segment(config, market, cut):
    subject, policy = learner(config(), market)
    subject.update()
    rollout = subject._walker.rollout(policy, [0.0])
    window = policy.config.window
    features = rollout.features_PSLF[:, :, :-1]
    for rows, steps in ((features[:, :, cut:], slice(cut, None)), (features[:, :, : window - 1 + cut], slice(0, cut))):
        now = log_probs(policy, rows, rollout.account_PSTKO[:, :, steps], rollout.action_PSTK[:, :, steps])
        assert ((now - rollout.log_prob_PSTK[:, :, steps]).exp() - 1).abs().max().item() <= 1e-6


def test_a_member_of_four_trains_as_it_does_alone(config, market):
    configs = [
        config(training={"learning_rate": r, "gamma": g})
        for r, g in zip((1e-3, 1e-4, 3e-3, 3e-4), (0.9, 0.95, 0.5, 0.99), strict=True)
    ]
    configs[2] = config(model={"dropout": 0.2}, env={"spread_bp": 5.0, "max_episode_steps": 64})
    seeds = [5, 6, 7, 8]
    together, policy = learner(None, market, seeds, configs)
    together.update()
    for member, (own, seed) in enumerate(zip(configs, seeds, strict=True)):
        alone, single = learner(own, market, [seed])
        alone.update()
        torch.testing.assert_close(single.weights_PN[0], policy.weights_PN[member], atol=1e-5, rtol=0)


def test_a_member_of_four_draws_the_same_numbers(config, market):
    seeds = [5, 6, 7, 8]
    together, policy = learner(config(), market, seeds)
    crowd = together._walker.rollout(policy, [0.0] * 4)
    for member, seed in enumerate(seeds):
        alone, single = learner(config(), market, [seed])
        own = alone._walker.rollout(single, [0.0])
        assert torch.equal(own.features_PSLF[0], crowd.features_PSLF[member])
        assert torch.equal(own.action_PSTK[0], crowd.action_PSTK[member])


def test_the_same_seed_gives_the_same_weights_and_another_does_not(config, market):
    final = {}
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        *_, last = train([config()], [seed], market.train, no_scores)
        final[name] = last.policy.weights_PN.clone()
    assert torch.equal(final["first"], final["again"])
    assert not torch.equal(final["first"], final["other"])


def test_a_diverging_member_stops_with_its_reason_and_the_others_go_on(config, market):
    calm, wild = config(), config(training={"learning_rate": 1e30, "max_grad_norm": 1e30})
    *_, last = train([calm, wild], [0, 0], market.train, no_scores)
    assert last.update == 2
    assert last.stopped[0] is None
    assert last.stopped[1] is not None
    assert "not finite at update" in last.stopped[1]
    assert torch.isfinite(last.policy.weights_PN[0]).all()
    *_, alone = train([calm], [0], market.train, no_scores)
    torch.testing.assert_close(alone.policy.weights_PN[0], last.policy.weights_PN[0], atol=1e-5, rtol=0)


def test_training_ends_when_every_member_has_stopped(config, market):
    wild = config(training={"learning_rate": 1e30, "max_grad_norm": 1e30, "total_updates": 10})
    seen = list(train([wild], [0], market.train, no_scores))
    assert len(seen) < 10
    assert seen[-1].scores is not None
    assert all(seen[-1].stopped)


def test_progress_counts_steps_and_evaluates_on_schedule(config, market):
    own = config(training={"total_updates": 5, "eval_frequency": 2})
    seen = list(train([own], [0], market.train, no_scores))
    # 4 segments × 3 accounts × 32 steps = 384 per update; evaluated at 2, 4 and the last
    assert [p.env_steps for p in seen] == [384, 768, 1152, 1536, 1920]
    assert [p.scores is not None for p in seen] == [False, True, False, True, True]


def test_annealing_lowers_the_last_step(config, market):
    # one update of two at rate r·(1 − 1/2): the second update moves weights less than without annealing
    moved = {}
    for anneal in (True, False):
        subject, policy = learner(config(training={"use_lr_annealing": anneal}), market)
        subject.update()
        before = policy.weights_PN.clone()
        subject.update()
        moved[anneal] = (policy.weights_PN - before).norm().item()
    assert 0 < moved[True] < 0.75 * moved[False]


def test_members_of_different_shape_are_refused(config):
    with pytest.raises(ValueError, match=r"model\.d_model, training\.n_epochs"):
        check_shapes([config(), config(model={"d_model": 32}, training={"n_epochs": 3})])


def test_a_missing_gpu_is_named():
    if torch.cuda.device_count() > 7:
        pytest.skip("this machine has eight GPUs")
    with pytest.raises(InputError, match="there is no cuda:7"):
        resolve_device("cuda:7")


def test_gumbel_noise_draws_from_the_softmax():
    # probabilities 0.1, 0.2, 0.7; 100,000 draws have a standard error below 0.0016
    logits = torch.tensor([0.1, 0.2, 0.7]).log()
    noise = gumbel(torch.rand(100_000, 3, generator=torch.Generator().manual_seed(0)))
    counts = torch.bincount((logits + noise).argmax(-1), minlength=3) / 100_000
    torch.testing.assert_close(counts, torch.tensor([0.1, 0.2, 0.7]), atol=0.008, rtol=0)
    assert torch.isfinite(gumbel(torch.tensor([0.0, 1.0 - 2**-24]))).all()


def test_segments_take_turns_to_begin_anew(config, market):
    # episodes of 64 bars, rollouts of 32: all begin at first, then every other segment in turn
    subject, policy = learner(config(), market)
    renewed = [subject._walker.rollout(policy, [0.0]).renewed_S for _ in range(3)]
    assert renewed[0] == (True, True, True, True)
    assert renewed[1] == (False, True, False, True)
    assert renewed[2] == (True, False, True, False)


@torch.no_grad()
def test_an_account_is_carried_from_rollout_to_rollout(config, market):
    subject, policy = learner(config(), market)
    first, second = (subject._walker.rollout(policy, [0.0]) for _ in range(2))
    goes_on = [not again for again in second.renewed_S]
    # the level held, first of the account's features, is the last one chosen; fresh accounts hold nothing
    levels = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
    held = second.account_PSTKO[:, :, 0, :, 0]
    torch.testing.assert_close(held[:, goes_on], torch.asinh(levels[first.action_PSTK[:, goes_on, -1]]))
    assert held[:, goes_on].any()
    assert not held[:, list(second.renewed_S)].any()
    window, steps = policy.config.window, 32
    torch.testing.assert_close(
        first.features_PSLF[:, goes_on, -window:], second.features_PSLF[:, goes_on, :window], atol=0, rtol=0
    )
    assert first.features_PSLF.shape[2] == window - 1 + steps + 1


def test_member_seeds_differ_and_repeat():
    assert member_seeds(1, 3) == member_seeds(1, 3)
    assert len(set(member_seeds(1, 3) + member_seeds(2, 3))) == 6


def test_bootstrap_uses_the_value_behind_the_rollout(config, market):
    # a reward of 0 and a value of 0 everywhere but at the end: only γ·V_T of the last step is left
    subject, policy = learner(config(), market)
    rollout = subject._walker.rollout(policy, [0.0])
    values = torch.zeros_like(rollout.value_TPSK)
    values[-1] = 2.0
    half = torch.full((1, 1, 1), 0.5)
    got = gae(torch.zeros_like(values[1:]), values, torch.zeros_like(rollout.ended_TPSK), half, half * 0)
    assert (got[-1] == 1.0).all()
    assert (got[:-1] == 0.0).all()
