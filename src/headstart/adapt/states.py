"""What enters the learning blocks, computed by the engine for the store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.adapt.held import preparation_of
from headstart.core.examples import Arrays
from headstart.engine.openvino import is_there, open_compiled
from headstart.engine.trace import save
from headstart.sources.card import Card
from headstart.sources.load import Pretrained

_VERSION = 1
_GROUP = 8  # pictures to a request of the engine


class _UpTo(nn.Module):
    def __init__(self, stack: Pretrained, cut: int) -> None:
        super().__init__()
        self.stack = stack
        self.cut = cut

    def forward(self, h: Tensor) -> tuple[Tensor]:
        return (self.stack({"h": h}, stop=self.cut)["h"],)


class Before:
    """Blocks [0, cut) of a network of pictures as the engine runs them: a `core.fit.Prefix`."""

    store_dtype = "float16"  # half the disk and the memory; the tail's input is known to three digits

    def __init__(self, stack: Pretrained, card: Card, cut: int, cache: Path, *, threads: int = 0) -> None:
        folder = cache / "networks" / f"{card.digest}-cut{cut}-{_VERSION}"
        if not is_there(folder):
            draw = torch.Generator().manual_seed(0)
            sample = torch.randn(2, 3, card.size, card.size, generator=draw)
            save(_UpTo(stack.eval(), cut), {"h": sample}, ["h"], folder)
        self._compiled = open_compiled(folder, threads=threads)
        self.weights = card.digest
        self.preparation = preparation_of(card).digest
        self.engine = f"{self._compiled.version} cut {_VERSION}"
        self.precision = self._compiled.precision

    def __call__(self, arrays: Arrays) -> Mapping[str, NDArray]:
        """{"h": (b, 3, s, s)} -> {"h": what enters block `cut`}."""
        h = arrays["h"]
        out: list[NDArray] = [np.empty(0)] * -(-len(h) // _GROUP)
        pairs = ((np.array([k]), {"h": h[k * _GROUP : (k + 1) * _GROUP]}) for k in range(len(out)))
        for place, values in self._compiled.run(pairs):
            out[int(place[0])] = values[0]
        return {"h": np.concatenate(out)}
