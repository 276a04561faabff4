"""Low-rank adapters in the learning blocks, made by peft, that can be taken out again bit for bit."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from numpy.typing import NDArray
from torch import nn

from headstart.core.skill import TAIL
from headstart.core.stack import Stack
from headstart.errors import UsageError
from headstart.sources.load import LORA_A, LORA_B

RANK = 8
_SCALE = 2.0  # of what an adapter adds, over its product


class Adapters:
    """Adapters in every linear layer and every ordinary convolution of the blocks that learn, the head left out.

    What a layer gives is W x + 2 B A x, A (rank, in) random and B (out, rank) zero at the start. W is held.

    Args:
        stack: gets them in place.
        depth: blocks that learn.
        rank: of A and B.
        seed: of A.

    Raises:
        UsageError: peft is not installed, or there is no layer that an adapter fits.

    Reference:
        Hu et al., 2021, arXiv:2106.09685, section 4.1.
    """

    def __init__(self, stack: Stack, depth: int, *, rank: int = RANK, seed: int = 0) -> None:
        try:
            from peft import LoraConfig
            from peft.tuners.lora import LoraModel
        except ImportError:
            raise UsageError(
                "--update lora needs peft; run `pip install 'headstart[lora]'`, or use --update norms or all."
            ) from None
        self._tuners = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for name in stack.names[stack.cut(depth) : -1]:
                layers = list(_layers(stack.blocks[name]))
                if layers:
                    config = LoraConfig(r=rank, lora_alpha=int(_SCALE * rank), target_modules=layers, lora_dropout=0.0)
                    self._tuners[name] = LoraModel(stack.blocks[name], {"default": config}, "default")
                    _as_they_come(self._tuners[name])
        if not self._tuners:
            raise UsageError(
                f"depth {depth} has no linear layer or ordinary convolution for an adapter; use a greater --depth, "
                "or --update norms."
            )

    def scale(self, share: float) -> None:
        """Let the adapters add this share of what they learned; with 0 the network is as it was, bit for bit."""
        for tuner in self._tuners.values():
            for module in tuner.model.modules():
                if _is_adapted(module):
                    module.enable_adapters(bool(share))
                    if share:
                        module.scaling["default"] = _SCALE * share

    def take_out(self) -> dict[str, NDArray]:
        """The stack as it was before, bit for bit, and what was learned: TAIL + weight + LORA_A or LORA_B -> values.

        The scale is in B: the weight with its adapter is W + B A.
        """
        learned: dict[str, NDArray] = {}
        for block, tuner in self._tuners.items():
            for name, module in tuner.model.named_modules():
                if _is_adapted(module):
                    a, b = (part["default"].weight.detach().cpu() for part in (module.lora_A, module.lora_B))
                    learned[f"{TAIL}{block}.{name}.weight{LORA_A}"] = a.numpy().copy()
                    learned[f"{TAIL}{block}.{name}.weight{LORA_B}"] = (_SCALE * b).numpy().copy()
            tuner.unload()
        return learned


def _as_they_come(tuner: nn.Module) -> None:
    """No input is brought to the adapters' own precision: autocast decides that."""
    for module in tuner.modules():
        if _is_adapted(module):
            module.cast_input_dtype_enabled = False  # pyright: ignore[reportArgumentType]


def _is_adapted(module: nn.Module) -> bool:
    """Whether peft put an adapter around this module."""
    from peft.tuners.lora import LoraLayer

    return isinstance(module, LoraLayer)


def _layers(block: nn.Module) -> Iterator[str]:
    """Names of the layers that take an adapter.

    Grouped convolutions do not merge with one. What lies directly in a block's list is left out: it would be replaced
    in the list and not in the network.
    """
    for name, module in block.named_modules():
        fits = isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
        if fits and "." in name:
            yield name
