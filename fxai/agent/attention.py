"""Sliding-window attention with rotary positions, in blocks, with its gradient written out.

Axes: B sequences, L rows, M = L − span + 1 rows with a complete span, H heads, E width of a head,
C chunks of R query rows; a chunk sees R + span − 1 key rows.

A dense L × L score matrix would mostly hold masked entries; here a chunk of queries meets only the keys in its reach.
One autograd function goes from the projected q, k, v to the mixed values, so that no slice of them is ever
zero-filled on the way back (decisions.md, "attention").
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


@lru_cache(maxsize=32)
def rotary_factors(rows: int, width: int, device: torch.device, base: float = 10_000.0) -> Tensor:
    """Unit complex numbers that turn row l's pair e by l · base^(−2e/width), complex64 [rows, 1, 1, width/2]."""
    frequency = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=device) / width)
    angle = torch.arange(rows, dtype=torch.float64, device=device)[:, None] * frequency
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)[:, None, None]


def sliding_attention(qkv_BL3HE: Tensor, span: int) -> Tensor:
    """Attend from every row with a complete span to its `span` latest rows, itself included.

    Args:
        qkv_BL3HE: queries, keys and values of each row, unrotated.
        span: rows seen, at least 1.

    Returns:
        [B, L − span + 1, H, E].
    """
    factors = rotary_factors(qkv_BL3HE.shape[1], qkv_BL3HE.shape[-1], qkv_BL3HE.device)
    out: Tensor = _SlidingAttention.apply(qkv_BL3HE, factors, span)  # type: ignore[no-untyped-call]
    return out


def _turn(x_BL2HE: Tensor, factors: Tensor) -> Tensor:
    """Rotate neighbouring pairs of each head by the row's angle."""
    pairs = torch.view_as_complex(x_BL2HE.reshape(*x_BL2HE.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * factors).flatten(-2)


@lru_cache(maxsize=256)
def _chunk_rows(rows: int, span: int) -> int:
    """Rows of a chunk, at least span − 1, that make the fewest scores."""
    sizes = range(max(span - 1, min(16, rows), 1), max(rows, span - 1, 1) + 1)
    return min(sizes, key=lambda r: -(-rows // r) * r * (r + span - 1))


@lru_cache(maxsize=64)
def _band(chunk: int, span: int, device: torch.device) -> Tensor:
    """0 where key j is one of the `span` latest of query i (key row i + span − 1), −∞ elsewhere."""
    i = torch.arange(chunk, device=device)[:, None]
    j = torch.arange(chunk + span - 1, device=device)
    return torch.zeros(chunk, chunk + span - 1, device=device).masked_fill((j < i) | (j >= i + span), -torch.inf)


class _SlidingAttention(torch.autograd.Function):
    """softmax(q kᵀ / √E + band) v in chunks."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, factors: Tensor, span: int) -> Tensor:
        batch, length, _, heads, width = qkv.shape
        rows = length - span + 1
        chunk = _chunk_rows(rows, span)
        chunks = -(-rows // chunk)
        turned = _turn(qkv[:, :, :2], factors)
        # padded at the end to whole chunks: padded queries are dropped, padded keys masked by causality
        query = _pad(turned[:, span - 1 :, 0].transpose(1, 2), chunks * chunk)
        query = query.reshape(batch * heads * chunks, chunk, width)
        keys, values = (
            _pad(x.transpose(1, 2), chunks * chunk + span - 1)
            .unfold(2, chunk + span - 1, chunk)
            .transpose(-1, -2)
            .reshape(batch * heads * chunks, chunk + span - 1, width)
            for x in (turned[:, :, 1], qkv[:, :, 2])
        )
        band = _band(chunk, span, qkv.device)
        weights = torch.baddbmm(band, query, keys.transpose(1, 2), alpha=width**-0.5).softmax(-1)
        mixed = torch.bmm(weights, values).view(batch, heads, chunks * chunk, width)
        ctx.save_for_backward(query, keys, values, weights, factors)
        ctx.sizes = (batch, length, heads, width, span, rows, chunk, chunks)
        return mixed[:, :, :rows].transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        query, keys, values, weights, factors = ctx.saved_tensors
        batch, length, heads, width, span, rows, chunk, chunks = ctx.sizes
        grad = _pad(grad_outputs[0].transpose(1, 2), chunks * chunk).reshape(batch * heads * chunks, chunk, width)
        d_values = torch.bmm(weights.transpose(1, 2), grad)
        d_weights = torch.bmm(grad, values.transpose(1, 2))
        d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype).mul_(width**-0.5)
        d_query = torch.bmm(d_scores, keys).view(batch, heads, chunks * chunk, width)[:, :, :rows]
        d_keys = torch.bmm(d_scores.transpose(1, 2), query)
        d_qkv = query.new_empty(batch, length, 3, heads, width)
        d_qkv[:, : span - 1, 0] = 0
        d_qkv[:, span - 1 :, 0] = d_query.transpose(1, 2)
        shape = (batch, heads, chunks, chunk + span - 1, width)
        for place, part in ((1, d_keys), (2, d_values)):
            d_qkv[:, :, place] = _overlap_add(part.view(shape), chunk)[:, :, :length].transpose(1, 2)
        d_qkv[:, :, :2] = _turn(d_qkv[:, :, :2], factors.conj())
        return d_qkv, None, None


def _pad(x_BHLE: Tensor, rows: int) -> Tensor:
    """Zeros after the last row up to `rows`."""
    missing = rows - x_BHLE.shape[2]
    return torch.nn.functional.pad(x_BHLE, (0, 0, 0, missing)) if missing else x_BHLE


def _overlap_add(blocks_BHCRE: Tensor, stride: int) -> Tensor:
    """Undo `unfold`: sum blocks that overlap by less than a stride, [B, H, C·stride + overlap, E]."""
    batch, heads, chunks, size, width = blocks_BHCRE.shape
    overlap = size - stride
    out = torch.zeros(batch, heads, chunks + 1, stride, width, dtype=blocks_BHCRE.dtype, device=blocks_BHCRE.device)
    out[:, :, :-1] = blocks_BHCRE[..., :stride, :]
    out[:, :, 1:, :overlap] += blocks_BHCRE[..., stride:, :]
    return out.view(batch, heads, -1, width)
