"""What adapters learned, as a folder that peft reads."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig
from transformers.pytorch_utils import Conv1D

from headstart.core.skill import TAIL
from headstart.errors import SourceError
from headstart.sources.away import beside
from headstart.sources.layers import layers_of
from headstart.sources.load import LORA_A, LORA_B

_BEFORE = "base_model.model."  # what peft writes before the names of a network's modules
_WEIGHT = ".weight"


def adapter(
    learned: Mapping[str, NDArray], config: PretrainedConfig, out: Path, *, rank: int, base: str | None = None
) -> Path:
    """What adapters learned, as `PeftModel.from_pretrained(network, out)` reads it.

    peft computes with W + (alpha / r) B A. The scale is in B here, so that alpha is r.

    Args:
        learned: TAIL + block.name.weight + LORA_A (rank, in) and LORA_B (out, rank): W + B A is the new weight. Of a
            Conv1D, as in GPT-2, W is (in, out), and A and B are its factors in that order too.
        config: of the network that the adapters belong to.
        out: the new folder.
        rank: of every adapter.
        base: name of the network, for programs that get it by themselves.

    Returns:
        The folder.

    Raises:
        SourceError: values that are no adapter of a linear layer in this network, or of another rank.
        UsageError: a place that is taken or cannot be written to.
    """
    from safetensors.numpy import save_file

    if not learned:
        raise SourceError("0 adapters were given; there is something to take away only after --update lora.")
    network = _empty(config)
    names = module_names(network)
    modules = dict(network.named_modules())
    arrays: dict[str, NDArray] = {}
    targets: list[str] = []
    turned = False
    for key, values in learned.items():
        place = _place(key, names)
        if key.endswith(LORA_A):
            module = modules[place]
            a, b = _factors(values, learned.get(key.removesuffix(LORA_A) + LORA_B), module, key, rank)
            arrays[f"{_BEFORE}{place}.lora_A.weight"], arrays[f"{_BEFORE}{place}.lora_B.weight"] = a, b
            targets.append(place)
            turned |= isinstance(module, Conv1D)
    if 2 * len(targets) != len(learned):
        raise SourceError(f"{len(learned)} values make {len(targets)} adapters, where each is a pair; fit again.")
    with beside(out) as partial:
        partial.mkdir()
        said, weights = partial / "adapter_config.json", partial / "adapter_model.safetensors"
        said.write_text(json.dumps(_settings(targets, rank, base, turned=turned), indent=1) + "\n", "utf8")
        save_file(arrays, weights, {"format": "pt"})
        shutil.copymode(said, weights)  # safetensors lets the owner read alone
    return out


def module_names(network: nn.Module) -> dict[str, str]:
    """Name of a layer's module in the stack -> its name in the network: layer2.0.mlp -> model.layers.1.mlp.

    Those outside the layers are left out: no adapter goes there.

    Args:
        network: a transformers causal language model.

    Raises:
        SourceError: it has no single list of layers.
    """
    body: nn.Module = network.base_model  # pyright: ignore[reportAssignmentType]
    found = {id(module): name for name, module in network.named_modules()}
    return {
        f"layer{index}.0.{name}": found[id(module)]
        for index, layer in enumerate(layers_of(body), 1)
        for name, module in layer.named_modules()
        if name
    }


def _empty(config: PretrainedConfig) -> nn.Module:
    """The network without weights: its modules, their names and shapes."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(copy.deepcopy(config), trust_remote_code=False)


def _place(key: str, names: Mapping[str, str]) -> str:
    """Name in the network of the module that this value belongs to."""
    weight = key.removesuffix(LORA_A).removesuffix(LORA_B)
    place = names.get(weight.removeprefix(TAIL).removesuffix(_WEIGHT))
    if weight == key or place is None or not weight.startswith(TAIL) or not weight.endswith(_WEIGHT):
        raise SourceError(
            f"{key} is no adapter of a layer in this network; take the whole network away merged, where norms or all "
            "weights learned."
        )
    return place


def _factors(a: NDArray, b: NDArray | None, module: nn.Module, key: str, rank: int) -> tuple[NDArray, NDArray]:
    """lora_A (rank, in) and lora_B (out, rank) as peft keeps them for this module."""
    if b is None:
        raise SourceError(f"{key} has no {LORA_B} to it; fit again.")
    if not isinstance(module, nn.Linear | Conv1D) or (b.shape[0], a.shape[-1]) != tuple(module.weight.shape):
        raise SourceError(f"{key} of shape {a.shape} does not fit {module}; the adapters are of another network.")
    if a.shape[0] != rank or b.shape[1] != rank:
        raise SourceError(
            f"{key} has rank {a.shape[0]}, not {rank}; give the rank that the adapters were learned with."
        )
    # peft turns its product round for a Conv1D: W + (B' A')^T, so that A' is B turned and B' is A turned
    first, second = (b.T, a.T) if isinstance(module, Conv1D) else (a, b)
    return np.ascontiguousarray(first), np.ascontiguousarray(second)


def _settings(targets: list[str], rank: int, base: str | None, *, turned: bool) -> dict[str, object]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": turned,
        "target_modules": targets,
    }
