"""Sliding attention against a dense masked implementation, forwards and backwards."""

import pytest
import torch

from fxai.agent import attention
from fxai.agent.attention import rotary_factors, sliding_attention


def dense(qkv: torch.Tensor, span: int) -> torch.Tensor:
    rows = qkv.shape[1]
    factors = rotary_factors(rows, qkv.shape[-1], qkv.device)
    turned = attention._turn(qkv[:, :, :2], factors)
    query, key, value = (x.transpose(1, 2) for x in (turned[:, span - 1 :, 0], turned[:, :, 1], qkv[:, :, 2]))
    i, j = torch.arange(rows - span + 1)[:, None], torch.arange(rows)
    seen = (j >= i) & (j < i + span)
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=seen).transpose(1, 2)


@pytest.mark.parametrize(
    ("batch", "rows", "heads", "width", "span"),
    [(2, 13, 2, 4, 4), (1, 187, 4, 16, 30), (3, 20, 1, 2, 1), (2, 60, 2, 8, 60), (2, 64, 2, 8, 60), (1, 5, 1, 2, 5)],
)
def test_equals_dense_attention_and_its_gradient(batch, rows, heads, width, span):
    torch.manual_seed(0)
    ours = torch.randn(batch, rows, 3, heads, width, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    got, want = sliding_attention(ours, span), dense(theirs, span)
    torch.testing.assert_close(got, want, atol=2e-6, rtol=1e-5)
    upstream = torch.randn_like(want)
    got.backward(upstream)
    want.backward(upstream)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=5e-6, rtol=1e-4)


def test_rotation_keeps_only_differences_of_position():
    # the dot product of a turned query and key is the same for rows (3, 1) and (9, 7)
    query, key = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    both = torch.stack([query, key]).expand(10, 2, 8)[None, :, :, None]
    turned = attention._turn(both.contiguous(), rotary_factors(10, 8, both.device))[0, :, :, 0]
    torch.testing.assert_close(turned[3, 0] @ turned[1, 1], turned[9, 0] @ turned[7, 1])
