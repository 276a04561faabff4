"""What a penalty sees of a step of training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.core.stack import Stack, State


@dataclass(frozen=True)
class Drawn:
    """Rows of a set beside the training examples.

    Attributes:
        state: what enters the first learning block.
        y: (b, ...) targets; None where the set has none.
        rows: (b,) positions in that set.
    """

    state: State
    y: Tensor | None
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class Passed:
    """What the learning blocks make of a state.

    Attributes:
        features: (b, d) what the head reads.
        out: (b, ...) outputs of the head.
        taps: name of a block -> (b, d) its pooled output, of those learning blocks that a penalty hears.
    """

    features: Tensor
    out: Tensor
    taps: Mapping[str, Tensor]


@dataclass(frozen=True)
class Step:
    """What a penalty sees of one training step.

    Attributes:
        stack: being trained; not to be changed.
        state: what entered the first learning block.
        out: (b, ...) outputs of the head.
        y: (b, ...) targets.
        rows: (b,) positions in the training examples.
        features: (b, d) what the head read to give `out`.
        taps: name of a block -> (b, d) its pooled output, of those learning blocks that a penalty hears.
        draw: name of a set beside the training examples -> a random batch of it, at the same cut.
        through: a state -> what the learning blocks make of it, with gradients.
        done: share of the steps that are behind, 0 <= done < 1.
    """

    stack: Stack
    state: State
    out: Tensor
    y: Tensor
    rows: NDArray[np.int64]
    features: Tensor
    taps: Mapping[str, Tensor]
    draw: Callable[[str], Drawn]
    through: Callable[[State], Passed]
    done: float


class Penalty(Protocol):
    """A scalar that is added to the task's loss."""

    def __call__(self, step: Step) -> Tensor: ...


@runtime_checkable
class Owner(Protocol):
    """A penalty with weights of its own, which the optimizer moves at the head's rate."""

    def parameters(self) -> Iterator[nn.Parameter]: ...


@runtime_checkable
class Hearer(Protocol):
    """A penalty that reads pooled outputs of blocks below the last one: those named come as `taps`."""

    @property
    def hears(self) -> tuple[str, ...]: ...
