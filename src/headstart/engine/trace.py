"""From a PyTorch module to a network that the fast engine reads: the only part of the engine that needs torch."""

from __future__ import annotations

import json
import shutil
import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from headstart.errors import EngineError
from headstart.quiet import hush


def save(module: nn.Module, sample: Mapping[str, Tensor], outputs: Sequence[str], folder: Path) -> None:
    """Write a module for the engine, with a sample and PyTorch's answers beside it; whole or not at all.

    Args:
        module: takes the sample's tensors in order and returns as many tensors as there are `outputs`.
        sample: name -> tensor, at least two rows; every dimension but the last stays free where the module allows.
        outputs: names of what comes out.
        folder: becomes the network's; what another process wrote there meanwhile is as good and stays.

    Raises:
        EngineError: the module cannot be traced.
    """
    hush()
    import openvino as ov
    from openvino.frontend import OpConversionFailure

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tracing with several threads takes ten times longer
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tracing warns of each shape that it fixes; parity is checked instead
            model = ov.convert_model(module.eval(), example_input=tuple(sample.values()))
            answers = module(*sample.values())
    except (RuntimeError, OpConversionFailure) as error:
        raise EngineError(
            f"{type(module).__name__} cannot be traced for the engine ({str(error).splitlines()[0]}); "
            "use --device eager for this network."
        ) from error
    finally:
        torch.set_num_threads(threads)
    for port, name in zip(model.inputs, sample, strict=True):
        port.get_tensor().set_names({name})
    partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.partial")
    partial.mkdir(parents=True)
    try:
        ov.save_model(model, partial / "network.xml", compress_to_fp16=False)
        arrays = {f"in.{name}": tensor.numpy() for name, tensor in sample.items()}
        arrays |= {f"out.{name}": tensor.numpy() for name, tensor in zip(outputs, answers, strict=True)}
        with (partial / "sample.npz").open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        (partial / "network.json").write_text(json.dumps({"outputs": list(outputs)}), "utf8")
        if not folder.exists():
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
