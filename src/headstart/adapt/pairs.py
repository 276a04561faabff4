"""Documents and their summaries as rows of tokens that an encoder-decoder learns from or is judged by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from headstart.core.evaluate import device_of, evaluating
from headstart.core.examples import Arrays, Examples
from headstart.core.task import Generate
from headstart.data.packing import NOTHING
from headstart.data.talks import Talk
from headstart.errors import DataError
from headstart.sources.seq2seq import Seq2Seq
from headstart.sources.speaker import ASSISTANT, Speaker

Ids = NDArray[np.int64]

_JUDGED = 8  # rows that are judged at a time
_PAIR = ("user", ASSISTANT)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rows of a document and its summary each.

    Attributes:
        documents: of each row (s,), with the special tokens that the network expects.
        answers: of each row (t,), as they are to be told.
        talk: (rows,) which talk each is of.
        count: talks.
        cut: (talks,) tokens of each document that were left out so that it fits.
        left_out: talks that cannot be learned from, and why.
        begin: the token that the decoder reads before an answer.
        filler: the token that stands in padding.
    """

    documents: tuple[Ids, ...]
    answers: tuple[Ids, ...]
    talk: Ids
    count: int
    cut: Ids
    left_out: tuple[tuple[str, str], ...]
    begin: int
    filler: int

    @property
    def tokens(self) -> int:
        """Of documents and answers, without padding."""
        return sum(len(ids) for ids in (*self.documents, *self.answers))

    @property
    def told(self) -> Ids:
        """(talks,) tokens of each that are to be told."""
        return self._by_talk(self._counts).astype(np.int64)

    @property
    def task(self) -> Generate:
        """The task of these rows."""
        return Generate(float(self._counts.mean()))

    @property
    def _counts(self) -> Ids:
        return np.array([len(answer) for answer in self.answers], np.int64)

    def read(self, rows: NDArray[np.int64]) -> Arrays:
        """These rows as `Seq2Seq` reads them: documents padded to the longest of them, answers to the longest of all.

        So outputs of different batches can be joined; what is padding in all rows of a batch costs nothing.
        """
        widest = int(self._counts.max())
        ids, enc_mask = _padded([self.documents[row] for row in rows], self.filler)
        following, told_mask = _padded([self.answers[row] for row in rows], NOTHING, widest)
        told = np.where(told_mask, np.roll(following, 1, 1), self.filler)
        told[:, 0] = self.begin
        return {"ids": ids, "enc_mask": enc_mask, "told": told, "told_mask": told_mask, "next": following}

    def examples(self) -> Examples:
        """The rows, with the number of tokens that each has to tell as its target, and the lengths of the documents."""
        keys = tuple(_key(self.begin, *row) for row in zip(self.documents, self.answers, strict=True))
        lengths = np.array([len(document) for document in self.documents], np.int64)
        return Examples(keys, self.read, self._counts, lengths=lengths)

    def judged(
        self, stack: Seq2Seq, *, precision: str = "float32", done: Callable[[int], None] | None = None
    ) -> NDArray:
        """(talks,) -log probability of all that each talk has to tell, in nats.

        Args:
            precision: of the arithmetic: float32 or bfloat16.
            done: told after each batch how many rows were judged in it.
        """
        device, out = device_of(stack), np.zeros(len(self.documents))
        order = np.argsort([len(document) for document in self.documents], kind="stable")
        fast, before = precision == "bfloat16", stack.head.dtype
        stack.head.dtype = torch.bfloat16 if fast else None
        with evaluating(stack), torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=fast):
            for start in range(0, len(order), _JUDGED):
                rows = order[start : start + _JUDGED]
                state = {name: torch.from_numpy(array).to(device) for name, array in self.read(rows).items()}
                out[rows] = stack(state)["h"].double().sum(1).cpu().numpy()
                if done:
                    done(len(rows))
        stack.head.dtype = before
        return self._by_talk(out)

    def _by_talk(self, values: NDArray) -> NDArray:
        """(talks,) of (rows,); 0 for those that were left out."""
        return np.bincount(self.talk, weights=values, minlength=self.count)


def pairs(
    speaker: Speaker,
    talks: Sequence[Talk],
    width: int,
    told_width: int,
    *,
    begin: int,
    before: str = "",
    keep: str = "beginning",
) -> Pairs:
    """A row for each talk that is one document of a user and one answer to it.

    Documents and answers stand between the special tokens that the tokenizer adds, and end with one in any case.

    Args:
        width: tokens of a document at most; what is longer is cut and counted.
        told_width: tokens of an answer at most; talks with longer ones are left out.
        begin: the token that the decoder reads first; see `Seq2Seq.begin`.
        before: in front of each document, never cut, such as "summarize: " for a T5.
        keep: what is kept of a document that is too long: its beginning or its end.

    Raises:
        DataError: no talk can be learned from.
    """
    frame, made = _Frame.of(speaker), []
    cut, left_out = np.zeros(len(talks), np.int64), []
    for at, talk in enumerate(talks):
        try:
            document, answer = _checked(talk)
            ids, cut[at] = frame.shortened(before, document, width, keep)
            made.append((at, ids, frame.answer(talk.name, answer, told_width)))
        except DataError as error:
            cut[at] = 0
            left_out.append((talk.name, str(error)))
    if not made:
        raise DataError(left_out[0][1] if left_out else "there are no talks; give at least one.")
    of, documents, answers = zip(*made, strict=True)
    filler = speaker.tokenizer.pad_token_id or 0
    return Pairs(documents, answers, np.array(of, np.int64), len(talks), cut, tuple(left_out), begin, filler)


@dataclass(frozen=True)
class _Frame:
    """The special tokens that stand around a text.

    Attributes:
        speaker: whose tokenizer adds them.
        left, right: the tokens; one at least is on the right, by which an answer ends.
    """

    speaker: Speaker
    left: tuple[int, ...]
    right: tuple[int, ...]

    @classmethod
    def of(cls, speaker: Speaker) -> _Frame:
        plain, framed = speaker.ids("a"), speaker.tokenizer("a")["input_ids"]
        at = next((k for k in range(len(framed)) if framed[k : k + len(plain)] == plain), 0)
        return cls(speaker, tuple(framed[:at]), tuple(framed[at + len(plain) :]) or (speaker.end,))

    def answer(self, name: str, text: str, most: int) -> Ids:
        """A text that may have so many tokens."""
        ids = self._around(self.speaker.ids(text))
        if len(ids) > most:
            raise DataError(
                f"{name} has an answer of {len(ids)} tokens that does not fit the {most} that it may have; shorten it, "
                "or give a larger width of answers."
            )
        return ids

    def shortened(self, before: str, text: str, width: int, keep: str) -> tuple[Ids, int]:
        """What stands before a text, and as much of it as has room; and how many tokens had none."""
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
        return self._around([*ids[:fixed], *kept]), len(body) - len(kept)

    def _around(self, ids: Sequence[int]) -> Ids:
        return np.array([*self.left, *ids, *self.right], np.int64)


def _checked(talk: Talk) -> list[str]:
    """The document and its answer."""
    roles = tuple(turn.role for turn in talk.turns)
    if roles != _PAIR:
        raise DataError(
            f"{talk.name} has the turns {', '.join(roles)}, and an encoder-decoder reads one document of a user and "
            "answers it; give two turns, or use a causal language model."
        )
    texts = [turn.text for turn in talk.turns]
    if not all(text.strip() for text in texts):
        raise DataError(f"{talk.name} has a document or an answer without text; give both.")
    return texts


def _padded(rows: Sequence[Ids], filler: int, width: int = 0) -> tuple[Ids, NDArray[np.bool_]]:
    """(rows, longest or `width`) ids, and where they are no padding."""
    lengths = np.array([len(row) for row in rows])
    mask = np.arange(max(width, lengths.max())) < lengths[:, None]
    ids = np.full(mask.shape, filler, np.int64)
    ids[mask] = np.concatenate(rows)
    return ids, mask


def _key(begin: int, document: Ids, answer: Ids) -> str:
    said = f"{begin}|{document.tolist()}|{answer.tolist()}"
    return hashlib.sha256(said.encode()).hexdigest()
