"""Replay: rows that were kept are learned again beside the new ones, and answered as they were."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from headstart.core.evaluate import settled
from headstart.core.step import Step
from headstart.errors import DataError
from headstart.retain.old_head import CLASSES, Of, hears, scores, task_of, temperature

KEPT = "kept"  # name of the set beside the training examples


@dataclass(frozen=True, eq=False)
class Replay:
    """weight * task loss of kept rows + alpha * mean squared distance of their logits to those that were kept.

    As many kept rows are drawn as a batch has training examples. Without kept logits it is plain replay, with them
    DER++, where both terms may share their rows: their expectations are those of the paper's two draws. The paper's
    squared norm is divided by the number of outputs here, so that alpha does not hang on it.

    Batch norms pass kept rows by their running statistics, which the new rows alone move: so both are learned as they
    will be answered. Statistics of two kinds of rows in turn would suit neither.

    One head for old and new classes ends up with longer weights for the new ones, which have more rows: after DER++
    `evened` takes that away, and on ten digits learned two at a time that is worth more than all else here.

    Attributes:
        of: the task of the stack's own head, or an old head over the kept rows.
        kept: name of the set beside the training examples; with targets, where weight is above 0.
        weight: of the task loss, at least 0.
        logits: (m, c) of every kept row, made before training: scores over the old head's temperature. Where old and
            new share the stack's head, they are of its first c outputs. None where none were kept.
        alpha: of the distance, at least 0.

    With weight 0, and alpha 0 or no logits, nothing is drawn and training is plain.

    Reference:
        Buzzega et al., 2020, arXiv:2004.07211, equation 6 (beta is the weight).
    """

    of: Of = CLASSES
    kept: str = KEPT
    weight: float = 1.0
    logits: Tensor | None = None
    alpha: float = 1.0

    @property
    def hears(self) -> tuple[str, ...]:
        """Blocks that the old head reads."""
        return hears(self.of)

    def __call__(self, step: Step) -> Tensor:
        """A scalar of at least 0.

        Raises:
            DataError: kept rows without targets.
            DepthError: an old head reads blocks that do not learn and are not held, or the other way round.
        """
        total, alpha = step.out.new_zeros(()), self.alpha if self.logits is not None else 0.0
        if not self.weight and not alpha:
            return total
        drawn = step.draw(self.kept)
        with settled(step.stack):
            passed = step.through(drawn.state)
        out = scores(self.of, step, passed, drawn.rows) / temperature(self.of)
        if self.weight:
            if drawn.y is None:
                raise DataError(
                    f"the set {self.kept!r} has no targets, and replay learns them; give its targets, or weight=0 "
                    "with logits."
                )
            total = total + self.weight * task_of(self.of).loss(out, drawn.y)
        if self.logits is not None and alpha:
            then = self.logits[drawn.rows].to(out)
            total = total + alpha * (out[:, : then.shape[1]] - then).pow(2).mean()
        return total
