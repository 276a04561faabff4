"""From a card to a network in memory: the only part of the sources that builds networks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headstart.core.skill import TAIL
from headstart.core.stack import Stack
from headstart.errors import SkillError, SourceError
from headstart.quiet import hush
from headstart.sources.card import TAIL as LAID_OVER
from headstart.sources.card import Card
from headstart.sources.encoder import Encoder
from headstart.sources.fetch import converted_of, path_of, record_of
from headstart.sources.folder import folder_of
from headstart.sources.hashing import sha256_of
from headstart.sources.network import Network

Pretrained = Network | Encoder
LORA_A, LORA_B = ".lora_A", ".lora_B"  # behind the name of a weight: W + B A is what the network computes with


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
            stack = Network(_pictures(card, cache, weights), outputs, card.size)
        else:
            stack = Encoder(_texts(card, cache, weights), outputs)
    if weights:
        lay_skills_over(stack, card, cache)
    return stack


def lay_skills_over(stack: Stack, card: Card, cache: Path) -> None:
    """Put what earlier skills learned in place of the network's own, where the card is of one."""
    for role in sorted(role for role in card.files if role.startswith(LAID_OVER)):
        _put(stack, card.name, _tail(path_of(card, role, cache)))


def with_tail(card: Card, tail: Mapping[str, NDArray], cache: Path) -> Pretrained:
    """The pretrained network with these values in place of its own.

    Args:
        tail: TAIL + parameter name -> values.

    Raises:
        SkillError: a value that the network has no place for.
    """
    stack = load(card, cache, outputs=2)
    lay_over(stack, tail, card.name)
    return stack


def lay_over(stack: Stack, tail: Mapping[str, NDArray], name: str = "the network") -> None:
    """Put these values in place of the network's own.

    Args:
        tail: TAIL + parameter name -> values.
        name: of the network, for the message.

    Raises:
        SkillError: a value that the network has no place for.
    """
    _put(stack, name, {key: torch.from_numpy(values) for key, values in tail.items()})


def _tail(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    return {name: tensor for name, tensor in load_file(path).items() if name.startswith(TAIL)}


def _put(stack: Stack, of: str, tail: Mapping[str, Tensor]) -> None:
    places = {
        f"{TAIL}{block}.{name}": tensor
        for block in stack.names
        for name, tensor in stack.blocks[block].state_dict().items()
    }
    for name, values in _whole(tail, places):
        if name not in places or places[name].shape != values.shape:
            shape = tuple(values.shape)
            raise SkillError(f"{of} has no place for {name} of shape {shape}; the skill is of another.")
        places[name].copy_(values)


def _whole(tail: Mapping[str, Tensor], places: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Values by the name of their place; two parts of an adapter are added to the weight that is there."""
    for name, values in tail.items():
        weight = name.removesuffix(LORA_A)
        if weight != name and weight in places and weight + LORA_B in tail:
            b = tail[weight + LORA_B]
            if b.ndim < 2 or values.ndim < 2 or b.flatten(1).shape[1] != values.shape[0]:
                raise SkillError(f"the adapter of {weight} has parts that do not fit; the skill is damaged.")
            if b.shape[0] * values.flatten(1).shape[1] != places[weight].numel():
                raise SkillError(f"the adapter of {weight} does not fit the network; the skill is of another.")
            yield weight, places[weight] + (b.flatten(1) @ values.flatten(1)).reshape(places[weight].shape)
        elif not name.endswith(LORA_B):
            yield name, values


def _pictures(card: Card, cache: Path, weights: bool) -> nn.Module:
    import timm

    try:
        network = timm.create_model(card.architecture, pretrained=False, num_classes=0)
    except RuntimeError as error:
        raise SourceError(f"timm has no architecture {card.architecture!r} ({error}); upgrade timm.") from None
    if weights:
        state = tensors(card, cache)
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


def tensors(card: Card, cache: Path) -> dict[str, Tensor]:
    """Parameter name -> values of a picture network as its files have them, the classifier it came with included.

    Raises:
        SourceError: files that cannot be had, or that do not fit the architecture.
    """
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
    """The network without a head; of a language model, its body."""
    from transformers import AutoConfig, AutoModel

    folder = folder_of(card, cache)
    with making(card):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if card.writes:
            config.use_cache = False  # nothing is written here, and what would be kept for it cannot be traced
        if weights:
            return AutoModel.from_pretrained(folder, config=config, use_safetensors=True, trust_remote_code=False)
        return AutoModel.from_config(config)


@contextmanager
def making(card: Card) -> Iterator[None]:
    """Inside, transformers may make the network of this card; what it cannot is said in one sentence.

    Raises:
        SourceError: it cannot.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise SourceError(f"transformers cannot make {card.name} ({why}); upgrade it, or use another.") from error
