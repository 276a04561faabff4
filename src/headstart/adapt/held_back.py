"""How much of what a language model learned is kept, so that it reads other texts nearly as before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from headstart.adapt.lessons import Lessons
from headstart.adapt.teach import Taught

SHARES = (1.0, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1)


@dataclass(frozen=True)
class HeldBack:
    """The share of the way that was chosen.

    Attributes:
        share: 0..1; 0 where no other keeps the limit.
        general: share -> perplexity of texts of another kind, over that before learning.
        fit: share -> perplexity of talks that were not learned from.
    """

    share: float
    general: Mapping[float, float]
    fit: Mapping[float, float]


def held_back(taught: Taught, prose: Lessons, talks: Lessons, limit: float, *, precision: str) -> HeldBack:
    """The greatest share of the way at which other texts lose at most this; the network is put there.

    Args:
        prose: texts of another kind, none of which judges later.
        talks: that were not learned from, and do not judge either.
        limit: of perplexity(share) / perplexity(0) - 1.

    Reference:
        Wortsman et al., 2022, arXiv:2109.01903 (weights in between).
    """
    stack = taught.language.stack

    def perplexity(of: Lessons) -> float:
        return float(np.exp(of.judged(stack, precision=precision).sum() / of.told.sum()))

    taught.at(0.0)
    before, general, fit = perplexity(prose), {}, {0.0: perplexity(talks)}
    for share in SHARES:
        taught.at(share)
        general[share], fit[share] = perplexity(prose) / before, perplexity(talks)
        if general[share] <= 1 + limit:
            return HeldBack(share, general, fit)
    taught.at(0.0)
    return HeldBack(0.0, general, fit)
