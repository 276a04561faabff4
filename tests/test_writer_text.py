"""Text from tokens as they come: what is said is never taken back, is no half character and no part of a stop word."""

import random
from itertools import product

import pytest
from letters import LETTERS, speaker
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from headstart.sources.transcript import Transcript

TEXT = "Grüße — 日本語 🙂👩‍👩‍👧 naïve “quotes”  two  blanks\n\n\tand ж tab; the the then there. "
END = 2


def of_bytes():
    """Tokens of bytes, some of them merged: a character takes up to four."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=290, special_tokens=["<s>", "<x>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(["the then there quotes” 日 " * 20, " 😀 😁 😂 😃 😄" * 20], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>")


def of_pieces():
    """Tokens of words with the blank before them, and of bytes for what is no word, as Llama's and Gemma's."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{code:02X}>" for code in range(256))]
    words += ["▁", "▁the", "the", "n", "re", "▁and", "a", "b", "t", "日", ".", "\n"]
    core = Tokenizer(models.BPE({word: place for place, word in enumerate(words)}, [], byte_fallback=True))
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def heard(tokenizer, ids, stop=()):
    """The pieces said, and the transcript."""
    pieces = []
    one = Transcript(tokenizer, {END}, stop, pieces.append)
    for token in ids:
        if not one.ended:
            one.hear(token)
    if not one.ended:
        one.close()
    return pieces, one


@pytest.mark.parametrize("make", [of_bytes, of_pieces])
def test_the_pieces_are_what_the_tokens_say_together(make):
    tokenizer, draw = make(), random.Random(0)
    usual = [token for token in range(3, len(tokenizer)) if "\ufffd" not in tokenizer.decode([token])]
    chars = [[3 + byte for byte in char.encode()] for char in "é日🙂"] if make is of_pieces else []
    chars = chars or [tokenizer(char, add_special_tokens=False)["input_ids"] for char in "é日🙂👩‍👧"]
    for _ in range(200):
        parts = [draw.choice(chars) if draw.random() < 0.3 else [draw.choice([*usual, 0, 1])] for _ in range(20)]
        ids = [token for part in parts for token in part]
        pieces, one = heard(tokenizer, ids)
        assert one.text == "".join(pieces) == tokenizer.decode(ids, skip_special_tokens=True)
        assert (one.tokens, one.ended) == (len(ids), False)
        assert "\ufffd" not in one.text


def test_a_text_comes_back_as_it_was():
    tokenizer = of_bytes()
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    pieces, one = heard(tokenizer, [*ids, END])
    assert "".join(pieces) == TEXT
    assert len(pieces) > 50
    assert (one.tokens, one.ended) == (len(ids) + 1, True)


@pytest.mark.parametrize("make", [of_bytes, of_pieces])
def test_bytes_at_random_are_said_once_they_can_be_no_character(make):
    tokenizer, draw = make(), random.Random(1)
    for _ in range(200):
        ids = [draw.randrange(3, len(tokenizer)) for _ in range(12)]
        pieces, one = heard(tokenizer, ids)
        assert all(piece and not piece.endswith("\ufffd") for piece in pieces)
        if make is of_bytes:
            assert one.text == tokenizer.decode(ids).rstrip("\ufffd")


def test_half_a_character_at_the_end_is_not_said():
    tokenizer = of_bytes()
    ids = tokenizer("ab🙂", add_special_tokens=False)["input_ids"]
    assert len(ids) > 3
    for more in ([], [END]):
        pieces, _ = heard(tokenizer, [*ids[:-1], *more])
        assert "".join(pieces) == "ab"


def test_a_token_of_a_blank_and_half_a_character_says_its_blank_at_the_end():
    tokenizer = of_bytes()
    ids = tokenizer("ab 😅", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids[:-1]) == "ab \ufffd"
    assert len(ids) == 4
    for more in ([], [END]):
        assert "".join(heard(tokenizer, [*ids[:-1], *more])[0]) == "ab "


def test_of_two_stop_words_in_one_token_the_first_counts():
    tokenizer = of_bytes()
    ids = tokenizer("a there", add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids[1:]) == tokenizer.decode(ids[-1:]) == " there"
    for stop in (("r", "h"), ("h", "r"), ("ere", "re", "he")):
        assert "".join(heard(tokenizer, ids, stop)[0]) == "a t"


def first_end(text, stop):
    """The text until a stop word is in it, letter by letter, and before that word."""
    for end in range(len(text) + 1):
        found = [at for word in stop if (at := text[:end].find(word)) >= 0]
        if found:
            return text[: min(found)], True
    return text, False


@pytest.mark.parametrize("stop", [("ab",), ("aab",), ("abab", "bb"), ("a",), ("abb", "b"), ("ba", "aaa"), ("bab", "c")])
def test_every_text_of_two_letters_ends_before_the_stop_word(stop):
    tokenizer = speaker(LETTERS).tokenizer
    a, b = tokenizer.convert_tokens_to_ids(["a", "b"])
    for ids in product([a, b], repeat=8):
        text = "".join("a" if token == a else "b" for token in ids)
        for more in ([], [END]):
            pieces, one = heard(tokenizer, [*ids, *more], stop)
            assert ("".join(pieces), one.ended) == (first_end(text, stop)[0], first_end(text, stop)[1] or bool(more))


@pytest.mark.parametrize("word", ["日本", "the", "🙂", "e the", "\n\n\t", "quotes”  tw", "👩‍👧"])
def test_a_stop_word_may_span_tokens_or_be_a_part_of_one(word):
    tokenizer = of_bytes()
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    pieces, one = heard(tokenizer, ids, (word, "not there"))
    assert "".join(pieces) == one.text == TEXT[: TEXT.index(word)]
    assert one.ended
