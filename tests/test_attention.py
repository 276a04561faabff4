"""Attention by documents against a softmax over what each token may see, one token at a time."""

import math

import pytest
import torch
from torch.testing import assert_close

from headstart.sources.attention import packed_attention


def naive(q, k, v, doc, scale):
    """(b, t, h, d): every token by itself."""
    b, h, t, _ = q.shape
    group = h // k.shape[1]
    rows = []
    for row in range(b):
        tokens = []
        for at in range(t):
            seen = [other for other in range(at + 1) if doc[row, other] == doc[row, at]]
            heads = []
            for head in range(h):
                keys, values = k[row, head // group, seen], v[row, head // group, seen]
                heads.append(torch.softmax(scale * keys @ q[row, head, at], 0) @ values)
            tokens.append(torch.stack(heads))
        rows.append(torch.stack(tokens))
    return torch.stack(rows)


def drawn(doc, h=4, g=2, d=8, dtype=torch.float64):
    draw = torch.Generator().manual_seed(0)
    b, t = doc.shape
    made = [torch.randn(b, heads, t, d, generator=draw, dtype=dtype).requires_grad_() for heads in (h, g, g)]
    seen = (doc[:, :, None] == doc[:, None, :]) & torch.ones(t, t).tril().bool()
    mask = torch.zeros(b, 1, t, t, dtype=dtype).masked_fill(~seen.unsqueeze(1), torch.finfo(dtype).min)
    return (*made, mask)


DOCS = {
    "one": torch.ones(2, 9, dtype=torch.long),
    "several": torch.tensor([[1] * 4 + [2] * 5, [1, 2, 2, 2, 3, 3, 3, 0, 0]]),
    "longer than a block": torch.tensor([[1] * 150 + [2] * 140, [1] * 290]),
}


@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("docs", DOCS)
def test_outputs_and_gradients_are_those_of_every_token_by_itself(docs, heads):
    doc = DOCS[docs]
    if doc.shape[1] > 100:
        doc, heads = doc[:, ::1], (2, 1)
    q, k, v, mask = drawn(doc, *heads)
    out, _ = packed_attention(torch.nn.Module(), q, k, v, mask, scaling=0.3)
    want = naive(q, k, v, doc, 0.3)
    assert_close(out, want, rtol=1e-5, atol=1e-6)  # scores are in single precision
    pull = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=out.dtype)
    for got, right in zip(
        torch.autograd.grad(out, (q, k, v), pull), torch.autograd.grad(want, (q, k, v), pull), strict=True
    ):
        assert_close(got, right, rtol=1e-4, atol=1e-5)


def test_in_autocast_it_is_as_near_as_16_bits_are():
    doc = DOCS["several"]
    q, k, v, mask = drawn(doc, dtype=torch.float32)
    want = naive(q, k, v, doc, 1 / math.sqrt(8))
    with torch.autocast("cpu", torch.bfloat16):
        out, _ = packed_attention(torch.nn.Module(), q, k, v, mask)
    out.float().sum().backward()
    assert_close(out.float(), want.float(), rtol=3e-2, atol=3e-2)
    assert q.grad.dtype == torch.float32


def test_other_scores_are_left_to_the_processors_kernel():
    q, k, v, mask = drawn(DOCS["one"])
    module = torch.nn.Module()
    module.num_key_value_groups = 2
    alone, _ = packed_attention(module, q[:, :, -1:], k, v, mask[:, :, -1:])
    whole, _ = packed_attention(module, q, k, v, mask)
    assert_close(alone[:, 0], whole[:, -1])
