"""The head of a language model and its loss in one, a piece of the tokens at a time.

A head of 49,152 outputs on 4,096 tokens would make a gigabyte of logits, and as much again for their gradient. Here a
piece of the tokens has its logits, its loss and its gradient by the hidden states, and is forgotten.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from headstart.data.packing import NOTHING

_PIECE = 1 << 25  # logits that exist at a time


def surprise(
    h: Tensor, weight: Tensor, y: Tensor, *, bias: Tensor | None = None, cap: float | None = None, piece: int = _PIECE
) -> Tensor:
    """-log p(y) of every token, in nats; 0 where nothing is to be told.

    logits z = h weight^T + bias, with a cap c: c tanh(z / c); p is their softmax, computed in float32. Tokens where
    nothing is to be told cost nothing.

    Args:
        h: (n, d) hidden states, float32 or bfloat16: the products are in the type of `weight`.
        weight: (v, d).
        y: (n,) int64 tokens, NOTHING where there is none.
        bias: (v,).
        cap: of the logits.
        piece: logits that exist at a time.

    Returns:
        (n,) float32 at least 0, with gradients by h, weight and bias.
    """
    told = y != NOTHING
    rows = int(max(1, piece // weight.shape[0]))
    out = torch.zeros(len(y), device=h.device)
    if not bool(told.any()):
        return out + 0.0 * h.float().sum()
    found = _Surprise.apply(h[told], weight, y[told], bias, cap, rows)
    return out.masked_scatter(told, found)  # pyright: ignore[reportArgumentType]


class _Surprise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, h: Tensor, weight: Tensor, y: Tensor, bias: Tensor | None, cap: float | None, rows: int
    ) -> Tensor:
        # the gradient by h of a token is its own: it can be had before it is known how much each token counts
        by_h = torch.empty_like(h) if h.requires_grad else None
        found = torch.empty(len(h), device=h.device)
        for start in range(0, len(h), rows):
            part = slice(start, start + rows)
            z, slope = _logits(h[part], weight, bias, cap)
            top, said = z.amax(1, keepdim=True), z.gather(1, y[part, None])
            e = z.sub_(top).exp_()  # in place, and divided by their sum only after the product: passes over all tokens
            total = e.sum(1, keepdim=True)
            found[part] = (total.log() - (said - top)).squeeze(1)
            if by_h is not None and slope is None:
                by_h[part] = ((e.to(weight.dtype) @ weight).float() / total - weight[y[part]]).to(h.dtype)
            elif by_h is not None and slope is not None:
                by_z = _less_one(e.div_(total), y[part]).mul_(slope)
                by_h[part] = (by_z.to(weight.dtype) @ weight).to(h.dtype)
        ctx.save_for_backward(h, weight, y, bias, by_h)
        ctx.cap, ctx.rows = cap, rows
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, each: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        h, weight, y, bias, by_h = ctx.saved_tensors
        of_h = None if by_h is None else by_h * each.unsqueeze(1).to(by_h.dtype)
        of_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        of_bias = torch.zeros_like(bias, dtype=torch.float32) if ctx.needs_input_grad[3] else None
        if of_weight is not None or of_bias is not None:
            for start in range(0, len(h), ctx.rows):
                part = slice(start, start + ctx.rows)
                z, slope = _logits(h[part], weight, bias, ctx.cap)
                by_z = _by_logits(z, y[part], slope) * each[part].unsqueeze(1)
                if of_weight is not None:
                    of_weight += (by_z.to(weight.dtype).T @ h[part].to(weight.dtype)).float()
                if of_bias is not None:
                    of_bias += by_z.sum(0)
        of_weight = None if of_weight is None else of_weight.to(weight.dtype)
        return of_h, of_weight, None, None if of_bias is None else of_bias.to(bias.dtype), None, None


def _logits(h: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None) -> tuple[Tensor, Tensor | None]:
    """(n, v) float32 logits, and the slope of the cap at each."""
    z = (h.to(weight.dtype) @ weight.T).float()
    if bias is not None:
        z += bias.float()
    if cap is None:
        return z, None
    bent = torch.tanh(z / cap)
    return bent * cap, 1 - bent * bent


def _by_logits(z: Tensor, y: Tensor, slope: Tensor | None) -> Tensor:
    """(n, v) the gradient of each token's loss by its logits before the cap."""
    p = _less_one(torch.softmax(z, 1), y)
    return p if slope is None else p * slope


def _less_one(p: Tensor, y: Tensor) -> Tensor:
    """(n, v) with 1 taken away at each y, in place."""
    p[torch.arange(len(y), device=y.device), y] -= 1
    return p
