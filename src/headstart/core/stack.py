"""A network as an ordered list of named blocks; the only place that decides what learns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from headstart.errors import DepthError, SharedError

State = dict[str, Tensor]
"""Named batch-first tensors that cross a block boundary: `h`, and `mask` where the input is ragged."""

LORA = "lora_"  # in the names of parameters that adapters added
HEARD = "tap."  # before the name of a block, in a state: that block's pooled output


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
        self.update = "all"

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

    def forward(self, state: State, start: int = 0, stop: int | None = None, hear: Sequence[str] = ()) -> State:
        """Run blocks [start, stop) on the state that block `start` expects.

        Args:
            hear: names of blocks whose pooled outputs come along, as HEARD + name; those that are not run are left out.
        """
        heard: State = {}
        for index, name in enumerate(self.names[start:stop], start):
            state = self.blocks[name](state)
            if name in hear:
                heard[HEARD + name] = self.tap(state, index + 1)
        return {**state, **heard}

    def tap(self, state: State, cut: int) -> Tensor:
        """(b, d): the state before block `cut`, averaged over the mask or over places where it is not pooled yet."""
        h = state["h"]
        if h.ndim == 3 and "mask" in state:
            weight = state["mask"].unsqueeze(-1).to(h.dtype)
            return (h * weight).sum(1) / weight.sum(1).clamp_min(1)
        return h if h.ndim == 2 else h.flatten(2).mean(2)

    def learn(self, depth: int, update: str = "all") -> Stack:
        """Let the last `depth` blocks learn and hold the others still.

        Args:
            update: what learns in them below the head: all, norms (scales and shifts of norms) or lora (parameters
                that adapters added, whose names have LORA in them). The head always learns as a whole.

        Raises:
            DepthError: depth is outside 0..len(stack).
            SharedError: a parameter belongs to a held block and to a learning one.
        """
        cut = self.cut(depth)
        self._refuse_sharing(cut)
        self.depth, self.update = depth, update
        for index, block in enumerate(self.blocks.values()):
            chosen = {id(p) for p in self._chosen(block, "all" if index == len(self) - 1 else update)}
            for parameter in block.parameters():
                parameter.requires_grad_(index >= cut and id(parameter) in chosen)
                if not parameter.requires_grad:
                    # None, not zeros: with momentum an optimizer still moves a parameter whose gradient is zero
                    parameter.grad = None
        return self.train(self.training)

    def _chosen(self, block: nn.Module, update: str) -> Iterator[nn.Parameter]:
        if update == "norms":
            return (p for module in block.modules() if is_norm(module) for p in module.parameters(recurse=False))
        return (p for name, p in block.named_parameters() if update == "all" or LORA in name)

    def train(self, mode: bool = True) -> Stack:
        """Set training mode of the learning blocks; held blocks stay in evaluation mode.

        Beside adapters the norms of learning blocks are held too: without the adapters the network is then as it was.
        """
        super().train(mode)
        for name in self.names[: self.cut(self.depth)]:
            self.blocks[name].eval()  # batch-norm statistics move and dropout draws even without gradients
        if self.update == "lora":
            for module in self.modules():
                if is_norm(module):
                    module.eval()
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


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a norm: of batch, layer, group, instance or RMS; timm's hold an activation too."""
    return "Norm" in type(module).__name__
