"""The tokenizer of a network as the values that a GGUF file keeps of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from headstart.errors import SourceError
from headstart.sources.speaker import Speaker

_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = range(1, 7)  # kinds of tokens

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {  # pattern that splits a text before its parts are merged -> what llama.cpp calls it
    rf"{_WORDS}|\p{{N}}{{1,3}}{_REST}": "llama-bpe",
    rf"{_WORDS}|\p{{N}}{_REST}": "qwen2",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+": "tekken",
}
DIGITS = ("smollm", "starcoder", "refact", "command-r", "codeshell")  # each digit by itself, then as in GPT-2


@dataclass(frozen=True)
class Field:
    """A value with its type in a GGUF file.

    Attributes:
        value: number, text, or a list of either.
        kind: UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY, …
        of: kind of the values of an array.
    """

    value: Any
    kind: str
    of: str | None = None


def tokens_of(speaker: Speaker, rows: int) -> dict[str, Field]:
    """Key -> value of all that llama.cpp knows of a tokenizer, its chat template included.

    llama.cpp leaves out what the tokenizers of Qwen do first, joining marks with their letters (NFC), and begins with
    a space after each control token where one of the sentencepiece kind does so in the beginning.

    Args:
        rows: of the embedding; those beyond the tokenizer's are named and never used.

    Raises:
        SourceError: no byte pair encoding, or a way of splitting texts that llama.cpp has no name for.
    """
    tokenizer = speaker.tokenizer
    said = json.loads(tokenizer.backend_tokenizer.to_str())
    model = said["model"]
    if model["type"] != "BPE":
        raise _unsaid(speaker, f"a model of the kind {model['type']}")
    ids = dict(model["vocab"])
    added = {each["content"]: each for each in said["added_tokens"]}
    ids |= {token: each["id"] for token, each in added.items()}
    texts = [f"[PAD{place}]" for place in range(rows)]
    kinds = [_UNUSED] * rows
    for token, place in ids.items():
        texts[place], kinds[place] = token, _kind(token, added.get(token), model)
    by_pieces = bool(model.get("byte_fallback"))
    own = _of_pieces(speaker, said, texts) if by_pieces else _of_bytes(speaker, said)
    return {
        **own,
        "tokenizer.ggml.tokens": Field(texts, "ARRAY", "STRING"),
        "tokenizer.ggml.token_type": Field(kinds, "ARRAY", "INT32"),
        **_special(tokenizer),
        **template_of(speaker),
    }


def template_of(speaker: Speaker) -> dict[str, Field]:
    """The chat template; empty where there is none."""
    template = speaker.tokenizer.chat_template
    return {"tokenizer.chat_template": Field(template, "STRING")} if isinstance(template, str) and template else {}


def _special(tokenizer: Any) -> dict[str, Field]:
    """Tokens with a meaning, and which of them every text gets."""
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "unknown_token_id": tokenizer.unk_token_id,
        "padding_token_id": tokenizer.pad_token_id,
    }
    known = {f"tokenizer.ggml.{name}": Field(place, "UINT32") for name, place in ids.items() if place is not None}
    text = tokenizer("a")["input_ids"]
    return {
        **known,
        "tokenizer.ggml.add_bos_token": Field(text[:1] == [ids["bos_token_id"]], "BOOL"),
        "tokenizer.ggml.add_eos_token": Field(text[-1:] == [ids["eos_token_id"]], "BOOL"),
    }


def _kind(token: str, added: dict[str, Any] | None, model: dict[str, Any]) -> int:
    if token == model.get("unk_token") and model.get("byte_fallback"):
        return _UNKNOWN
    if added is not None:
        return _CONTROL if added["special"] else _USER
    is_byte = model.get("byte_fallback") and len(token) == 6 and token.startswith("<0x") and token.endswith(">")
    return _BYTE if is_byte else _NORMAL


def _of_bytes(speaker: Speaker, said: dict[str, Any]) -> dict[str, Field]:
    """Of a tokenizer whose alphabet is the bytes, as that of GPT-2."""
    if said["normalizer"] not in (None, {"type": "NFC"}):
        raise _unsaid(speaker, f"a normalizer of the kind {said['normalizer']['type']}")
    merges = [each if isinstance(each, str) else " ".join(each) for each in said["model"]["merges"]]
    return {
        "tokenizer.ggml.model": Field("gpt2", "STRING"),
        "tokenizer.ggml.pre": Field(_split(speaker, said["pre_tokenizer"]), "STRING"),
        "tokenizer.ggml.merges": Field(merges, "ARRAY", "STRING"),
    }


def _split(speaker: Speaker, said: dict[str, Any] | None) -> str:
    """What llama.cpp calls the way in which a text is split before its parts are merged."""
    steps = (said or {}).get("pretokenizers", [said] if said else [])
    kinds = [step["type"] for step in steps]
    if kinds and kinds[-1] == "ByteLevel" and not steps[-1]["add_prefix_space"]:
        whole = steps[-1].get("use_regex", True)
        if kinds == ["ByteLevel"] and whole:
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and whole and steps[0]["individual_digits"]:
            return DIGITS[0]
        if kinds == ["Split", "ByteLevel"] and not whole and steps[0]["behavior"] == "Isolated":
            name = _SPLITS.get(steps[0]["pattern"].get("Regex", ""))
            if name is not None:
                return name
    raise _unsaid(speaker, f"steps before merging ({', '.join(kinds) or 'none'})")


def _of_pieces(speaker: Speaker, said: dict[str, Any], texts: list[str]) -> dict[str, Field]:
    """Of a tokenizer made from sentencepiece: pieces with scores, and bytes for all that they lack.

    sentencepiece joins the pair whose whole has the best score, where the tokenizer joins the one that comes first in
    its list: the place there of the first pair that makes a piece is its score.
    """
    model, steps = said["model"], [said["normalizer"], said["pre_tokenizer"]]
    steps = [each for step in steps if step for each in step.get("normalizers", step.get("pretokenizers", [step]))]
    if {step["type"] for step in steps} - {"Prepend", "Replace", "Metaspace"}:
        raise _unsaid(speaker, f"steps before merging ({', '.join(step['type'] for step in steps)})")
    scores: dict[str, float] = {}
    for rank, pair in enumerate(model["merges"]):
        scores.setdefault("".join(pair.split(" ") if isinstance(pair, str) else pair), -float(rank))
    least = -float(len(model["merges"]))
    begun = any(step["type"] == "Prepend" or step.get("prepend_scheme", "never") != "never" for step in steps)
    return {
        "tokenizer.ggml.model": Field("llama", "STRING"),
        "tokenizer.ggml.pre": Field("default", "STRING"),
        "tokenizer.ggml.scores": Field([scores.get(text, least) for text in texts], "ARRAY", "FLOAT32"),
        "tokenizer.ggml.add_space_prefix": Field(begun, "BOOL"),
    }


def _unsaid(speaker: Speaker, what: str) -> SourceError:
    return SourceError(
        f"the tokenizer of {speaker.name} has {what}, which cannot be said in a GGUF file; take the network away "
        "merged instead."
    )
