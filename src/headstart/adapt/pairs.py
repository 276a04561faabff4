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
from headstart.sources.frames import Frame, Ids, pair_of
from headstart.sources.language import LanguageStack
from headstart.sources.speaker import Speaker

_JUDGED = 8  # rows that are judged at a time


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
    def rows(self) -> int:
        """How many there are."""
        return len(self.documents)

    @property
    def width(self) -> int:
        """Tokens of a document and its answer, as they mostly are: rows of like length are learned from together."""
        return -(-self.tokens // self.rows)

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
        self, stack: LanguageStack, *, precision: str = "float32", done: Callable[[int], None] | None = None
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
    frame, made = Frame.of(speaker), []
    cut, left_out = np.zeros(len(talks), np.int64), []
    for at, talk in enumerate(talks):
        try:
            document, answer = pair_of(talk)
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
