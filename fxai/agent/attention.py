"""Sliding-window attention with rotary positions, in blocks, with its gradient written out.

Axes: P population, B sequences, L rows, M = L − span + 1 rows with a complete span, H heads, E width of a head,
C chunks of R query rows; a chunk sees the S = R + span − 1 rows that end with its last.

A dense L × L score matrix would mostly hold masked entries; here a chunk of queries meets only the keys in its reach.
A member's sequences are laid end to end and cut into chunks as if they were one, so that chunks of keys are overlapping
views and nothing is copied.  A row without a complete span sees the end of the sequence before; its output is dropped.
Between members and heads lie span − 1 rows of zeros: no member sees another.
One autograd function goes from the projected q, k, v to the mixed values, so that no slice of them is ever
zero-filled on the way back (decisions.md, "attention").
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor


@lru_cache(maxsize=32)
def rotary_factors(rows: int, width: int, device: torch.device, base: float = 10_000.0) -> Tensor:
    """Unit complex numbers that turn row l's pair e by l · base^(−2e/width), complex64 [rows, width/2]."""
    frequency = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=device) / width)
    angle = torch.arange(rows, dtype=torch.float64, device=device)[:, None] * frequency
    return torch.polar(torch.ones_like(angle), angle).to(torch.complex64)


def sliding_attention(qkv_PBL3HE: Tensor, span: int) -> Tensor:
    """Attend from every row with a complete span to its `span` latest rows, itself included.

    Args:
        qkv_PBL3HE: queries, keys and values of each row, unrotated.
        span: rows seen, at least 1.

    Returns:
        [P, B, L − span + 1, H · E].
    """
    factors = _query_and_key_factors(qkv_PBL3HE.shape[2], qkv_PBL3HE.shape[-1], qkv_PBL3HE.device)
    out: Tensor = _SlidingAttention.apply(qkv_PBL3HE, factors, span)  # type: ignore[no-untyped-call]
    return out


@lru_cache(maxsize=32)
def _query_and_key_factors(rows: int, width: int, device: torch.device) -> Tensor:
    """Rotary factors of queries, which also carry the scores' 1/√E, and of keys, [2, 1, 1, 1, rows, width/2]."""
    factors = rotary_factors(rows, width, device)
    return torch.stack([factors * width**-0.5, factors])[:, None, None, None]


def _pairs(x: Tensor) -> Tensor:
    """Neighbouring entries of the last axis as one complex number, a view."""
    return torch.view_as_complex(x.view(*x.shape[:-1], -1, 2))


@lru_cache(maxsize=256)
def _chunk_rows(rows: int, span: int) -> int:
    """Rows of a chunk, R: few scores beyond the reach, yet chunks large enough for a matmul.

    The rows seen, S, are a multiple of 8: a vectorised softmax over such a row takes a third less time.
    """
    seen = -(-(span * 5 // 4 + 8) // 8) * 8
    return min(seen - span + 1, rows)


@lru_cache(maxsize=64)
def _band(chunk: int, span: int, device: torch.device) -> Tensor:
    """0 where key j is one of the `span` latest of query i (key row i + span − 1), −∞ elsewhere."""
    i = torch.arange(chunk, device=device)[:, None]
    j = torch.arange(chunk + span - 1, device=device)
    return torch.zeros(chunk, chunk + span - 1, device=device).masked_fill((j < i) | (j >= i + span), -torch.inf)


class _Sizes(NamedTuple):
    """How q, k and v of all heads lie in one store: [3, P, H, rows, E], then span − 1 rows to spare."""

    population: int
    batch: int
    length: int
    heads: int
    width: int
    span: int
    chunk: int
    """R"""
    rows: int
    """Rows of a head, a multiple of R: span − 1 zeros, the sequences, zeros to fill."""

    @property
    def chunks(self) -> int:
        """Chunks of all members and heads."""
        return self.population * self.heads * self.rows // self.chunk

    def store(self, like: Tensor) -> Tensor:
        """Zeros of the store's size, flat."""
        return like.new_zeros(3 * self.chunks * self.chunk * self.width + (self.span - 1) * self.width)

    def sequences(self, store: Tensor) -> Tensor:
        """View of the sequences' rows, [3, P, H, B, L, E]."""
        outer = (3, self.population, self.heads)
        laid = store[: 3 * self.chunks * self.chunk * self.width].view(*outer, self.rows, self.width)
        begin = self.span - 1
        body = laid[:, :, :, begin : begin + self.batch * self.length]
        return body.view(*outer, self.batch, self.length, self.width)

    def queries(self, store: Tensor) -> Tensor:
        """View of the chunks of queries, [C, R, E]."""
        return self._windows(store, self.chunk, (self.span - 1) * self.width)

    def seen(self, store: Tensor, which: int) -> Tensor:
        """View of what the chunks see of keys (1) or values (2), overlapping, [C, S, E]."""
        return self._windows(store, self.chunk + self.span - 1, which * self.chunks * self.chunk * self.width)

    def _windows(self, store: Tensor, rows: int, offset: int) -> Tensor:
        strides = (self.chunk * self.width, self.width, 1)
        return store.as_strided((self.chunks, rows, self.width), strides, offset)

    def complete(self, x_CRE: Tensor) -> Tensor:
        """View of the rows with a complete span out of chunks of queries, [P, B, M, H, E]."""
        outer = (self.population, self.heads)
        body = x_CRE.view(*outer, self.rows, self.width)[:, :, : self.batch * self.length]
        body = body.view(*outer, self.batch, self.length, self.width)
        return body[:, :, :, self.span - 1 :].permute(0, 2, 3, 1, 4)


class _SlidingAttention(torch.autograd.Function):
    """softmax(q kᵀ / √E + band) v in chunks; `factors` hold the 1/√E."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, factors: Tensor, span: int) -> Tensor:
        population, batch, length, _, heads, width = qkv.shape
        chunk = _chunk_rows(batch * length, span)
        rows = -(-(batch * length + span - 1) // chunk) * chunk
        sizes = _Sizes(population, batch, length, heads, width, span, chunk, rows)
        store = sizes.store(qkv)
        sequences, source = sizes.sequences(store), qkv.permute(3, 0, 4, 1, 2, 5)
        torch.mul(_pairs(source[:2]), factors, out=_pairs(sequences[:2]))
        sequences[2] = source[2]
        keys, values = sizes.seen(store, 1), sizes.seen(store, 2)
        band = _band(chunk, span, qkv.device)
        weights = torch.baddbmm(band, sizes.queries(store), keys.transpose(1, 2)).softmax(-1)
        mixed = sizes.complete(torch.bmm(weights, values))
        ctx.save_for_backward(store, weights, factors)
        ctx.sizes = sizes
        return mixed.reshape(population, batch, length - span + 1, heads * width)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        store, weights, factors = ctx.saved_tensors
        s: _Sizes = ctx.sizes
        grad = store.new_zeros(s.chunks, s.chunk, s.width)
        complete = s.complete(grad)
        complete.copy_(grad_outputs[0].view(complete.shape))
        d_weights = torch.bmm(grad, s.seen(store, 2).transpose(1, 2))
        d_scores = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
        d_store = torch.empty_like(store)
        # what is written beyond a head's last row lies in the zeros before the next head's first, which are not read
        torch.bmm(d_scores, s.seen(store, 1), out=s.queries(d_store))
        parts = store.new_empty(2, s.chunks, s.chunk + s.span - 1, s.width)
        torch.bmm(d_scores.transpose(1, 2), s.queries(store), out=parts[0])
        torch.bmm(weights.transpose(1, 2), grad, out=parts[1])
        begin, count = s.chunks * s.chunk * s.width, 2 * s.chunks
        _overlap_add(parts.flatten(0, 1), d_store[begin : 3 * begin].view(count, s.chunk, s.width))
        turned = s.sequences(d_store)
        _pairs(turned[:2]).mul_(factors.conj())
        d_qkv = store.new_empty(s.population, s.batch, s.length, 3, s.heads, s.width)
        d_qkv.permute(3, 0, 4, 1, 2, 5).copy_(turned)
        return d_qkv, None, None


def _overlap_add(blocks_CSE: Tensor, out_CRE: Tensor) -> None:
    """Undo overlapping views: sum blocks of S rows that begin R rows apart; what overlaps the end is dropped."""
    size, stride = blocks_CSE.shape[1], out_CRE.shape[1]
    out_CRE.copy_(blocks_CSE[:, :stride])
    for back in range(1, -(-size // stride)):
        part = blocks_CSE[:-back, back * stride : (back + 1) * stride]
        out_CRE[back:, : part.shape[1]] += part
