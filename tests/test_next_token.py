"""The head and its loss in one, against torch's own cross-entropy on whole logits."""

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from headstart.data.packing import NOTHING
from headstart.sources.next_token import surprise


def case(seed=0, n=23, d=7, v=31, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    h = torch.randn(n, d, generator=draw, dtype=dtype, requires_grad=True)
    weight = torch.randn(v, d, generator=draw, dtype=dtype, requires_grad=True)
    bias = torch.randn(v, generator=draw, dtype=dtype, requires_grad=True)
    y = torch.randint(0, v, (n,), generator=draw)
    y[::3] = NOTHING
    count = torch.rand(n, generator=draw)
    return h, weight, bias, y, count


def whole(h, weight, bias, y, cap):
    z = h @ weight.T + (0 if bias is None else bias)
    z = z if cap is None else cap * torch.tanh(z / cap)
    return F.cross_entropy(z, y, reduction="none", ignore_index=NOTHING)


@pytest.mark.parametrize("cap", [None, 3.0])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("piece", [1, 31 * 5, 10**9])
def test_losses_and_gradients_are_those_of_whole_logits(cap, biased, piece):
    h, weight, bias, y, count = case()
    bias = bias if biased else None
    parts = [h, weight, *([bias] if biased else [])]
    found = surprise(h, weight, y, bias=bias, cap=cap, piece=piece)
    want = whole(h, weight, bias, y, cap)
    assert_close(found, want.float(), rtol=1e-5, atol=1e-6)
    ours = torch.autograd.grad((found * count).sum(), parts)
    theirs = torch.autograd.grad((want * count).sum(), parts)
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_weight_that_is_held_has_no_gradient_and_its_hidden_states_have():
    h, weight, _, y, _ = case(dtype=torch.float32)
    surprise(h, weight.detach(), y).sum().backward()
    assert weight.grad is None
    assert_close(h.grad[y == NOTHING], torch.zeros(int((y == NOTHING).sum()), 7))
    assert h.grad[y != NOTHING].abs().min() > 0


def test_where_nothing_is_to_be_told_nothing_is_lost():
    h, weight, _, y, _ = case(dtype=torch.float32)
    found = surprise(h, weight, torch.full_like(y, NOTHING))
    assert_close(found, torch.zeros(len(y)))
    found.sum().backward()
    assert_close(h.grad, torch.zeros_like(h))


def test_bfloat16_weights_answer_within_their_digits():
    h, weight, _, y, _ = case(n=200, d=64, v=500, dtype=torch.float32)
    weight = weight.detach() / 8
    found = surprise(h, weight.bfloat16(), y)
    want = whole(h, weight, None, y, None)
    assert_close(found, want, rtol=0.02, atol=0.1)
    ours, theirs = (torch.autograd.grad(each.sum(), h, retain_graph=True)[0] for each in (found, want))
    assert F.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0) > 0.9999
