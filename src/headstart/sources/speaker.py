"""Talks as a language model reads them: its own chat template, its tokens, and which of them it has to tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jinja2 import TemplateError

from headstart.data.packing import Piece
from headstart.data.talks import PLAIN, Talk, Turn
from headstart.errors import DataError, SourceError

ASSISTANT = "assistant"
Spelt = TypeVar("Spelt", bound=Sized)  # turns in tokens, in one form or another
_SLACK = 8  # tokens by which a text is cut shorter than need be: cutting changes how its end is tokenised


@dataclass(frozen=True)
class Spoken:
    """One talk in tokens.

    Attributes:
        pieces: of at most the width; a plain text may make several, a talk makes one.
        cut: tokens that were left out so that it fits.
    """

    pieces: tuple[Piece, ...]
    cut: int


@dataclass(frozen=True, eq=False)
class Speaker:
    """The tokenizer and chat template of one network.

    Attributes:
        tokenizer: of transformers.
        name: of the network, for messages.
    """

    tokenizer: Any
    name: str

    @classmethod
    def of(cls, folder: Path, name: str) -> Speaker:
        """Those in a folder that transformers reads.

        Raises:
            SourceError: there is no tokenizer.
        """
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            why = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
            raise SourceError(f"the tokenizer of {name} cannot be read ({why}); get the network anew.") from error
        return cls(tokenizer, name)

    @cached_property
    def end(self) -> int:
        """The token that ends an answer."""
        return int(self.tokenizer.eos_token_id)

    def ids(self, text: str) -> list[int]:
        """Tokens of a text, nothing added."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def prompt(self, turns: Sequence[Turn]) -> list[int]:
        """Tokens after which the next answer begins.

        Raises:
            SourceError: the network has no chat template.
        """
        return self.ids(self._rendered(turns, begun=True))

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of a text begins and ends in it."""
        return self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]

    def fitting(self, turns: Sequence[Turn], width: int, keep: str = "end") -> tuple[list[int], int]:
        """Tokens after which the next answer begins, at most `width`, and how many were left out so that they fit.

        What is too long is shortened by the rule of `spoken`, down to the last turn. A plain text is gone on with.

        Raises:
            SourceError: the network has no chat template.
            DataError: there is nothing to answer, or what may not be left out is longer than the width.
        """
        if not any(turn.text.strip() for turn in turns):
            raise DataError("a prompt has no text, so that there is nothing to answer; give a turn with some.")
        if turns[0].role == PLAIN:
            ids = self.ids(turns[0].text)
            return ids[-width:] if keep == "end" else ids[:width], max(0, len(ids) - width)
        spare = 1 if turns[-1].role == ASSISTANT else 0
        ids, whole = self._fitted(turns, self.prompt, width, keep, spare)
        if len(ids) > width:
            raise DataError(
                f"a prompt of {whole} tokens can be shortened to {len(ids)}, which do not fit the {width} that it "
                "may have; shorten what the system says, or ask for a shorter answer."
            )
        return ids, whole - len(ids)

    def spoken(self, talk: Talk, width: int, *, keep: str = "end") -> Spoken:
        """A talk in at most `width` tokens, of which the answers are told.

        What is too long loses its oldest exchanges first; then the longest turn of the user is shortened, at its
        beginning, or at its end where `keep` is "beginning". A plain text is told whole, in pieces of the width.

        Raises:
            SourceError: the network has no chat template.
            DataError: the answer alone is longer than the width, or the template rewrites earlier turns.
        """
        if talk.turns[0].role == PLAIN:
            return self._plain(talk.turns[0].text, width)
        piece, whole = self._fitted(talk.turns, self._piece, width, keep, spare=1)
        if len(piece) > width:
            raise DataError(
                f"{talk.name} has answers of {int(piece.told.sum())} tokens that do not fit the window of {width}; "
                "shorten them, or give a larger window."
            )
        return Spoken((piece,), whole - len(piece))

    def _fitted(
        self,
        turns: Sequence[Turn],
        spell: Callable[[Sequence[Turn]], Spelt],
        width: int,
        keep: str,
        spare: int,
    ) -> tuple[Spelt, int]:
        """Turns in tokens, by the rule of `spoken` as short as they have to be or can be, and their length before."""
        made = spell(turns)
        whole = len(made)
        while len(made) > width:
            shorter = _without_oldest(turns, spare) or self._shortened(turns, len(made) - width, keep)
            if shorter is None:
                break
            turns, made = shorter, spell(shorter)
        return made, whole

    def _plain(self, text: str, width: int) -> Spoken:
        ids = np.array([*self.ids(text), self.end], np.int64)
        parts = [ids[start : start + width] for start in range(0, len(ids), width)]
        return Spoken(tuple(Piece(part, np.ones(len(part), bool)) for part in parts), 0)

    def _piece(self, turns: Sequence[Turn]) -> Piece:
        """Answers are tokenised apart from what they answer, as they are when the network speaks."""
        ids: list[int] = []
        told: list[bool] = []
        done = ""
        for at, turn in enumerate(turns):
            if turn.role != ASSISTANT:
                continue
            before, after = self._rendered(turns[:at], begun=True), self._rendered(turns[: at + 1])
            if not (before.startswith(done) and after.startswith(before)):
                raise DataError(
                    f"the chat template of {self.name} rewrites earlier turns; give talks of one question and answer."
                )
            answer = after[len(before) :].rstrip()
            for text, learned in ((before[len(done) :], False), (answer, turn.told)):
                part = self.ids(text)
                ids += part
                told += [learned] * len(part)
            done = before + answer
        return Piece(np.array(ids, np.int64), np.array(told, bool))

    def _shortened(self, turns: Sequence[Turn], over: int, keep: str) -> list[Turn] | None:
        """With less of the longest turn of a user; None where there is nothing left to take."""
        users = [at for at, turn in enumerate(turns) if turn.role == "user"]
        longest = max(users, key=lambda at: len(turns[at].text), default=None)
        if longest is None:
            return None
        whole = turns[longest].text
        spans = self.spans(whole)
        left = len(spans) - over - _SLACK
        if left < 1:
            return None
        text = (whole[spans[-left][0] :] if keep == "end" else whole[: spans[left - 1][1]]).strip()
        if not text or len(text) >= len(whole):
            return None
        return [*turns[:longest], Turn("user", text), *turns[longest + 1 :]]

    def _rendered(self, turns: Sequence[Turn], *, begun: bool = False) -> str:
        if not self.tokenizer.chat_template:
            raise SourceError(
                f"{self.name} has no chat template, so that it is not known how it is spoken to; use an instruct "
                "network, or plain texts (--task text)."
            )
        said = [{"role": turn.role, "content": turn.text} for turn in turns]
        try:
            return self.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=begun)
        except (TemplateError, OverflowError, TypeError, ValueError) as error:  # it is a program of others
            why = (str(error) or type(error).__name__).splitlines()[0][:120]
            raise SourceError(
                f"the chat template of {self.name} cannot be used ({why}); get the network anew, or use another."
            ) from error


def _without_oldest(turns: Sequence[Turn], spare: int = 1) -> list[Turn] | None:
    """Without the first exchange; None where no more answers than `spare` would be left, or none that is told."""
    answers = [at for at, turn in enumerate(turns) if turn.role == ASSISTANT]
    if len(answers) <= spare or (spare and not any(turns[at].told for at in answers[1:])):
        return None
    start = 1 if turns[0].role == "system" else 0
    return [*turns[:start], *turns[answers[0] + 1 :]]


def unknown_share(speaker: Speaker, texts: Sequence[str]) -> float:
    """Share of the tokens that stand for no whole character, as where a vocabulary lacks a script: 0..1."""
    tokenizer = speaker.tokenizer
    counts = Counter(token for text in texts for token in speaker.ids(text))
    strange = (token for token in counts if "\ufffd" in tokenizer.decode([token]) or token == tokenizer.unk_token_id)
    return sum(counts[token] for token in strange) / max(1, counts.total())
