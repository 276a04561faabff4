"""Prompts that fit the window: the oldest exchanges go first, then the longest turn of the user is shortened."""

import pytest
from letters import LETTERS, asked, speaker

from headstart.data.talks import Turn
from headstart.errors import DataError

ALPHABET = "".join(chr(97 + k % 26) for k in range(200))
TALK = (
    Turn("system", "be kind"),
    Turn("user", "one?"),
    Turn("assistant", "1"),
    Turn("user", "two?"),
    Turn("assistant", "2"),
    Turn("user", "three?"),
)


def text_of(one, ids):
    return "".join(one.tokenizer.convert_ids_to_tokens(ids))


def test_a_prompt_that_fits_is_whole():
    one = speaker()
    whole = one.prompt(TALK)
    assert one.fitting(TALK, len(whole)) == (whole, 0)
    assert text_of(one, whole).endswith("<s>user\nthree?</s>\n<s>assistant\n")


@pytest.mark.parametrize("gone", [1, 2])
def test_the_oldest_exchanges_go_first_and_the_system_stays(gone):
    one = speaker()
    rest = (TALK[0], *TALK[1 + 2 * gone :])
    want, more = one.prompt(rest), one.prompt((TALK[0], *TALK[2 * gone - 1 :]))
    for width in (len(want), len(more) - 1):
        assert one.fitting(TALK, width) == (want, len(one.prompt(TALK)) - len(want))


@pytest.mark.parametrize("keep", ["end", "beginning"])
@pytest.mark.parametrize("before", [(), TALK[:5]])
def test_then_the_question_is_shortened(before, keep):
    one, turns = speaker(), (*before, Turn("user", ALPHABET))
    ids, cut = one.fitting(turns, 120, keep)
    assert 100 <= len(ids) <= 120
    assert cut == len(one.prompt(turns)) - len(ids)
    left = text_of(one, ids).split("<s>user\n")[1].removesuffix("</s>\n<s>assistant\n")
    assert len(left) > 50
    assert ALPHABET.endswith(left) if keep == "end" else ALPHABET.startswith(left)
    assert text_of(one, ids).startswith("<s>system\nbe kind</s>\n" if before else "<s>user\n")


def test_what_is_answered_last_is_not_dropped_where_an_answer_stands_last():
    one = speaker()
    ids, _ = one.fitting(TALK[:5], len(one.prompt(TALK[:5])) - 1)
    assert ids == one.prompt((TALK[0], *TALK[3:5]))


def test_a_plain_text_is_gone_on_with():
    one = speaker(template=None)
    text = (Turn("text", "Once upon a time"),)
    assert text_of(one, one.fitting(text, 100)[0]) == "Once upon a time"
    assert text_of(one, one.fitting(text, 4)[0]) == "time"
    assert text_of(one, one.fitting(text, 4, "beginning")[0]) == "Once"
    assert one.fitting(text, 4)[1] == 12


def test_what_cannot_be_shortened_is_one_sentence():
    one = speaker(LETTERS)
    long = (Turn("system", "be kind " * 20), Turn("user", "hi"))
    said = "a prompt of 191 tokens can be shortened to 191, which do not fit the 50 that it may have; shorten what"
    with pytest.raises(DataError, match=said):
        one.fitting(long, 50)
    for nothing in ((), asked(" "), asked("")):
        with pytest.raises(DataError, match="a prompt has no text, so that there is nothing to answer; give a turn"):
            one.fitting(nothing, 50)
