"""The files of a card as one folder under the names that transformers looks for."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from headstart.errors import SourceError
from headstart.sources.card import Card
from headstart.sources.fetch import FILES, converted_of, path_of, pull

GGUF = "gguf"  # role of a file that holds all of a network: weights, configuration, tokenizer
NAMES = {
    "weights": "model.safetensors",
    "config": "config.json",
    "tokenizer": "tokenizer.json",
    "tokenizer_config": "tokenizer_config.json",
    "special_tokens": "special_tokens_map.json",
    "template": "chat_template.jinja",
    "generation": "generation_config.json",
    "index": "model.safetensors.index.json",  # of weights that are divided over several files
}
PIECE = "model-"  # roles that begin so are such files, under their own names


def file_name(role: str) -> str | None:
    """What a file of this role is called in the folder; None where it is none of it."""
    return f"{role}.safetensors" if role.startswith(PIECE) else NAMES.get(role)


def folder_of(card: Card, cache: Path) -> Path:
    """The folder, made where it is not there yet; what a GGUF file holds is converted once.

    Raises:
        SourceError: files that cannot be had or cannot be read.
    """
    paths = pull(card, cache)
    if GGUF in card.files:
        from headstart.sources.gguf import folder_of as converted

        return converted(paths[GGUF], converted_of(card.files[GGUF], cache).parent)
    place = cache / FILES / f"{card.digest}.folder"
    if not place.is_dir():
        _link(paths, place)
    return place


def tokenizer_of(card: Card, cache: Path) -> Path:
    """tokenizer.json of a network of texts.

    Raises:
        SourceError: there is none, or it cannot be had.
    """
    if GGUF not in card.files:
        return path_of(card, "tokenizer", cache)
    path = folder_of(card, cache) / NAMES["tokenizer"]
    if not path.is_file():
        raise SourceError(f"{card.name} holds no tokenizer of a kind that can be read here; use another network.")
    return path


def _link(paths: dict[str, Path], place: Path) -> None:
    partial = place.with_name(f"{place.name}.{uuid.uuid4().hex}.partial")
    partial.mkdir(parents=True)
    try:
        for role, path in paths.items():
            name = file_name(role)
            if name is None:
                continue
            try:
                os.symlink(path.absolute(), partial / name)
            except OSError:  # a system on which links need a right of their own
                shutil.copyfile(path, partial / name)
        try:
            partial.rename(place)
        except OSError:  # another process was quicker
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
