"""The encoder's receptive field and its independence of where a stretch is cut."""

from __future__ import annotations

import pytest
import torch

from fxai.agent.policy import Policy, spans
from fxai.config import ModelConfig

FEATURES = 5


def new(population: int = 1, **model: object) -> Policy:
    config = ModelConfig.model_validate({"window": 12, "d_model": 16, "n_heads": 2, "head_width": 8, **model})
    return Policy(
        config,
        n_features=FEATURES,
        n_account=3,
        n_actions=4,
        generators=[torch.Generator().manual_seed(i) for i in range(population)],
        device=torch.device("cpu"),
    )


def stretch(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 1, rows, FEATURES, generator=torch.Generator().manual_seed(seed))


def test_spans_add_up_to_the_window():
    # 59 = 30 + 29, so spans 31 and 30; a window of 1 sees only itself
    assert spans(60, 2) == [31, 30]
    assert spans(1, 3) == [1, 1, 1]
    assert spans(3, 4) == [2, 2, 1, 1]
    assert all(sum(s - 1 for s in spans(w, n)) == w - 1 for w in range(1, 80) for n in range(1, 7))


@pytest.mark.parametrize(("window", "layers"), [(12, 2), (1, 2), (5, 3), (60, 2), (7, 1)])
@torch.no_grad()
def test_an_embedding_depends_on_exactly_window_bars(window, layers):
    policy = new(window=window, n_layers=layers)
    rows, at = window + 20, window + 9
    features = stretch(rows)
    before = policy.encode(features)[0, 0, at - window + 1]
    for row in range(rows):
        changed = features.clone()
        changed[..., row, :] += 1.0
        moved = (policy.encode(changed)[0, 0, at - window + 1] - before).abs().max().item()
        inside = at - window < row <= at
        assert (moved > 1e-7) == inside, (row, at, moved)


@torch.no_grad()
def test_an_embedding_does_not_depend_on_the_cut():
    policy = new()
    features = stretch(100)
    whole = policy.encode(features)
    for begin in (1, 17, 40):
        part = policy.encode(features[:, :, begin:])
        torch.testing.assert_close(part, whole[:, :, begin:], atol=3e-6, rtol=0)


@torch.no_grad()
def test_members_are_independent_and_equal_to_themselves_alone():
    together, features = new(population=3), stretch(40).expand(3, 2, -1, -1)
    account = torch.randn(3, 2, 29, 4, 3, generator=torch.Generator().manual_seed(1))
    logits, values = together.head(together.project(together.encode(features)).unsqueeze(3), account)
    assert logits.shape == (3, 2, 29, 4, 4)
    for member in range(3):
        alone = new()
        alone.weights_PN.copy_(together.weights_PN[member : member + 1])
        one = slice(member, member + 1)
        own, own_values = alone.head(alone.project(alone.encode(features[one])).unsqueeze(3), account[one])
        torch.testing.assert_close(own[0], logits[member], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(own_values[0], values[member], atol=1e-6, rtol=1e-5)


def test_gradients_of_a_member_are_in_its_row():
    policy = new(population=2)
    out = policy.encode(stretch(20).expand(2, 1, -1, -1))
    gradients = policy.gradients((out[0] * torch.randn_like(out[0])).sum())
    assert gradients.shape == policy.weights_PN.shape
    assert gradients[0].abs().sum() > 0
    assert gradients[1].abs().sum() == 0


def test_dropout_masks_keep_the_mean_and_draw_only_for_members_that_drop():
    policy = new(population=2)
    generators = [torch.Generator().manual_seed(7), torch.Generator().manual_seed(8)]
    untouched = generators[1].get_state()
    masks = policy.dropout_masks([0.25, 0.0], generators, batch=50, rows=40)
    assert masks is not None
    kept = masks[0][0][0]
    # kept entries are scaled by 1 / 0.75, the others 0
    assert set(kept.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
    assert abs(kept.mean().item() - 1.0) < 0.02
    assert (masks[0][0][1] == 1.0).all()
    assert torch.equal(generators[1].get_state(), untouched)
    assert policy.dropout_masks([0.0, 0.0], generators, batch=1, rows=40) is None
