"""What is known of a pretrained network before any of its bytes are here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from headstart.errors import SourceError

TAIL = "tail"  # roles that begin so are files of learned blocks, laid over the network in their order

_WRITES = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")  # how transformers calls language models

BESIDE = "+"  # between the names of networks whose outputs are joined

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Part:
    """One piece of a file that is divided over several wheels; sha256 and bytes are the piece's."""

    locator: str
    wheel_sha256: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class File:
    """One file of a network, named by its content.

    Attributes:
        locator: `pypi:NAME==VERSION#path/inside/the/wheel`, `hf:OWNER/NAME@COMMIT#file` or `file:/path`; for a file
            out of joined parts, its path inside the zip archive that they make.
        sha256: of the file itself.
        bytes: its size.
        wheel_sha256: of the wheel, checked before it is opened; empty for other locators.
        parts: pieces of a zip archive, in order; empty where the locator names the file itself.
    """

    locator: str
    sha256: str
    bytes: int
    wheel_sha256: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Card:
    """A pretrained network: what it is, what it may be used for, which bytes it is made of.

    Attributes:
        name: as a user types it.
        modality: image or text.
        architecture: of the network, as timm or transformers names it.
        licence: SPDX identifier of the weights.
        asserted_by: who says so; a re-uploader's licence does not license what it wraps.
        upstream: where the weights were first published.
        trained_on: the data behind them.
        size: pixels of a side, or tokens, that the network was trained with.
        files: role (weights, tokenizer, config, ... as of `sources.folder`; tail1, tail2, ... of skills) -> file.
        mean, std: of the input's channels on a 0..1 scale, for pictures.
        crop: share of the picture's shorter side that is seen, in (0, 1].
        interpolation: of the resizing.
        beside: networks that stand side by side under this name, their outputs joined; it has no files of its own then.
    """

    name: str
    modality: str
    architecture: str
    licence: str
    asserted_by: str
    upstream: str
    trained_on: str
    size: int
    files: Mapping[str, File] = field(default_factory=dict)
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    crop: float = 0.875
    interpolation: str = "bicubic"
    beside: tuple[Card, ...] = ()

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(file.bytes for file in self.files.values()) + sum(card.bytes for card in self.beside)

    @property
    def writes(self) -> bool:
        """Whether it is a language model, which answers in words."""
        return self.architecture.endswith(_WRITES)

    @property
    def digest(self) -> str:
        """sha256 of the architecture and of what all files hold: what the network computes depends on it."""
        said = [self.architecture, str(self.size), str(self.mean), str(self.std)]
        said += [f"{role} {self.files[role].sha256}" for role in sorted(self.files)]
        said += [card.digest for card in self.beside]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()


def card_of(said: Mapping[str, Any]) -> Card:
    """The card that `dataclasses.asdict` and JSON turned into plain values.

    Raises:
        SourceError: a value that is missing or unknown.
    """
    try:
        files = {
            role: File(**{**file, "parts": tuple(Part(**part) for part in file.get("parts", ()))})
            for role, file in said["files"].items()
        }
        known = {f.name: said[f.name] for f in fields(Card) if f.name in said}
        beside = tuple(card_of(card) for card in said.get("beside", ()))
        triples = {name: _triple(said[name]) for name in ("mean", "std")}
        return Card(**{**known, "files": files, "beside": beside, **triples})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"this card cannot be read ({error}); write it as `headstart models --json` shows.") from None


def side_by_side(cards: Sequence[Card]) -> Card:
    """Networks whose outputs are joined under one head.

    Args:
        cards: two or three different ones of one modality.

    Raises:
        SourceError: other cards.
    """
    names = [card.name for card in cards]
    if not 2 <= len(set(names)) == len(cards) <= 3:
        raise SourceError(f"{BESIDE.join(names)} are not two or three different networks; join such, as in a{BESIDE}b.")
    if len({card.modality for card in cards}) > 1 or any(card.beside for card in cards):
        kinds = ", ".join(f"{card.name} ({card.modality})" for card in cards)
        raise SourceError(f"{kinds} cannot be joined; name single networks that read the same kind of data.")

    def all_of(values: Iterable[str]) -> str:
        return "; ".join(dict.fromkeys(values))

    return Card(
        name=BESIDE.join(names),
        modality=cards[0].modality,
        architecture=BESIDE.join(card.architecture for card in cards),
        licence=" AND ".join(dict.fromkeys(card.licence for card in cards)),
        asserted_by=all_of(card.asserted_by for card in cards),
        upstream=all_of(card.upstream for card in cards),
        trained_on=all_of(card.trained_on for card in cards),
        size=max(card.size for card in cards),
        beside=tuple(cards),
    )


def _triple(values: Any) -> Triple:
    one, two, three = (float(value) for value in values)
    return one, two, three
