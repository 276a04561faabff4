"""chrF2: how far characters in a row are shared between a prediction and a reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError
from headstart.language.spread import Estimate, percentiles, resampled_sums
from headstart.language.texts import References, beside

ORDER = 6  # characters in a row, at most
BETA = 2  # recall weighs beta times as much as precision


@dataclass(frozen=True)
class Chrf:
    """chrF2 of predictions, 0..1; sacreBLEU prints 100 times as much.

    Attributes:
        corpus: from counts summed over examples, with a 95 % bootstrap interval.
        each: (n,) of every example alone.
        counts: (n, ORDER, 3) runs of 1 to 6 characters in the prediction, in its best reference and in both.
    """

    corpus: Estimate
    each: NDArray[np.float64]
    counts: NDArray[np.int64]


def chrf(predictions: Sequence[str], references: References, *, seed: int = 0, draws: int = 1000) -> Chrf:
    """chrF2 by formula, with the defaults of sacreBLEU: no white space, no words, capitals as they are.

    P_k and R_k are the shares of the runs of k characters of the prediction and of the reference that are in both,
    each as often as it is in both; P and R are their means over the k that both sides have; the score is
    (1 + beta^2) P R / (beta^2 P + R). Of several references an example takes the one with its own highest score.

    Args:
        predictions: n texts; an empty one scores 0.
        references: n times a text or several.
        seed, draws: of the bootstrap over examples.

    Raises:
        DataError: no predictions, or not one reference or more for each.

    Reference:
        Popović, 2015, aclanthology.org/W15-3049; Post, 2018, arXiv:1804.08771 (sacreBLEU).
    """
    pairs = beside(predictions, references)
    counts = np.stack([_best(said, known) for said, known in pairs])
    return Chrf(_corpus(counts, counts, seed, draws)[0], score_of(counts), counts)


def chrf_difference(one: Chrf, other: Chrf, *, seed: int = 0, draws: int = 1000) -> Estimate:
    """How much higher the corpus score of one is on the same examples; the bootstrap keeps examples paired.

    Raises:
        DataError: other numbers of examples.
    """
    if len(one.counts) != len(other.counts):
        raise DataError(
            f"{len(one.counts)} and {len(other.counts)} examples cannot be paired; score the same examples twice."
        )
    return _corpus(one.counts, other.counts, seed, draws)[1]


def score_of(counts: NDArray) -> NDArray[np.float64]:
    """(...,) scores of (..., ORDER, 3) counts, as of `Chrf`."""
    said, known, both = (counts[..., k].astype(np.float64) for k in range(3))
    usable = (said > 0) & (known > 0)
    orders = np.maximum(usable.sum(-1), 1)
    precision, recall = ((both / np.where(usable, of, 1) * usable).sum(-1) / orders for of in (said, known))
    below = BETA**2 * precision + recall
    return (1 + BETA**2) * precision * recall / np.where(below > 0, below, 1)


def _best(said: str, references: tuple[str, ...]) -> NDArray[np.int64]:
    """(ORDER, 3) counts against the reference with the highest score, the first of equals."""
    own = _runs(said)
    against = []
    for known in references:
        theirs = _runs(known)
        rows = [
            # runs that are too long for the reference do not count against the prediction
            (one.total() if other else 0, other.total(), (one & other).total())
            for one, other in zip(own, theirs, strict=True)
        ]
        against.append(np.array(rows, np.int64))
    return against[int(np.argmax([score_of(counts) for counts in against]))]


def _runs(text: str) -> list[Counter[str]]:
    """How often each run of 1 to ORDER characters occurs, white space left out."""
    bare = "".join(text.split())
    return [Counter(bare[at : at + k] for at in range(len(bare) - k + 1)) for k in range(1, ORDER + 1)]


def _corpus(one: NDArray, other: NDArray, seed: int, draws: int) -> tuple[Estimate, Estimate]:
    """Corpus score of one, and how much higher it is than that of the other."""
    n = len(one)
    drawn = [
        score_of(resampled_sums(counts.reshape(n, -1), seed, draws).reshape(-1, ORDER, 3)) for counts in (one, other)
    ]
    values = [float(score_of(counts.sum(0))) for counts in (one, other)]
    return percentiles(values[0], drawn[0], n), percentiles(values[0] - values[1], drawn[0] - drawn[1], n)
