"""The head of an earlier task, on what the blocks below it give now."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.core.evaluate import evaluating, outputs, run_held
from headstart.core.examples import Examples
from headstart.core.stack import HEARD, Stack
from headstart.core.step import Passed, Step
from headstart.core.task import Classify, Label, Regress, Task
from headstart.errors import DataError, DepthError

CLASSES = Classify()
_TASKS: Mapping[str, Task] = {"classes": CLASSES, "labels": Label(), "numbers": Regress()}


class LinearHead(Protocol):
    """A fitted head as plain arrays: scores = clip((x - mean) / scale, -limit, limit) @ weight + bias.

    `mean` and `scale` are (d,), `weight` is (d, c), `bias` is (c,). Probabilities are those of the scores over
    `temperature`. `task` is classes, labels or numbers.
    """

    @property
    def mean(self) -> NDArray: ...
    @property
    def scale(self) -> NDArray: ...
    @property
    def weight(self) -> NDArray: ...
    @property
    def bias(self) -> NDArray: ...
    @property
    def temperature(self) -> float: ...
    @property
    def limit(self) -> float: ...
    @property
    def task(self) -> str: ...


class OldHead(nn.Module):
    """A fitted head as PyTorch computes it: nothing in it learns, but what it reads gets gradients.

    Taps of held blocks are the same at every step, so what they add to the scores is computed once, for each row of
    the set that the head is used on. A head for the training examples and one for kept rows are then two.

    Args:
        head: of the earlier task.
        taps: name of a block -> width of its pooled output, side by side as the head reads them.
        held: name of a held block -> (n, width) its pooled outputs for every row of the set.

    Attributes:
        hears: taps that come from learning blocks.
        task: of the earlier head.
        temperature: that its scores are divided by to make logits; 1 for numbers.

    Raises:
        DataError: widths that do not fit the head, or held taps that it does not read.
    """

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor
    added: Tensor

    def __init__(self, head: LinearHead, taps: Mapping[str, int], held: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        held = held or {}
        if sum(taps.values()) != len(head.mean) or not held.keys() <= taps.keys():
            raise DataError(
                f"the old head reads {len(head.mean)} values, the taps are {dict(taps)} and those held are "
                f"{', '.join(held) or 'none'}; give the taps that the head was fitted on, with their widths."
            )
        arrays = {"mean": head.mean, "scale": head.scale, "weight": head.weight, "bias": head.bias}
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.array(array, np.float32)))
        self.limit, self.task = float(head.limit), _TASKS[head.task]
        self.temperature = 1.0 if head.task == "numbers" else float(head.temperature)
        ends = accumulate(taps.values())
        self._places = {name: slice(end - taps[name], end) for name, end in zip(taps, ends, strict=True)}
        self.held = tuple(held)
        self.hears = tuple(name for name in taps if name not in held)
        self.register_buffer("added", sum((self._of(name, x) for name, x in held.items()), self.bias))

    def forward(self, taps: Mapping[str, Tensor], rows: NDArray[np.int64] | None = None) -> Tensor:
        """(b, c) scores.

        Args:
            taps: name of a block -> (b, width), of all that are not held; others are ignored.
            rows: (b,) positions in the set that the held taps are of; needed only where there are any.

        Raises:
            DepthError: a tap that is neither given nor held.
            DataError: held taps and no rows.
        """
        absent = [name for name in self.hears if name not in taps]
        if absent:
            raise DepthError(
                f"the old head reads {', '.join(absent)}, which no learning block gives at this depth; give their "
                "outputs as held taps, or use a greater depth."
            )
        if self.held and rows is None:
            raise DataError(f"the taps {', '.join(self.held)} are held for rows of a set; give the rows.")
        added = self.added[torch.from_numpy(rows).to(self.added.device)] if self.held else self.added
        return sum((self._of(name, taps[name]) for name in self.hears), added)

    def refuse_moving(self, stack: Stack) -> None:
        """Nothing, if all taps given as held are of held blocks.

        Raises:
            DepthError: one is of a learning block.
        """
        moving = [name for name in self.held if name in stack.names[stack.cut(stack.depth) :]]
        if moving:
            raise DepthError(
                f"the outputs of {', '.join(moving)} were given as held, and depth={stack.depth} changes them; "
                "leave them out of the held taps, or use a smaller depth."
            )

    def _of(self, name: str, x: Tensor) -> Tensor:
        """What one tap adds to the scores."""
        place = self._places[name]
        z = ((x - self.mean[place]) / self.scale[place]).clamp(-self.limit, self.limit)
        return z @ self.weight[place]


Of = Task | OldHead
"""Whose answers are guarded: an old head's, or those of the stack's own head, which is then one for old and new."""


def scores(of: Of, step: Step, passed: Step | Passed, rows: NDArray[np.int64]) -> Tensor:
    """(b, c) what the guarded head gives now, with gradients.

    Args:
        passed: what the learning blocks gave: of the training examples the step itself.
        rows: positions in the set that was passed.
    """
    if not isinstance(of, OldHead):
        return passed.out
    of.refuse_moving(step.stack)
    return of(passed.taps, rows)


def task_of(of: Of) -> Task:
    """The task of the guarded head."""
    return of.task if isinstance(of, OldHead) else of


def hears(of: Of) -> tuple[str, ...]:
    """Blocks whose pooled outputs the guarded head needs beside what the stack gives."""
    return of.hears if isinstance(of, OldHead) else ()


def temperature(of: Of) -> float:
    """That the scores of the guarded head are divided by to make logits."""
    return of.temperature if isinstance(of, OldHead) else 1.0


def answers(stack: Stack, data: Examples, of: Of, *, batch: int = 256) -> Tensor:
    """(n, c) scores of the guarded head for every example, in order, to be kept before training changes them.

    The stack runs in evaluation mode and is left as it was.
    """
    if not isinstance(of, OldHead):
        return outputs(stack, data, batch=batch)
    out, last = [], len(stack) - 1
    with evaluating(stack), torch.no_grad():
        for start in range(0, len(data), batch):
            rows = np.arange(start, min(start + batch, len(data)))
            state = stack(run_held(stack, data.read(rows), 0), stop=last, hear=of.hears)
            out.append(of(taps_in(state), rows).cpu())
    return torch.cat(out)


def taps_in(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name of a block -> its pooled output, of those that were heard on the way to this state."""
    return {name.removeprefix(HEARD): x.float() for name, x in state.items() if name.startswith(HEARD)}
