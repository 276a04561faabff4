"""A GGUF file as the folder that transformers reads: safetensors, configuration, tokenizer and chat template."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

from headstart.errors import SourceError
from headstart.sources.fetch import record_of
from headstart.sources.gguf_header import Header, header_of, package
from headstart.sources.gguf_rope import stretched
from headstart.sources.gguf_tokens import DIGITS
from headstart.sources.hashing import sha256_of

_WEIGHTS = "model.safetensors"
_OF_THIS_MACHINE = ("_name_or_path", "_model_name_or_path")


def folder_of(path: Path, place: Path) -> Path:
    """The folder, made from the file where it is not there yet.

    Weights are float32: those of a quantised file exactly, so that the network answers as the file says.

    Args:
        path: of the GGUF file.
        place: of the folder.

    Raises:
        SourceError: the gguf package is missing, or the file is of a kind that it cannot read.
    """
    if (place / _WEIGHTS).is_file() and record_of(place / _WEIGHTS).is_file():
        return place
    partial = place.with_name(f"{place.name}.{uuid.uuid4().hex}.partial")
    partial.mkdir(parents=True)
    try:
        _convert(path, partial)
        record_of(partial / _WEIGHTS).write_text(f"{sha256_of(partial / _WEIGHTS)}\n", "utf8")
        shutil.rmtree(place, ignore_errors=True)
        partial.replace(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place


def _convert(path: Path, folder: Path) -> None:
    from safetensors.torch import save_file

    package()
    header = header_of(path)
    rope = stretched(header, path)
    network, tokenizer = _loaded(path, folder, header)
    _split_as_learned(tokenizer, str(header.values.get("tokenizer.ggml.pre", "")))
    config = network.config.to_dict()
    for name in ("quantization_config", *_OF_THIS_MACHINE):
        config.pop(name, None)
    # a network whose layers see differently far says it for each kind; those that see all are the stretched ones
    positions = config.get("rope_parameters") or {}
    positions.get("full_attention", positions).update(rope)
    shared = set()
    weights = {}
    for name, tensor in network.state_dict().items():
        if tensor.data_ptr() not in shared:  # a tied head is written once
            weights[name] = tensor.float().contiguous()
        shared.add(tensor.data_ptr())
    (folder / "config.json").write_text(json.dumps(config, indent=1), "utf8")
    save_file(weights, folder / _WEIGHTS, {"format": "pt"})
    tokenizer.save_pretrained(folder)


def _loaded(path: Path, folder: Path, header: Header) -> tuple[Any, Any]:
    """The network and its tokenizer.

    Raises:
        SourceError: transformers cannot make them, or only in part.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    # transformers takes a folder and a name that ends in .gguf
    link = folder / "network.gguf"
    try:
        os.symlink(path.absolute(), link)
    except OSError:  # a system on which links need a right of their own
        shutil.copyfile(path, link)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the bar over its tensors cannot be switched off
            tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=link.name)
            network, how = AutoModelForCausalLM.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues]
                folder, gguf_file=link.name, output_loading_info=True, **_biases(header)
            )
    except Exception as error:  # tokenizers raises nothing narrower where tokens and merges do not fit
        said = str(error).replace(str(link), path.name).strip() or type(error).__name__
        why = said.splitlines()[0][:160].rstrip(".")
        raise SourceError(
            f"{path.name} cannot be read as GGUF ({why}); use a file in F16, Q8_0, Q4_0, Q4_1 or Q4_K of a Llama, "
            "Qwen, Gemma, Mistral or Phi network."
        ) from error
    finally:
        link.unlink()
    lost = sorted(how["missing_keys"])
    biases = [sum(name.endswith(".bias") for name in names) for names in (header.shapes, network.state_dict())]
    if lost or biases[0] > biases[1]:  # transformers would draw the first at random and leave the others out
        what = f"{len(lost)} weights ({lost[0]}, …)" if lost else f"a place for {biases[0] - biases[1]} biases"
        raise SourceError(f"{path.name}, as transformers reads it, lacks {what}; use another file of this network.")
    return network, tokenizer


def _biases(header: Header) -> dict[str, bool]:
    """Settings that a file of a Llama says through its tensors alone, and that transformers does not look for."""
    if header.architecture != "llama":
        return {}
    found = {"attention_bias": "blk.0.attn_q.bias", "mlp_bias": "blk.0.ffn_gate.bias"}
    return {setting: True for setting, tensor in found.items() if tensor in header.shapes}


def _split_as_learned(tokenizer: Any, name: str) -> None:
    """Split a text as llama.cpp does, where transformers takes the way of GPT-2 instead: each digit by itself."""
    from tokenizers import pre_tokenizers

    if name in DIGITS:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
