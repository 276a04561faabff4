"""A tuned language model as a folder that transformers reads, with nothing of this package in it."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from headstart.core.stack import LORA
from headstart.errors import SourceError, UsageError
from headstart.sources.layers import config_of
from headstart.sources.speaker import Speaker

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# what a tokenizer is kept in; whatever else lies in its folder stays there
_TOKENIZER = (
    *("tokenizer.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt", "vocab.txt"),
    *("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tekken.json"),
    *("chat_template.jinja", "chat_template.json"),
)
_RUNS_CODE = ("auto_map", "custom_pipelines", "custom_generate")  # settings that name Python files
_OF_THIS_MACHINE = ("_name_or_path", "_model_name_or_path", "name_or_path", "is_local", "local_files_only")
_OF_OTHER_WEIGHTS = ("quantization_config", "transformers_weights")


def merged(network: nn.Module, tokenizer_folder: Path, out: Path, *, dtype: str = "float32") -> Path:
    """The network with its tokenizer in a folder of its own: configuration, safetensors, tokenizer, chat template.

    Answers end where the tokenizer says so, whatever else the network ended them with before.

    Args:
        network: a transformers causal language model, with what it learned laid over it.
        tokenizer_folder: of its tokenizer, as transformers reads it.
        out: the new folder.
        dtype: of the weights: float32, bfloat16 or float16.

    Returns:
        The folder.

    Raises:
        SourceError: the network needs code that does not come with transformers, has adapters around its layers, does
            not fit the tokenizer, or has a weight that the dtype cannot hold.
        UsageError: an unknown dtype, or a place that is taken or cannot be written to.
    """
    from safetensors.torch import save_file

    if dtype not in DTYPES:
        raise UsageError(f"dtype={dtype!r} is not one of {', '.join(DTYPES)}; write float32 to keep every digit.")
    whole = plain_network(network)
    end = fitting(whole, tokenizer_folder).tokenizer.eos_token_id
    with beside(out) as partial:
        partial.mkdir()
        _write(partial / "config.json", _config(whole, dtype))
        weights = {name: cast(name, tensor, DTYPES[dtype]).contiguous() for name, tensor in weights_of(whole)}
        save_file(weights, partial / "model.safetensors", {"format": "pt"})
        shutil.copymode(partial / "config.json", partial / "model.safetensors")  # safetensors lets the owner read alone
        _write(partial / "generation_config.json", _generation(whole, end))
        copy_tokenizer(tokenizer_folder, partial)
    return out


def plain_network(network: nn.Module) -> PreTrainedModel:
    """The same network, known to be one that transformers makes by itself, without adapters around its layers.

    Raises:
        SourceError: it is not.
    """
    kind = type(network)
    if not isinstance(network, PreTrainedModel) or not kind.__module__.startswith("transformers."):
        raise SourceError(
            f"{kind.__name__} needs code that does not come with transformers, so no other program could read it; "
            "use a network of transformers."
        )
    adapted = next((name for name in network.state_dict() if LORA in name), None)
    if adapted is not None:
        raise SourceError(f"{kind.__name__} has adapters around its layers ({adapted}); take them out first.")
    return network


def fitting(network: PreTrainedModel, tokenizer_folder: Path) -> Speaker:
    """The tokenizer in a folder.

    Raises:
        SourceError: there is none, or it has more tokens than the network.
    """
    speaker = Speaker.of(tokenizer_folder, type(network).__name__)
    rows, tokens = rows_of(network), 1 + max(speaker.tokenizer.get_vocab().values())
    if tokens > rows:
        raise SourceError(f"the tokenizer has {tokens} tokens and the network {rows}; give the folder of its own one.")
    return speaker


def rows_of(network: PreTrainedModel) -> int:
    """How many tokens the embedding has a row for."""
    weight = network.get_input_embeddings().weight
    assert isinstance(weight, Tensor)
    return weight.shape[0]


def weights_of(network: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Every weight once, a head that is tied to the embedding under the embedding's name."""
    seen: set[int] = set()
    for name, tensor in network.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield name, tensor.detach().cpu()


def cast(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight in this dtype; whole numbers stay as they are.

    Raises:
        SourceError: it is not finite, or no longer.
    """
    out = tensor.to(dtype) if tensor.is_floating_point() else tensor
    if not torch.isfinite(out).all():
        largest = tensor.abs().max().item()
        raise SourceError(
            f"{name} has values up to {largest:.3g}, and not all of them are numbers in {str(dtype)[6:]}; use float32."
        )
    return out


@contextmanager
def beside(out: Path) -> Iterator[Path]:
    """A name beside `out`; what is written there takes the place in the end, or is gone where something fails.

    Raises:
        UsageError: `out` is there already, or the disk refuses.
    """
    from safetensors import SafetensorError

    if out.exists():
        raise UsageError(f"{out} is there already; move it away, or give another place.")
    partial = out.with_name(f"{out.name}.{uuid.uuid4().hex}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.rename(out)
    except (OSError, SafetensorError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(f"writing {out} failed: {why}; free space or choose another place.") from error
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        elif partial.exists():
            partial.unlink()


def is_tied(network: PreTrainedModel) -> bool:
    """Whether the head and the embedding are one weight, whatever the configuration says."""
    head = network.get_output_embeddings()
    return head is not None and head.weight is network.get_input_embeddings().weight


def _config(network: PreTrainedModel, dtype: str) -> dict[str, Any]:
    said = json.loads(config_of(network).to_json_string(use_diff=False))
    for name in (*_RUNS_CODE, *_OF_THIS_MACHINE, *_OF_OTHER_WEIGHTS):
        said.pop(name, None)
    return {**said, "architectures": [type(network).__name__], "dtype": dtype, "tie_word_embeddings": is_tied(network)}


def _generation(network: PreTrainedModel, end: int | None) -> dict[str, Any]:
    """How answers are generated; they end with the tokenizer's last token too, as those that were learned do."""
    config = network.generation_config
    said = json.loads(config.to_json_string()) if config is not None else {}
    for name in ("_from_model_config", *_RUNS_CODE):
        said.pop(name, None)
    ends = said.get("eos_token_id", [])
    ends = ends if isinstance(ends, list) else [ends]
    if end is not None and end not in ends:
        said["eos_token_id"] = [end, *ends] if ends else end
    return said


def copy_tokenizer(folder: Path, to: Path) -> None:
    """What a tokenizer is kept in, and of its settings all but what names code or this machine."""
    for name in _TOKENIZER:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, to / name)
    for template in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        (to / "additional_chat_templates").mkdir(exist_ok=True)
        shutil.copyfile(template, to / "additional_chat_templates" / template.name)
    settings = folder / "tokenizer_config.json"
    if settings.is_file():
        said = json.loads(settings.read_text("utf8"))
        for name in (*_RUNS_CODE, *_OF_THIS_MACHINE):
            said.pop(name, None)
        _write(to / "tokenizer_config.json", said)


def _write(path: Path, said: dict[str, Any]) -> None:
    path.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", "utf8")
