"""Sure answers on target rows, spread over the classes as they are expected to be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.core.step import Step


@dataclass(frozen=True)
class Entropy:
    """weight * (mean entropy of the answers + divergence of their mean from the expected shares).

    The second term guards against collapse: without it, all rows in one class are an answer of no entropy.

    Attributes:
        target: name of the set beside the training examples.
        weight: at least 0; at 0 nothing is drawn and training is plain.
        shares: expected of each class, above 0, summing to 1; None expects all alike.

    Reference:
        Grandvalet and Bengio, 2004, NIPS 17 (entropy); Krause et al., 2010, NIPS 23, equation 7 (both terms).
    """

    target: str = "target"
    weight: float = 1.0
    shares: tuple[float, ...] | None = None

    def __call__(self, step: Step) -> Tensor:
        """A scalar of at least 0, in nats times the weight."""
        if not self.weight:
            return step.out.new_zeros(())
        out = step.through(step.draw(self.target).state).out
        return self.weight * guarded_entropy(out, self.shares)


def guarded_entropy(out: Tensor, shares: tuple[float, ...] | None = None) -> Tensor:
    """mean_i H(p_i) + KL(mean_i p_i | shares) in nats, for (n, c) scores; 0 where rows are sure and spread so.

    Args:
        shares: (c,); None takes 1/c each.
    """
    log = out.log_softmax(1)
    p = log.exp()
    mean = p.mean(0)
    wanted = torch.full_like(mean, 1 / len(mean)) if shares is None else mean.new_tensor(shares)
    # a class whose probability underflows has 0 log 0, which is 0
    spread = (mean * (mean.clamp_min(1e-30).log() - wanted.log())).sum()
    return spread - (p * log).sum(1).mean()
