"""One head for old and new classes, without the favour that the new ones get from having more rows."""

from __future__ import annotations

from torch import Tensor

from headstart.errors import DataError


def evened(weight: Tensor, old: int) -> Tensor:
    """The weights of a linear head, those of new classes shortened so that their mean length is that of the old ones.

    For after training in which the old classes' logits were held to what they were (`Replay` with logits): the length
    of their weights is then that of a head which saw all their rows. Without that it says nothing, and the head gets
    worse. New classes whose weights are the shorter ones are left as they are.

    Args:
        weight: (c, d) of all classes, the old ones first.
        old: number of old classes, 1..c.

    Returns:
        (c, d) in memory of its own; the rows of old classes as they were.

    Raises:
        DataError: another number of old classes, or new classes without any weight.

    Reference:
        Zhao et al., 2020, arXiv:1911.07053, section on weight aligning.
    """
    if not 1 <= old <= len(weight):
        raise DataError(
            f"old={old} is outside 1..{len(weight)}, the classes of this head; give how many it had before."
        )
    scaled = weight.detach().clone()
    if old < len(weight):
        length = scaled.norm(dim=1)
        mean = length[old:].mean()
        if not mean > 0:
            raise DataError("the weights of all new classes are 0; even them after training.")
        scaled[old:] *= (length[:old].mean() / mean).clamp_max(1)
    return scaled
