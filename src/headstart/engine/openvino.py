"""Compiled networks on a CPU: several asynchronous streams, kept on disk, proved against PyTorch before use."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import EngineError
from headstart.quiet import hush

if TYPE_CHECKING:
    import openvino

Arrays = Mapping[str, NDArray]
Batch = tuple[NDArray[np.int64], Arrays]

# cosine with PyTorch fp32 that every output of every sample row must reach
ENOUGH = {"f32": 0.9999, "bf16": 0.99}


@dataclass(frozen=True)
class Compiled:
    """A network on disk as this machine's CPU runs it.

    Attributes:
        outputs: names of the outputs, in order.
        widths: of the outputs, last dimension; 0 where it depends on the input.
        precision: f32 or bf16, what the CPU computes in.
        agreement: smallest cosine with PyTorch fp32 over the sample rows and outputs.
        version: of the engine, for the store's address.
    """

    outputs: tuple[str, ...]
    widths: tuple[int, ...]
    precision: str
    agreement: float
    version: str
    model: openvino.CompiledModel

    def __call__(self, inputs: Arrays) -> list[NDArray]:
        """The outputs for one batch, in the order of `outputs`."""
        result = self.model(dict(inputs))
        return [np.array(result[index]) for index in range(len(self.outputs))]

    def run(self, batches: Iterable[Batch]) -> Iterator[tuple[NDArray[np.int64], list[NDArray]]]:
        """Outputs of many batches, in their order; each comes with its rows.

        Args:
            batches: (rows, inputs) pairs; read ahead while earlier ones are computed.
        """
        # A ring of requests that are waited for, without callbacks into Python: a callback's thread needs the
        # interpreter's lock when it ends, and whoever frees its queue meanwhile holds that lock for ever.
        # Twice the streams: one batch is prepared and handed over while another is computed.
        most = 2 * int(self.model.get_property("NUM_STREAMS"))
        free = [self.model.create_infer_request() for _ in range(most)]
        busy: deque[tuple[openvino.InferRequest, NDArray[np.int64]]] = deque()
        for rows, inputs in batches:
            if not free:
                request, ended = busy.popleft()
                yield ended, _outputs(request)
                free.append(request)
            request = free.pop()
            request.start_async(dict(inputs))
            busy.append((request, rows))
        while busy:
            request, ended = busy.popleft()
            yield ended, _outputs(request)


def _outputs(request: openvino.InferRequest) -> list[NDArray]:
    request.wait()
    return [tensor.data.copy() for tensor in request.output_tensors]


def is_there(folder: Path) -> bool:
    """Whether a network was saved in this folder."""
    return (folder / "network.json").is_file()


def fast_precision() -> str:
    """bf16 where this CPU multiplies in it, else f32."""
    hush()
    import openvino as ov

    return _precision(ov.Core())


def _precision(core: Any) -> str:
    # elsewhere bf16 is emulated and slower than f32
    return "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"


def open_compiled(folder: Path, *, threads: int = 0) -> Compiled:
    """The network saved in this folder, compiled for this CPU and compared with PyTorch on the sample beside it.

    Args:
        folder: written by `engine.trace.save`.
        threads: of the CPU; 0 takes all.

    Raises:
        EngineError: nothing there, or answers that differ from PyTorch's.
    """
    hush()
    import openvino as ov

    if not is_there(folder):
        raise EngineError(
            f"{folder} holds no compiled network; make it with the verb that needs it, or clear the cache."
        )
    with suppress(OSError):  # a cache that may not be written can still be read
        os.utime(folder)  # the folder's time is when the network was last used: the longest unused go first
    about = json.loads((folder / "network.json").read_text("utf8"))
    core = ov.Core()
    precision = _precision(core)
    config: dict[str, object] = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "INFERENCE_PRECISION_HINT": precision,
        "CACHE_DIR": str(folder / "compiled"),
    }
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    model = core.compile_model(folder / "network.xml", "CPU", config)
    last = [output.partial_shape[-1] for output in model.outputs]
    widths = tuple(size.get_length() if size.is_static else 0 for size in last)
    version = f"openvino {ov.__version__.split('-')[0]}"
    compiled = Compiled(tuple(about["outputs"]), widths, precision, 1.0, version, model)
    agreement = _agreement(compiled, folder)
    if agreement < ENOUGH[precision]:
        raise EngineError(
            f"the compiled network agrees with PyTorch by a cosine of {agreement:.4f} where {ENOUGH[precision]} is "
            f"needed ({precision} on this CPU); use --device eager, or clear the cache and try again."
        )
    return Compiled(compiled.outputs, widths, precision, agreement, version, model)


def _agreement(compiled: Compiled, folder: Path) -> float:
    """Smallest cosine between the engine's and PyTorch's outputs, over sample rows and outputs."""
    with np.load(folder / "sample.npz", allow_pickle=False) as sample:
        inputs = {name.removeprefix("in."): sample[name] for name in sample.files if name.startswith("in.")}
        wanted = [sample[f"out.{name}"] for name in compiled.outputs]
    return min(cosine(got, want) for got, want in zip(compiled(inputs), wanted, strict=True))


def cosine(a: NDArray, b: NDArray) -> float:
    """Smallest cosine between rows of a and b, (n, ...) each."""
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (a, b))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.min((a * b).sum(1) / np.maximum(norms, 1e-30)))


Progress = Callable[[int, int], None]
