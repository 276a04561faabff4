"""GGUF files that cannot be used: each ends in one sentence, and nothing is left behind."""

import struct

import gguf
import numpy as np
import pytest
from tuned import network, tokenizer

from headstart.errors import SourceError
from headstart.sources.away_gguf import gguf_file
from headstart.sources.gguf import folder_of
from headstart.sources.gguf_header import header_of
from headstart.sources.gguf_rope import stretched


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A whole file, and where its weights begin."""
    place = tmp_path_factory.mktemp("good")
    path = gguf_file(network("llama"), tokenizer(place / "tokenizer"), place / "good.gguf", quantise="q8_0")
    return path.read_bytes(), gguf.GGUFReader(path).data_offset


def refused(content, place, why):
    """The file with this content is refused with this sentence, and nothing is made of it."""
    (place / "bad.gguf").write_bytes(content)
    with pytest.raises(SourceError, match=why) as said:
        folder_of(place / "bad.gguf", place / "made")
    assert len(str(said.value).splitlines()) == 1
    assert [path.name for path in place.iterdir()] == ["bad.gguf"]


def written(path, *, architecture="llama", values=(), tensors=()):
    """A file with little in it."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value, kind in values:
        writer.add_key_value(key, value, gguf.GGUFValueType[kind])
    for name, tensor in tensors:
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


@pytest.mark.parametrize("length", [0, 3, 100, 10_000])
def test_random_bytes(length, tmp_path):
    content = np.random.default_rng(length).bytes(length)
    refused(content, tmp_path, "bad.gguf is no GGUF file: it does not begin with GGUF; get it anew")


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes_behind_a_good_beginning(seed, tmp_path):
    content = b"GGUF" + struct.pack("<I", 3) + np.random.default_rng(seed).bytes(5000)
    refused(content, tmp_path, "bad.gguf is cut off or damaged: what it says before its weights cannot be read")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_cut_off_before_its_weights(share, good, tmp_path):
    content, begin = good
    refused(content[: 4 + int(share * (begin - 40))], tmp_path, "bad.gguf is cut off or damaged: .* bytes; get it anew")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_cut_off_among_its_weights(share, good, tmp_path):
    content, begin = good
    rest = content[: begin + int(share * (len(content) - begin))]
    refused(rest, tmp_path, f"bad.gguf is cut off: {len(rest)} of [0-9]+ bytes are there; get it anew")


def test_one_byte_too_few(good, tmp_path):
    content, _ = good
    whole = content.rstrip(b"\0")  # the padding after the last tensor need not be there
    refused(whole[:-40], tmp_path, "bad.gguf is cut off: ")


@pytest.mark.parametrize(("number", "name"), [(99, "number 99"), (15, "Q8_K"), (4, "number 4"), (26, "I32")])
def test_a_quantisation_that_is_not_known(number, name, good, tmp_path):
    content = bytearray(good[0])
    at = content.index(b"blk.0.ffn_up.weight") + len("blk.0.ffn_up.weight") + 4 + 16
    content[at : at + 4] = struct.pack("<I", number)
    refused(
        bytes(content), tmp_path, rf"blk.0.ffn_up.weight of bad.gguf is in a quantisation \({name}\) that the gguf pack"
    )


def test_an_architecture_that_transformers_does_not_know(tmp_path):
    content = written(
        tmp_path / "bad.gguf", architecture="mpt", tensors=[("token_embd.weight", np.ones((4, 32), "f4"))]
    )
    refused(
        content, tmp_path, r"bad.gguf cannot be read as GGUF \(GGUF model with architecture mpt is not supported ye"
    )


def test_no_architecture_at_all(good, tmp_path):
    content = good[0].replace(b"general.architecture", b"general.archelecture")
    refused(content, tmp_path, "bad.gguf does not say of which architecture it is; get it anew")


def test_no_tokenizer(tmp_path):
    sizes = [(f"llama.{key}", 2, "UINT32") for key in ("block_count", "embedding_length", "attention.head_count")]
    content = written(tmp_path / "bad.gguf", values=sizes, tensors=[("token_embd.weight", np.ones((4, 32), "f4"))])
    refused(content, tmp_path, r"bad.gguf cannot be read as GGUF \(")


def test_merges_that_do_not_fit_the_tokens(good, tmp_path):
    content = bytearray(good[0])
    content[content.index(b"tokenizer.ggml.merges") + len("tokenizer.ggml.merges") + 24] = 0x7F  # is no token's letter
    refused(bytes(content), tmp_path, r"bad.gguf cannot be read as GGUF \(.*\); use a file in F16")


@pytest.mark.parametrize("version", [0, 1, 4, 50331648])
def test_another_version(version, good, tmp_path):
    content = b"GGUF" + struct.pack("<I", version) + good[0][8:]
    refused(content, tmp_path, f"bad.gguf is GGUF of version {version}, and 2 and 3 are read here")


def test_a_part_of_a_network(tmp_path):
    content = written(tmp_path / "bad.gguf", values=[("split.count", 3, "UINT16")])
    refused(content, tmp_path, "bad.gguf is one of 3 parts of a network; join them with llama-gguf-split --merge")


def test_weights_that_are_not_there(good, tmp_path):
    """transformers would draw them at random."""
    content = good[0].replace(b"blk.1.ffn_up.weight", b"blk.1.ffn_op.weight")
    refused(content, tmp_path, r"lacks 1 weights \(model.layers.1.mlp.up_proj.weight, …\); use another file")


def test_biases_that_transformers_has_no_place_for(tmp_path):
    made = network("qwen3", attention_bias=True)
    gguf_file(made, tokenizer(tmp_path / "tokenizer"), tmp_path / "some.gguf")
    content = (tmp_path / "some.gguf").read_bytes()
    (tmp_path / "apart").mkdir()
    refused(content, tmp_path / "apart", "lacks a place for 8 biases; use another file of this network")


@pytest.mark.parametrize("kind", ["longrope", "dynamic"])
def test_positions_stretched_in_another_way(kind, tmp_path):
    content = written(tmp_path / "bad.gguf", values=[("llama.rope.scaling.type", kind, "STRING")])
    refused(content, tmp_path, rf"bad.gguf stretches its positions in a way \({kind}: type\) that is not read here")


def test_factors_of_another_network(tmp_path):
    content = written(tmp_path / "bad.gguf", tensors=[("rope_freqs.weight", np.linspace(1, 9, 32, dtype="f4"))])
    refused(content, tmp_path, "its positions are stretched by factors other than those of Llama 3")


def test_factors_of_llama_3_2(tmp_path):
    """As llama.cpp's converter writes them, worked out here one by one."""
    factors = []
    for place in range(32):
        length = 2 * np.pi * 500000.0 ** (2 * place / 64)
        smooth = (8192 / length - 1) / 3
        between = 1 / ((1 - smooth) / 32 + smooth)
        factors.append(1 if length < 2048 else 32 if length > 8192 else between)
    path = tmp_path / "good.gguf"
    base = [("llama.rope.freq_base", 5e5, "FLOAT32")]
    written(path, values=base, tensors=[("rope_freqs.weight", np.array(factors, "f4"))])
    assert stretched(header_of(path), path) == {
        **{"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
        "original_max_position_embeddings": 8192,
    }


def test_no_file_at_all(tmp_path):
    with pytest.raises(SourceError, match=r"none.gguf cannot be read \(No such file or directory\)"):
        folder_of(tmp_path / "none.gguf", tmp_path / "made")
    assert not list(tmp_path.iterdir())


def test_a_bad_original_is_the_same_sentence(good, tmp_path):
    (tmp_path / "bad.gguf").write_bytes(good[0][:-1000])
    with pytest.raises(SourceError, match=r"bad.gguf is cut off"):
        gguf_file(
            network("llama"), tokenizer(tmp_path / "tokenizer"), tmp_path / "out.gguf", original=tmp_path / "bad.gguf"
        )
    assert not (tmp_path / "out.gguf").exists()


def test_the_whole_file_is_read(good, tmp_path):
    (tmp_path / "good.gguf").write_bytes(good[0])
    assert sorted(path.name for path in folder_of(tmp_path / "good.gguf", tmp_path / "made").iterdir())[:2] == [
        "chat_template.jinja",
        "config.json",
    ]
