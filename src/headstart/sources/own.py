"""The classifier that a pretrained network of pictures came with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headstart.quiet import hush
from headstart.sources.card import TAIL, Card
from headstart.sources.load import tensors

Head = tuple[NDArray[np.float32], NDArray[np.float32]]


def own_head(card: Card, cache: Path) -> Head | None:
    """The classifier of the data that the weights were learned from, which `load` leaves out; no network is built.

    Args:
        card: of a network that `load` takes. `load` refuses one that lacks more than its classifier, so this head
            reads the last pooled output as it is.

    Returns:
        weight (d, c) and bias (c,): logits are x @ weight + bias for x (n, d) of the last pooled output. None where
        there is no such head: an encoder of texts, networks side by side, a skill with learned blocks (they no longer
        give what it reads), weights without a classifier, or one that is not a single linear layer.

    Raises:
        SourceError: files that cannot be had.
    """
    learned = any(role.startswith(TAIL) for role in card.files)
    if card.modality != "image" or card.beside or learned:
        return None
    name = _name(card.architecture)
    if name is None:
        return None
    parts = {key: value for key, value in tensors(card, cache).items() if key.startswith(f"{name}.")}
    weight, bias = (parts.pop(f"{name}.{part}", None) for part in ("weight", "bias"))
    if weight is None or weight.ndim != 2 or parts:
        return None
    # contiguous copies: what was read is mapped from a file that may be removed
    turned = np.array(weight.float().numpy().T, np.float32, order="C")
    return turned, np.zeros(turned.shape[1], np.float32) if bias is None else np.array(bias.float().numpy())


def _name(architecture: str) -> str | None:
    """Of the classifier among the parameters; None where it is no single module, or the architecture is unknown."""
    hush()
    import timm

    known = timm.get_pretrained_cfg(architecture)
    return known.classifier if known is not None and isinstance(known.classifier, str) else None
