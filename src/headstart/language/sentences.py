"""English text cut into sentences, without breaks after "e.g.", "Fig. 2", "et al.", initials and decimals."""

from __future__ import annotations

import re

_STOP = re.compile(r"([.!?\u2026]+)[\"'\u201d\u2019)\]]*\s+")
_OPENING = "\"'\u201c\u2018([*-\u2013 "
# abbreviations after which something must follow
_NEVER = "mr mrs ms dr prof rev hon gen col sgt capt lt maj mt messrs e.g i.e eg ie cf vs viz approx ca"
# those that are words too, and abbreviations only before a number
_BEFORE_NUMBERS = "no nos p pp art sec ch chap vol par jan feb mar apr jun jul aug sep sept oct nov dec"
# those that may close a sentence
_SELDOM = "al fig figs eq eqs ref refs resp st inc ltd co corp jr sr ft a.m p.m"
# words that mostly open a sentence where they have a capital
_FIRST = (
    "The This That These Those It He She They We You I A An In On At But And Or So If When While As For From With "
    "After Before However Then There Here His Her Their Our My Its What Why How Who Where Not Now No Yes One Some "
    "Many Most All Each Every Both Since Although Because"
)


def sentences(text: str) -> list[str]:
    """The sentences in order, each without the space around it.

    A sentence ends at `.`, `!`, `?` or an ellipsis with space behind it, and at an empty line. It does not end before
    a small letter (unless the text has no capital at all), after an abbreviation that something must follow, or after
    a number that opens a line or a sentence. After an initial, an acronym with points or an abbreviation that may
    close a sentence, it ends only before a word that mostly opens one, such as "The".
    """
    capitals = any(letter.isupper() for letter in text)
    found = []
    for part in re.split(r"\n[^\S\n]*\n", text):
        start = 0
        for stop in _STOP.finditer(part):
            following = part[stop.end() :].lstrip(_OPENING)
            if following and _ends(part[start : stop.end(1)], stop[1], following, capitals):
                found.append(part[start : stop.end()].strip())
                start = stop.end()
        found.append(part[start:].strip())
    return [sentence for sentence in found if any(letter.isalnum() for letter in sentence)]


def _ends(before: str, marks: str, following: str, capitals: bool) -> bool:
    """Whether a sentence ends here; `before` is it with its marks, `following` starts at the next word."""
    if capitals and following[0].islower():
        return False
    if marks != ".":
        return True
    line = before.rsplit("\n", 1)[-1].strip()
    word = line.split()[-1].strip("\"'\u201c\u2018([")[:-1]
    if line == word + "." and (word.isdigit() or len(word) == 1):
        return False  # it opens a line or a sentence: the mark of a list
    if word.lower() in _NEVER.split():
        return False
    if word.lower() in _BEFORE_NUMBERS.split():
        return not following[0].isdigit()
    initial = re.fullmatch(r"(?:[A-Z]\.)*[A-Z]", word) is not None
    return _opens(following) if initial or word.lower() in _SELDOM.split() else True


def _opens(following: str) -> bool:
    """Whether the next word is one that mostly opens a sentence, and no initial."""
    first = re.match(r"[A-Za-z]+", following)
    return first is not None and first[0] in _FIRST.split() and following[len(first[0]) : len(first[0]) + 1] != "."
