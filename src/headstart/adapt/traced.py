"""Networks as the engine takes them: raw bytes of pictures or token ids in, pooled outputs of the blocks out."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from headstart.engine.eager import Eager
from headstart.engine.trace import save
from headstart.sources.card import Card
from headstart.sources.encoder import Encoder
from headstart.sources.load import Pretrained


class FromPixels(nn.Module):
    """(b, s, s, 3) uint8 -> pooled outputs of the blocks; the card's mean and deviation are inside."""

    mean: Tensor
    std: Tensor

    def __init__(self, stack: Pretrained, card: Card, cuts: list[int]) -> None:
        super().__init__()
        self.stack = stack
        self.cuts = cuts
        self.register_buffer("mean", 255 * torch.tensor(card.mean).view(1, 3, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(card.std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """One (b, d) tensor per cut."""
        h = (pixels.permute(0, 3, 1, 2).float() - self.mean) / self.std
        return tuple(self.stack.taps({"h": h}, self.cuts))


class FromIds(nn.Module):
    """(b, t) ids and mask -> pooled outputs of the blocks."""

    def __init__(self, stack: Pretrained, cuts: list[int]) -> None:
        super().__init__()
        self.stack = stack
        self.cuts = cuts

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """One (b, d) tensor per cut."""
        return tuple(self.stack.taps({"ids": ids, "mask": mask.bool()}, self.cuts))


def limit(threads: int) -> None:
    """PyTorch with this many threads; 0 leaves it as it is."""
    if threads:
        torch.set_num_threads(threads)


def save_taps(stack: Pretrained, card: Card, folder: Path, *, last: bool = False) -> None:
    """Write the blocks below the head for the engine, with an output for every block, or for the last alone.

    Raises:
        EngineError: the network cannot be traced.
    """
    module, sample, names = _ready(stack, card, last)
    save(module, sample, names, folder)


def eager_taps(stack: Pretrained, card: Card, device: str, *, last: bool = False) -> Eager:
    """The same outputs through PyTorch.

    Raises:
        EngineError: a device that is not there.
    """
    module, sample, names = _ready(stack, card, last)
    with torch.no_grad():
        widths = [value.shape[-1] for value in module(*sample.values())]
    return Eager(module, list(sample), names, widths, device)


def _ready(stack: Pretrained, card: Card, last: bool) -> tuple[nn.Module, dict[str, Tensor], list[str]]:
    """A module of the engine's inputs, a sample of them, and the names of its outputs."""
    cuts = [len(stack) - 1] if last else list(range(1, len(stack)))
    names = [stack.names[cut - 1] for cut in cuts]
    draw = torch.Generator().manual_seed(0)
    if card.modality == "image":
        pixels = torch.randint(0, 256, (2, card.size, card.size, 3), dtype=torch.uint8, generator=draw)
        return FromPixels(stack.eval(), card, cuts), {"pixels": pixels}, names
    assert isinstance(stack, Encoder)
    ids = torch.randint(min(5, stack.vocabulary - 1), stack.vocabulary, (2, 12), generator=draw)
    mask = torch.ones(2, 12, dtype=torch.int64)
    mask[1, 7:] = 0
    return FromIds(stack.eval(), cuts), {"ids": ids, "mask": mask}, names
