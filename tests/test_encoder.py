"""Encoders of many families with random weights: every cut against the network's own forward."""

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel

from headstart.core.examples import from_arrays
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.store import Store
from headstart.core.task import Classify
from headstart.errors import SourceError
from headstart.sources.encoder import Encoder

SIZES = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
FAMILIES = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "mpnet": {},
    "electra": {"embedding_size": 8},
    "distilbert": {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32},
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_buckets": 8,
    },
    "modernbert": {"pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1, "eos_token_id": 2},
}


def make(family):
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(family, **{**SIZES, **FAMILIES[family]}))


def data():
    draw = np.random.default_rng(0)
    ids = draw.integers(5, 60, (24, 9))
    return from_arrays({"ids": ids, "mask": np.arange(9) < draw.integers(3, 10, 24)[:, None]}, draw.integers(0, 3, 24))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_cut_equals_the_uncut_network(family):
    network = make(family).eval()
    stack = Encoder(network, 3).eval()
    state = {name: torch.from_numpy(a) for name, a in data().read(np.arange(24)).items()}
    with torch.no_grad():
        hidden = network(input_ids=state["ids"], attention_mask=state["mask"].long())[0]
        pooled = torch.stack([h[m].mean(0) for h, m in zip(hidden, state["mask"], strict=True)])
        want = stack.blocks["head"].module(pooled)
        for cut in range(len(stack) + 1):
            torch.testing.assert_close(stack(stack(state, stop=cut), start=cut)["h"], want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_belongs_to_one_block(family):
    network = make(family)
    stack = Encoder(network, 3)
    in_stack = [id(p) for block in stack.blocks.values() for p in block.parameters()]
    assert len(in_stack) == len(set(in_stack))
    of_network = {id(p): name for name, p in network.named_parameters()}
    assert not [name for p, name in of_network.items() if p not in in_stack]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_stored_tail_ends_in_the_weights_of_a_recomputed_one(family, tmp_path):
    plain, stored = Encoder(make(family), 3), Encoder(make(family), 3)
    stored.load_state_dict(plain.state_dict())
    plan = Plan(depth=4, epochs=2, batch=8)
    fit(plain, data(), Classify(), plan)
    fit(stored, data(), Classify(), plan, store=Store(tmp_path))
    for (name, a), b in zip(plain.state_dict().items(), stored.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, msg=name)


def test_a_network_that_shares_one_layer_is_refused():
    sizes = {**SIZES, "embedding_size": 8}
    with pytest.raises(SourceError, match=r"AlbertModel .*lists of layers.*use another network"):
        Encoder(AutoModel.from_config(AutoConfig.for_model("albert", **sizes)), 3)


def test_dropout_in_held_embeddings_stays_asleep():
    stack = Encoder(make("bert"), 3).learn(2).train()
    state = {name: torch.from_numpy(a) for name, a in data().read(np.arange(4)).items()}
    with torch.no_grad():
        assert torch.equal(stack(state, stop=3)["h"], stack(state, stop=3)["h"])
