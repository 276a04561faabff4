"""What 'right' means: the loss that is minimised and the number that is reported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn import functional as F


class Task(Protocol):
    """A loss and a score on the same outputs."""

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Mean over the batch, a scalar with a gradient."""
        ...

    def score(self, out: Tensor, y: Tensor) -> float:
        """Higher is better."""
        ...


@dataclass(frozen=True)
class Classify:
    """One label per example. out: (b, classes) logits; y: (b,) int64 in 0..classes-1."""

    label_smoothing: float = 0.0

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy in nats."""
        return F.cross_entropy(out, y, label_smoothing=self.label_smoothing)

    def score(self, out: Tensor, y: Tensor) -> float:
        """Accuracy in 0..1."""
        return (out.argmax(-1) == y).double().mean().item()


@dataclass(frozen=True)
class Regress:
    """Numbers. out and y: (b, targets) float."""

    def loss(self, out: Tensor, y: Tensor) -> Tensor:
        """Mean squared error, in squared units of the target."""
        return F.mse_loss(out, y)

    def score(self, out: Tensor, y: Tensor) -> float:
        """Coefficient of determination, mean over targets; 1 is perfect, 0 is the mean of y."""
        residual = (out - y).double().pow(2).sum(0)
        spread = (y - y.mean(0)).double().pow(2).sum(0)
        return (1 - residual / spread).mean().item()
