"""Deep CORAL: equal second moments of what the head reads."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from headstart.core.step import Step
from headstart.errors import DepthError


@dataclass(frozen=True)
class DeepCoral:
    """weight * |C_source - C_target|^2 / (4 d^2), with C the unbiased covariances of the features of a batch.

    Attributes:
        target: name of the set beside the training examples.
        weight: at least 0; at 0 nothing is drawn and training is plain.

    Reference:
        Sun and Saenko, 2016, arXiv:1607.01719, equation 1.
    """

    target: str = "target"
    weight: float = 1.0

    def __call__(self, step: Step) -> Tensor:
        """A scalar of at least 0.

        Raises:
            DepthError: a run at depth 1, where no block below the head learns.
        """
        if not self.weight:
            return step.out.new_zeros(())
        below_the_head(step, "deep CORAL")
        features = step.through(step.draw(self.target).state).features
        return self.weight * coral_loss(step.features, features)


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    """Squared Frobenius distance of the covariances of (n, d) and (m, d) features, over 4 d^2."""
    return (_covariance(source) - _covariance(target)).pow(2).sum() / (4 * source.shape[1] ** 2)


def below_the_head(step: Step, name: str) -> None:
    """Nothing, if blocks below the head learn.

    Raises:
        DepthError: none do.
    """
    if not step.features.requires_grad:
        raise DepthError(
            f"depth={step.stack.depth} leaves all blocks below the head as they are, and {name} aligns what they give; "
            "use depth 2 or more."
        )


def _covariance(x: Tensor) -> Tensor:
    rest = x - x.mean(0)
    return rest.T @ rest / max(1, len(x) - 1)
