"""MCC: target rows are answered so that no two classes share their probability."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from headstart.core.step import Step


@dataclass(frozen=True)
class Confusion:
    """weight * minimum class confusion of a batch of target rows. Works at every depth, a head alone included.

    Attributes:
        target: name of the set beside the training examples.
        weight: at least 0; at 0 nothing is drawn and training is plain.
        temperature: that scores are divided by, above 0.

    Reference:
        Jin et al., 2020, arXiv:1912.03699, equations 2 to 6.
    """

    target: str = "target"
    weight: float = 1.0
    temperature: float = 2.5

    def __call__(self, step: Step) -> Tensor:
        """A scalar in 0..weight."""
        if not self.weight:
            return step.out.new_zeros(())
        out = step.through(step.draw(self.target).state).out
        return self.weight * confusion_loss(out, self.temperature)


def confusion_loss(out: Tensor, temperature: float) -> Tensor:
    """Mean share of a class that other classes have in its rows, 0..1.

    With p the (n, c) probabilities at the temperature and H_i the entropy of row i, rows weigh
    w_i = n (1 + exp(-H_i)) / sum_k (1 + exp(-H_k)), the confusion of classes j and k is sum_i w_i p_ij p_ik, each of
    its rows is brought to sum 1, and the loss is the mean over classes of what is off the diagonal.

    Args:
        out: (n, c) scores.
    """
    log = (out / temperature).log_softmax(1)
    p = log.exp()
    sure = 1 + (p * log).sum(1).exp()
    weight = len(p) * sure / sure.sum()
    confusion = (p * weight[:, None]).T @ p
    # a class that no row learned from has a probability of 0, and so a row of zeros
    share = confusion / confusion.sum(1, keepdim=True).clamp_min(1e-30)
    return 1 - share.diagonal().mean()
