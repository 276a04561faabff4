"""Repetition against counts by hand and a loop that tries every end."""

import json
import math
import random

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.language.general import general_texts
from headstart.language.repeats import LEAST, compared, distinct, loop, repeated_runs, repeats


def longest_loop(text):
    """Every end with every period, from the definition."""
    text = " ".join(text.lower().split())
    best = 0
    for length in range(1, len(text) + 1):
        end = text[len(text) - length :]
        for period in range(1, length // 2 + 1):
            again = length - period
            if again >= max(period, LEAST) and end[period:] == end[:again]:
                best = length
    return best


def test_distinct_by_hand():
    texts = [["a", "b", "a"], ["a", "b"]]
    assert distinct(texts, 1) == 2 / 5
    assert distinct(texts, 2) == 2 / 3  # ab, ba, ab; no pair crosses texts
    assert math.isnan(distinct(texts, 4))


def test_runs_said_before_by_hand():
    assert repeated_runs(["a", "b", "c", "d"]) == 0
    assert repeated_runs(["a", "b", "c", "d", "a", "b", "c", "d"]) == pytest.approx(1 - 4 / 5)
    assert repeated_runs(["no", "no", "no", "no", "no", "no"]) == pytest.approx(2 / 3)
    assert math.isnan(repeated_runs(["a"]))


@pytest.mark.parametrize(
    ("text", "unit", "length"),
    [
        ("It ends: I like tea. I like tea. I like tea.", " i like tea.", 3 * 12),
        ("Well: the cat sat, the cat sat, the cat sat, the c", "at sat, the c", 3 * 13 + 6),
        ("so " + "ha" * 20, "ha", 40),
        ("stop" + "!" * 30, "!", 30),
        ("1, 2,\n 1, 2,  1, 2, 1, 2, 1, 2,", " 1, 2,", 29),
    ],
)
def test_loops_by_hand(text, unit, length):
    found = loop(text)
    assert found is not None
    assert (found.unit, found.length) == (unit, length)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It was very very late.",
        "a b c d e f g h",
        "tick tock tick tock",
        "1. a 2. b 3. c",
        "When it was nearly noon, and hot, the old man sat down here and waited for his son, and the old man sat down",
    ],
)
def test_what_is_no_loop(text):
    assert loop(text) is None


def test_loops_equal_the_naive_search():
    draw = random.Random(0)
    for _ in range(150):
        text = "".join(draw.choice("ab ") for _ in range(draw.randrange(60)))
        text += "".join(draw.choice("abc") for _ in range(draw.randrange(1, 9))) * draw.randrange(12)
        text = text[: len(text) - draw.randrange(4)]
        found = loop(text)
        assert (found.length if found else 0) == longest_loop(text)


def test_all_measures_by_hand():
    texts = ["a b a", "", " \n", "b c d e b c d e", "x" * 40]
    found = repeats(texts)
    assert found.n == 5
    assert found.distinct_1 == pytest.approx(6 / 12)  # a b c d e and the long one
    assert found.distinct_2 == pytest.approx(6 / 9)  # ab ba bc cd de eb
    assert found.repeated == pytest.approx(1 / 5)  # one text has runs of four words
    assert (found.looping, found.longest_loop, found.empty) == (1 / 5, 40, 2 / 5)
    assert found.characters.median == 5
    assert found.words.median == 1
    assert (found.words.low, found.words.high) == tuple(np.percentile([3, 0, 0, 8, 1], (5, 95)))


def test_good_prose_does_not_repeat():
    found = repeats(general_texts())
    assert found.looping == found.empty == 0
    assert found.repeated < 0.01
    assert found.distinct_2 > 0.8


def test_distinct_words_are_compared_over_as_many_words():
    """The same texts three times over have fewer different words by count alone; side by side they are alike."""
    texts = list(general_texts())
    found = compared(texts * 3, texts)
    assert found.generated.distinct_1 == pytest.approx(found.references.distinct_1 / 3)
    assert found.distinct_1 == pytest.approx((found.references.distinct_1,) * 2)
    assert found.distinct_2[0] == pytest.approx(found.distinct_2[1])


def test_a_text_is_cut_where_the_other_side_ends():
    found = compared(["a b c d", "e f"], ["a a a", "b b"])
    assert found.distinct_1 == (1, 2 / 5)
    assert found.distinct_2 == (1, 2 / 3)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: repeats([]), "texts are an empty list; give a list with one text per example, at least one"),
        (
            lambda: repeats(json.loads("[null]")),
            "texts hold None for example 0; give a text, an empty one where nothing was said",
        ),
        (lambda: compared(["a"], []), "texts are an empty list"),
        (lambda: distinct([["a"]], 0), "n=0 is no length of a run of words"),
    ],
)
def test_errors_say_what_is_allowed(call, said):
    with pytest.raises(DataError, match=said):
        call()
