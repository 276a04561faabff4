"""Replay: rows that were kept are learned again beside the new ones."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from headstart.core.step import Step
from headstart.core.task import Classify
from headstart.retain.old_head import Of, hears, scores, task_of, temperature

KEPT = "kept"  # name of the set beside the training examples


@dataclass(frozen=True, eq=False)
class Replay:
    """weight * task loss of kept rows + alpha * mean squared distance of their logits to those that were kept."""

    of: Of = Classify()  # noqa: RUF009: frozen
    kept: str = KEPT
    weight: float = 1.0
    logits: Tensor | None = None
    alpha: float = 0.0

    @property
    def hears(self) -> tuple[str, ...]:
        """Blocks that the old head reads."""
        return hears(self.of)

    def __call__(self, step: Step) -> Tensor:
        """A scalar of at least 0."""
        total = step.out.new_zeros(())
        if not self.weight and not self.alpha:
            return total
        drawn = step.draw(self.kept)
        out = scores(self.of, step, step.through(drawn.state), drawn.rows) / temperature(self.of)
        if self.weight:
            total = total + self.weight * task_of(self.of).loss(out, drawn.y)
        if self.alpha:
            z = self.logits[drawn.rows].to(out)
            total = total + self.alpha * (out[:, : z.shape[1]] - z).pow(2).mean()
        return total
