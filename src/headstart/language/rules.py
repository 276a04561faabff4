"""Rules that an answer keeps or breaks, checked on its text alone.

A rule is a function (answer, texts, numbers) -> bool. The answer has no space around it and is not empty; texts and
numbers are what the rule is told, two numbers being the least and the most. Words are compared without regard to
capitals unless a rule is about them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from headstart.language.sentences import sentences as sentences_of

Texts = tuple[str, ...]
Numbers = tuple[int, ...]
Rule = Callable[[str, Texts, Numbers], bool]

_MARK = re.compile(r"^\s*(?:[-*\u2022]|\d+[.)])\s+(?=\S)")
_QUOTES = '"\u201c\u201d'
_AROUND = " \t\n.!?,;:*'" + _QUOTES


def contains(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """All of these words or phrases, each as a whole."""
    return all(_count(answer, text) for text in texts)


def lacks(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """None of these words or phrases, as a whole."""
    return not any(_count(answer, text) for text in texts)


def without(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """None of these characters, inside of words either."""
    return not any(text in answer.lower() for text in texts)


def times(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """The word, phrase or sign so many times."""
    return _within(_count(answer, texts[0]), numbers)


def words(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """So many words."""
    return _within(len(_words(answer)), numbers)


def sentences(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """So many sentences."""
    return _within(len(sentences_of(answer)), numbers)


def lines(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """So many lines, empty ones left out."""
    return _within(len(_lines(answer)), numbers)


def each_line(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """So many words in every line, the mark of a list left out."""
    return all(_within(len(_words(_MARK.sub("", line))), numbers) for line in _lines(answer))


def items(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """So many lines that are marked as items of a list; other lines may stand around them."""
    return _within(sum(_MARK.match(line) is not None for line in _lines(answer)), numbers)


def bulleted(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """Every line begins with this sign, and something stands behind it."""
    return all(line.startswith(texts[0]) and line[len(texts[0]) :].strip() for line in _lines(answer))


def numbered(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """The lines are numbered from 1 on, with a point, and there are so many."""
    found = _lines(answer)
    right = all(re.match(rf"{at}\.\s+\S", line) for at, line in enumerate(found, 1))
    return right and _within(len(found), numbers)


def paragraphs(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """So many paragraphs (first number), each of so many sentences (second number)."""
    found = re.split(r"\n\s*\n", answer)
    return len(found) == numbers[0] and all(len(sentences_of(part)) == numbers[1] for part in found)


def is_one_of(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """One of these and nothing else; capitals and the punctuation around it do not matter."""
    return answer.strip(_AROUND).lower() in texts


def is_exactly(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """One of these, character by character."""
    return answer in texts


def is_number(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """This number in digits and nothing else; a point behind it does not matter."""
    return re.fullmatch(rf"{numbers[0]}(?:\.0*)?", answer) is not None


def upper(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """Letters, all of them capitals."""
    return answer.isupper()


def lower(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """Letters, none of them a capital."""
    return answer.islower()


def capitals(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """So many words of two letters or more in capitals."""
    return _within(sum(word.isupper() and len(word) > 1 for word in re.findall(r"[^\W\d_]+", answer)), numbers)


def begins(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """The text at the start, up to the end of a word."""
    return re.match(rf"{re.escape(texts[0])}(?!\w)", answer, re.I) is not None


def ends(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """The text at the end, from the start of a word; the last point may lack or be too many."""
    return re.search(rf"(?<!\w){re.escape(texts[0])}[.!?]?$", answer, re.I) is not None


def quoted(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """Double quotation marks around the whole answer and none inside."""
    inside = answer[1:-1]
    return len(answer) > 2 and answer[0] in _QUOTES and answer[-1] in _QUOTES and not set(_QUOTES) & set(inside)


def initials(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """Every word begins with this letter."""
    return all(word.lower().strip(_AROUND).startswith(texts[0]) for word in _words(answer))


def json_object(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """A JSON object with these keys and no others; the fence of a code block may stand around it."""
    found = _json(answer)
    return isinstance(found, dict) and set(found) == set(texts)


def json_list(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """A JSON list of so many texts, as the whole answer or under this key of an object."""
    found = _json(answer)
    if texts and isinstance(found, dict):
        found = found.get(texts[0])
    return isinstance(found, list) and _within(len(found), numbers) and all(isinstance(one, str) for one in found)


def separated(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """One line of so many parts with this sign between them, each of one to three words."""
    parts = [len(_words(part)) for part in answer.split(texts[0])]
    return "\n" not in answer and _within(len(parts), numbers) and all(1 <= length <= 3 for length in parts)


def matches(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """The whole answer has the form of this regular expression."""
    return re.fullmatch(texts[0], answer, re.I) is not None


def sequence(answer: str, texts: Texts, numbers: Numbers) -> bool:
    """These words in this order and no others; punctuation and marks of a list do not matter."""
    bare = " ".join(_MARK.sub("", line) for line in _lines(answer))
    return tuple(re.findall(r"\w+", bare.lower())) == texts


RULES: Mapping[str, Rule] = {
    rule.__name__: rule
    for rule in (
        *(contains, lacks, without, times, words, sentences, lines, each_line, items, bulleted, numbered, paragraphs),
        *(is_one_of, is_exactly, is_number, upper, lower, capitals, begins, ends, quoted, initials),
        *(json_object, json_list, separated, matches, sequence),
    )
}


def _within(count: int, numbers: Numbers) -> bool:
    return numbers[0] <= count <= numbers[1]


def _count(answer: str, text: str) -> int:
    """How often a text stands in an answer, not as a part of a longer word."""
    before = r"(?<!\w)" if text[0].isalnum() else ""
    after = r"(?!\w)" if text[-1].isalnum() else ""
    return len(re.findall(f"{before}{re.escape(text)}{after}", answer, re.I))


def _words(text: str) -> list[str]:
    """What stands between spaces and has a letter or a digit."""
    return [part for part in text.split() if any(sign.isalnum() for sign in part)]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _json(answer: str) -> object:
    """What the JSON says; None where it is none."""
    fenced = re.fullmatch(r"```(?:json)?\s*\n(.*)\n\s*```", answer, re.S)
    try:
        return json.loads(fenced[1] if fenced else answer)
    except ValueError:
        return None
