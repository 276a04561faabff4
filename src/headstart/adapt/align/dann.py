"""DANN: features that a classifier of the two sets cannot tell apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional as F

from headstart.adapt.align.deep_coral import below_the_head
from headstart.core.step import Step


class Dann(nn.Module):
    """weight * the loss of a domain classifier, whose gradient the blocks below the head feel reversed.

    The reversal grows from 0 to 1 over the run: 2 / (1 + exp(-10 done)) - 1. The classifier is two layers wide and
    learns at the head's rate: `core.fit` takes its `parameters()`.

    Args:
        width: of the features.
        target: name of the set beside the training examples.
        weight: at least 0; at 0 nothing is drawn and training is plain.
        hidden: width of the classifier.
        seed: of its first weights.

    Reference:
        Ganin et al., 2016, arXiv:1505.07818, equations 9, 13 and section 5.2.2.
    """

    def __init__(
        self, width: int, target: str = "target", weight: float = 1.0, *, hidden: int = 128, seed: int = 0
    ) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.classifier = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.target = target
        self.weight = weight

    def forward(self, step: Step) -> Tensor:
        """A scalar of at least 0: mean binary cross-entropy of source against target, in nats.

        Raises:
            DepthError: a run at depth 1, where no block below the head learns.
        """
        if not self.weight:
            return step.out.new_zeros(())
        below_the_head(step, "DANN")
        features = step.through(step.draw(self.target).state).features
        return self.weight * self.loss(step.features, features, 2 / (1 + math.exp(-10 * step.done)) - 1)

    def loss(self, source: Tensor, target: Tensor, strength: float) -> Tensor:
        """Mean cross-entropy of (n, d) source rows (as 1) and (m, d) target rows (as 0), each set counting half.

        Args:
            strength: of the reversed gradient, at least 0.
        """
        one, other = (self.classifier(reverse(x, strength)) for x in (source, target))
        said = F.binary_cross_entropy_with_logits
        return (said(one, torch.ones_like(one)) + said(other, torch.zeros_like(other))) / 2


def reverse(x: Tensor, strength: float) -> Tensor:
    """x itself; its gradient comes back times -strength."""
    return _Reverse.apply(x, strength)  # pyright: ignore[reportReturnType]


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, strength: float) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.strength = strength  # pyright: ignore[reportAttributeAccessIssue]
        return x.view_as(x)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return -ctx.strength * gradient, None  # pyright: ignore[reportAttributeAccessIssue]
