"""Written answers against whole forward passes without a cache, alone and side by side, and in pieces."""

import threading

import numpy as np
import pytest
import torch
from letters import FAMILIES, LETTERS, WINDOW, asked, network, speaker
from transformers import GenerationConfig

from headstart.data.talks import Turn
from headstart.errors import DataError, SourceError, UsageError
from headstart.sources.decoding import Decoding
from headstart.sources.writer import Writer

PROMPTS = [asked("hello there"), asked("x"), asked("long " * 60), asked("Once upon a time there was"), asked("y" * 90)]


def by_hand(net, ids, decoding, ends=(2,)):
    """Greedy tokens of whole forward passes: the logits of a token by the rules of the penalty and of the n-grams."""
    said = []
    while len(said) < decoding.max_new_tokens:
        with torch.no_grad():
            z = net(input_ids=torch.tensor([[*ids, *said]]), use_cache=False).logits[0, -1].double().numpy()
        for token in set(said):
            z[token] = (np.divide if z[token] > 0 else np.multiply)(z[token], decoding.repetition_penalty)
        n = decoding.no_repeat_ngram_size
        if n:
            before = {tuple(said[k : k + n]) for k in range(len(said) - n + 1)}
            for token in range(len(z)):
                if (*said[len(said) - n + 1 :], token) in before:
                    z[token] = -np.inf
        said.append(int(z.argmax()))
        if said[-1] in ends:
            break
    return said


def text_of(tokens, ends=(2,)):
    """Tokens are letters, but for the three first."""
    return "".join(LETTERS[token - 3] for token in tokens if token > 2 and token not in ends)


def writer(family="llama", dtype=torch.float64, **more):
    return Writer(network(family, dtype, **more), speaker())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_those_of_whole_forward_passes_whatever_they_are_written_beside(family, dtype):
    one, decoding = writer(family, dtype), Decoding(max_new_tokens=30)
    want = [by_hand(one.network, one.speaker.prompt(turns), decoding) for turns in PROMPTS]
    assert len({tuple(tokens) for tokens in want}) > 3  # they do not agree by saying one thing all of them
    for batch in (1, 2, 8):
        found = one.write(PROMPTS, decoding, batch=batch)
        assert [each.text for each in found] == [text_of(tokens) for tokens in want]
        assert [each.tokens for each in found] == [len(tokens) for tokens in want]
        assert [each.ended for each in found] == [tokens[-1] == 2 for tokens in want]
        assert all(each.cut == 0 and each.seconds > 0 for each in found)


@pytest.mark.parametrize(("penalty", "ngram"), [(1.3, 0), (0.8, 0), (1, 1), (1, 2), (1, 3), (2, 2)])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_repeating_is_held_against_the_answer_as_the_formulas_say(family, penalty, ngram):
    one = writer(family)
    decoding = Decoding(max_new_tokens=40, repetition_penalty=penalty, no_repeat_ngram_size=ngram)
    want = [text_of(by_hand(one.network, one.speaker.prompt(turns), decoding)) for turns in PROMPTS]
    assert [each.text for each in one.write(PROMPTS, decoding, batch=3)] == want
    free = one.write(PROMPTS, Decoding(max_new_tokens=40))
    assert [each.text for each in free] != want


@pytest.mark.parametrize("form", [int, lambda token: [1, token]])
def test_every_token_that_the_network_names_ends_an_answer(form):
    one, decoding = writer("qwen2"), Decoding(max_new_tokens=30)
    ids = one.speaker.prompt(PROMPTS[0])
    whole = by_hand(one.network, ids, decoding)
    token = whole[7]
    one.network.generation_config.eos_token_id = form(token)
    want = by_hand(one.network, ids, decoding, ends=(1, 2, token))
    (found,) = one.write(PROMPTS[:1], decoding)
    assert len(want) < len(whole)
    assert (found.text, found.tokens, found.ended) == (text_of(want, (token,)), len(want), True)
    assert "".join(one.stream(PROMPTS[0], decoding)) == found.text


def test_a_text_ends_before_the_first_stop_word():
    one, decoding = writer("qwen2"), Decoding(max_new_tokens=30)
    free = [each.text for each in one.write(PROMPTS, decoding)]
    words = (free[0][4:7], free[2][9:11], "never said")
    want = [text[: min([at for word in words if (at := text.find(word)) >= 0], default=30)] for text in free]
    found = one.write(PROMPTS, Decoding(max_new_tokens=30, stop=words), batch=2)
    assert [each.text for each in found] == want
    assert [each.ended for each in found] == [len(each.text) < 30 for each in found]
    assert found[0].tokens < 30


def test_a_stop_word_that_is_a_special_token_ends_though_it_shows_in_no_text():
    one, decoding = writer("qwen2"), Decoding(max_new_tokens=30)
    whole = by_hand(one.network, one.speaker.prompt(PROMPTS[0]), decoding)
    token = whole[6]
    letter, until = LETTERS[token - 3], whole.index(token)
    one.speaker.tokenizer.add_special_tokens({"additional_special_tokens": [letter]})
    hidden = one.write(PROMPTS[:1], decoding)[0]
    assert hidden.text == text_of(whole).replace(letter, "")
    (found,) = one.write(PROMPTS[:1], Decoding(max_new_tokens=30, stop=(letter,)))
    assert (found.text, found.tokens, found.ended) == (text_of(whole[:until]), until + 1, True)


@pytest.mark.parametrize("temperature", [0, 1.5])
@pytest.mark.parametrize("stop", [(), ("a", "bc", "W-", "//")])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_pieces_of_a_stream_are_the_text_that_is_written(family, stop, temperature):
    one = writer(family)
    decoding = Decoding(max_new_tokens=40, temperature=temperature, stop=stop, seed=3)
    for turns in PROMPTS:
        pieces = list(one.stream(turns, decoding))
        assert "".join(pieces) == one.write([turns], decoding)[0].text
        assert all(pieces)


def test_a_stream_that_is_left_stops_the_network():
    one, threads, runs = writer("qwen2"), threading.active_count(), []
    one.network.lm_head.weight.data[2] = 0.0  # it hardly ever ends
    one.network.train()
    one.network.register_forward_pre_hook(lambda *_: runs.append(1))
    (whole,) = one.write(PROMPTS[:1], Decoding(max_new_tokens=450))
    full = len(runs)
    runs.clear()
    pieces = one.stream(PROMPTS[0], Decoding(max_new_tokens=450))
    assert whole.text.startswith(next(pieces))
    pieces.close()
    assert full > 300
    assert len(runs) < full / 2
    assert threading.active_count() == threads
    assert one.network.training


def test_a_seed_says_what_is_drawn_and_the_global_generators_do_not():
    one, decoding = writer(), Decoding(max_new_tokens=20, temperature=1.0, seed=5)
    torch.manual_seed(1)
    state, numbers = torch.random.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()
    first = [each.text for each in one.write(PROMPTS, decoding)]
    "".join(one.stream(PROMPTS[0], decoding))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], numbers)
    torch.manual_seed(2)
    assert [each.text for each in one.write(PROMPTS, decoding)] == first
    assert [each.text for each in one.write(PROMPTS, decoding, batch=1)] == first
    texts = {one.write(PROMPTS[:1], Decoding(max_new_tokens=20, temperature=1.0, seed=s))[0].text for s in range(10)}
    assert len(texts) == 10
    assert len({each.text for each in one.write([PROMPTS[0]] * 10, decoding)}) == 10


def test_the_network_stays_as_it_was_and_its_own_settings_do_not_matter():
    one, decoding = writer("gpt2"), Decoding(max_new_tokens=20)
    want = [each.text for each in one.write(PROMPTS, decoding)]
    one.network.generation_config = GenerationConfig(
        do_sample=True, temperature=3.0, top_k=2, repetition_penalty=4.0, num_beams=3, min_length=WINDOW,
        use_cache=False, no_repeat_ngram_size=1, eos_token_id=2,
    )  # fmt: skip
    settings = one.network.generation_config.to_dict()
    one.network.train()
    one.network.get_submodule("transformer.h.0").eval()
    modes = [module.training for module in one.network.modules()]
    weights = {name: tensor.clone() for name, tensor in one.network.state_dict().items()}
    assert [each.text for each in one.write(PROMPTS, decoding)] == want  # and dropout sleeps
    assert [module.training for module in one.network.modules()] == modes
    assert one.network.generation_config.to_dict() == settings
    assert all(torch.equal(tensor, weights[name]) for name, tensor in one.network.state_dict().items())


def test_what_does_not_fit_the_window_is_shortened_and_counted():
    one, decoding = writer("gpt2"), Decoding(max_new_tokens=12)
    long = (Turn("system", "be kind"), Turn("user", "a" * 300), Turn("assistant", "yes"), Turn("user", "b" * 250))
    found = one.write([long, PROMPTS[0]], decoding)
    short = one.write([(long[0], long[3])], decoding)[0]
    assert found[0].text == short.text
    assert found[0].cut == len(one.speaker.prompt(long)) - len(one.speaker.prompt((long[0], long[3])))
    assert (found[1].cut, short.cut) == (0, 0)
    assert "".join(one.stream(long, decoding)) == short.text
    very = one.write([asked("c" * 2000)], decoding)[0]
    ids, cut = one.speaker.fitting(asked("c" * 2000), WINDOW - 12)
    assert very.text == text_of(by_hand(one.network, ids, decoding))
    assert very.cut == cut > 2000 - WINDOW


def test_a_prompt_may_fill_the_window_to_the_last_token():
    one = writer("gpt2")
    around = len(one.speaker.prompt(asked("x"))) - 1
    full = asked("x" * (WINDOW - 12 - around))
    found = one.write([full], Decoding(max_new_tokens=12))[0]
    want = by_hand(one.network, one.speaker.prompt(full), Decoding(max_new_tokens=12))
    assert (found.cut, found.text) == (0, text_of(want))
    assert one.write([full], Decoding(max_new_tokens=13))[0].cut > 0


def test_how_many_are_done_is_told():
    told = []
    found = writer().write(PROMPTS, Decoding(max_new_tokens=25), batch=2, progress=lambda *said: told.append(said))
    assert told == sorted(set(told))
    assert told[-1] == (5, 5)
    assert {total for _, total in told} == {5}
    assert len(found) == 5
    assert writer().write([], Decoding()) == []


def test_what_cannot_be_written_is_one_sentence():
    one = writer()
    with pytest.raises(UsageError, match="max_new_tokens=512 leaves no room for a prompt in the window of 512 tokens"):
        one.write(PROMPTS, Decoding(max_new_tokens=512))
    with pytest.raises(UsageError, match="batch=0 is below 1; give the number of prompts"):
        one.write(PROMPTS, Decoding(), batch=0)
    with pytest.raises(DataError, match="a prompt has no text, so that there is nothing to answer; give"):
        one.stream((), Decoding())  # at once, not where the first piece is asked for
    with pytest.raises(SourceError, match="tiny has no chat template"):
        Writer(one.network, speaker(template=None)).write(PROMPTS, Decoding())
    with pytest.raises(SourceError, match="LlamaModel writes no text; use a causal language model"):
        Writer(one.network.model, one.speaker)
    one.network.lm_head.weight.data[4] = torch.nan
    for write in (one.write, lambda prompts, decoding: list(one.stream(prompts[0], decoding))):
        with pytest.raises(SourceError, match=r"values that are no numbers \(NaN\), so that no token can be chosen"):
            write(PROMPTS, Decoding())
