"""What 'right' means: the loss that is minimised and the number that is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Task(Protocol):
    """A loss and a score on the same outputs.

    `paired` is whether the loss of an example depends on the others in its batch; if not, it is a mean over examples.
    """

    paired: ClassVar[bool]

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Mean over the batch, a scalar with a gradient."""
        ...

    def score(self, out: Tensor, y: Tensor) -> float:
        """Higher is better."""
        ...


@dataclass(frozen=True)
class Classify:
    """One label per example. out: (b, classes) logits; y: (b,) int64 in 0..classes-1."""

    paired: ClassVar[bool] = False

    label_smoothing: float = 0.0

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy in nats."""
        return F.cross_entropy(out, y, label_smoothing=self.label_smoothing)

    def score(self, out: Tensor, y: Tensor) -> float:
        """Accuracy in 0..1."""
        return (out.argmax(-1) == y).double().mean().item()


@dataclass(frozen=True)
class Label:
    """Several labels per example. out: (b, labels) logits; y: (b, labels) float of 0 and 1."""

    paired: ClassVar[bool] = False

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Binary cross-entropy in nats, mean over labels."""
        return F.binary_cross_entropy_with_logits(out, y.to(out.dtype))

    def score(self, out: Tensor, y: Tensor) -> float:
        """Share of single yes-or-no answers that are right, in 0..1."""
        return ((out > 0) == (y > 0.5)).double().mean().item()


@dataclass(frozen=True)
class Contrast:
    """Examples of one class near each other, others far. out: (b, d) embeddings; y: (b,) int64 classes.

    Supervised contrastive loss: for each example i with companions P(i) of its class in the batch, the mean over
    p in P(i) of -log(exp(z_i z_p / t) / sum over a != i of exp(z_i z_a / t)), z on the unit sphere.
    It uses every pair of a batch, where pairwise losses use one pair per forward pass.

    Reference:
        Khosla et al., 2020, arXiv:2004.11362, equation 2.
    """

    paired: ClassVar[bool] = True

    temperature: float = 0.1

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Mean over the examples that have a companion, in nats; 0 where none has."""
        z = F.normalize(out, dim=1)
        itself = torch.eye(len(y), dtype=torch.bool, device=out.device)
        near = (z @ z.T / self.temperature).masked_fill(itself, -torch.inf)
        share = near - near.logsumexp(1, keepdim=True)
        companion = (y[:, None] == y[None, :]) & ~itself
        count = companion.sum(1)
        each = share.masked_fill(~companion, 0.0).sum(1) / count.clamp_min(1)
        return -(each * (count > 0)).sum() / (count > 0).sum().clamp_min(1)

    def score(self, out: Tensor, y: Tensor) -> float:
        """Share of examples whose nearest other example is of their class, in 0..1."""
        z = F.normalize(out, dim=1)
        nearest = (z @ z.T).fill_diagonal_(-torch.inf).argmax(1)
        return (y[nearest] == y).double().mean().item()


@dataclass(frozen=True)
class Regress:
    """Numbers. out and y: (b, targets) float."""

    paired: ClassVar[bool] = False

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Mean squared error, in squared units of the target."""
        return F.mse_loss(out, y)

    def score(self, out: Tensor, y: Tensor) -> float:
        """Coefficient of determination, mean over targets; 1 is perfect, 0 is the mean of y."""
        residual = (out - y).double().pow(2).sum(0)
        spread = (y - y.mean(0)).double().pow(2).sum(0)
        return (1 - residual / spread).mean().item()


@dataclass(frozen=True)
class Generate:
    """The next token. out: (b, t) -log p of each token that is told and 0 elsewhere; y: (b,) how many are told.

    Attributes:
        told: tokens that a row has to tell in the mean over all training rows. Batches are divided by it, not by their
            own count, so that every token weighs the same however rows are batched.
    """

    paired: ClassVar[bool] = False

    told: float

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Nats per told token."""
        return out.sum(1).mean() / self.told

    def score(self, out: Tensor, y: Tensor) -> float:
        """Mean log probability of the told tokens in nats, at most 0; exp(-score) is the perplexity."""
        return -(out.double().sum() / y.sum().clamp_min(1)).item()
