"""A network taken away merged: what transformers reads there is the network that was taken."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
from tuned import TEMPLATE, TEXTS, logits, network, tokenizer

from headstart.core.harmless import refuse_code
from headstart.errors import SourceError, UsageError
from headstart.sources.away import merged

FAMILIES = ("llama", "llama tied", "qwen2", "gpt2", "gemma2")


def again(folder, **how):
    return AutoModelForCausalLM.from_pretrained(folder, **how).eval()


@pytest.mark.parametrize("family", FAMILIES)
def test_it_answers_as_the_network_to_the_last_digit(family, tmp_path):
    made = network(family)
    got = again(merged(made, tokenizer(tmp_path / "tokenizer"), tmp_path / "out"))
    assert got.dtype == torch.float32
    assert torch.equal(logits(got), logits(made))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_in_half_precision_it_answers_as_the_network_with_rounded_weights(family, dtype, tmp_path):
    made = network(family)
    merged(made, tokenizer(tmp_path / "tokenizer"), tmp_path / "out", dtype=dtype)
    half = getattr(torch, dtype)
    assert again(tmp_path / "out").dtype == half
    rounded = network(family)
    rounded.load_state_dict({name: tensor.to(half).float() for name, tensor in made.state_dict().items()})
    got = logits(again(tmp_path / "out", dtype="float32"))
    assert torch.equal(got, logits(rounded))
    assert_close(got, logits(made), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_network_in_memory_stays_as_it_was(family, tmp_path):
    made = network(family)
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    said = made.config.to_dict(), made.generation_config.to_dict()
    merged(made, tokenizer(tmp_path / "tokenizer"), tmp_path / "out", dtype="bfloat16")
    assert (made.config.to_dict(), made.generation_config.to_dict()) == said
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.state_dict().items())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tied_head_is_written_once(family, tmp_path):
    made = network(family)
    merged(made, tokenizer(tmp_path / "tokenizer"), tmp_path / "out")
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as file:
        assert set(file.keys()) == {name for name, _ in made.named_parameters()}


def test_a_head_untied_by_hand_stays_untied(tmp_path):
    made = network("llama tied")
    made.lm_head.weight = torch.nn.Parameter(made.lm_head.weight.detach() + 1)
    got = again(merged(made, tokenizer(tmp_path / "tokenizer"), tmp_path / "out"))
    assert torch.equal(logits(got), logits(made))


@pytest.mark.parametrize("kind", ["smollm", "llama-bpe", "qwen2", "pieces"])
def test_the_tokenizer_and_its_template_come_along(kind, tmp_path):
    folder = tokenizer(tmp_path / "tokenizer", kind)
    merged(network("llama"), folder, tmp_path / "out")
    want, got = AutoTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(tmp_path / "out")
    assert [got(text).input_ids for text in TEXTS] == [want(text).input_ids for text in TEXTS]
    assert got.chat_template == TEMPLATE
    assert (got.eos_token_id, got.pad_token_id) == (want.eos_token_id, want.pad_token_id)


def test_answers_end_where_the_tokenizer_says_so(tmp_path):
    """The network ended with token 0 before; its answers were learned with the tokenizer's, which is 2."""
    merged(network("llama"), tokenizer(tmp_path / "tokenizer"), tmp_path / "out")
    assert again(tmp_path / "out").generation_config.eos_token_id == [2, 0]


def test_nothing_that_runs_code_comes_along(tmp_path):
    folder = tokenizer(tmp_path / "tokenizer")
    (folder / "modeling_own.py").write_text("raise SystemExit")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["auto_map"] = {"AutoTokenizer": ["modeling_own.Own", None]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    made = network("llama")
    made.config.auto_map = {"AutoModelForCausalLM": "modeling_own.Own"}
    made.config._name_or_path = str(tmp_path)
    merged(made, folder, tmp_path / "out")
    refuse_code(tmp_path / "out")
    written = "".join(path.read_text() for path in (tmp_path / "out").glob("*.json"))
    assert "auto_map" not in written
    assert str(tmp_path) not in written
    assert not list((tmp_path / "out").glob("*.py"))


def test_a_place_that_is_taken_stays_as_it_is(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="out is there already; move it away, or give another place"):
        merged(network("llama"), tokenizer(tmp_path / "tokenizer"), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"writing .* failed: .*; free space or choose another place"):
        merged(network("llama"), tokenizer(tmp_path / "tokenizer"), tmp_path / "file" / "out")


def test_a_weight_that_half_precision_cannot_hold_leaves_nothing_behind(tmp_path):
    made, folder = network("llama"), tokenizer(tmp_path / "tokenizer")
    with torch.no_grad():
        made.lm_head.weight[3, 4] = 7e4
    with pytest.raises(SourceError, match=r"lm_head.weight has values up to 7e\+04.* in float16; use float32"):
        merged(made, folder, tmp_path / "out", dtype="float16")
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer"]


def test_an_unknown_dtype_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="dtype='int8' is not one of float32, bfloat16, float16"):
        merged(network("llama"), tmp_path, tmp_path / "out", dtype="int8")


class Own(LlamaForCausalLM):
    """A network that transformers does not make by itself."""


def test_a_network_of_other_code_is_refused(tmp_path):
    with pytest.raises(SourceError, match="Own needs code that does not come with transformers"):
        merged(Own(network("llama").config), tmp_path, tmp_path / "out")


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_adapters_around_the_layers_are_refused(tmp_path):
    from peft import LoraConfig, get_peft_model

    made = network("llama")
    get_peft_model(made, LoraConfig(target_modules=["q_proj"]))
    with pytest.raises(SourceError, match=r"has adapters around its layers \(model.layers.0.self_attn.q_proj.lora_A"):
        merged(made, tmp_path, tmp_path / "out")


def test_the_tokenizer_of_a_larger_network_is_refused(tmp_path):
    made, folder = network("llama", vocab_size=64), tokenizer(tmp_path / "tokenizer")
    with pytest.raises(SourceError, match=r"the tokenizer has 4[0-9]{2} tokens and the network 64"):
        merged(made, folder, tmp_path / "out")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(SourceError, match="the tokenizer of LlamaForCausalLM cannot be read"):
        merged(network("llama"), Path(tmp_path), tmp_path / "out")
