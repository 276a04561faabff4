"""Talks divided: as given, by groups and equal talks, or a text by its paragraphs; nothing on both sides."""

from pathlib import Path

import numpy as np
import pytest

from headstart.data.talks import Talk, Talks, Turn
from headstart.data.talks_split import parted
from headstart.errors import DataError


def talks(texts, kind="chat", **columns):
    of = {"part": None, "groups": None, "references": None} | columns
    made = [
        Talk((Turn("text", text),) if kind == "text" else (Turn("user", text), Turn("assistant", "yes")), f"line {k}")
        for k, text in enumerate(texts)
    ]
    return Talks(Path("data.jsonl"), kind, tuple(made), because={}, problems=(), **of)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_fifth_judges_and_equal_talks_stay_together(seed):
    whole = talks([f"talk {k % 40}" for k in range(80)])
    parts = parted(whole, seed=seed)
    assert not set(parts.train.keys) & set(parts.test.keys)
    assert sorted([*parts.train.keys, *parts.test.keys]) == sorted(whole.keys)
    assert len(parts.test) == 16


def test_groups_are_not_torn_apart():
    names = np.array([f"g{k // 7}" for k in range(70)])
    parts = parted(talks([f"talk {k}" for k in range(70)], groups=names))
    assert not set(parts.train.groups) & set(parts.test.groups)
    assert len(parts.test) == 14


def test_parts_that_the_data_names_are_kept_and_val_judges_where_there_is_no_test():
    part = np.array(["train"] * 5 + ["val"] * 3 + ["test"] * 2)
    parts = parted(talks([f"t{k}" for k in range(10)], part=part))
    assert (len(parts.train), len(parts.val), len(parts.test)) == (5, 3, 2)
    parts = parted(talks([f"t{k}" for k in range(8)], part=part[:8]))
    assert (len(parts.train), parts.val, len(parts.test)) == (5, None, 3)


def test_one_text_is_divided_where_a_paragraph_ends():
    paragraphs = [f"Paragraph {k} " + "word " * 20 for k in range(20)]
    parts = parted(talks(["\n\n".join(paragraphs)], "text"))
    head, tail = parts.train.talks[0].turns[0].text, parts.test.talks[0].turns[0].text
    assert head.split("\n\n")[-1].strip() == paragraphs[17].strip()
    assert [line.strip() for line in tail.split("\n\n")] == [line.strip() for line in paragraphs[18:]]


def halves(text):
    parts = parted(talks([text], "text"))
    return parts.train.talks[0].turns[0].text, parts.test.talks[0].turns[0].text


SENTENCES = " ".join(f"Sentence {k} is here." for k in range(100))


@pytest.mark.parametrize(
    "text",
    [
        "# Heading\n\n" + SENTENCES,  # the only paragraph begins at 1 %
        SENTENCES + "\n\nThe end.",  # and here at 99 %
        SENTENCES,
        SENTENCES.replace("here. ", "here.\n"),
        "".join(f"\u53e5\u5b50 {k}\u3002" for k in range(100)),  # no blank behind a sentence
    ],
)
def test_where_no_paragraph_ends_near_nine_tenths_a_sentence_does(text):
    head, tail = halves(text)
    assert 0.88 < len(head) / len(text) < 0.92
    assert head.endswith((".", "\u3002"))
    assert len(head) + len(tail) >= len(text) - 2


def test_a_paragraph_counts_from_8_to_9_and_a_half_tenths():
    for before, here in {79: False, 82: True, 94: True, 97: False}.items():
        text = ("x y. " * 100)[: before * 5].strip() + "\n\n" + ("x y. " * 100)[: (100 - before) * 5].strip()
        tail = halves(text)[1]
        assert (len(tail) == len(text) - before * 5 - 1) is here, before
    assert halves("word " * 100)[0] == ("word " * 90).strip()
    assert halves("some words")[0] == "some"


def test_one_is_one():
    with pytest.raises(DataError, match=r"holds one talk, so that none can judge what was learned; give at least two"):
        parted(talks(["a"]))
    assert parted(talks(list("abcde"))).how == "1 of 5 talks, drawn by seed 0, judges"
    assert parted(talks(list("abcdefghij"))).how == "2 of 10 talks, drawn by seed 0, judge"
    part = np.array(["train", "test", "test"])
    assert parted(talks(list("abc"), part=part)).how == "1 talk for training and 2 of the part test to judge, as given"


def test_data_that_cannot_judge_is_one_sentence():
    with pytest.raises(DataError, match="2 talks that belong together, so that none can judge"):
        parted(talks(["same", "same"]))
    with pytest.raises(DataError, match="too little text to learn from a part"):
        parted(talks(["word"], "text"))
