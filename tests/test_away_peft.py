"""Adapters taken away: peft gives with them what the network gave that learned them."""

import numpy as np
import pytest
import torch
from peft import PeftModel
from torch.testing import assert_close
from tuned import logits, network

from headstart.adapt.lora import Adapters
from headstart.core.skill import TAIL
from headstart.core.stack import LORA
from headstart.errors import SourceError, UsageError
from headstart.sources.away_peft import adapter, module_names
from headstart.sources.decoder import Decoder
from headstart.sources.load import LORA_A, LORA_B, lay_over

# of peft, which asks transformers by a name that will go
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
RANK = 3


def learned(family, depth=3):
    """Adapters of random values, as they are taken out."""
    stack = Decoder(network(family))
    adapters = Adapters(stack, depth, rank=RANK)  # pyright: ignore[reportArgumentType]
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in stack.named_parameters():
            if LORA in name:
                parameter.copy_(torch.randn(parameter.shape, generator=draw) / 10)
    return adapters.take_out()


def of_conv1d(made):
    """W + B A for each matrix of a GPT-2, whose rows are its inputs."""
    draw = np.random.default_rng(1)
    out = {}
    for layer in (1, 2):
        for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc"):
            rows, columns = made.get_submodule(f"transformer.h.{layer - 1}.{name}").weight.shape
            for part, shape in ((LORA_A, (RANK, columns)), (LORA_B, (rows, RANK))):
                out[f"{TAIL}layer{layer}.0.{name}.weight{part}"] = draw.normal(0, 0.1, shape).astype(np.float32)
    return out


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt_neox", "phi", "gemma2", "qwen3"])
def test_names_in_the_stack_are_those_of_the_same_modules_in_the_network(family):
    made = network(family)
    names = module_names(made)
    stack = Decoder(made)
    inner = [name for name in stack.names if name.startswith("layer")]
    seen = 0
    for block in inner:
        for name, module in stack.blocks[block].named_modules():
            if name.startswith("0."):
                assert made.get_submodule(names[f"{block}.{name}"]) is module
                seen += 1
    assert seen == len(names) > 5


def test_names_are_written_as_the_families_write_them():
    assert module_names(network("llama"))["layer2.0.self_attn.q_proj"] == "model.layers.1.self_attn.q_proj"
    assert module_names(network("gpt2"))["layer1.0.attn.c_attn"] == "transformer.h.0.attn.c_attn"
    assert module_names(network("gpt_neox"))["layer2.0.mlp.dense_h_to_4h"] == "gpt_neox.layers.1.mlp.dense_h_to_4h"
    assert module_names(network("phi"))["layer1.0.self_attn.dense"] == "model.layers.0.self_attn.dense"


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("family", ["llama", "llama tied", "qwen2", "gemma2", "gpt_neox", "phi"])
def test_peft_answers_as_the_network_that_learned(family, depth, tmp_path):
    tail = learned(family, depth)
    tuned = Decoder(network(family))
    lay_over(tuned, tail)  # pyright: ignore[reportArgumentType]
    base = network(family)
    before = logits(base)
    adapter(tail, base.config, tmp_path / "out", rank=RANK)
    got = logits(PeftModel.from_pretrained(base, tmp_path / "out"))
    assert_close(got, logits(tuned.eval().network), rtol=1e-5, atol=1e-5)
    assert (got - before).abs().max() > 1e-2


def test_peft_answers_as_a_gpt_2_that_learned(tmp_path):
    base = network("gpt2")
    tail = of_conv1d(base)
    tuned = Decoder(network("gpt2"))
    lay_over(tuned, tail)  # pyright: ignore[reportArgumentType]
    adapter(tail, base.config, tmp_path / "out", rank=RANK)
    got = logits(PeftModel.from_pretrained(base, tmp_path / "out"))
    assert_close(got, logits(tuned.eval().network), rtol=1e-5, atol=1e-5)


def test_merged_by_peft_it_is_the_network_laid_over(tmp_path):
    tail = learned("llama")
    tuned = Decoder(network("llama"))
    lay_over(tuned, tail)  # pyright: ignore[reportArgumentType]
    adapter(tail, network("llama").config, tmp_path / "out", rank=RANK)
    whole = PeftModel.from_pretrained(network("llama"), tmp_path / "out").merge_and_unload()
    for name, tensor in whole.state_dict().items():
        assert_close(tensor, tuned.network.state_dict()[name], rtol=1e-5, atol=1e-6)


def test_the_configuration_is_not_changed(tmp_path):
    config = network("llama").config
    before = config.to_dict()
    adapter(learned("llama"), config, tmp_path / "out", rank=RANK)
    assert config.to_dict() == before


BAD = {
    "norms": ({f"{TAIL}layer1.0.input_layernorm.weight": np.ones(64, np.float32)}, "is no adapter of a layer"),
    "elsewhere": ({f"{TAIL}layer9.0.self_attn.q_proj.weight{LORA_A}": np.ones((3, 64))}, "is no adapter of a layer"),
    "no layer": ({f"{TAIL}layer1.0.self_attn.weight{LORA_A}": np.ones((3, 64))}, f"has no {LORA_B} to it"),
    "lone": ({f"{TAIL}layer1.0.self_attn.q_proj.weight{LORA_A}": np.ones((3, 64))}, f"has no {LORA_B} to it"),
    "lone b": ({f"{TAIL}layer1.0.self_attn.q_proj.weight{LORA_B}": np.ones((64, 3))}, "1 values make 0 adapters"),
    "nothing": ({}, "0 adapters were given"),
}


@pytest.mark.parametrize("case", BAD)
def test_values_that_are_no_adapters_are_one_sentence(case, tmp_path):
    values, why = BAD[case]
    with pytest.raises(SourceError, match=why):
        adapter(values, network("llama").config, tmp_path / "out", rank=RANK)
    assert not list(tmp_path.iterdir())


def test_adapters_of_a_wider_network_are_refused(tmp_path):
    with pytest.raises(SourceError, match=r"of shape \(3, 64\) does not fit Linear"):
        adapter(learned("llama"), network("llama", hidden_size=32).config, tmp_path / "out", rank=RANK)


def test_another_rank_is_refused(tmp_path):
    with pytest.raises(SourceError, match="has rank 3, not 8"):
        adapter(learned("llama"), network("llama").config, tmp_path / "out", rank=8)


def test_a_place_that_is_taken_stays_as_it_is(tmp_path):
    with pytest.raises(UsageError, match="is there already"):
        adapter(learned("llama"), network("llama").config, tmp_path, rank=RANK)
