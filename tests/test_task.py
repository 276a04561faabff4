"""Losses against a naive loop and their limits."""

import math

import pytest
import torch
from torch.nn import functional as F

from headstart.core.task import Classify, Contrast, Label, Regress


def naive_contrast(out, y, temperature):
    """Equation 2 of Khosla et al. word by word, one anchor after the other."""
    z = [row / row.norm() for row in out]
    losses = []
    for i in range(len(y)):
        companions = [p for p in range(len(y)) if p != i and y[p] == y[i]]
        if not companions:
            continue
        below = sum(math.exp(float(z[i] @ z[a]) / temperature) for a in range(len(y)) if a != i)
        losses.append(
            -sum(math.log(math.exp(float(z[i] @ z[p]) / temperature) / below) for p in companions) / len(companions)
        )
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_contrast_is_the_published_formula(temperature):
    draw = torch.Generator().manual_seed(0)
    out, y = torch.randn(12, 5, generator=draw, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 1, 0, 2, 2, 0, 3, 1])
    assert Contrast(temperature).loss(out, y).item() == pytest.approx(naive_contrast(out, y, temperature), rel=1e-9)


def test_contrast_without_companions_is_zero_and_has_a_gradient():
    out = torch.randn(3, 4, requires_grad=True)
    loss = Contrast().loss(out, torch.tensor([0, 1, 2]))
    loss.backward()
    assert loss.item() == 0
    assert out.grad is not None
    assert torch.isfinite(out.grad).all()


def test_contrast_does_not_see_the_length_of_embeddings():
    out, y = torch.randn(8, 4), torch.tensor([0, 0, 1, 1, 0, 1, 0, 1])
    assert torch.allclose(Contrast().loss(out, y), Contrast().loss(7 * out, y))


def test_labels_loss_is_the_mean_of_single_questions():
    out, y = torch.randn(6, 3), (torch.rand(6, 3) > 0.5).float()
    by_hand = -(y * F.logsigmoid(out) + (1 - y) * F.logsigmoid(-out)).mean()
    assert torch.allclose(Label().loss(out, y), by_hand)
    assert Label().score(20 * (y - 0.5), y) == 1.0


def test_scores_of_perfect_and_of_constant_answers():
    y = torch.tensor([[1.0], [2.0], [4.0]])
    assert Regress().score(y, y) == 1.0
    assert Regress().score(y.mean(0).expand(3, 1), y) == pytest.approx(0)
    assert Classify().score(torch.eye(3), torch.tensor([0, 1, 0])) == pytest.approx(2 / 3)
    assert Contrast().score(torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1.0], [0.1, 0.9]]), torch.tensor([0, 0, 1, 1])) == 1
