"""Held weights in 16 bits while adapters learn beside them: no copy of them is made at each step, and less is moved."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

_DISK = 0.5  # of the free disk that the weights may be put aside on


@contextmanager
def halved(stack: nn.Module, folder: Path | None = None) -> Iterator[bool]:
    """Inside, parameters that do not learn are bfloat16; after, they are as they were, bit for bit.

    They are put aside on the disk, as memory is what is short. Where the disk has no room they stay as they are.

    Args:
        folder: for them; None takes that of temporary files.

    Yields:
        Whether they are halved.
    """
    held = [p for p in stack.parameters() if not p.requires_grad and p.dtype == torch.float32]
    place = Path(folder or tempfile.gettempdir())
    if sum(p.numel() * p.element_size() for p in held) > _DISK * shutil.disk_usage(place).free:
        yield False
        return
    with tempfile.TemporaryDirectory(dir=place) as name:
        files = [Path(name) / f"{k}.npy" for k in range(len(held))]  # one each: more than one is never in memory twice
        for parameter, file in zip(held, files, strict=True):
            np.save(file, parameter.detach().cpu().numpy(), allow_pickle=False)
            parameter.data = parameter.data.bfloat16()
        try:
            yield True
        finally:
            for parameter, file in zip(held, files, strict=True):
                parameter.data = torch.from_numpy(np.load(file, allow_pickle=False)).to(parameter.device)
