"""A network through PyTorch itself: on a GPU compiled and in bfloat16, on a CPU the fallback of the faster engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.errors import EngineError

Batch = tuple[NDArray[np.int64], Mapping[str, NDArray]]


class Eager:
    """What `engine.openvino.Compiled` offers, by PyTorch.

    Args:
        module: takes the inputs in the order of `inputs` and returns a tensor for each of `outputs`.
        inputs: names of what goes in.
        outputs: names of what comes out.
        widths: of the outputs, last dimension.
        device: cpu or cuda.

    Raises:
        EngineError: a device that is not there.
    """

    def __init__(
        self, module: nn.Module, inputs: Sequence[str], outputs: Sequence[str], widths: Sequence[int], device: str
    ) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise EngineError("device cuda was asked for and PyTorch sees no GPU here; use --device cpu.")
        self.device = torch.device(device)
        self.module = module.eval().to(self.device)
        self.inputs, self.outputs, self.widths = tuple(inputs), tuple(outputs), tuple(widths)
        self.precision = "bf16" if device == "cuda" else "f32"
        self.agreement = 1.0
        self.version = f"torch {torch.__version__.split('+')[0]} {device}"
        self._call = torch.compile(self.module, dynamic=True) if device == "cuda" else self.module

    def __call__(self, inputs: Mapping[str, NDArray]) -> list[NDArray]:
        """The outputs for one batch, in the order of `outputs`."""
        tensors = [torch.from_numpy(np.ascontiguousarray(inputs[name])).to(self.device) for name in self.inputs]
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            values: Sequence[Tensor] = self._call(*tensors)
        return [value.float().cpu().numpy() for value in values]

    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[NDArray[np.int64], list[NDArray]]]:
        """Outputs of many batches, in their order; each comes with its rows."""
        for rows, inputs in batches:
            yield rows, self(inputs)
