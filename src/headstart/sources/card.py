"""What is known of a pretrained network before any of its bytes are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class File:
    """One file inside a wheel of the package index.

    Attributes:
        locator: `pypi:NAME==VERSION#path/inside/the/wheel`.
        wheel_sha256: of the wheel, checked before it is opened.
        sha256: of the file itself.
        bytes: its size.
    """

    locator: str
    wheel_sha256: str
    sha256: str
    bytes: int


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
        files: role (weights, tokenizer, config) -> file.
        mean, std: of the input's channels on a 0..1 scale, for pictures.
        size: pixels of a side, or tokens, that the network was trained with.
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
    mean: float = 0.0
    std: float = 1.0

    @property
    def bytes(self) -> int:
        """Of all files together."""
        return sum(file.bytes for file in self.files.values())
