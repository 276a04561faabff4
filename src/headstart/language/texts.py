"""Texts as the measures see them: their words, and predictions beside their references."""

from __future__ import annotations

import re
from collections.abc import Sequence

from headstart.errors import DataError

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")

References = Sequence[str | Sequence[str]]


def words(text: str) -> list[str]:
    """Words in lower case without punctuation; an apostrophe inside belongs to its word.

    Scripts without spaces give one word for each unbroken run of letters.
    """
    return _WORD.findall(text.lower())


def some_texts(texts: Sequence[str], name: str) -> list[str]:
    """The texts as a list.

    Raises:
        DataError: no texts, one string instead of many, or something that is no text.
    """
    if isinstance(texts, str) or not len(texts):
        seen = "are one string" if isinstance(texts, str) else "are an empty list"
        raise DataError(f"{name} {seen}; give a list with one text per example, at least one.")
    for at, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(f"{name} hold {text!r} for example {at}; give a text, an empty one where nothing was said.")
    return list(texts)


def beside(predictions: Sequence[str], references: References) -> list[tuple[str, tuple[str, ...]]]:
    """Each prediction with its references, of which there may be several.

    Raises:
        DataError: no predictions, another number of references than predictions, or an example without a reference.
    """
    said = some_texts(predictions, "predictions")
    if isinstance(references, str) or len(references) != len(said):
        seen = "one string" if isinstance(references, str) else f"references for {len(references)}"
        raise DataError(f"{len(said)} predictions and {seen} were given; give a reference, or several, for each.")
    pairs = []
    for at, (text, known) in enumerate(zip(said, references, strict=True)):
        own = (known,) if isinstance(known, str) else tuple(known)
        if not own or not all(isinstance(one, str) for one in own):
            raise DataError(f"references of example {at} are {known!r}; give a text or a list of at least one.")
        pairs.append((text, own))
    return pairs
