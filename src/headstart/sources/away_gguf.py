"""A tuned language model as one GGUF file, as llama.cpp and what is built on it read it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from headstart.errors import SourceError, UsageError
from headstart.sources import gguf_rope
from headstart.sources.away import beside, cast, fitting, plain_network, rows_of, weights_of
from headstart.sources.gguf_header import header_of, package
from headstart.sources.gguf_tokens import Field, template_of, tokens_of
from headstart.sources.layers import config_of

ARCHITECTURES = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}  # ours -> llama.cpp's
FORMS = {None: "F32", "f16": "F16", "q8_0": "Q8_0"}

_FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7}
_BLOCK = 32  # values of a row that Q8_0 keeps under one scale
_SAID_ANEW = ("general.file_type", "general.quantization_version", "general.alignment")
_OF_THE_FILE = ("GGUF.", "quantize.", "split.")  # how keys begin that say nothing of the network
_MAY_DIFFER = "context_length"


def gguf_file(
    network: nn.Module, tokenizer_folder: Path, out: Path, *, quantise: str | None = None, original: Path | None = None
) -> Path:
    """The network with its tokenizer and chat template in one GGUF file.

    Vectors (norms and biases) are float32 in every form.

    Args:
        network: a transformers causal language model, with what it learned laid over it.
        tokenizer_folder: of its tokenizer, as transformers reads it.
        out: the new file.
        quantise: the matrices: None as float32 to the last digit, "f16" in half precision, "q8_0" in 8 bits with a
            scale for every 32 values of a row.
        original: the GGUF file that the network came from, whose tokenizer and other values are taken over.

    Returns:
        The file.

    Raises:
        SourceError: an architecture, tokenizer or positions that llama.cpp reads otherwise or not at all, an original
            of another network, or the gguf package is missing.
        UsageError: an unknown form, or a place that is taken or cannot be written to.
    """
    if quantise not in FORMS:
        raise UsageError(f"quantise={quantise!r} is not one of f16 and q8_0; leave it out to keep every digit.")
    gguf = package()
    whole = plain_network(network)
    architecture = _architecture(whole)
    rope = gguf_rope.factors(_rope(config_of(whole)), _head_width(config_of(whole)))
    extra = [] if rope is None else [(gguf_rope.FACTORS, torch.from_numpy(rope))]
    tensors = [*extra, *_tensors(whole, architecture, gguf)]
    fields = _fields(whole, tokenizer_folder, architecture, original)
    fields["general.file_type"] = Field(_FILE_TYPES[FORMS[quantise]], "UINT32")
    fields["general.quantization_version"] = Field(gguf.GGML_QUANT_VERSION, "UINT32")
    fields.setdefault("general.name", Field(f"tuned {out.stem}", "STRING"))
    with beside(out) as partial:
        _write(partial, architecture, fields, [(n, t, _form(t, FORMS[quantise])) for n, t in tensors], gguf)
    return out


def _write(
    path: Path, architecture: str, fields: Mapping[str, Field], tensors: list[tuple[str, Tensor, str]], gguf: ModuleType
) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    try:
        for key, field in fields.items():
            kinds = gguf.GGUFValueType
            writer.add_key_value(key, field.value, kinds[field.kind], None if field.of is None else kinds[field.of])
        for name, tensor, form in tensors:
            kind = gguf.GGMLQuantizationType[form]
            values, size = gguf.GGML_QUANT_SIZES[kind]
            writer.add_tensor_info(
                name, tuple(tensor.shape), np.dtype(np.float32), tensor.numel() // values * size, raw_dtype=kind
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for name, tensor, form in tensors:  # one by one: a network does not fit the memory twice
            writer.write_tensor_data(_in_form(name, tensor, form, gguf))
    finally:
        writer.close()


def _in_form(name: str, tensor: Tensor, form: str, gguf: ModuleType) -> NDArray[Any]:
    values = cast(name, tensor, torch.float16 if form == "F16" else torch.float32).contiguous().numpy()
    return gguf.quantize(values, gguf.GGMLQuantizationType.Q8_0) if form == "Q8_0" else values


def _form(tensor: Tensor, form: str) -> str:
    """What llama.cpp can read: vectors are float32, and a row that has no whole number of blocks is not quantised."""
    if tensor.ndim == 1:
        return "F32"
    return "F16" if form == "Q8_0" and tensor.shape[-1] % _BLOCK else form


def _architecture(network: PreTrainedModel) -> str:
    config = config_of(network)
    name = ARCHITECTURES.get(config.model_type)
    if name is None:
        raise SourceError(
            f"{type(network).__name__} cannot be written as GGUF here, only {', '.join(ARCHITECTURES)}; take it away "
            "merged, and convert the folder with llama.cpp."
        )
    if config.hidden_act != "silu":
        raise SourceError(f"its activation is {config.hidden_act!r}, where llama.cpp takes silu; take it away merged.")
    return name


def _tensors(network: PreTrainedModel, architecture: str, gguf: ModuleType) -> Iterator[tuple[str, Tensor]]:
    """Every weight under llama.cpp's name and in its order."""
    config = config_of(network)
    kinds = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[architecture], config.num_hidden_layers)
    for name, tensor in weights_of(network):
        said = names.get_name(name, (".weight", ".bias"))
        if said is None:
            raise SourceError(f"{name} has no place in a GGUF file of a {architecture} network; take it away merged.")
        if architecture == "llama" and (".attn_q." in said or ".attn_k." in said):
            heads = config.num_attention_heads if ".attn_q." in said else config.num_key_value_heads
            tensor = _paired(tensor, heads)
        yield said, tensor


def _paired(tensor: Tensor, heads: int) -> Tensor:
    """Rows of queries or keys as llama.cpp turns them: i with i + 1, where transformers turns i with i + half a head.

    Reference:
        llama.cpp, convert_hf_to_gguf.py, LlamaModel.permute; transformers undoes it in modeling_gguf_pytorch_utils.py.
    """
    half = tensor.shape[0] // heads // 2
    return tensor.reshape(heads, 2, half, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)


def _fields(network: PreTrainedModel, folder: Path, architecture: str, original: Path | None) -> dict[str, Field]:
    speaker, rows = fitting(network, folder), rows_of(network)
    own = {f"{architecture}.{key}": field for key, field in _sizes(config_of(network), rows).items()}
    if original is None:
        return {**own, **tokens_of(speaker, rows)}
    kept = _taken_over(original, architecture)
    for key, field in own.items():
        there = kept.get(key, field).value
        same = math.isclose(there, field.value, rel_tol=1e-6) if isinstance(there, float) else there == field.value
        if not same and not key.endswith(_MAY_DIFFER):
            raise SourceError(f"{original.name} is of another network: its {key} is {there}, not {field.value}.")
    tokens = kept.get("tokenizer.ggml.tokens")
    if tokens is None or len(tokens.value) != rows:
        count = 0 if tokens is None else len(tokens.value)
        raise SourceError(f"{original.name} has {count} tokens and the network {rows}; leave the original out.")
    return {**own, **template_of(speaker), **kept}


def _taken_over(original: Path, architecture: str) -> dict[str, Field]:
    """Everything that a file says, but for the form of its weights and how its positions are stretched.

    Raises:
        SourceError: it is no whole GGUF file, or of another architecture.
    """
    there = header_of(original).architecture
    if there != architecture:
        raise SourceError(f"{original.name} is of a {there} network, not {architecture}; leave the original out.")
    kept: dict[str, Field] = {}
    for key, field in package().GGUFReader(original).fields.items():
        stretched = f".{gguf_rope.PREFIX}" in key or key.endswith(".rope.scale_linear")
        empty = len(field.types) == 1 and field.types[0].name == "ARRAY"
        if key in _SAID_ANEW or key.startswith(_OF_THE_FILE) or stretched or empty:
            continue
        of = field.types[-1].name if len(field.types) > 1 else None
        kept[key] = Field(field.contents(), field.types[0].name, of)
    kept.pop("general.architecture")  # the writer says it
    return kept


def _sizes(config: PretrainedConfig, rows: int) -> dict[str, Field]:
    """Key behind the architecture -> value of all that is computed with."""
    width, rope = _head_width(config), _rope(config)
    counts = {
        "vocab_size": rows,
        "context_length": _longest(config),
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": width,
        "attention.value_length": width,
        "rope.dimension_count": width,
    }
    said: dict[str, Any] = {
        **counts,
        "attention.layer_norm_rms_epsilon": float(config.rms_norm_eps),
        **gguf_rope.fields(rope, config.max_position_embeddings),
    }
    kinds = {int: "UINT32", float: "FLOAT32", str: "STRING"}
    return {key: Field(value, kinds[type(value)]) for key, value in said.items()}


def _longest(config: PretrainedConfig) -> int:
    """Up to which length llama.cpp computes what the network does: it knows no windows in these architectures."""
    windows = config.model_type == "mistral" or "sliding_attention" in (getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None) if windows else None
    return min(config.max_position_embeddings, window or config.max_position_embeddings)


def _head_width(config: PretrainedConfig) -> int:
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def _rope(config: PretrainedConfig) -> dict[str, Any]:
    return dict(config.rope_parameters)
