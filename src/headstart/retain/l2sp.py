"""L2-SP: weights stay near where they started."""

from __future__ import annotations

from torch import Tensor, nn

from headstart.core.stack import Stack
from headstart.core.step import Step
from headstart.errors import DepthError


class L2SP:
    """weight / 2 * |w - w0|^2 over the learning parameters below the head, w0 being what they are now.

    The paper's second term, a plain decay of the new head towards 0, is left to `Plan.weight_decay`.

    Args:
        stack: as it is before training.
        depth: that it will be trained at, at least 2.
        weight: at least 0; at 0 training is plain.
        head: whether the head is held near its start too, where old and new answers share it.

    Raises:
        DepthError: nothing that would be held near its start learns at this depth.

    Reference:
        Li et al., 2018, arXiv:1802.01483, equations 2 and 3.
    """

    def __init__(self, stack: Stack, depth: int, weight: float = 1.0, *, head: bool = False) -> None:
        named = parameters(stack, depth, head=head)
        if not named:
            raise DepthError(
                f"depth={depth} leaves all blocks below the head as they are, and L2-SP holds those near their start; "
                "use depth 2 or more."
            )
        # clone: a detached tensor would follow the weights, and the distance would stay 0
        self.start = {name: p.detach().clone() for name, p in named.items()}
        self.depth, self.weight, self.head = depth, weight, head

    def __call__(self, step: Step) -> Tensor:
        """A scalar of at least 0.

        Raises:
            DepthError: a deeper run than the start was noted for.
        """
        if not self.weight:
            return step.out.new_zeros(())
        if step.stack.depth > self.depth:
            raise DepthError(
                f"depth={step.stack.depth} lets more blocks learn than the {self.depth} whose start was noted; "
                f"make the penalty with depth={step.stack.depth}."
            )
        named = parameters(step.stack, step.stack.depth, head=self.head)
        moved = ((p - self.start[name]).pow(2).sum() for name, p in named.items() if p.requires_grad)
        return self.weight / 2 * sum(moved, step.out.new_zeros(()))


def parameters(stack: Stack, depth: int, *, head: bool) -> dict[str, nn.Parameter]:
    """BLOCK.NAME -> parameter of the last `depth` blocks, each once.

    Args:
        head: whether those of the head are among them.
    """
    found: dict[int, tuple[str, nn.Parameter]] = {}
    for block in stack.names[stack.cut(depth) : len(stack) if head else -1]:
        for name, parameter in stack.blocks[block].named_parameters():
            found.setdefault(id(parameter), (f"{block}.{name}", parameter))
    return dict(found.values())
