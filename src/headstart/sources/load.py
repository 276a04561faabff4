"""From a card to a network in memory: the only part of the sources that builds networks."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path

import torch
from torch import Tensor, nn

from headstart.errors import SourceError
from headstart.quiet import hush
from headstart.sources.card import Card
from headstart.sources.encoder import Encoder
from headstart.sources.fetch import converted_of, path_of, pull, record_of
from headstart.sources.hashing import sha256_of
from headstart.sources.network import Network

Pretrained = Network | Encoder


def load(card: Card, cache: Path, *, outputs: int, seed: int = 0, weights: bool = True) -> Pretrained:
    """The network of a card as a stack with a new head.

    Args:
        outputs: width of the new head.
        seed: of the new head, and of everything where `weights` is False.
        weights: whether the pretrained weights are loaded; without them it is the network from scratch.

    Raises:
        SourceError: files that cannot be had, or that do not fit the architecture.
    """
    hush()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if card.modality == "image":
            return Network(_pictures(card, cache, weights), outputs, card.size)
        return Encoder(_texts(card, cache, weights), outputs)


def _pictures(card: Card, cache: Path, weights: bool) -> nn.Module:
    import timm

    try:
        network = timm.create_model(card.architecture, pretrained=False, num_classes=0)
    except RuntimeError as error:
        raise SourceError(f"timm has no architecture {card.architecture!r} ({error}); upgrade timm.") from None
    if weights:
        state = _tensors(card, cache)
        found = network.load_state_dict(state, strict=False)
        lost = [name for name in found.missing_keys if not name.endswith("num_batches_tracked")]
        if lost:
            raise SourceError(f"the weights of {card.name} lack {len(lost)} tensors ({lost[0]}, …); get them anew.")
        # whatever is left over may only be the classifier that num_classes=0 takes away
        over = [name for name in found.unexpected_keys if not _of_classifier(name, network)]
        if over:
            raise SourceError(f"the weights of {card.name} have {len(over)} tensors too many ({over[0]}, …).")
    return network


def _of_classifier(name: str, network: nn.Module) -> bool:
    said = network.default_cfg["classifier"]  # pyright: ignore[reportIndexIssue, reportCallIssue, reportArgumentType]
    return name.startswith(tuple(f"{part}." for part in ([said] if isinstance(said, str) else said)))


def _tensors(card: Card, cache: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file, save_file

    path = path_of(card, "weights", cache)
    if not card.files["weights"].locator.endswith(".pth"):
        return load_file(path)
    place = converted_of(card.files["weights"], cache)
    if not (place.is_file() and record_of(place).is_file()):
        partial = place.with_name(f"{place.name}.{uuid.uuid4().hex}.partial")
        save_file(_in_order(card, torch.load(path, map_location="cpu", weights_only=True)), partial)
        note = partial.with_name(f"{partial.name}.sha256")
        note.write_text(f"{sha256_of(partial)}\n", "utf8")
        partial.replace(place)
        note.replace(record_of(place))  # last: without it the file is made again
    return load_file(place)


def _in_order(card: Card, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of another implementation under this one's names: both list them in the same order.

    Raises:
        SourceError: another number of tensors, or another shape in a place.
    """
    import timm

    whole = timm.create_model(card.architecture, pretrained=False).state_dict()
    names = [name for name in whole if not name.endswith("num_batches_tracked")]
    tensors = [tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")]
    if [tuple(whole[name].shape) for name in names] != [tuple(tensor.shape) for tensor in tensors]:
        raise SourceError(f"the weights of {card.name} do not fit timm's {card.architecture}; upgrade timm.")
    return {name: tensor.contiguous() for name, tensor in zip(names, tensors, strict=True)}


def _texts(card: Card, cache: Path, weights: bool) -> nn.Module:
    from transformers import AutoConfig, AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    paths = pull(card, cache)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for role, file in (("config", "config.json"), ("weights", "model.safetensors")):
            try:
                os.symlink(paths[role].absolute(), folder / file)
            except OSError:  # a system on which links need a right of their own
                shutil.copyfile(paths[role], folder / file)
        try:
            if weights:
                return AutoModel.from_pretrained(folder, use_safetensors=True, trust_remote_code=False)
            return AutoModel.from_config(AutoConfig.from_pretrained(folder, trust_remote_code=False))
        except (OSError, ValueError, KeyError) as error:
            why = str(error).strip().splitlines()[0][:160]
            raise SourceError(f"transformers cannot make {card.name} ({why}); upgrade it, or use another.") from error
