"""How a language model chooses its next token: greedily or by chance, with penalties for saying a thing again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
)

from headstart.errors import SourceError, UsageError

if TYPE_CHECKING:
    from torch import LongTensor

_COUNTS = {  # least value, and what it means
    "max_new_tokens": (1, "at least 1"),
    "top_k": (0, "0 for all tokens, or how many of the likeliest may be chosen"),
    "no_repeat_ngram_size": (0, "0 for none, or how many tokens in a row may not come twice"),
    "seed": (0, "0 or more"),
}
_AT_FIRST = 256  # of the likeliest tokens among which the nucleus is looked for


@dataclass(frozen=True)
class Decoding:
    """How a text is written.

    Penalties look at the answer alone, not at the prompt: a summary may quote its document, and the token that ends a
    turn, which stands in every prompt, is not held against the answer.

    Attributes:
        max_new_tokens: length limit of an answer.
        temperature: the logits are divided by it; 0 takes the likeliest token each time.
        top_p: of the likeliest tokens only so many are drawn from as have this probability together: 0..1.
        top_k: only so many of the likeliest tokens are drawn from; 0 is all.
        repetition_penalty: of tokens that the answer has already; positive logits are divided by it, negative ones
            multiplied; 1 is none.
        no_repeat_ngram_size: so many tokens in a row do not come twice in an answer; 0 is no such rule.
        stop: words before the first of which the text ends.
        seed: of the draws.

    Raises:
        UsageError: a value outside its range.

    Reference:
        Holtzman et al., 2020, arXiv:1904.09751 (top_p); Keskar et al., 2019, arXiv:1909.05858, section 4.1 (penalty).
    """

    max_new_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (least, allowed) in _COUNTS.items():
            value = getattr(self, name)
            if not _whole(value) or value < least:
                raise UsageError(f"{name}={value!r} is no whole number of {least} or more; give {allowed}.")
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UsageError(
                f"temperature={self.temperature!r} is below 0 or no number; give 0 for the likeliest token each time, "
                "or up to about 1 for more variety."
            )
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top_p={self.top_p!r} is outside 0..1; give 1 for all tokens, or 0.9 for the likelier.")
        if not (math.isfinite(self.repetition_penalty) and self.repetition_penalty > 0):
            raise UsageError(
                f"repetition_penalty={self.repetition_penalty!r} is not above 0; give 1 for none, or about 1.1."
            )
        if isinstance(self.stop, str) or not all(isinstance(word, str) and word for word in self.stop):
            raise UsageError(f"stop={self.stop!r} is no tuple of words that are not empty; give such as ('END',).")


def chances(scores: Tensor, decoding: Decoding) -> Tensor:
    """Probability of each token being drawn: the temperature first, then top_k, then top_p of what is left.

    Tokens as likely as the last of the top_k stay with it.

    Args:
        scores: (b, v) logits.

    Returns:
        (b, v) float64 that sum to 1.
    """
    z = scores.double()
    z = (z - z.amax(1, keepdim=True)) / decoding.temperature  # the likeliest at 0: no temperature overflows
    if decoding.top_k:
        last = z.topk(min(decoding.top_k, z.shape[1]), 1).values[:, -1:]
        z = z.masked_fill(z < last, -math.inf)
    p = z.softmax(1)
    if decoding.top_p < 1:
        p = p * _nucleus(p, decoding.top_p)
        p = p / p.sum(1, keepdim=True)
    return p


def processors(decoding: Decoding, start: int, rows: Sequence[int]) -> LogitsProcessorList:
    """What `generate` does with the logits so that its greedy choice is the one that is asked for.

    Args:
        start: place of the first token of the answers.
        rows: numbers of the answers; each draws by the seed and its own number.
    """
    chain: list[LogitsProcessor] = [_Numbers()]
    if decoding.repetition_penalty != 1:
        chain.append(_OfAnswer(RepetitionPenaltyLogitsProcessor(float(decoding.repetition_penalty)), start))
    if decoding.no_repeat_ngram_size:
        chain.append(_OfAnswer(NoRepeatNGramLogitsProcessor(decoding.no_repeat_ngram_size), start))
    if decoding.temperature:
        chain.append(_Drawn(decoding, rows))
    return LogitsProcessorList(chain)


class _Numbers(LogitsProcessor):
    """Refuses logits that are no numbers, of which anything would be chosen."""

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        if bool(scores.isnan().any()):
            raise SourceError(
                "the network answers with values that are no numbers (NaN), so that no token can be chosen; use its "
                "weights in float32, or learn anew with a smaller rate."
            )
        return scores


class _OfAnswer(LogitsProcessor):
    """A processor that is shown the answer without the prompt, and so without its padding too."""

    def __init__(self, processor: LogitsProcessor, start: int) -> None:
        self.processor, self.start = processor, start

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        if input_ids.shape[1] <= self.start:
            return scores
        return self.processor(cast("LongTensor", input_ids[:, self.start :]), scores)


class _Drawn(LogitsProcessor):
    """Leaves one token of each row, drawn by generators of its own: the global one of torch is not touched."""

    def __init__(self, decoding: Decoding, rows: Sequence[int]) -> None:
        self.decoding = decoding
        self.draws = [np.random.default_rng([decoding.seed, row]) for row in rows]

    def __call__(self, input_ids: LongTensor, scores: Tensor) -> Tensor:
        # on the processor: every device draws the same, and some have no float64
        below = chances(scores.cpu(), self.decoding).cumsum(1)
        at = torch.tensor([[draw.random()] for draw in self.draws], dtype=torch.float64)
        chosen = torch.searchsorted(below, at * below[:, -1:], right=True).to(scores.device)
        return torch.full_like(scores, -math.inf).scatter(1, chosen, 0.0)


def _nucleus(p: Tensor, top_p: float) -> Tensor:
    """(b, v) whether a token is among the fewest likeliest that have `top_p` together."""
    # sorting a whole vocabulary takes longer than a small network: a few tokens mostly have the probability asked for
    count = min(_AT_FIRST, p.shape[1])
    ordered, places = p.topk(count, 1)
    if count < p.shape[1] and not bool((ordered.sum(1) >= top_p).all()):
        ordered, places = p.sort(1, descending=True)
    likelier = ordered.cumsum(1) - ordered
    return torch.zeros_like(p, dtype=torch.bool).scatter(1, places, likelier < top_p)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
