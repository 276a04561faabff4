"""Networks of `live.py` beside those of the catalogue: their first blocks alone, and random weights.

Each is a card with files of its own, so that every part of the package takes it for a network like any other.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from headstart.sources.card import Card, File
from headstart.sources.fetch import pull
from headstart.sources.find import find
from headstart.sources.hashing import sha256_of
from headstart.sources.load import load


@dataclass(frozen=True)
class Smaller:
    """A network that is made out of one of the catalogue.

    Attributes:
        name: of the card that is made.
        base: name in the catalogue.
        first: stages (pictures) or layers (texts) that are kept, nearest the input; 0 keeps all.
        random: whether the weights are drawn at random.
    """

    name: str
    base: str
    first: int = 0
    random: bool = False


PICTURES = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2")
SMALLER_PICTURES = (
    *(Smaller(f"{base}-first5", base, 5) for base in PICTURES),
    *(Smaller(f"{base}-first3", base, 3) for base in (PICTURES[0], PICTURES[2])),
    Smaller("efficientnet-lite0-random", PICTURES[0], random=True),
    Smaller("efficientnet-lite0-first5-random", PICTURES[0], 5, random=True),
)
TEXTS = ("minilm-l6", "mpnet-base")
SMALLER_TEXTS = (
    *(Smaller(f"minilm-l6-first{layers}", "minilm-l6", layers) for layers in (2, 4)),
    *(Smaller(f"mpnet-base-first{layers}", "mpnet-base", layers) for layers in (2, 4, 8)),
    Smaller("minilm-l6-random", "minilm-l6", random=True),
    Smaller("minilm-l6-first2-random", "minilm-l6", 2, random=True),
)


def cards(kind: str, cache: Path, folder: Path) -> Mapping[str, Card]:
    """Name -> card of every network of a kind.

    Args:
        kind: pictures or texts.
        cache: of the catalogue's networks.
        folder: where the files of the smaller ones are written, once.
    """
    whole, smaller = {"pictures": (PICTURES, SMALLER_PICTURES), "texts": (TEXTS, SMALLER_TEXTS)}[kind]
    make = {"pictures": _pictures, "texts": _texts}[kind]
    found = {name: find(name, cache) for name in whole}
    for card in found.values():
        pull(card, cache)
    return {**found, **{each.name: make(each, found[each.base], cache, folder / each.name) for each in smaller}}


def _pictures(smaller: Smaller, base: Card, cache: Path, folder: Path) -> Card:
    architecture = base.architecture
    if smaller.first:
        architecture = f"{base.architecture}_first{smaller.first}"
        _known_to_timm(architecture, partial(_first_stages, base.architecture, smaller.first))
    card = replace(base, name=smaller.name, architecture=architecture)
    path = folder / "model.safetensors"
    if not path.is_file():
        from safetensors.torch import save_file

        stack = load(base if not smaller.random else card, cache, outputs=2, seed=0, weights=not smaller.random)
        (network,) = stack._network
        kept = network if smaller.random or not smaller.first else _cut(network, smaller.first)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in kept.state_dict().items()}, path)
    return replace(card, files={"weights": _file(path)})


def _texts(smaller: Smaller, base: Card, cache: Path, folder: Path) -> Card:
    theirs = pull(base, cache)
    paths = {file: folder / name for file, name in (("config", "config.json"), ("weights", "model.safetensors"))}
    paths["tokenizer"] = theirs["tokenizer"]
    if not paths["weights"].exists():
        folder.mkdir(parents=True, exist_ok=True)
        said = json.loads(theirs["config"].read_text("utf8"))
        said["num_hidden_layers"] = smaller.first or said["num_hidden_layers"]
        paths["config"].write_text(json.dumps(said), "utf8")
        if smaller.random:
            _random_texts(folder)
        else:
            os.symlink(theirs["weights"].absolute(), paths["weights"])
    return replace(base, name=smaller.name, files={role: _file(path) for role, path in paths.items()})


def _random_texts(folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.from_pretrained(folder)).save_pretrained(folder, safe_serialization=True)


def _known_to_timm(name: str, make: Callable) -> None:
    """The package builds pictures' networks by their name in timm; here timm learns one more."""
    from timm.models import is_model, register_model

    if is_model(name):
        return

    def entry(**given):
        return make(**given)

    entry.__name__, entry.__module__ = name, __name__
    sys.modules[__name__].__dict__.setdefault("__all__", [])
    register_model(entry)


def _first_stages(architecture: str, stages: int, **given):
    import timm

    given = {key: value for key, value in given.items() if not key.startswith("pretrained")}
    return _cut(timm.create_model(architecture, pretrained=False, **given), stages)


def _cut(network, stages: int):
    """An EfficientNet's stem and first stages, pooled as they are: the last convolution does not fit their channels."""
    from torch import nn

    network.blocks = network.blocks[:stages]
    network.conv_head = nn.Identity()
    network.bn2 = nn.Identity()
    return network


def _file(path: Path) -> File:
    # large files are hashed once: what was found is kept beside, under the size and time of the file
    stat = path.stat()
    note = path.parent / f"{path.name}.{hashlib.sha256(f'{stat.st_size} {stat.st_mtime_ns}'.encode()).hexdigest()[:8]}"
    if not note.is_file():
        note.write_text(sha256_of(path), "utf8")
    return File(f"file:{path.absolute()}", note.read_text("utf8"), stat.st_size)
