"""Perplexity of texts, and how it changed, with intervals over texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.language.spread import Estimate, finite, percentiles, resampled_sums

_MOST = 700.0  # nats per token: beyond it the exponential is no finite number


def perplexity(
    losses: Sequence[float] | NDArray, tokens: Sequence[int] | NDArray, *, seed: int = 0, draws: int = 1000
) -> Estimate:
    """exp of the mean negative log likelihood per token, with a bootstrap interval over texts.

    Every token weighs the same, so a long text weighs more; whole texts are drawn, with their tokens.

    Args:
        losses: (n,) negative log likelihood of each text, summed over its tokens, in nats.
        tokens: (n,) how many tokens of each were predicted.
        seed, draws: of the bootstrap.

    Returns:
        1 for texts that were certain, the size of the vocabulary for a blind guess.

    Raises:
        DataError: shapes that differ, no texts, a loss that is no number or below 0, or a text without tokens.
    """
    nats, counts = _checked(losses, tokens)
    sums = resampled_sums(np.c_[nats, counts], seed, draws)
    return percentiles(math.exp(nats.sum() / counts.sum()), np.exp(sums[:, 0] / sums[:, 1]), len(nats))


def perplexity_ratio(
    after: Sequence[float] | NDArray,
    before: Sequence[float] | NDArray,
    tokens: Sequence[int] | NDArray,
    *,
    seed: int = 0,
    draws: int = 1000,
) -> Estimate:
    """Perplexity after over perplexity before on the same texts; the bootstrap keeps texts paired.

    Args:
        after, before: (n,) summed losses as of `perplexity`.
        tokens: (n,) the same on both sides: perplexities over other tokens do not compare.
        seed, draws: of the bootstrap.

    Returns:
        Above 1 where texts became less likely.

    Raises:
        DataError: as of `perplexity`.
    """
    (new, counts), (old, _) = _checked(after, tokens), _checked(before, tokens)
    sums = resampled_sums(np.c_[new - old, counts], seed, draws)
    return percentiles(math.exp((new - old).sum() / counts.sum()), np.exp(sums[:, 0] / sums[:, 1]), len(new))


def _checked(
    losses: Sequence[float] | NDArray, tokens: Sequence[int] | NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nats, counts = finite(losses, "losses"), finite(tokens, "tokens")
    if len(nats) != len(counts):
        raise DataError(f"{len(nats)} losses and {len(counts)} token counts were given; give both for each text.")
    if (counts < 1).any() or (counts % 1).any():
        at = int(np.flatnonzero((counts < 1) | (counts % 1 > 0))[0])
        raise DataError(f"text {at} has {counts[at]:g} tokens; give a whole number above 0, or leave that text out.")
    if (nats < 0).any() or (nats > _MOST * counts).any():
        at = int(np.flatnonzero((nats < 0) | (nats > _MOST * counts))[0])
        raise DataError(
            f"text {at} has a loss of {nats[at]:g} nats over {counts[at]:g} tokens; give the sum over its tokens, "
            f"between 0 and {_MOST:g} nats a token."
        )
    return nats, counts
