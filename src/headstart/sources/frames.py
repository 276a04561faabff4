"""How an encoder-decoder is spoken to: a document and an answer, each between the tokens that its tokenizer adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.data.packing import Piece
from headstart.data.talks import PLAIN, Talk, Turn
from headstart.errors import DataError
from headstart.sources.layers import config_of
from headstart.sources.seq2seq import Seq2Seq
from headstart.sources.speaker import ASSISTANT, Speaker, Spoken

Ids = NDArray[np.int64]

_PAIR = ("user", ASSISTANT)
_SIDE = 512  # tokens of a side where a network names no limit, as a T5 does: it has learned from no more


@dataclass(frozen=True)
class Frame:
    """The special tokens that stand around a text.

    Attributes:
        speaker: whose tokenizer adds them.
        left, right: the tokens; one at least is on the right, by which an answer ends.
    """

    speaker: Speaker
    left: tuple[int, ...]
    right: tuple[int, ...]

    @classmethod
    def of(cls, speaker: Speaker) -> Frame:
        """Those that the tokenizer of this speaker adds."""
        plain, framed = speaker.ids("a"), speaker.tokenizer("a")["input_ids"]
        at = next((k for k in range(len(framed)) if framed[k : k + len(plain)] == plain), 0)
        return cls(speaker, tuple(framed[:at]), tuple(framed[at + len(plain) :]) or (speaker.end,))

    def around(self, ids: Sequence[int]) -> Ids:
        """Tokens of a text between those that stand around it."""
        return np.array([*self.left, *ids, *self.right], np.int64)

    def answer(self, name: str, text: str, most: int) -> Ids:
        """A text that may have so many tokens.

        Raises:
            DataError: it has more.
        """
        ids = self.around(self.speaker.ids(text))
        if len(ids) > most:
            raise DataError(
                f"{name} has an answer of {len(ids)} tokens that does not fit the {most} that it may have; shorten it, "
                "or give a larger width of answers."
            )
        return ids

    def shortened(self, before: str, text: str, width: int, keep: str) -> tuple[Ids, int]:
        """What stands before a text, and as much of it as has room; and how many tokens had none.

        Args:
            keep: what is kept of the text: its beginning or its end.

        Raises:
            DataError: there is no room for any of it.
        """
        ids = self.speaker.ids(before + text)
        # by their ends: a token of the text may begin with the blank before it
        fixed = sum(end <= len(before) for _, end in self.speaker.spans(before + text)) if before else 0
        room = width - fixed - len(self.left) - len(self.right)
        if room < 1:
            raise DataError(
                f"{width - room} tokens are always there and a document may have {width}; give a larger width."
            )
        body = ids[fixed:]
        kept = body[:room] if keep == "beginning" else body[-room:]
        return self.around([*ids[:fixed], *kept]), len(body) - len(kept)


@dataclass(frozen=True, eq=False)
class Framed(Speaker):
    """The tokenizer of an encoder-decoder, which reads a document and then writes; no chat template is used.

    Attributes:
        begin: the token that the decoder reads first.
        side: tokens that a document may have, and an answer as many beside it.
        asks: what its own settings say before a document that is to be summarised, such as "summarize:".
    """

    begin: int
    side: int
    asks: str = ""

    @classmethod
    def over(cls, speaker: Speaker, stack: Seq2Seq) -> Framed:
        """This tokenizer, for this network.

        Raises:
            SourceError: the network names no token that its decoder reads first.
        """
        said: dict[str, Any] = config_of(stack.network).to_dict()
        side = said.get("max_position_embeddings") or said.get("n_positions") or _SIDE
        summaries = (said.get("task_specific_params") or {}).get("summarization") or {}
        return cls(speaker.tokenizer, speaker.name, stack.begin, side, str(summaries.get("prefix") or "").strip())

    @cached_property
    def frame(self) -> Frame:
        """What stands around a document, and around an answer."""
        return Frame.of(self)

    def prompt(self, turns: Sequence[Turn]) -> list[int]:
        """Tokens of the document that is answered."""
        return self.frame.around(self.ids(document_of(turns))).tolist()

    def fitting(self, turns: Sequence[Turn], width: int, keep: str = "beginning") -> tuple[list[int], int]:
        """Tokens of the document that is answered, at most `width`, and how many were left out so that they fit.

        Raises:
            DataError: there is nothing to answer, or no room.
        """
        document = document_of(turns)
        if not document.strip():
            raise DataError("a prompt has no text, so that there is nothing to answer; give a turn with some.")
        ids, cut = self.frame.shortened("", document, width, keep)
        return ids.tolist(), cut

    def spoken(self, talk: Talk, width: int, *, keep: str = "beginning") -> Spoken:
        """The document and the answer of a talk's last exchange, of at most `width` tokens each.

        Raises:
            DataError: a talk without an exchange, or an answer that is longer than the width.
        """
        document, answer = pair_of(exchange(talk))
        ids, cut = self.frame.shortened("", document, width, keep)
        told = self.frame.answer(talk.name, answer, width)
        return Spoken((Piece(ids, np.zeros(len(ids), bool)), Piece(told, np.ones(len(told), bool))), cut)


def document_of(turns: Sequence[Turn]) -> str:
    """What is answered: the last turn of a user behind what the system says, or a plain text."""
    last = next((turn.text for turn in reversed(turns) if turn.role in ("user", PLAIN)), "")
    return " ".join([*(turn.text for turn in turns if turn.role == "system"), last])


def exchange(talk: Talk) -> Talk:
    """The last exchange of which the answer is told, as two turns; of a plain text its halves.

    What is neither is given back as it is.
    """
    turns = talk.turns
    if turns[0].role == PLAIN:
        text = turns[0].text
        at = text.find(" ", len(text) // 2)
        return talk if at < 0 else _two(talk, text[:at], text[at:].strip())
    at = max((place for place, turn in enumerate(turns) if turn.role == ASSISTANT and turn.told), default=0)
    asked = any(turn.role == "user" for turn in turns[:at])
    return _two(talk, document_of(turns[:at]), turns[at].text) if asked else talk


def pair_of(talk: Talk) -> tuple[str, str]:
    """The document and its answer.

    Raises:
        DataError: other turns, or one without text.
    """
    roles = tuple(turn.role for turn in talk.turns)
    if roles != _PAIR:
        raise DataError(
            f"{talk.name} has the turns {', '.join(roles)}, and an encoder-decoder reads one document of a user and "
            "answers it; give two turns, or use a causal language model."
        )
    document, answer = (turn.text for turn in talk.turns)
    if not (document.strip() and answer.strip()):
        raise DataError(f"{talk.name} has a document or an answer without text; give both.")
    return document, answer


def _two(talk: Talk, document: str, answer: str) -> Talk:
    return replace(talk, turns=(Turn("user", document), Turn(ASSISTANT, answer)))
