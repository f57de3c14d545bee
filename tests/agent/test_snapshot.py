"""A training that is cut and continued ends bit by bit as an unbroken one; what is damaged or foreign is named."""

from __future__ import annotations

import os
import struct
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fxai.agent import snapshot as snapshots
from fxai.agent import train as training
from fxai.agent.policy import Policy, RunningScale
from fxai.agent.snapshot import BadSnapshot, load_snapshot, meaning_of, save_snapshot
from fxai.agent.train import Progress, train
from fxai.config import ModelConfig

CPU = torch.device("cpu")


def score(policy: Policy) -> list[dict[str, float]]:
    """A figure that any changed weight changes."""
    return [{"size": float(row.double().abs().sum())} for row in policy.weights_PN.detach()]


def told(progress: Progress) -> dict[str, Any]:
    """What is comparable of a progress, the weights among it."""
    return {
        "update": progress.update,
        "env_steps": progress.env_steps,
        "losses": progress.losses,
        "scores": progress.scores,
        "stopped": progress.stopped,
        "weights": progress.policy.weights_PN.detach().clone().tolist(),
    }


def unbroken(configs, seeds, part):
    return [told(progress) for progress in train(configs, seeds, part, score)]


def cut_at(configs, seeds, part, cuts, path):
    """The same training, given up after each of these updates and gone on with from its file."""
    seen: list[dict[str, Any]] = []
    meaning = meaning_of(configs, seeds, ruler=configs[0], data_hash="bars", device=CPU)
    resume = None
    for cut in [*cuts, None]:
        with closing(train(configs, seeds, part, score, resume=resume)) as running:
            for progress in running:
                seen.append(told(progress))
                if progress.update == cut:
                    save_snapshot(path, progress.snapshot(), meaning)
                    break
        resume, _ = load_snapshot(path, meaning)
    return seen


SIX = {"total_updates": 6, "eval_frequency": 2}


@pytest.mark.parametrize("cuts", [[1], [3], [2, 4, 5]], ids=str)
def test_two_seeds_with_dropout_and_annealing_end_as_if_nothing_had_happened(config, market, tmp_path, cuts):
    own = config(model={"dropout": 0.2}, training={**SIX, "use_lr_annealing": True})
    assert cut_at([own] * 2, [3, 4], market.train, cuts, tmp_path / "s") == unbroken([own] * 2, [3, 4], market.train)


def test_a_member_that_was_stopped_stays_so_and_the_other_goes_on(config, market, tmp_path):
    calm, wild = config(training=SIX), config(training={**SIX, "learning_rate": 1e30, "max_grad_norm": 1e30})
    seen = cut_at([calm, wild], [0, 0], market.train, [3], tmp_path / "s")
    whole = unbroken([calm, wild], [0, 0], market.train)
    assert whole[-1]["stopped"][1] is not None
    # NaN losses of the stopped member are unequal to themselves
    assert str(seen) == str(whole)


def test_a_member_that_a_passing_fault_stopped_does_not_train_again(config, market, tmp_path, monkeypatch):
    own, calls, real = config(training=SIX), [], training.update

    def fails_once(*args: Any, **named: Any) -> tuple[Any, ...]:
        calls.append(None)
        *figures, alive_P = real(*args, **named)
        return (*figures, alive_P & torch.tensor([True, len(calls) != 2]))

    monkeypatch.setattr(training, "update", fails_once)
    whole = unbroken([own] * 2, [3, 4], market.train)
    assert whole[1]["weights"][1] == whole[5]["weights"][1] != whole[0]["weights"][1]
    calls.clear()
    assert cut_at([own] * 2, [3, 4], market.train, [3], tmp_path / "s") == whole


def test_a_training_that_was_over_is_over(config, market, tmp_path):
    own = config(training={"total_updates": 2})
    assert cut_at([own], [0], market.train, [2], tmp_path / "s") == unbroken([own], [0], market.train)
    wild = config(training={**SIX, "learning_rate": 1e30, "max_grad_norm": 1e30})
    whole = unbroken([wild], [0], market.train)
    assert len(whole) < 6
    assert str(cut_at([wild], [0], market.train, [len(whole)], tmp_path / "s")) == str(whole)


def test_a_snapshot_is_a_copy(config, market):
    running = train([config()], [0], market.train, score)
    taken = next(running).snapshot()
    before = {name: x.clone() for name, x in taken.tensors.items()}
    next(running)
    assert all(torch.equal(before[name], x) for name, x in taken.tensors.items())


def test_a_running_scale_is_kept_with_the_weights():
    def policy(seed: int) -> Policy:
        own = Policy(
            ModelConfig(head_width=8),
            n_features=0,
            n_account=3,
            n_actions=2,
            generators=[torch.Generator().manual_seed(seed)],
            device=CPU,
        )
        own.observed = RunningScale.fresh(1, 3, CPU)
        return own

    first, second, seen = policy(1), policy(2), torch.randn(1, 5, 3)
    first.observed.add(seen)
    second.load_state({name: x.clone() for name, x in first.state().items()})
    for own in (first, second):
        own.observed.add(seen * 3)
    assert torch.equal(first.weights_PN, second.weights_PN)
    assert torch.equal(first.observed.mean_PO, second.observed.mean_PO)
    assert torch.equal(first.observed.variance_PO, second.observed.variance_PO)


def test_a_gymnasium_environment_cannot_be_saved():
    from fxai.config import TrialConfig

    small = {"n_segments": 1, "accounts_per_segment": 2, "rollout_steps": 8, "batch_size": 16, "total_updates": 1}
    own = TrialConfig.model_validate(
        {"env": {"gym_id": "CartPole-v1"}, "model": {"head_width": 8}, "training": {**small, "device": "cpu"}}
    )
    [only] = train([own], [0], None, score)
    assert only.snapshot is None
    foreign = snapshots.Snapshot(update=1, stopped=(None,), tensors={})
    with pytest.raises(BadSnapshot, match="Gymnasium environment cannot go on"):
        train([own], [0], None, score, resume=foreign)


@pytest.fixture
def saved(config, market, tmp_path):
    """A file, its meaning, and the config it was made with."""
    own = config()
    meaning = meaning_of([own], [0], ruler=own, data_hash="bars", device=CPU)
    with closing(train([own], [0], market.train, score)) as running:
        save_snapshot(tmp_path / "s", next(running).snapshot(), meaning, "what I said: ü")
    return tmp_path / "s", meaning, own


def test_notes_come_back(saved):
    path, meaning, _ = saved
    assert load_snapshot(path, meaning)[1] == "what I said: ü"


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: b"garbage",
        lambda whole: struct.pack("<Q", 2**62) + b"{}",
        lambda whole: struct.pack("<Q", 99_999_999) + whole[8:],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1],
    ],
    ids=["empty", "garbage", "giant header", "header beyond the file", "half", "a byte short"],
)
def test_f65_what_is_no_safetensors_is_named(saved, damage):
    path, meaning, _ = saved
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadSnapshot, match="not readable as safetensors"):
        load_snapshot(path, meaning)


@pytest.mark.parametrize("place", [-1, -5000, -20_000])
def test_f65_a_flipped_bit_is_noticed(saved, place):
    path, meaning, _ = saved
    whole = bytearray(path.read_bytes())
    whole[place] ^= 1
    path.write_bytes(whole)
    with pytest.raises(BadSnapshot, match="its checksum does not fit"):
        load_snapshot(path, meaning)


def edit(path, change, seal=True):
    """Write a file anew with changed header and tensors, its checksum right."""
    with safe_open(str(path), framework="pt") as file:
        header, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header, tensors)
    header.pop("checksum", None)
    save_file(tensors, str(path), metadata={**header, "checksum": snapshots._checksum(header, tensors)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, t: h.update(format="fxai-policy-2"), "no snapshot of this version"),
        (lambda h, t: h.pop("update"), "its header is damaged"),
        (lambda h, t: h.update(stopped="7"), "its header is damaged"),
        (lambda h, t: t["policy.weights"].fill_(float("nan")), "policy.weights is not finite"),
        (lambda h, t: t["walker.accounts.equity"].fill_(float("inf")), "walker.accounts.equity is not finite"),
    ],
)
def test_f65_a_header_or_a_number_that_cannot_be_is_named(saved, change, message):
    path, meaning, _ = saved
    edit(path, change)
    with pytest.raises(BadSnapshot, match=message):
        load_snapshot(path, meaning)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, t: t.pop("optimizer.mean"), "optimizer.mean is missing"),
        (lambda h, t: t.update(more=torch.zeros(1)), "more is float32 \\[1\\], and missing is needed"),
        (
            lambda h, t: t.update({"walker.rows": torch.zeros(1, 9, dtype=torch.int64)}),
            "walker.rows is int64 \\[1, 9\\]",
        ),
        (lambda h, t: t.update({"walker.rows": t["walker.rows"].int()}), "walker.rows is int32"),
        (lambda h, t: t["walker.rows"].fill_(10**9), "the rows lie outside of the market"),
        (lambda h, t: t["walker.accounts.action"].fill_(5), "there is no such level"),
        (lambda h, t: t["member0.actions"].fill_(255), "member0 cannot go on from it"),
        (lambda h, t: h.update(update="99"), "of 1 members after update 99"),
        (lambda h, t: h.update(stopped="[null, null]"), "of 2 members"),
    ],
)
def test_f65_what_does_not_fit_the_training_is_named_at_the_call(saved, market, change, message):
    path, meaning, own = saved
    edit(path, change)
    loaded, _ = load_snapshot(path, meaning)
    with pytest.raises(BadSnapshot, match=message):
        train([own], [0], market.train, score, resume=loaded)


def test_a_snapshot_of_another_training_is_refused_with_what_differs(saved, config):
    path, meaning, own = saved
    same = {"ruler": own, "data_hash": "bars", "device": CPU}
    with pytest.raises(BadSnapshot, match=r"made with another config$"):
        load_snapshot(path, meaning_of([config(training={"gamma": 0.9})], [0], **same))
    other = {"ruler": config(env={"spread_bp": 9.0}), "data_hash": "else", "device": torch.device("cuda")}
    with pytest.raises(BadSnapshot, match="another seeds, another ruler, another bars, another device"):
        load_snapshot(path, meaning_of([own], [1], **other))
    with pytest.raises(BadSnapshot, match="another torch"):
        load_snapshot(path, {**meaning, "torch": "1.0"})


def test_where_bars_lie_the_number_of_the_device_and_tracking_do_not_matter(config):
    def meaning(**sections):
        own = config(**sections)
        return meaning_of([own], [0], ruler=own, data_hash="bars", device=torch.device("cuda:1"))

    moved = meaning(data={"path": "elsewhere/{instrument}"}, wandb={"mode": "offline"}, training={"device": "cuda"})
    assert moved == meaning()
    assert moved["device"] == "cuda"


def test_f63_a_link_and_a_missing_file_are_refused(saved, tmp_path):
    path, meaning, _ = saved
    os.symlink(path, tmp_path / "link")
    for wrong in (tmp_path / "link", tmp_path / "none", tmp_path):
        with pytest.raises(BadSnapshot, match="no regular file"):
            load_snapshot(wrong, meaning)


def test_f65_a_giant_file_is_refused_before_it_is_read(saved, monkeypatch):
    path, meaning, _ = saved
    monkeypatch.setattr(snapshots, "MAX_BYTES", 1000)
    with pytest.raises(BadSnapshot, match="larger than 1000 bytes"):
        load_snapshot(path, meaning)


def test_a_failed_write_leaves_the_snapshot_before(saved, monkeypatch):
    path, meaning, _ = saved
    before, _ = load_snapshot(path, meaning)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Exception, match="the disk is full"):
        save_snapshot(path, replace(before, update=2), meaning)
    assert load_snapshot(path, meaning)[0].update == 1
