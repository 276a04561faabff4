"""Language models of many families with random weights: every cut against the network's own forward."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM

from headstart.core.evaluate import evaluate
from headstart.core.examples import from_arrays
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.store import Store
from headstart.core.task import Generate
from headstart.data.packing import NOTHING, Piece, laid_out
from headstart.sources.decoder import Decoder

SIZES = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
MANY = {"num_key_value_heads": 1, "head_dim": 8}
FAMILIES = {
    "llama": {"num_key_value_heads": 1},
    "llama tied": {"num_key_value_heads": 1, "tie_word_embeddings": True},
    "mistral": {**MANY, "sliding_window": None},
    "qwen2": {"num_key_value_heads": 1},
    "qwen3": MANY,
    "gemma": MANY,
    "gemma2": {**MANY, "query_pre_attn_scalar": 8, "final_logit_softcapping": 5.0},
    "gemma3_text": {**MANY, "query_pre_attn_scalar": 8},
    "phi": {},
    "phi3": {"num_key_value_heads": 1, "pad_token_id": 0},
    "gpt2": {"n_embd": 16, "n_layer": 3, "n_head": 2, "n_positions": 64},
    "gpt_neox": {},
}


def make(family):
    torch.manual_seed(0)
    name, sizes = family.split()[0], dict(SIZES)
    if name == "gpt2":
        sizes = {"vocab_size": 60}
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(name, **{**sizes, **FAMILIES[family]}))


def packed():
    """Rows of several documents, and each document alone."""
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 60, (3, 12), generator=draw)
    doc = torch.tensor([[1] * 12, [1] * 5 + [2] * 4 + [3] * 3, [1] * 3 + [2] * 6 + [0] * 3])
    parts = [(row, doc[row] == d) for row in range(3) for d in range(1, int(doc[row].max()) + 1)]
    return ids, doc, parts


@pytest.mark.parametrize("family", FAMILIES)
def test_every_cut_equals_the_uncut_network_on_each_document_alone(family):
    network = make(family).eval()
    stack = Decoder(network).eval()
    ids, doc, parts = packed()
    with torch.no_grad():
        for cut in range(len(stack) + 1):
            out = stack(stack({"ids": ids, "doc": doc}, stop=cut), start=cut)["h"]
            for row, mine in parts:
                want = network(input_ids=ids[row, mine][None]).logits[0].float()
                assert_close(out[row, mine], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_belongs_to_one_block(family):
    network = make(family)
    stack = Decoder(network)
    in_stack = [id(p) for block in stack.blocks.values() for p in block.parameters()]
    assert len(in_stack) == len(set(in_stack))
    assert not [name for name, p in network.named_parameters() if id(p) not in in_stack]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_the_loss_of_each_token_and_its_gradients_are_those_of_the_network(family, depth):
    ids, doc, parts = packed()
    y = torch.full_like(ids, NOTHING)
    for row, mine in parts:
        places = torch.nonzero(mine).flatten()
        y[row, places[1:-1]] = ids[row, places[2:]]
    stack, network = Decoder(make(family)), make(family).eval()
    stack.learn(depth).eval()
    state = stack({"ids": ids, "doc": doc, "next": y}, stop=stack.cut(depth))
    each = stack({name: t.detach() for name, t in state.items()}, start=stack.cut(depth))["h"]
    whole = torch.zeros(())
    for row, mine in parts:
        z = network(input_ids=ids[row, mine][None]).logits[0].float()
        whole = whole + F.cross_entropy(z, y[row, mine], reduction="sum", ignore_index=NOTHING)
    assert_close(each.sum(), whole, rtol=1e-4, atol=1e-4)
    each.sum().backward()
    whole.backward()
    of_network = dict(network.named_parameters())
    seen = 0
    for name, p in stack.network.named_parameters():
        if p.requires_grad and p.grad is not None:
            tied = of_network[name].grad
            assert_close(p.grad, tied, rtol=1e-3, atol=1e-4, msg=lambda said, name=name: f"{name}: {said}")
            seen += 1
    assert seen > 3


def rows(n=24, width=20):
    draw = np.random.default_rng(0)
    ids = [draw.integers(3, 60, length) for length in draw.integers(4, 12, n)]
    laid = laid_out([Piece(each, np.arange(len(each)) > 1) for each in ids], width)
    told = (laid["next"] != NOTHING).sum(1)
    return from_arrays(laid, told), Generate(float(told.mean()))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stored_tail_ends_in_the_weights_of_a_recomputed_one(family, tmp_path):
    data, task = rows()
    plain, stored = Decoder(make(family)), Decoder(make(family))
    plan = Plan(depth=3, epochs=2, batch=4, lr=1e-2)
    fit(plain, data, task, plan)
    fit(stored, data, task, plan, store=Store(tmp_path))
    for (name, a), b in zip(plain.state_dict().items(), stored.state_dict().values(), strict=True):
        assert_close(a, b, rtol=1e-4, atol=1e-4, msg=name)


def test_a_batch_in_pieces_is_the_same_step():
    data, task = rows()
    whole, parts = Decoder(make("llama")), Decoder(make("llama"))
    fit(whole, data, task, Plan(depth=3, epochs=1, batch=8, lr=1e-2))
    fit(parts, data, task, Plan(depth=3, epochs=1, batch=8, lr=1e-2), pieces=4)
    for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_the_score_is_the_log_probability_of_a_told_token():
    data, task = rows()
    stack = Decoder(make("llama")).eval()
    arrays = data.read(np.arange(len(data)))
    z = stack({"ids": torch.from_numpy(arrays["ids"]), "doc": torch.from_numpy(arrays["doc"])})["h"]
    want = -F.cross_entropy(z.flatten(0, 1), torch.from_numpy(arrays["next"]).flatten(), ignore_index=NOTHING)
    assert evaluate(stack, data, task) == pytest.approx(want.item(), rel=1e-5)


def test_a_tied_head_learns_with_the_embedding_alone():
    stack = Decoder(make("llama tied"))
    assert not list(stack.blocks["head"].parameters())
    for depth, learns in ((2, False), (len(stack), True)):
        stack.learn(depth)
        assert stack.head._linear[0].weight.requires_grad == learns
    other = Decoder(make("llama"))
    assert [p.requires_grad for p in other.learn(1).blocks["head"].parameters()] == [True]
    assert [p.requires_grad for p in other.learn(3, "norms").blocks["head"].parameters()] == [False]


def test_padding_changes_nothing():
    stack = Decoder(make("llama")).eval()
    ids, _, _ = packed()
    short = stack({"ids": ids, "doc": torch.ones_like(ids)})["h"]
    more = torch.cat([ids, ids[:, :4]], 1)
    doc = torch.from_numpy((np.arange(16) < 12).astype(int)).expand(3, 16)
    assert_close(stack({"ids": more, "doc": doc})["h"][:, :12], short, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_layers_that_run_again_keep_less_and_give_the_same_gradients(family, depth):
    ids, doc, _ = packed()
    y = torch.where(doc > 0, ids, NOTHING)
    found = []
    for again in (False, True):
        stack, kept = Decoder(make(family)), []
        stack.learn(depth).eval()
        stack.recompute = again
        cut = stack.cut(depth)
        with torch.no_grad():
            state = stack({"ids": ids, "doc": doc, "next": y}, stop=cut)
        with torch.autograd.graph.saved_tensors_hooks(lambda t, kept=kept: (kept.append(t.numel()), t)[1], lambda t: t):
            loss = stack(state, start=cut)["h"].sum()
        loss.backward()
        gradients = {name: p.grad for name, p in stack.named_parameters() if p.grad is not None}
        found.append((gradients, sum(kept)))
        assert "forward" not in vars(stack._layers[-1]), "the network is left as it was"
    assert found[0][0].keys() == found[1][0].keys()
    for name, gradient in found[0][0].items():
        assert_close(found[1][0][name], gradient, rtol=1e-5, atol=1e-6)
    assert found[1][1] < 0.7 * found[0][1]
