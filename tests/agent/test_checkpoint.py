"""Weights on disk: equal after a round trip, damage is named (F64, F65)."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from fxai.agent.checkpoint import load_weights, read_trained_on, save_weights
from fxai.agent.policy import Policy, RunningScale
from fxai.config import ModelConfig
from fxai.env.trading import ACCOUNT_FEATURES
from fxai.errors import InputError
from fxai.market.trained_on import TrainedOn

CPU = torch.device("cpu")
NAMES = ("a", "b", "c")
LEVELS = (-1.0, 0.0, 0.5, 1.0)


def policy() -> Policy:
    return Policy(
        ModelConfig(window=6, d_model=8, n_heads=2, head_width=8),
        n_features=3,
        n_account=len(ACCOUNT_FEATURES),
        n_actions=4,
        generators=[torch.Generator().manual_seed(i) for i in range(2)],
        device=CPU,
    )


def test_round_trip_keeps_the_member(tmp_path):
    original = policy()
    save_weights(tmp_path / "w.safetensors", original, 1, feature_names=NAMES, levels=LEVELS)
    loaded = load_weights(tmp_path / "w.safetensors", feature_names=NAMES, levels=LEVELS, device=CPU)
    assert loaded.config == original.config
    assert torch.equal(loaded.weights_PN[0], original.weights_PN[1])


BARS = TrainedOn(
    data_hash="ab", timeframe_s=3600.0, spans={"A": {"train": (1, 5), "validation": (7, 8), "test": (10, 12)}}
)


def test_what_it_was_trained_on_is_kept_with_the_names_of_the_features(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, policy(), 0, feature_names=NAMES, levels=LEVELS, trained_on=BARS)
    assert read_trained_on(path) == (BARS, NAMES)


def test_weights_without_bars_are_told(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, policy(), 0, feature_names=NAMES, levels=LEVELS)
    with pytest.raises(InputError, match="these weights were not trained on bars of a market"):
        read_trained_on(path)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"data_hash": "ab", "timeframe_s": 3600.0, "spans": {}}',
        '{"data_hash": "ab", "timeframe_s": 0.0, "spans": {"A": {"train": [1, 5]}}}',
        '{"data_hash": "ab", "timeframe_s": 3600.0, "spans": {"A": {"train": [5, 1]}}}',
        '{"data_hash": "ab", "timeframe_s": 3600.0, "spans": {"A": {"validation": [1, 5]}}}',
        '{"data_hash": "ab", "timeframe_s": 3600.0, "spans": {"A": {"train": [1, 9], "test": [5, 12]}}}',
        '{"data_hash": "ab", "timeframe_s": 3600.0, "spans": {"A": {"train": [1, 99999999999999999999]}}}',
    ],
)
def test_bars_that_make_no_sense_are_a_damaged_header(tmp_path, text):
    path = tmp_path / "w.safetensors"
    write(path, {**GOOD, "trained_on": text})
    with pytest.raises(InputError, match="header of the weights file is damaged"):
        read_trained_on(path)


def test_a_policy_without_bars_keeps_the_scale_of_what_it_observes(tmp_path):
    original = Policy(
        ModelConfig(head_width=8),
        n_features=0,
        n_account=3,
        n_actions=2,
        generators=[torch.Generator().manual_seed(i) for i in range(2)],
        device=CPU,
    )
    original.observed = RunningScale.fresh(2, 3, CPU)
    original.observed.add(torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(0)) * 4.0 + 1.0)
    meaning = {"feature_names": (), "levels": (0.0, 1.0), "account": ("X-v0[0]", "X-v0[1]", "X-v0[2]")}
    path = tmp_path / "w.safetensors"
    save_weights(path, original, 1, **meaning)
    loaded = load_weights(path, **meaning, device=CPU)
    seen = torch.randn(1, 4, 1, 1, 3, generator=torch.Generator().manual_seed(1))
    bars = loaded.bars(torch.empty(0))
    expected, _ = original.head(original.bars(torch.empty(0)), seen.expand(2, -1, -1, -1, -1))
    torch.testing.assert_close(loaded.head(bars, seen)[0][0], expected[1])
    with pytest.raises(InputError, match=r"trained with the observations X-v0\[0\], .*; here they are Y"):
        load_weights(path, **{**meaning, "account": ("Y", "Y", "Y")}, device=CPU)


def write(path, metadata, tensors=None):
    save_file(tensors or {"input.weight": torch.zeros(3, 8)}, path, metadata=metadata)


GOOD = {
    "format": "fxai-policy-2",
    "model": ModelConfig(window=6, d_model=8, n_heads=2, head_width=8).model_dump_json(),
    "account": json.dumps(ACCOUNT_FEATURES),
    "levels": "[-1.0, 0.0, 0.5, 1.0]",
    "features": json.dumps(NAMES),
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "no FxAI policy"),
        ({"format": "fxai-policy-1"}, "older format, which does not say on which bars they were trained"),
        ({"model": "{}}"}, "header of the weights file is damaged"),
        ({"features": '["z"]'}, "trained with the bar features z; here they are a, b, c"),
        ({"account": '["z"]'}, "trained with the observations z"),
        ({"levels": "[-1.0, 0.0, 0.4, 1.0]"}, r"trained with the position levels -1\.0, 0\.0, 0\.4, 1\.0"),
        ({"levels": "7"}, "header of the weights file is damaged"),
        ({}, "weight input.bias is missing, misshapen or not finite"),
    ],
)
def test_a_foreign_or_damaged_header_is_named(tmp_path, change, message):
    path = tmp_path / "w.safetensors"
    write(path, {**GOOD, **change})
    with pytest.raises(InputError, match=message):
        load_weights(path, feature_names=NAMES, levels=LEVELS, device=CPU)


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", struct.pack("<Q", 2**62) + b"{}", struct.pack("<Q", 10) + b"{}"],
    ids=["empty", "garbage", "giant header", "truncated"],
)
def test_a_file_that_is_no_safetensors_is_named(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not readable as safetensors"):
        load_weights(path, feature_names=NAMES, levels=LEVELS, device=CPU)


def test_a_truncated_checkpoint_is_named(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, policy(), 0, feature_names=NAMES, levels=LEVELS)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="not readable as safetensors"):
        load_weights(path, feature_names=NAMES, levels=LEVELS, device=CPU)


def test_a_missing_file_says_what_writes_it(tmp_path):
    with pytest.raises(InputError, match="no such weights file"):
        load_weights(tmp_path / "none", feature_names=NAMES, levels=LEVELS, device=CPU)
