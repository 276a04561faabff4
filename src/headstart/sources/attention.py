"""Attention of packed rows on a CPU: each document by itself, and of it only what a token may see.

The processor's own kernel computes all pairs of a row and then masks most of them: tokens to come, and other documents.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "headstart_packed"
_BLOCK = 256  # tokens that look back together


def install(network: nn.Module) -> None:
    """Let a network attend so, where it would take the processor's kernel; what it computes stays the same."""
    if not isinstance(network, PreTrainedModel) or network.config._attn_implementation != "sdpa":
        return
    AttentionInterface.register(NAME, packed_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    network.set_attn_implementation(NAME)


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[Tensor, None]:
    """What transformers' attention gives; by documents where the mask is one of packed rows.

    Args:
        query: (b, h, t, d).
        key, value: (b, g, t, d), where g divides h.
        attention_mask: (b, 1, t, t) that is 0 where a token sees: itself and what is before it in its document.

    Returns:
        (b, t, h, d), and None.
    """
    plain = attention_mask is not None and attention_mask.is_floating_point() and query.shape[2] == key.shape[2]
    if not plain or dropout or query.device.type != "cpu" or any(more.get(name) is not None for name in _OTHER):
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **more
        )  # pyright: ignore[reportReturnType]
    assert attention_mask is not None
    scale = 1 / math.sqrt(query.shape[-1]) if scaling is None else scaling
    starts = (attention_mask[:, 0] == 0).int().argmax(-1)
    # in autocast the three may differ, and on the way back there is no autocast
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else query.dtype
    query, key, value = (x.to(dtype) for x in (query, key, value))
    return _Attention.apply(query, key, value, starts, scale), None  # pyright: ignore[reportReturnType]


_OTHER = ("softcap", "position_bias", "s_aux", "head_mask")  # what changes the scores otherwise


class _Attention(torch.autograd.Function):
    """softmax(scale q k^T) v within documents, tokens to come left out; gradients from the probabilities.

    With p = softmax(s), o = p v: dv = p^T do, ds = p (do v^T - sum(do o)), dq = scale ds k, dk = scale ds^T q.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, starts: Tensor, scale: float) -> Tensor:
        b, h, t, d = query.shape
        g = key.shape[1]
        out, kept = query.new_empty(b, t, h, d), []
        for row, begin, end, start in _blocks(starts):
            q = query[row, :, begin:end].reshape(g, -1, d)
            scores = (q @ key[row, :, start:end].transpose(1, 2)).view(g, h // g, end - begin, end - start).float()
            _hide(scores, begin - start)
            p = torch.softmax(scores.mul_(scale), -1).to(query.dtype)
            o = p.view(g, -1, end - start) @ value[row, :, start:end]
            out[row, begin:end] = o.view(h, end - begin, d).transpose(0, 1)
            kept.append(p)
        ctx.save_for_backward(query, key, value, starts, out, *kept)
        ctx.scale = scale
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_out: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        query, key, value, starts, out, *kept = ctx.saved_tensors
        _, h, _, d = query.shape
        g = key.shape[1]
        by_query = torch.empty_like(query, memory_format=torch.contiguous_format)
        by_key, by_value = (torch.zeros(x.shape, dtype=torch.float32) for x in (key, value))
        for (row, begin, end, start), p in zip(_blocks(starts), kept, strict=True):
            do = by_out[row, begin:end].transpose(0, 1).reshape(g, -1, d)
            o = out[row, begin:end].transpose(0, 1).reshape(g, -1, d)
            whole = p.view(g, -1, end - start)
            by_value[row, :, start:end] += whole.transpose(1, 2) @ do
            inner = (do.float() * o.float()).sum(-1, keepdim=True)
            ds = (do @ value[row, :, start:end].transpose(1, 2)).float().sub_(inner).mul_(whole).mul_(ctx.scale)
            ds = ds.to(query.dtype)
            by_query[row, :, begin:end] = (ds @ key[row, :, start:end]).view(h, end - begin, d)
            by_key[row, :, start:end] += ds.transpose(1, 2) @ query[row, :, begin:end].reshape(g, -1, d)
        return by_query, by_key.to(key.dtype), by_value.to(value.dtype), None, None


def _blocks(starts: Tensor) -> Iterator[tuple[int, int, int, int]]:
    """(row, first token, end of tokens, first token of their document), block by block.

    Args:
        starts: (b, t) first token of the document of each.
    """
    for row, of in enumerate(starts.tolist()):
        begin = 0
        while begin < len(of):
            start, end = of[begin], begin
            while end < len(of) and end - begin < _BLOCK and of[end] == start:
                end += 1
            yield row, begin, end, start
            begin = end


def _hide(scores: Tensor, before: int) -> None:
    """Put -inf at tokens to come, in place.

    Args:
        scores: (..., n, before + n).
        before: tokens that all of them see.
    """
    n = scores.shape[-2]
    to_come = torch.ones(n, n, dtype=torch.bool).triu(1)
    scores[..., before:].masked_fill_(to_come, -torch.inf)
