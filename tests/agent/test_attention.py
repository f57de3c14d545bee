"""Sliding attention against a dense masked implementation, forwards and backwards."""

import pytest
import torch

from fxai.agent.attention import rotary_factors, sliding_attention


def turn(x: torch.Tensor) -> torch.Tensor:
    """Rotate neighbouring pairs of [..., L, E] by their row's angle, with sines and cosines."""
    factors = rotary_factors(x.shape[-2], x.shape[-1], x.device)
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = torch.stack([even * factors.real - odd * factors.imag, even * factors.imag + odd * factors.real], dim=-1)
    return turned.flatten(-2)


def dense(qkv: torch.Tensor, span: int) -> torch.Tensor:
    rows = qkv.shape[2]
    query, key, value = qkv.permute(3, 0, 1, 4, 2, 5)
    i, j = torch.arange(rows - span + 1)[:, None], torch.arange(rows)
    seen = (j >= i) & (j < i + span)
    query = turn(query)[..., span - 1 :, :]
    mixed = torch.nn.functional.scaled_dot_product_attention(query, turn(key), value, attn_mask=seen)
    return mixed.transpose(2, 3).flatten(-2)


@pytest.mark.parametrize(
    ("population", "batch", "rows", "heads", "width", "span"),
    [
        (1, 2, 13, 2, 4, 4),
        (2, 1, 187, 4, 16, 30),
        (1, 3, 20, 1, 2, 1),
        (3, 2, 60, 2, 8, 60),
        (1, 2, 64, 2, 8, 60),
        (1, 1, 5, 1, 2, 5),
        (2, 4, 158, 2, 4, 31),
        (1, 2, 9, 1, 2, 3),
    ],
)
def test_equals_dense_attention_and_its_gradient(population, batch, rows, heads, width, span):
    torch.manual_seed(0)
    ours = torch.randn(population, batch, rows, 3, heads, width, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    got, want = sliding_attention(ours, span), dense(theirs, span)
    torch.testing.assert_close(got, want, atol=2e-6, rtol=1e-5)
    upstream = torch.randn_like(want)
    got.backward(upstream)
    want.backward(upstream)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=5e-6, rtol=1e-4)


def test_no_sequence_and_no_member_sees_another():
    torch.manual_seed(0)
    qkv = torch.randn(2, 3, 20, 3, 2, 4)
    before = sliding_attention(qkv, 7)
    changed = qkv.clone()
    changed[0, 1] += 1e3
    after = sliding_attention(changed, 7)
    assert not torch.equal(after[0, 1], before[0, 1])
    after[0, 1] = before[0, 1]
    assert torch.equal(after, before)
    changed[0] = torch.nan
    assert torch.equal(sliding_attention(changed, 7)[1], before[1])


def test_rotation_keeps_only_differences_of_position():
    # the dot product of a turned query and key is the same for rows (3, 1) and (9, 7)
    query, key = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    queries, keys = turn(query.expand(10, 8)), turn(key.expand(10, 8))
    torch.testing.assert_close(queries[3] @ keys[1], queries[9] @ keys[7])
