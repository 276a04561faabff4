"""chrF2 against counts by hand, a naive loop from the definition, and values of sacreBLEU 2.6.0."""

import numpy as np
import pytest

from headstart.errors import DataError
from headstart.language.chrf import ORDER, chrf, chrf_difference
from headstart.language.general import general_texts

PREDICTIONS = ["The cat sat on the mat.", "It rained all day", "", "No"]
REFERENCES = [
    ["A cat sat on a mat.", "The cat is on the mat."],
    ["It was raining the whole day."],
    ["nothing"],
    ["No", "Yes"],
]


def naive(said, known, beta=2):
    """Precision and recall of runs of 1 to 6 characters, mean over lengths that both texts have, then F."""
    said, known = said.replace(" ", ""), known.replace(" ", "")
    precision, recall = [], []
    for n in range(1, 7):
        one = [said[k : k + n] for k in range(len(said) - n + 1)]
        other = [known[k : k + n] for k in range(len(known) - n + 1)]
        if one and other:
            left = list(other)
            both = 0
            for run in one:
                if run in left:
                    left.remove(run)
                    both += 1
            precision.append(both / len(one))
            recall.append(both / len(other))
    if not precision or not sum(precision):
        return 0.0
    p, r = float(np.mean(precision)), float(np.mean(recall))
    return (1 + beta**2) * p * r / (beta**2 * p + r)


def test_by_hand():
    """'abc' against 'ab': P = (2/3 + 1/2) / 2, R = (1 + 1) / 2; runs of three are left out, 'ab' has none."""
    p, r = 7 / 12, 1.0
    assert chrf(["abc"], ["ab"]).corpus.value == pytest.approx(5 * p * r / (4 * p + r))


def test_recall_weighs_more_than_precision():
    assert chrf(["abcdef"], ["abcd"]).corpus.value > chrf(["abcd"], ["abcdef"]).corpus.value


def test_each_equals_the_naive_loop_with_the_best_reference():
    texts = [text[:60] for text in general_texts()]
    known = [(texts[at - 1], texts[at][5:40] + texts[at - 2][:9]) for at in range(len(texts))]
    expected = [max(naive(one, other) for other in own) for one, own in zip(texts, known, strict=True)]
    np.testing.assert_allclose(chrf(texts, known, draws=2).each, expected, atol=1e-12)


def test_equals_sacrebleu():
    found = chrf(PREDICTIONS, REFERENCES)
    np.testing.assert_allclose(100 * found.each, [67.17273492330233, 18.858930240546712, 0, 100], atol=1e-9)
    assert 100 * found.corpus.value == pytest.approx(35.957776930090525)


def test_the_corpus_score_counts_over_all_examples():
    """Not a mean of examples: an example weighs as much as it is long."""
    found = chrf(["abab", "x"], ["abab", "y"])
    longer = chrf(["ab" * 50, "x"], ["ab" * 50, "y"])
    assert found.each.mean() == pytest.approx(longer.each.mean())
    assert longer.corpus.value > found.corpus.value > found.each.mean()


@pytest.mark.parametrize("texts", [["a b c"], ["The end.", "Of it"]])
def test_equal_texts_score_1_whatever_their_white_space(texts):
    assert chrf(texts, [text.replace(" ", "\n  ") for text in texts]).each == pytest.approx(1)


def test_capitals_count():
    assert chrf(["ABC"], ["abc"]).corpus.value == 0


def test_counts_are_of_runs():
    np.testing.assert_array_equal(chrf(["aab"], ["aa"]).counts[0, :3], [(3, 2, 2), (2, 1, 1), (0, 0, 0)])
    assert chrf(["a"], ["b"]).counts.shape == (1, ORDER, 3)


def test_a_difference_is_that_of_the_corpus_scores():
    one, other = chrf(PREDICTIONS, REFERENCES), chrf(PREDICTIONS[::-1], REFERENCES)
    there, back = chrf_difference(one, other), chrf_difference(other, one)
    assert there.value == pytest.approx(one.corpus.value - other.corpus.value)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    same = chrf_difference(one, one)
    assert (same.low, same.high) == (0, 0)
    assert one.corpus.low < one.corpus.value < one.corpus.high


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: chrf([], []), "predictions are an empty list"),
        (lambda: chrf(["a"], []), "1 predictions and references for 0 were given"),
        (lambda: chrf(["a"], [()]), r"references of example 0 are \(\); give a text"),
        (lambda: chrf(["a"], ["a"], draws=0), "draws=0 leaves nothing to take percentiles of; use 1000"),
        (lambda: chrf_difference(chrf(["a"], ["a"]), chrf(["a"] * 2, ["a"] * 2)), "1 and 2 examples cannot be paired"),
    ],
)
def test_errors_say_what_is_allowed(call, said):
    with pytest.raises(DataError, match=said):
        call()
