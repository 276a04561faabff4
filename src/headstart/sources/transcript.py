"""The text of an answer as its tokens come: whole characters, and nothing of a stop word."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import StoppingCriteria

if TYPE_CHECKING:
    from torch import BoolTensor, LongTensor

_HALF = "\ufffd"  # what bytes that are no whole character are shown as


class Transcript:
    """One answer.

    What was said is never taken back: bytes wait until their character is whole, and the beginning of a stop word until
    it is known to be none. Special tokens say nothing.

    Args:
        tokenizer: of transformers.
        ends: tokens that end the answer.
        stop: words before the first of which it ends.
        say: told each piece of the text, in order.

    Attributes:
        tokens: that came, with the one that ended the answer.
        ended: whether a token or a stop word has ended it.
        seconds: from the making of this until it ended.
    """

    def __init__(
        self, tokenizer: Any, ends: Collection[int], stop: Sequence[str], say: Callable[[str], object] | None = None
    ) -> None:
        self.tokens, self.ended, self.seconds = 0, False, 0.0
        self._tokenizer, self._ends, self._stop, self._say = tokenizer, ends, stop, say
        self._said: list[str] = []
        self._ids: list[int] = []
        self._seen, self._read = 0, 0  # tokens whose text stands in `_before`
        self._before = ""
        self._waiting = ""  # what may yet turn out to be a stop word
        self._started = time.perf_counter()

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self._said)

    def hear(self, token: int) -> None:
        """The next token of an answer that has not ended."""
        self.tokens += 1
        if token in self._ends:
            self.ended = True
            self.close()
            return
        self._ids.append(token)
        self._heed(self._whole())
        if self.ended:
            self.seconds = time.perf_counter() - self._started

    def close(self) -> None:
        """No token comes any more: what waited is said, unless it is half a character."""
        self._heed(self._whole(last=True))
        self._speak(self._waiting)
        self._waiting = ""
        self.seconds = time.perf_counter() - self._started

    def _whole(self, last: bool = False) -> str:
        """What the tokens that were not read yet add to the text, once it ends in a whole character."""
        # they are decoded behind a few of their forerunners, as the blank before a word depends on those
        text = self._decoded(self._seen, len(self._ids))
        if last:
            text = text.rstrip(_HALF)
        if len(text) <= len(self._before) or text.endswith(_HALF):
            return ""
        new = text[len(self._before) :]
        self._seen, self._read = self._read, len(self._ids)
        self._before = self._decoded(self._seen, self._read)
        return new

    def _decoded(self, start: int, stop: int) -> str:
        return self._tokenizer.decode(
            self._ids[start:stop], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def _heed(self, new: str) -> None:
        """Say what cannot belong to a stop word; end before one."""
        text = self._waiting + new
        found = [at for word in self._stop if (at := text.find(word)) >= 0]
        if found:
            self.ended, self._waiting = True, ""
            self._speak(text[: min(found)])
            return
        held = max((_begun(word, text) for word in self._stop), default=0)
        self._waiting = text[len(text) - held :]
        self._speak(text[: len(text) - held])

    def _speak(self, piece: str) -> None:
        if piece:
            self._said.append(piece)
            if self._say is not None:
                self._say(piece)


class Listening(StoppingCriteria):
    """Shows each new token to the transcript of its row, and ends the rows that are done.

    Args:
        transcripts: one per row.
        after: called after each token of all rows; whether all of them are to be broken off.
    """

    def __init__(self, transcripts: Sequence[Transcript], after: Callable[[], bool]) -> None:
        self.transcripts, self.after = transcripts, after

    def __call__(self, input_ids: LongTensor, scores: object, **kwargs: object) -> BoolTensor:
        for transcript, token in zip(self.transcripts, input_ids[:, -1].tolist(), strict=True):
            if not transcript.ended:
                transcript.hear(token)
        broken = self.after()
        done: Tensor = torch.tensor([broken or each.ended for each in self.transcripts], device=input_ids.device)
        return done  # pyright: ignore[reportReturnType]


def _begun(word: str, text: str) -> int:
    """Letters at the end of the text with which the word could begin, fewer than it has."""
    longest = min(len(word) - 1, len(text))
    return next((count for count in range(longest, 0, -1) if text.endswith(word[:count])), 0)
