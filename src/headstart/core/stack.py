"""A network as an ordered list of named blocks; the only place that decides what learns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from headstart.errors import DepthError, SharedError

State = dict[str, Tensor]
"""Named batch-first tensors that cross a block boundary: `h`, and `mask` where the input is ragged."""


class Stack(nn.Module):
    """A network as an ordered stack of named blocks, from the input to the head.

    Depth k: the last k blocks learn, the others are held (no gradients, evaluation mode, no moving
    statistics). Depth 0 is pure feature extraction, depth 1 a linear probe, `len(stack)` the whole network.

    Args:
        blocks: name -> module, nearest the input first; the last is the head. Each maps a State to a State.
            A plain module that maps `h` to `h` is wrapped with `on_h`.

    Raises:
        DepthError: no blocks were given.
    """

    def __init__(self, blocks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        if not blocks:
            raise DepthError("0 blocks were given; a stack needs at least a head: pass {'head': on_h(nn.Linear(...))}.")
        self.blocks = nn.ModuleDict(dict(blocks))
        self.depth = len(blocks)

    def __len__(self) -> int:
        return len(self.blocks)

    @property
    def names(self) -> tuple[str, ...]:
        """Block names, nearest the input first."""
        return tuple(self.blocks)

    def cut(self, depth: int) -> int:
        """Index of the first block that learns at this depth, 0..len(stack)."""
        if not 0 <= depth <= len(self):
            raise DepthError(
                f"depth={depth} is outside 0..{len(self)}: this stack has {len(self)} blocks "
                f"({', '.join(self.names)}). Use 1 for a linear probe, {len(self)} for the whole network."
            )
        return len(self) - depth

    def forward(self, state: State, start: int = 0, stop: int | None = None) -> State:
        """Run blocks [start, stop) on the state that block `start` expects."""
        for name in self.names[start:stop]:
            state = self.blocks[name](state)
        return state

    def learn(self, depth: int) -> Stack:
        """Let the last `depth` blocks learn and hold the others still.

        Raises:
            DepthError: depth is outside 0..len(stack).
            SharedError: a parameter belongs to a held block and to a learning one.
        """
        cut = self.cut(depth)
        self._refuse_sharing(cut)
        self.depth = depth
        for index, block in enumerate(self.blocks.values()):
            for parameter in block.parameters():
                parameter.requires_grad_(index >= cut)
                if index < cut:
                    # None, not zeros: with momentum an optimizer still moves a parameter whose gradient is zero
                    parameter.grad = None
        return self.train(self.training)

    def train(self, mode: bool = True) -> Stack:
        """Set training mode of the learning blocks; held blocks stay in evaluation mode."""
        super().train(mode)
        for name in self.names[: self.cut(self.depth)]:
            self.blocks[name].eval()  # batch-norm statistics move and dropout draws even without gradients
        return self

    def fingerprint(self, stop: int) -> str:
        """sha256 of names, structure, weights and buffers of blocks [0, stop): what a stored row depends on."""
        digest = hashlib.sha256()
        for name in self.names[:stop]:
            digest.update(f"{name}:{self.blocks[name]!r}".encode())
            for key, tensor in sorted(self.blocks[name].state_dict().items()):
                digest.update(f"{key}:{tuple(tensor.shape)}:{tensor.dtype}".encode())
                flat = tensor.detach().cpu().contiguous().reshape(-1)
                digest.update(flat.view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _refuse_sharing(self, cut: int) -> None:
        held = {
            id(parameter): f"{block}.{name}"
            for block in self.names[:cut]
            for name, parameter in self.blocks[block].named_parameters()
        }
        for block in self.names[cut:]:
            for name, parameter in self.blocks[block].named_parameters():
                if id(parameter) in held:
                    raise SharedError(
                        f"{held[id(parameter)]} and {block}.{name} are one parameter, on both sides of depth "
                        f"{len(self) - cut}; a parameter is either held or learns. Copy it for the head (untie), "
                        "or choose a depth with both on one side."
                    )


class on_h(nn.Module):
    """A module that maps one tensor to one tensor, as a block: `h` is replaced, what else crosses stays."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, state: State) -> State:
        """state["h"]: whatever the module takes, batch first."""
        return {**state, "h": self.module(state["h"])}
