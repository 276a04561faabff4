"""ROUGE against counts by hand and a naive loop; its means and differences against their definitions."""

import json
import re
import sys
from collections import Counter
from functools import cache

import numpy as np
import pytest

from headstart.errors import DataError, UsageError
from headstart.language.rouge import KINDS, rouge, rouge_difference

pytest.importorskip("rouge_score")

PREDICTIONS = ["The cat sat on the mat.", "It rained all day", "", "Two old ships were sailing"]
REFERENCES = [
    ["A cat sat on a mat.", "The cat is on the mat."],
    "It was raining the whole day.",
    "nothing at all",
    ["old ships sailed", "Ships, two of them, were old"],
]


def naive(said, known):
    """F1 of words, of pairs of words and of the longest common subsequence, from their definitions."""
    a, b = (re.findall(r"[a-z0-9]+", text.lower()) for text in (said, known))

    def overlap(n):
        one, other = (Counter(zip(*(text[k:] for k in range(n)), strict=False)) for text in (a, b))
        return f1((one & other).total(), one.total(), other.total())

    @cache
    def longest(i, j):
        if not i or not j:
            return 0
        same = longest(i - 1, j - 1) + 1 if a[i - 1] == b[j - 1] else 0
        return max(same, longest(i - 1, j), longest(i, j - 1))

    return overlap(1), overlap(2), f1(longest(len(a), len(b)), len(a), len(b))


def f1(both, one, other):
    return 2 * both / (one + other) if one and other else 0.0


def test_by_hand():
    """'the cat sat on the mat' against 'the cat is on the mat': 5 of 6 words, 3 of 5 pairs, 5 in order."""
    found = rouge(["The cat sat on the mat."], ["The cat is on the mat."])
    assert [found.means[kind].value for kind in KINDS] == pytest.approx([5 / 6, 3 / 5, 5 / 6])


def test_the_worked_example_of_the_paper():
    """Lin, 2004, section 3.1: 'police kill the gunman' 3/4 and 'the gunman kill police' 2/4 by ROUGE-L."""
    known = "police killed the gunman"
    said = ["police kill the gunman", "the gunman kill police"]
    assert rouge(said, [known, known]).each["rougeL"] == pytest.approx([0.75, 0.5])


def test_each_kind_takes_its_own_best_reference():
    found = rouge(PREDICTIONS, REFERENCES)
    for at, (said, known) in enumerate(zip(PREDICTIONS, REFERENCES, strict=True)):
        each = [naive(said, one) for one in ([known] if isinstance(known, str) else known)]
        assert [found.each[kind][at] for kind in KINDS] == pytest.approx(list(np.max(each, axis=0)))


def test_more_references_never_lower_a_score():
    few, many = rouge(PREDICTIONS[:1], [REFERENCES[0][:1]]), rouge(PREDICTIONS[:1], REFERENCES[:1])
    assert all(many.each[kind] >= few.each[kind] for kind in KINDS)


def test_stems_make_forms_of_a_word_alike():
    said, known = ["sailing ships"], ["ships sailed"]
    assert rouge(said, known).each["rouge1"] == pytest.approx([0.5])
    assert rouge(said, known, stem=True).each["rouge1"] == pytest.approx([1.0])


def test_a_difference_is_that_of_the_means_and_turns_its_sign():
    one = rouge(PREDICTIONS, REFERENCES)
    other = rouge(PREDICTIONS[::-1], REFERENCES)
    there, back = rouge_difference(one, other), rouge_difference(other, one)
    for kind in KINDS:
        assert there[kind].value == pytest.approx(one.means[kind].value - other.means[kind].value)
        assert (there[kind].low, there[kind].high) == pytest.approx((-back[kind].high, -back[kind].low))
        assert there[kind].low <= there[kind].value <= there[kind].high


def test_a_difference_from_itself_is_certain():
    one = rouge(PREDICTIONS, REFERENCES)
    same = rouge_difference(one, one)["rouge1"]
    assert (same.value, same.low, same.high, same.n) == (0, 0, 0, 4)
    assert one.means["rouge1"].low < one.means["rouge1"].high


def test_without_the_library_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(UsageError, match="needs rouge-score; run `pip install rouge-score`, or score with chrF"):
        rouge(["a"], ["a"])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rouge([], []), "predictions are an empty list; give a list with one text per example"),
        (lambda: rouge("a text", ["b"]), "predictions are one string; give a list"),
        (lambda: rouge(["a", "b"], ["a"]), "2 predictions and references for 1 were given; give a reference"),
        (lambda: rouge(["a"], "a"), "1 predictions and one string were given"),
        (lambda: rouge(["a"], [[]]), r"references of example 0 are \[\]; give a text or a list of at least one"),
        (lambda: rouge(json.loads("[NaN]"), ["a"]), "predictions hold nan for example 0; give a text"),
        (lambda: rouge_difference(rouge(["a"], ["a"]), rouge(["a", "b"], ["a", "b"])), "cannot be paired"),
        (lambda: rouge_difference(rouge(["a"], ["a"]), rouge(["a"], ["a"], stem=True)), "with stem=True cannot"),
    ],
)
def test_errors_say_what_is_allowed(call, said):
    with pytest.raises(DataError, match=said):
        call()
