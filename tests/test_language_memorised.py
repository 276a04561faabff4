"""Common runs of words against a loop over all of them, the prompt's own left out."""

import random
import time

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.language.memorised import memorised
from headstart.language.spread import share


def longest_common(text, training):
    """Words of the longest run that stands in any training text, by trying all."""
    text, best = text.split(), 0
    for known in training:
        known = f" {known} "
        for start in range(len(text)):
            while start + best < len(text) and f" {' '.join(text[start : start + best + 1])} " in known:
                best += 1
    return best


def has_fresh_run(text, training, prompt, least):
    """Whether a run of so many words or more stands in a training text and not in the prompt, by trying all."""
    words = text.split()
    runs = [f" {' '.join(words[a:b])} " for a in range(len(words)) for b in range(a + least, len(words) + 1)]
    return any(any(run in f" {known} " for known in training) and run not in f" {prompt} " for run in runs)


def some(draw, count, most, letters="abc"):
    return [" ".join(draw.choice(letters) for _ in range(draw.randrange(most))) for _ in range(count)]


@pytest.mark.parametrize("seed", range(8))
def test_equals_the_naive_loop(seed):
    draw = random.Random(seed)
    training, texts, prompts = some(draw, 12, 14), some(draw, 20, 12), some(draw, 20, 9)
    training += [training[0], texts[3] + " c"]
    found = memorised(texts, training, prompts=prompts, least=3)
    assert found.longest.tolist() == [longest_common(text, training) for text in texts]
    fresh = [has_fresh_run(*both, 3) for both in zip(texts, [training] * 20, prompts, strict=True)]
    assert sorted(run.text for run in found.found) == np.flatnonzero(fresh).tolist()
    assert found.share == share(sum(fresh), 20)
    for run in found.found:
        assert f" {run.words} " in f" {training[run.row]} "
        assert f" {run.words} " in f" {texts[run.text]} "
        assert f" {run.words} " not in f" {prompts[run.text]} "
        assert len(run.words.split()) == run.length >= 3
    assert [run.length for run in found.found] == sorted((run.length for run in found.found), reverse=True)


def test_capitals_and_punctuation_do_not_count():
    training = ["Nothing here.", "The old man, who was tired, sat down on the stone by the road."]
    found = memorised(["Well - the old man who was tired sat down on the stone: by THE road!"], training)
    assert found.longest.tolist() == [14]
    assert (found.found[0].row, found.found[0].length, found.found[0].copy) == (1, 14, False)
    assert found.found[0].words == "the old man who was tired sat down on the stone by the road"
    assert found.copies.value == 0


def test_a_run_that_the_prompt_holds_is_no_recall():
    known = "one two three four five six seven eight nine ten eleven twelve"
    found = memorised([known, known], [known + " and more"], prompts=["Repeat: " + known, "Count."])
    assert found.longest.tolist() == [12, 12]
    assert [run.text for run in found.found] == [1]
    assert found.share.value == 0.5


def test_the_run_may_go_beyond_what_the_prompt_holds():
    known = "one two three four five six"
    assert not memorised([known], [known], prompts=[known], least=3).found
    assert memorised([known], [known], prompts=[known[:-4]], least=3).found[0].words == known


def test_copies_are_whole_texts():
    training = ["Yes.", "No, it is not.", "yes"]
    found = memorised(["YES!", "No, it is", "", "no it is not"], training, least=2)
    assert found.copies == share(2, 4)
    assert {run.text: (run.row, run.copy) for run in found.found} == {1: (1, False), 3: (1, True)}


def test_no_run_goes_on_into_the_next_text():
    assert memorised(["a b c d", "x"], ["a b", "c d", "x"]).longest.tolist() == [2, 1]
    assert memorised(["c d", "a b"], ["a b c d"]).longest.tolist() == [2, 2]


def test_texts_of_nothing_share_nothing():
    found = memorised(["", "?!"], ["", "a word"], prompts=["", ""])
    assert found.longest.tolist() == [0, 0]
    assert found.copies.value == 0


def test_ten_thousand_answers_take_seconds():
    draw = np.random.default_rng(0)
    common = np.minimum(draw.pareto(0.5, (10_200, 50)).astype(int), 20_000)
    texts = [" ".join(f"w{word}" for word in row) for row in common]
    start = time.process_time()
    found = memorised([*texts[10_000:], texts[77]], texts[:10_000])
    assert time.process_time() - start < 5
    assert (found.found[0].row, found.found[0].length, found.found[0].copy) == (77, 50, True)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: memorised([], ["a"]), "texts are an empty list; give a list"),
        (lambda: memorised(["a"], []), "training texts are an empty list; give a list"),
        (lambda: memorised(["a"], ["a"], prompts=["a", "b"]), "2 prompts and 1 texts were given; give the prompt of"),
        (lambda: memorised(["a"], ["a"], least=0), "least=0 is no length of a run; use 12"),
    ],
)
def test_errors_say_what_is_allowed(call, said):
    with pytest.raises(DataError, match=said):
        call()
