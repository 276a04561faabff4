"""Positions that were stretched for longer texts: how a GGUF file says it, and how transformers does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.errors import SourceError
from headstart.sources.gguf_header import Header, package

FACTORS = "rope_freqs.weight"  # tensor with what each frequency is divided by
PREFIX = "rope.scaling."
_LONG = "rope_factors_long.weight"
_READ = ("type", "factor", "original_context_length", "finetuned")
_LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}

# kind -> what transformers may say of it beside its kind and base, None for what has to be said or has no other value
_SAID: dict[str, dict[str, object]] = {
    "default": {},
    "linear": {"factor": None},
    "yarn": {
        **{"factor": None, "original_max_position_embeddings": None, "beta_fast": 32, "beta_slow": 1},
        **{"truncate": True, "attention_factor": None},
    },
    "llama3": {"factor": None, **dict.fromkeys(_LLAMA3)},
}


def stretched(header: Header, path: Path) -> dict[str, object]:
    """What a file's rope_parameters say beside their base; empty for positions as they were learned.

    transformers passes over all of this, and then computes with other positions than the file means.

    Raises:
        SourceError: they are stretched in a way that is not known here.
    """
    said = {key.rpartition(".")[2] for key in header.values if f".{PREFIX}" in key}
    # where there is a factor and no kind, llama.cpp takes it as linear
    kind = str(header.values.get(f"{header.architecture}.{PREFIX}type", "linear"))
    factor = header.number(f"{PREFIX}factor") or header.number("rope.scale_linear") or 1.0
    if FACTORS in header.shapes:
        return _llama3(_values(path), header)
    if kind not in ("none", "linear", "yarn") or _LONG in header.shapes or said - set(_READ):
        raise SourceError(
            f"{path.name} stretches its positions in a way ({kind}: {', '.join(sorted(said)) or 'factors'}) that is "
            "not read here; use another network."
        )
    if kind == "yarn":
        length = header.number(f"{PREFIX}original_context_length") or header.number("context_length")
        return {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": int(length)}
    return {} if kind == "none" or factor == 1 else {"rope_type": "linear", "factor": factor}


def fields(rope: Mapping[str, Any], length: int) -> dict[str, str | int | float]:
    """Key behind the architecture -> value, of rope_parameters.

    Args:
        length: longest text.

    Raises:
        SourceError: llama.cpp does not know positions of this kind.
    """
    kind = rope.get("rope_type", "default")
    usual = _SAID.get(kind)
    other = {name: value for name, value in rope.items() if name not in ("rope_type", "rope_theta")}
    if usual is None or any(name not in usual or usual[name] not in (None, value) for name, value in other.items()):
        raise SourceError(
            f"its positions ({kind}: {other}) cannot be said in a GGUF file; take the network away merged instead."
        )
    said: dict[str, str | int | float] = {"rope.freq_base": float(rope["rope_theta"])}
    if kind in ("linear", "yarn"):
        said |= {f"{PREFIX}type": kind, f"{PREFIX}factor": float(rope["factor"])}
    if kind == "yarn":
        said[f"{PREFIX}original_context_length"] = int(rope.get("original_max_position_embeddings") or length)
    return said


def factors(rope: Mapping[str, Any], width: int) -> NDArray[np.float32] | None:
    """(width / 2,) what each frequency is divided by; None where all stay.

    Long waves are stretched by the factor, short ones not at all, and those between by a mixture.

    Args:
        rope: rope_parameters.
        width: of a head.

    Reference:
        llama.cpp, convert_hf_to_gguf.py, generate_extra_tensors.
    """
    if rope.get("rope_type") != "llama3":
        return None
    said = {**_LLAMA3, **rope}
    factor, low, high = said["factor"], said["low_freq_factor"], said["high_freq_factor"]
    turns = said["original_max_position_embeddings"] / (
        2 * math.pi * said["rope_theta"] ** (np.arange(0, width, 2) / width)
    )
    smooth = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / factor + smooth)).astype(np.float32)


def _llama3(found: NDArray, header: Header) -> dict[str, object]:
    rope = {
        **{"rope_type": "llama3", "rope_theta": header.number("rope.freq_base", 10000.0)},
        **{"factor": float(found.max()), **_LLAMA3},
    }
    again = factors(rope, 2 * len(found))
    if again is None or not np.allclose(again, found, rtol=1e-4):
        raise SourceError(
            "its positions are stretched by factors other than those of Llama 3, which are not read here; use another "
            "network."
        )
    del rope["rope_theta"]
    return rope


def _values(path: Path) -> NDArray:
    reader = package().GGUFReader(path)
    tensor = next(each for each in reader.tensors if each.name == FACTORS)
    return package().dequantize(tensor.data, tensor.tensor_type).ravel()
