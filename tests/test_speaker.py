"""Talks in tokens: the template's own text, answers told and nothing else, and a stated rule for what is too long."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from headstart.data.talks import Talk, Turn
from headstart.errors import DataError, SourceError
from headstart.sources.speaker import Speaker, unknown_share

CHATML = (
    "{% for m in messages %}{{ '<s>' + m['role'] + '\n' + m['content'] + '</s>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %}"
)


def speaker(template=CHATML):
    """A token for each character, and two for the ends of turns."""
    letters = [chr(code) for code in range(32, 127)] + ["\n"]
    words = {word: place for place, word in enumerate(["[UNK]", "<s>", "</s>", *letters])}
    core = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    made = PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", bos_token="<s>", eos_token="</s>", chat_template=template,
        clean_up_tokenization_spaces=False,
    )  # fmt: skip
    return Speaker(made, "tiny")


def talk(*said, name="line 3"):
    return Talk(tuple(Turn(role, text) for role, text in said), name)


THREE = talk(("system", "be kind"), ("user", "hi"), ("assistant", "hello"), ("user", "and?"), ("assistant", "bye"))


def text_of(one, ids):
    return "".join(one.tokenizer.convert_ids_to_tokens(ids))


def test_the_tokens_are_those_of_the_template_and_the_answers_with_their_ends_are_told():
    one = speaker()
    (piece,) = one.spoken(THREE, 1000).pieces
    whole = one.tokenizer.apply_chat_template(
        [{"role": turn.role, "content": turn.text} for turn in THREE.turns], tokenize=False
    )
    assert text_of(one, piece.ids) == whole.rstrip("\n")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], piece.told, [False]]).astype(int))).reshape(-1, 2)
    assert [text_of(one, piece.ids[a:b]) for a, b in edges] == ["hello</s>", "bye</s>"]


def test_a_prompt_is_what_stands_before_the_answer_that_is_told():
    one = speaker()
    (piece,) = one.spoken(THREE, 1000).pieces
    first = int(np.argmax(piece.told))
    assert one.prompt(THREE.turns[:2]) == piece.ids[:first].tolist()


def test_what_is_too_long_loses_its_oldest_exchange_first():
    one = speaker()
    without = talk(("system", "be kind"), ("user", "and?"), ("assistant", "bye"))
    want, whole = (one.spoken(each, 1000).pieces[0] for each in (without, THREE))
    found = one.spoken(THREE, len(whole.ids) - 1)
    assert found.pieces[0].ids.tolist() == want.ids.tolist()
    assert found.cut == len(whole.ids) - len(want.ids)


@pytest.mark.parametrize("keep", ["end", "beginning"])
def test_then_the_question_is_shortened_and_the_answer_is_whole(keep):
    one, question = speaker(), "".join(chr(97 + k % 26) for k in range(200))
    long = talk(("user", question), ("assistant", "yes"))
    found = one.spoken(long, 120, keep=keep)
    (piece,) = found.pieces
    assert 100 <= len(piece.ids) <= 120
    assert found.cut > 80
    assert text_of(one, piece.ids[piece.told]) == "yes</s>"
    said = text_of(one, piece.ids)[len("<s>user\n") :].split("</s>")[0]
    assert question.endswith(said) if keep == "end" else question.startswith(said)


def test_an_answer_that_does_not_fit_is_one_sentence():
    with pytest.raises(DataError, match="line 3 has answers of 301 tokens that do not fit the window of 100; shorten"):
        speaker().spoken(talk(("user", "hi"), ("assistant", "y" * 300)), 100)


def test_a_plain_text_is_told_whole_in_pieces_of_the_window():
    one = speaker()
    found = one.spoken(talk(("text", "abcdefghij")), 4)
    assert [text_of(one, piece.ids) for piece in found.pieces] == ["abcd", "efgh", "ij</s>"]
    assert all(piece.told.all() for piece in found.pieces)


def test_templates_that_cannot_be_learned_from_are_one_sentence():
    with pytest.raises(SourceError, match="tiny has no chat template, so that it is not known how it is spoken to"):
        speaker(None).spoken(THREE, 100)
    last = "{% for m in messages %}{% if loop.last %}{{ m['content'] }}{% endif %}{% endfor %}"
    with pytest.raises(DataError, match="the chat template of tiny rewrites earlier turns; give talks of one question"):
        speaker(last).spoken(THREE, 100)


def test_tokens_that_stand_for_no_character_are_counted():
    assert unknown_share(speaker(), ["hello"]) == 0
    assert unknown_share(speaker(), ["hé", "жж"]) == 0.75


def test_an_answer_of_weight_0_is_read_and_not_told():
    one = speaker()
    turns = (*THREE.turns[:2], Turn("assistant", "hello", told=False), *THREE.turns[3:])
    (whole,), (piece,) = one.spoken(THREE, 1000).pieces, one.spoken(Talk(turns, "line 3"), 1000).pieces
    assert piece.ids.tolist() == whole.ids.tolist()
    assert text_of(one, piece.ids[piece.told]) == "bye</s>"


def test_the_only_answer_that_is_told_stays_however_long_the_talk():
    one = speaker()
    turns = (*THREE.turns[:4], Turn("assistant", "bye", told=False))
    length = len(one.spoken(Talk(turns, "line 3"), 1000).pieces[0])
    (piece,) = one.spoken(Talk(turns, "line 3"), length).pieces
    assert text_of(one, piece.ids[piece.told]) == "hello</s>"
    with pytest.raises(DataError, match="do not fit the window"):
        one.spoken(Talk(turns, "line 3"), length - 4)
