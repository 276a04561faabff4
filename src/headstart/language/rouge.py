"""ROUGE of predictions against references, and the baseline that repeats the lead of the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.errors import DataError, UsageError
from headstart.language.sentences import sentences as sentences_of
from headstart.language.spread import Estimate, mean
from headstart.language.texts import References, beside

KINDS = ("rouge1", "rouge2", "rougeL")


@dataclass(frozen=True)
class Rouge:
    """F1 of predictions, 0..1, by kind: words, pairs of words, longest common subsequence of words.

    Attributes:
        each: (n,) per example.
        means: over examples, with a 95 % bootstrap interval.
        stem: whether words were cut to their stems.
    """

    each: Mapping[str, NDArray[np.float64]]
    means: Mapping[str, Estimate]
    stem: bool


def rouge(
    predictions: Sequence[str], references: References, *, stem: bool = False, seed: int = 0, draws: int = 1000
) -> Rouge:
    """ROUGE-1, ROUGE-2 and ROUGE-L (over the whole text), as the rouge-score library counts them.

    Of several references each kind takes its own best by F1, the convention of the library's `score_multi`; Lin's
    script takes the mean of that over sets which leave one reference out. Only a..z and 0..9 count, in lower case:
    texts in other scripts score 0. A reference of one word has no pairs, and ROUGE-2 against it is 0.

    Args:
        predictions: n texts; an empty one scores 0.
        references: n times a text or several.
        stem: cut words of more than three letters by Porter's rules.
        seed, draws: of the bootstrap.

    Raises:
        DataError: no predictions, or not one reference or more for each.
        UsageError: rouge-score is not installed.

    Reference:
        Lin, 2004, aclanthology.org/W04-1013.
    """
    pairs = beside(predictions, references)
    try:
        from rouge_score.rouge_scorer import RougeScorer  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UsageError("ROUGE needs rouge-score; run `pip install rouge-score`, or score with chrF.") from None
    scorer = RougeScorer(list(KINDS), use_stemmer=stem)
    scores = [scorer.score_multi(known, said) for said, known in pairs]
    each = {kind: np.array([score[kind].fmeasure for score in scores], np.float64) for kind in KINDS}
    return Rouge(each, {kind: mean(each[kind], seed=seed, draws=draws) for kind in KINDS}, stem)


def rouge_difference(one: Rouge, other: Rouge, *, seed: int = 0, draws: int = 1000) -> dict[str, Estimate]:
    """How much higher one is than the other on the same examples, by kind; the bootstrap keeps examples paired.

    Raises:
        DataError: other numbers of examples, or stems on one side only.
    """
    counts = len(one.each[KINDS[0]]), len(other.each[KINDS[0]])
    if counts[0] != counts[1] or one.stem != other.stem:
        raise DataError(
            f"{counts[0]} examples with stem={one.stem} and {counts[1]} with stem={other.stem} cannot be paired; "
            "score the same examples in the same way."
        )
    return {kind: mean(one.each[kind] - other.each[kind], seed=seed, draws=draws) for kind in KINDS}


def lead(text: str, sentences: int = 1) -> str:
    """The first sentences of a text, joined by spaces; all of it where it has no more.

    Raises:
        DataError: fewer than one sentence is asked for.
    """
    if sentences < 1:
        raise DataError(f"sentences={sentences} leaves no lead; ask for 1 or more.")
    return " ".join(sentences_of(text)[:sentences])
