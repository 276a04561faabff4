"""Learning without forgetting: on new rows the old answers stay what they were."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from headstart.core.step import Step
from headstart.core.task import Classify, Label, Task
from headstart.retain.old_head import CLASSES, Of, hears, scores, task_of, temperature


@dataclass(frozen=True, eq=False)
class LwF:
    """weight * how far the softened old answers on the training examples are from those before training.

    Needs no old data. The paper's cross-entropy less its own minimum, times the squared temperature (Hinton et al.,
    2015, arXiv:1503.02531, section 2), so that the pull does not hang on the temperature.

    Attributes:
        answers: (n, c) scores of the guarded head for every training example, made before training (see `answers`).
            Where old and new share the stack's head, they are of its first c outputs.
        of: the task of the stack's own head, or an old head.
        weight: at least 0; at 0 training is plain.
        temperature: that logits are divided by, above 0; for numbers it has no meaning.
        beyond: whether the outputs that a shared head has besides the old ones count as answers of no share then; else
            they are left out of the comparison. For classes alone (van de Ven and Tolias, 2019, arXiv:1904.07734).

    Reference:
        Li and Hoiem, 2016, arXiv:1606.09282, equations 2 and 3.
    """

    answers: Tensor
    of: Of = CLASSES
    weight: float = 1.0
    temperature: float = 2.0
    beyond: bool = False

    @property
    def hears(self) -> tuple[str, ...]:
        """Blocks that the old head reads."""
        return hears(self.of)

    def __call__(self, step: Step) -> Tensor:
        """A scalar of at least 0.

        Raises:
            DepthError: an old head reads blocks that do not learn and are not held, or the other way round.
        """
        if not self.weight:
            return step.out.new_zeros(())
        kept = self.answers[step.rows].to(step.out)
        out = scores(self.of, step, step, step.rows)
        if self.beyond:
            kept = F.pad(kept, (0, out.shape[1] - kept.shape[1]), value=-torch.inf)
        out = out[:, : kept.shape[1]]
        return self.weight * drift(task_of(self.of), out, kept, self.temperature * temperature(self.of))


def drift(task: Task, out: Tensor, kept: Tensor, temperature: float) -> Tensor:
    """How far answers have moved from those that were kept; 0 where they have not, and nowhere less.

    Classes: T^2 times the Kullback-Leibler divergence of softmax(out / T) from softmax(kept / T), mean over rows.
    Labels: the same of each yes or no, mean over rows and labels. Numbers, and everything else: squared error.

    Args:
        out, kept: (b, c) scores.
        temperature: T, above 0.
    """
    if isinstance(task, Classify):
        now, then = (out / temperature).log_softmax(1), (kept / temperature).softmax(1)
        return temperature**2 * F.kl_div(now, then, reduction="batchmean")
    if isinstance(task, Label):
        now, then = out / temperature, kept / temperature
        gap = then.sigmoid() * (F.logsigmoid(then) - F.logsigmoid(now))
        rest = (-then).sigmoid() * (F.logsigmoid(-then) - F.logsigmoid(-now))
        return temperature**2 * (gap + rest).mean()
    return F.mse_loss(out, kept)
