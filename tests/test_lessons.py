"""Talks as rows: what each talk loses is what the network loses on it alone."""

import numpy as np
import pytest
import torch
from test_speaker import CHATML, speaker, talk
from torch.nn import functional as F

from headstart.adapt.lessons import lessons
from headstart.data.packing import NOTHING
from headstart.errors import DataError
from headstart.sources.decoder import Decoder


def talks(n=12, seed=0):
    draw = np.random.default_rng(seed)

    def words(most):
        return "".join(draw.choice(list("abc de"), draw.integers(3, most))).strip() or "a"

    return [talk(("user", words(20)), ("assistant", words(15)), name=f"line {k + 1}") for k in range(n)]


def network():
    """A tiny Llama over the letters of the test's speaker."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    sizes = {"vocab_size": 110, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
             "num_key_value_heads": 1, "intermediate_size": 32}  # fmt: skip
    return AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **sizes))


def test_each_talk_loses_what_the_network_loses_on_it_alone():
    one, said, net = speaker(CHATML), talks(), network().eval()
    found = lessons(one, said, 128)
    assert len(found.arrays["ids"]) < len(said)
    losses = found.judged(Decoder(net))
    for at, each in enumerate(said):
        (piece,) = one.spoken(each, 128).pieces
        ids = torch.from_numpy(piece.ids)[None]
        y = torch.where(torch.from_numpy(piece.told), ids[0], NOTHING)[1:]
        want = F.cross_entropy(net(input_ids=ids).logits[0, :-1], y, reduction="sum", ignore_index=NOTHING)
        assert losses[at] == pytest.approx(want.item(), rel=1e-4)
        assert found.told[at] == int(piece.told.sum())
    assert found.task.told == pytest.approx(found.told.sum() / len(found.arrays["ids"]))


def test_rows_have_keys_of_their_content():
    one = speaker(CHATML)
    first, again, other = (lessons(one, talks(seed=seed), 128).examples() for seed in (0, 0, 1))
    assert first.keys == again.keys
    assert not set(first.keys) & set(other.keys)
    assert len(set(first.keys)) == len(first.keys)


def test_talks_that_cannot_be_learned_from_are_named_and_the_others_stay():
    one = speaker(CHATML)
    long = talk(("user", "hi"), ("assistant", "y" * 300), name="line 99")
    found = lessons(one, [*talks(3), long], 128)
    assert [name for name, _ in found.left_out] == ["line 99"]
    assert found.told[3] == 0
    with pytest.raises(DataError, match="line 99 has answers of 301 tokens that do not fit the window of 128"):
        lessons(one, [long], 128)


def test_a_plain_text_in_several_pieces_is_one_talk():
    one, text = speaker(CHATML), talk(("text", "abc " * 50), name="a.txt")
    found = lessons(one, [text, *talks(2)], 64)
    assert found.told[0] == 200 + 1 - 4  # the first token of each piece has nothing before it
