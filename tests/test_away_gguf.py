"""A network taken away as GGUF: what transformers reads back is the network, its tokenizer and its template."""

from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, AutoTokenizer
from tuned import ROWS, TEMPLATE, TEXTS, logits, network, tokenizer

from headstart.errors import SourceError, UsageError
from headstart.sources.away_gguf import gguf_file
from headstart.sources.gguf import folder_of
from headstart.sources.gguf_header import header_of

FAMILIES = (
    *("llama", "llama tied", "llama one head", "llama all heads", "llama one kept", "llama wide heads"),
    *("mistral", "qwen2", "qwen2 tied", "qwen3"),
)
LLAMA3 = {
    **{"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    **{"original_max_position_embeddings": 8192},
}
STRETCHED = {
    "linear": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0},
    "yarn": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 512},
    "llama3": LLAMA3,
}


@pytest.fixture
def folder(tmp_path):
    return tokenizer(tmp_path / "tokenizer")


def again(path: Path):
    return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name).eval()


def weights(made):
    return dict(made.state_dict())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_comes_back_to_the_last_digit(family, folder, tmp_path):
    made = network(family)
    got = again(gguf_file(made, folder, tmp_path / "out.gguf"))
    want = weights(made)
    assert weights(got).keys() == want.keys()
    for name, tensor in weights(got).items():
        assert torch.equal(tensor, want[name]), name
    assert_close(logits(got), logits(made), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_in_half_precision_every_weight_comes_back_rounded(family, folder, tmp_path):
    made = network(family)
    got = again(gguf_file(made, folder, tmp_path / "out.gguf", quantise="f16"))
    for name, tensor in weights(made).items():
        want = tensor if tensor.ndim == 1 else tensor.half().float()
        assert torch.equal(weights(got)[name], want), name


@pytest.mark.parametrize("family", FAMILIES)
def test_in_eight_bits_every_weight_comes_back_within_half_a_step(family, folder, tmp_path):
    made = network(family)
    got = weights(again(gguf_file(made, folder, tmp_path / "out.gguf", quantise="q8_0")))
    for name, tensor in weights(made).items():
        if tensor.ndim == 1:
            assert torch.equal(got[name], tensor), name
        else:
            rows = tensor.reshape(-1, 32)
            step = rows.abs().amax(1, keepdim=True) / 127
            # and the scale itself is rounded to half precision
            off = (got[name].reshape(-1, 32) - rows).abs()
            assert (off <= step * 0.5 + rows.abs() * 2**-10 + 1e-7).all(), name
            assert off.max() > 0


def test_rows_without_whole_blocks_are_kept_in_half_precision(folder, tmp_path):
    made = network("llama", intermediate_size=40)
    gguf_file(made, folder, tmp_path / "out.gguf", quantise="q8_0")
    forms = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(tmp_path / "out.gguf").tensors}
    assert forms["blk.0.ffn_down.weight"] == "F16"
    assert forms["blk.0.ffn_up.weight"] == "Q8_0"
    assert forms["blk.0.attn_norm.weight"] == "F32"


@pytest.mark.parametrize("kind", ["gpt-2", "smollm", "llama-bpe", "qwen2", "pieces"])
def test_texts_are_the_same_tokens(kind, tmp_path):
    folder = tokenizer(tmp_path / "tokenizer", kind)
    gguf_file(network("llama"), folder, tmp_path / "out.gguf")
    want, got = AutoTokenizer.from_pretrained(folder), Speaking(tmp_path, kind)
    # transformers guesses where pieces begin with a space; all of TEXTS are compared with llama.cpp elsewhere
    for text in TEXTS[:3] if kind == "pieces" else TEXTS:
        assert got.ids(text) == want(text).input_ids, text
    assert got.tokenizer.chat_template == TEMPLATE
    for name in ("bos_token", "eos_token", "unk_token", "pad_token"):
        assert getattr(got.tokenizer, name) == getattr(want, name)


class Speaking:
    """The tokenizer of a file as it is read here; each digit by itself is more than transformers knows of alone."""

    def __init__(self, place, kind):
        if kind == "smollm":
            folder_of(place / "out.gguf", place / "again")
            self.tokenizer = AutoTokenizer.from_pretrained(place / "again")
        else:
            self.tokenizer = AutoTokenizer.from_pretrained(place, gguf_file="out.gguf")

    def ids(self, text):
        return self.tokenizer(text).input_ids


@pytest.mark.parametrize("kind", ["smollm", "pieces"])
def test_from_a_file_everything_but_the_weights_is_taken_over(kind, tmp_path):
    folder = tokenizer(tmp_path / "tokenizer", kind)
    first = gguf_file(network("llama", 1), folder, tmp_path / "first.gguf", quantise="f16")
    with_more(first, tmp_path / "original.gguf")
    second = gguf_file(network("llama", 2), folder, tmp_path / "second.gguf", original=tmp_path / "original.gguf")
    told, taken = (values(tmp_path / name) for name in ("original.gguf", "second.gguf"))
    assert told.pop("general.file_type") == 1
    assert taken.pop("general.file_type") == 0
    assert taken == told
    assert taken["general.license"] == "apache-2.0"
    want = weights(network("llama", 2))
    assert all(torch.equal(tensor, want[name]) for name, tensor in weights(again(second)).items())


def values(path):
    fields = gguf.GGUFReader(path).fields
    return {key: field.contents() for key, field in fields.items() if not key.startswith("GGUF.")}


def with_more(path, to):
    """The same file with more to say, as those of others have."""
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(to, "llama")
    for key, field in reader.fields.items():
        if not key.startswith(("GGUF.", "general.architecture")):
            writer.add_key_value(key, field.contents(), field.types[0], field.types[-1])
    writer.add_license("apache-2.0")
    writer.add_languages(["en", "de"])
    writer.add_key_value("tokenizer.ggml.eot_token_id", 2, gguf.GGUFValueType.UINT32)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, np.array(tensor.data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.parametrize("kind", STRETCHED)
def test_positions_come_back_as_they_were_stretched(kind, folder, tmp_path):
    made = network("llama", rope_parameters=STRETCHED[kind], max_position_embeddings=2048)
    folder_of(gguf_file(made, folder, tmp_path / "out.gguf"), tmp_path / "again")
    got = AutoModelForCausalLM.from_pretrained(tmp_path / "again").eval()
    long = [3 + place % 400 for place in range(900)]
    assert_close(logits(got, long), logits(made, long), rtol=1e-4, atol=1e-4)
    plain = network("llama", max_position_embeddings=2048)
    assert (logits(plain, long) - logits(made, long)).abs().max() > 1e-3


def test_biases_of_a_llama_come_back(folder, tmp_path):
    made = network("llama", attention_bias=True, mlp_bias=True)
    folder_of(gguf_file(made, folder, tmp_path / "out.gguf"), tmp_path / "again")
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "again")), logits(made))


def test_rows_beyond_the_tokenizer_have_names(folder, tmp_path):
    gguf_file(network("llama"), folder, tmp_path / "out.gguf")
    tokens = values(tmp_path / "out.gguf")["tokenizer.ggml.tokens"]
    assert len(tokens) == ROWS
    assert tokens[-1] == f"[PAD{ROWS - 1}]"


def test_within_the_length_that_the_file_says_no_window_ends(folder, tmp_path):
    gguf_file(network("mistral"), folder, tmp_path / "out.gguf")
    assert header_of(tmp_path / "out.gguf").number("context_length") == 64


def test_the_network_in_memory_stays_as_it_was(folder, tmp_path):
    made = network("llama")
    before = {name: tensor.clone() for name, tensor in weights(made).items()}
    gguf_file(made, folder, tmp_path / "out.gguf", quantise="q8_0")
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(made).items())


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "phi"])
def test_other_families_are_one_sentence(family, folder, tmp_path):
    with pytest.raises(
        SourceError, match=r"cannot be written as GGUF here, only llama, mistral, qwen2, qwen3; take it"
    ):
        gguf_file(network(family), folder, tmp_path / "out.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer"]


def test_other_positions_are_one_sentence(folder, tmp_path):
    made = network("llama", rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0})
    with pytest.raises(SourceError, match=r"its positions \(dynamic: .*\) cannot be said in a GGUF file"):
        gguf_file(made, folder, tmp_path / "out.gguf")


def test_another_activation_is_one_sentence(folder, tmp_path):
    with pytest.raises(SourceError, match=r"its activation is 'gelu', where llama.cpp takes silu"):
        gguf_file(network("llama", hidden_act="gelu"), folder, tmp_path / "out.gguf")


def test_another_way_to_split_texts_is_one_sentence(tmp_path):
    from tokenizers import Tokenizer, pre_tokenizers

    folder = tokenizer(tmp_path / "tokenizer")
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(False)])
    made.save(str(folder / "tokenizer.json"))
    with pytest.raises(SourceError, match=r"steps before merging \(Whitespace, ByteLevel\), which cannot be said"):
        gguf_file(network("llama"), folder, tmp_path / "out.gguf")


def test_the_file_of_another_network_is_refused(folder, tmp_path):
    other = gguf_file(network("llama", num_hidden_layers=3), folder, tmp_path / "other.gguf")
    with pytest.raises(SourceError, match=r"other.gguf is of another network: its llama.block_count is 3, not 2"):
        gguf_file(network("llama"), folder, tmp_path / "out.gguf", original=other)
    with pytest.raises(SourceError, match=r"other.gguf is of a llama network, not qwen2; leave the original out"):
        gguf_file(network("qwen2"), folder, tmp_path / "out.gguf", original=other)
    assert not (tmp_path / "out.gguf").exists()


def test_an_unknown_form_is_one_sentence(folder, tmp_path):
    with pytest.raises(UsageError, match="quantise='q4_0' is not one of f16 and q8_0"):
        gguf_file(network("llama"), folder, tmp_path / "out.gguf", quantise="q4_0")


def test_a_weight_that_half_precision_cannot_hold_leaves_nothing_behind(folder, tmp_path):
    made = network("llama")
    with torch.no_grad():
        made.lm_head.weight[3, 4] = 7e4
    with pytest.raises(SourceError, match=r"output.weight has values up to 7e\+04.* in float16; use float32"):
        gguf_file(made, folder, tmp_path / "out.gguf", quantise="f16")
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer"]
