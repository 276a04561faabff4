"""Encoder-decoders of several families with random weights: every cut against the network's own forward."""

import numpy as np
import pytest
import torch
from test_speaker import speaker, talk
from tokenizers.processors import TemplateProcessing
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, T5ForConditionalGeneration

from headstart.adapt.lora import Adapters
from headstart.adapt.pairs import pairs
from headstart.core.evaluate import evaluate
from headstart.core.feed import batches, fill
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.skill import TAIL
from headstart.core.stack import HEARD
from headstart.core.store import Store
from headstart.data.packing import NOTHING
from headstart.errors import DataError, SharedError, SourceError
from headstart.sources.load import LORA_A, LORA_B
from headstart.sources.seq2seq import Seq2Seq

T5 = {
    "vocab_size": 110, "d_model": 16, "d_kv": 8, "num_heads": 2, "d_ff": 32, "num_layers": 3, "num_decoder_layers": 3,
    "relative_attention_num_buckets": 8, "relative_attention_max_distance": 6, "decoder_start_token_id": 0,
    "initializer_factor": 0.5,
}  # fmt: skip
BART = {
    "vocab_size": 110, "d_model": 16, "encoder_layers": 2, "decoder_layers": 3, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 64,
    "init_std": 0.3,
}  # fmt: skip
FAMILIES = {
    "t5": T5,
    "t5 untied": {**T5, "tie_word_embeddings": False, "feed_forward_proj": "gated-gelu", "num_decoder_layers": 2},
    "umt5": T5,
    "bart": BART,
    "mbart": BART,
    "pegasus": BART,
}
OF_NO_EFFECT = "k_proj.bias"  # its gradient is rounding alone, of which Adam makes whole steps
BOTH = ("t5", "t5 untied", "bart")


def make(family, dropout=0.0):
    torch.manual_seed(0)
    name = family.split()[0]
    still = {"dropout_rate": dropout} if "t5" in name else {"dropout": dropout}
    network = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(name, **{**FAMILIES[family], **still}))
    if "untied" in family:  # transformers ties a new T5 in any case, and a T5 of version 1.1 not once it is loaded
        network.lm_head.weight = nn.Parameter(torch.randn(110, 16, generator=torch.Generator().manual_seed(3)) / 4)
    if "t5" not in name:  # zeros in a new network
        network.final_logits_bias.copy_(torch.randn(1, 110, generator=torch.Generator().manual_seed(2)))
    return network.eval()


DOCUMENTS, ANSWERS = (9, 4, 6, 2), (3, 5, 1, 4)  # in one row the answer is the longer one


def rows():
    """Documents and answers of several lengths, as lists of tensors."""
    draw = torch.Generator().manual_seed(1)
    return [[torch.randint(3, 110, (n,), generator=draw) for n in lengths] for lengths in (DOCUMENTS, ANSWERS)]


def padded(each, filler, width=None):
    width = width or max(len(ids) for ids in each)
    return torch.stack([F.pad(ids, (0, width - len(ids)), value=filler) for ids in each])


def inputs(network, told=True):
    """A batch of `rows`, wider than need be, and the same as the network takes it."""
    documents, answers = rows()
    ids, labels = padded(documents, 1, 11), padded(answers, NOTHING, 7)
    mask = padded([torch.ones_like(each) for each in documents], 0, 11)
    begin = network.config.decoder_start_token_id or 0
    shifted = [torch.cat([torch.tensor([begin]), each[:-1]]) for each in answers]
    state = {"ids": ids, "enc_mask": mask > 0, "told": padded(shifted, 1, 7), "told_mask": labels != NOTHING}
    own = {"input_ids": ids, "attention_mask": mask, "labels": labels, "decoder_input_ids": state["told"]}
    return {**state, **({"next": labels} if told else {})}, own


def each_alone(network):
    """Logits of each row by itself, without any padding."""
    state, _ = inputs(network)
    for row, (n, t) in enumerate(zip(DOCUMENTS, ANSWERS, strict=True)):
        yield network(input_ids=state["ids"][row : row + 1, :n], decoder_input_ids=state["told"][row : row + 1, :t])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_cut_equals_the_uncut_network_on_each_row_alone(family):
    network = make(family)
    stack = Seq2Seq(network).eval()
    state, _ = inputs(network, told=False)
    with torch.no_grad():
        want = [out.logits[0] for out in each_alone(network)]
        for cut in range(len(stack) + 1):
            out = stack(stack(state, stop=cut), start=cut)["h"]
            for row, z in enumerate(want):
                assert_close(out[row, : len(z)], z, rtol=1e-4, atol=1e-5, msg=lambda said, cut=cut: f"{cut}: {said}")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_belongs_to_one_block(family):
    network = make(family)
    stack = Seq2Seq(network)
    in_stack = [id(p) for block in stack.blocks.values() for p in block.parameters()]
    assert len(in_stack) == len(set(in_stack))
    assert not [name for name, p in network.named_parameters() if id(p) not in in_stack]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("depth", range(1, 9))
def test_the_loss_and_its_gradients_are_those_of_the_network_itself(family, depth):
    stack, network = Seq2Seq(make(family)), make(family)
    if depth > len(stack):
        return
    state, own = inputs(network)
    if family in BOTH:
        del own["decoder_input_ids"]  # the network shifts the labels by itself
    stack.learn(depth).eval()
    crossing = stack(dict(state), stop=stack.cut(depth))
    each = stack({name: t.detach() for name, t in crossing.items()}, start=stack.cut(depth))["h"]
    loss = network(**own).loss
    assert each.shape == state["next"].shape
    assert_close(each.sum() / sum(ANSWERS), loss, rtol=1e-5, atol=1e-6)
    if not loss.requires_grad or not each.requires_grad:
        assert (depth, bool(list(stack.head.parameters()))) == (1, False)
        return
    (each.sum() / sum(ANSWERS)).backward()
    loss.backward()
    of_network, seen = dict(network.named_parameters()), 0
    for name, p in stack.network.named_parameters():
        if p.requires_grad:
            assert_close(p.grad, of_network[name].grad, rtol=1e-4, atol=1e-6, msg=lambda s, name=name: f"{name}: {s}")
            seen += 1
    assert seen >= (1 if depth == 1 else 5)


LEARN = {  # what the names of all parameters that learn begin with, and of no others
    ("t5", 2): ("decoder.block.2.", "decoder.final"),
    ("t5", 4): ("decoder.",),
    ("t5", 5): ("decoder.", "encoder.block.2.", "encoder.final"),
    ("t5", 7): ("decoder.", "encoder."),
    ("t5", 8): ("decoder.", "encoder.", "shared"),
    ("t5 untied", 1): ("lm_head",),
    ("t5 untied", 3): ("lm_head", "decoder."),
    ("bart", 2): ("model.decoder.layers.2.",),
    ("bart", 5): ("model.decoder.layers.", "model.encoder.layers.1."),
    ("bart", 7): ("model.",),
}


@pytest.mark.parametrize(("family", "depth"), LEARN)
def test_the_last_blocks_learn_and_nothing_else(family, depth):
    network = make(family)
    Seq2Seq(network).learn(depth)
    found = {name for name, p in network.named_parameters() if p.requires_grad}
    assert found == {name for name, _ in network.named_parameters() if name.startswith(LEARN[family, depth])}


def naive(family, depth, data, plan):
    """The same training by the network's own forward and an optimizer over named parameters."""
    network = make(family)
    for name, p in network.named_parameters():
        p.requires_grad_(name.startswith(LEARN[family, depth]))
    learning = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=plan.lr, weight_decay=plan.weight_decay)
    draw, told = np.random.default_rng([plan.seed, 0]), data.y.mean()
    for _ in range(plan.epochs):
        for part in batches(len(data), plan.batch, draw, data.lengths):
            state = {name: torch.from_numpy(array) for name, array in data.read(part).items()}
            mask, labels = state["enc_mask"].long(), state["next"]
            z = network(input_ids=state["ids"], attention_mask=mask, decoder_input_ids=state["told"]).logits
            optimizer.zero_grad()
            whole = F.cross_entropy(z.flatten(0, 1), labels.flatten(), ignore_index=NOTHING, reduction="sum")
            (whole / len(part) / told).backward()
            optimizer.step()
    return network


def talks(n=14, seed=0):
    draw = np.random.default_rng(seed)

    def words(least, most):
        return "".join(draw.choice(list("abc de"), draw.integers(least, most))).strip() or "a"

    return [talk(("user", words(3, 24)), ("assistant", words(1, 9)), name=f"line {k + 1}") for k in range(n)]


def lesson(network, n=14):
    return pairs(speaker(), talks(n), 20, 20, begin=Seq2Seq(network, cuts=()).begin)


@pytest.mark.parametrize(("family", "depth"), [each for each in LEARN if each[1] > 1])
def test_a_fit_ends_in_the_weights_of_a_plain_loop(family, depth):
    found = lesson(make(family))
    stack, plan = Seq2Seq(make(family)), Plan(depth=depth, epochs=2, batch=4, lr=3e-3, weight_decay=0.1)
    before = {name: p.clone() for name, p in stack.network.named_parameters()}
    fit(stack, found.examples(), found.task, plan)
    want = naive(family, depth, found.examples(), plan)
    for (name, p), q in zip(stack.network.named_parameters(), want.parameters(), strict=True):
        if name.endswith(OF_NO_EFFECT):
            continue
        assert_close(p, q, rtol=1e-3, atol=2e-4, msg=lambda said, name=name: f"{name}: {said}")
        if name.startswith(LEARN[family, depth]):
            assert (p - before[name]).abs().max() > 3e-3


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize("depth", range(1, 7))
def test_a_stored_tail_ends_in_the_weights_of_a_recomputed_one(family, depth, tmp_path):
    found = lesson(make(family))
    plain, stored = Seq2Seq(make(family, 0.1)), Seq2Seq(make(family, 0.1))
    plan = Plan(depth=depth, epochs=2, batch=4, lr=3e-3)
    one = fit(plain, found.examples(), found.task, plan)
    two = fit(stored, found.examples(), found.task, plan, store=Store(tmp_path))
    assert one.losses == pytest.approx(two.losses, rel=1e-5)
    assert two.stored
    assert bool(two.losses) == (depth > 1 or family == "t5 untied")  # else the head is tied and held
    for (name, a), b in zip(plain.state_dict().items(), stored.state_dict().values(), strict=True):
        if not name.endswith(OF_NO_EFFECT):
            assert_close(a, b, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("family", BOTH)
def test_what_is_stored_is_what_the_network_has_inside_on_each_row_alone(family, tmp_path):
    network = make(family)
    found, stack = lesson(network), Seq2Seq(network).eval()
    data, layers = found.examples(), stack._encoders
    for cut in range(1, len(stack)):
        # in chunks of other widths than the batches that are read later
        table = fill(Store(tmp_path), stack, data, cut, chunk=5)
        for row, key in enumerate(data.keys):
            stored = {name: torch.from_numpy(np.array(t[0])) for name, t in table.read([key]).items()}
            ids, told = (
                torch.from_numpy(t)[None] for t in (found.documents[row], data.read(np.array([row]))["told"][0])
            )
            out = network(input_ids=ids, decoder_input_ids=told, output_hidden_states=True)
            n, t = ids.shape[1], len(found.answers[row])
            if cut <= layers:
                assert_close(stored["h"][:n], out.encoder_hidden_states[cut - 1][0], rtol=1e-4, atol=1e-5)
                assert torch.equal(stored["told"][:t], told[0, :t])
            elif cut < len(stack) - 1:
                inside = out.decoder_hidden_states[cut - 1 - layers][0, :t]
                assert_close(stored["h"][:t], inside, rtol=1e-4, atol=1e-5)
                assert_close(stored["enc"][:n], out.encoder_last_hidden_state[0], rtol=1e-4, atol=1e-5)
                assert stored["enc_mask"].sum() == n
            assert len(stored["mask"]) == (t if cut == len(stack) - 1 else max(n, t))


def test_a_batch_in_pieces_is_the_same_step():
    found = lesson(make("t5"))
    whole, parts = Seq2Seq(make("t5")), Seq2Seq(make("t5"))
    for stack, pieces in ((whole, 1), (parts, 4)):
        fit(stack, found.examples(), found.task, Plan(depth=5, epochs=1, batch=8, lr=3e-3), pieces=pieces)
    for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_the_score_over_batches_of_other_widths_is_the_log_probability_of_a_told_token():
    network = make("bart")
    found = lesson(network)
    total = 0.0
    for document, answer in zip(found.documents, found.answers, strict=True):
        ids, labels = torch.from_numpy(document)[None], torch.from_numpy(answer)[None]
        total += network(input_ids=ids, labels=labels).loss.item() * len(answer)
    score = evaluate(Seq2Seq(network), found.examples(), found.task, batch=3)
    assert score == pytest.approx(-total / sum(len(answer) for answer in found.answers), rel=1e-5)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_taps_are_means_over_the_tokens_of_each_side(family):
    network = make(family)
    stack, (state, own) = Seq2Seq(network).eval(), inputs(network)
    out = network(**own, output_hidden_states=True)
    n, last = stack._encoders, len(stack) - 1
    with torch.no_grad():
        heard = stack(state, hear=stack.names[:last])
        half = stack(stack(state, stop=n + 2), start=n + 2, stop=last, hear=stack.names[:last])

    def mean(h, mask):
        return torch.stack([h[row][mask[row] > 0].mean(0) for row in range(len(h))])

    for cut in range(1, last):
        name = HEARD + stack.names[cut - 1]
        if cut <= n + 1:
            inside = out.encoder_hidden_states[cut - 1] if cut <= n else out.encoder_last_hidden_state
            want = mean(inside, state["enc_mask"])
        else:
            want = mean(out.decoder_hidden_states[cut - 1 - n], state["told_mask"])
            assert (name in half) == (cut > n + 2)
        assert_close(heard[name], want, rtol=1e-4, atol=1e-5)
    assert_close(heard[HEARD + stack.names[last - 1]], half[HEARD + stack.names[last - 1]], rtol=1e-4, atol=1e-5)


def test_a_tied_head_learns_with_the_embedding_alone_and_a_scaled_one_is_scaled():
    stack = Seq2Seq(make("t5"))
    assert stack.network.config.scale_decoder_outputs
    assert not list(stack.head.parameters())
    for depth, learns in ((1, False), (7, False), (8, True)):
        stack.learn(depth)
        assert stack.head._linear[0].weight.requires_grad == learns
    other = Seq2Seq(make("t5 untied"))
    assert not other.network.config.scale_decoder_outputs
    assert [p.requires_grad for p in other.learn(3, "norms").head.parameters()] == [False]


@pytest.mark.parametrize("family", BOTH)
def test_adapters_learn_the_same_from_stored_rows_and_are_taken_out_again(family, tmp_path):
    found, plan = lesson(make(family)), Plan(depth=5, epochs=2, batch=4, lr=1e-2, update="lora")
    learned, losses = [], []
    for store in (None, Store(tmp_path)):
        stack = Seq2Seq(make(family))
        before = {name: t.clone() for name, t in stack.network.state_dict().items()}
        adapters = Adapters(stack, plan.depth, rank=2)
        losses.append(fit(stack, found.examples(), found.task, plan, store=store).losses)
        with torch.no_grad():
            adapted = stack(inputs(stack.network)[0])["h"].sum()
        learned.append(adapters.take_out())
        assert all(torch.equal(t, before[name]) for name, t in stack.network.state_dict().items())
        for name in {each.rpartition(".lora")[0] for each in learned[-1]}:
            a, b = (torch.from_numpy(learned[-1][name + end]) for end in (LORA_A, LORA_B))
            stack.get_parameter(f"blocks.{name.removeprefix(TAIL)}").data += b @ a
        assert_close(stack.eval()(inputs(stack.network)[0])["h"].sum(), adapted, rtol=1e-4, atol=1e-4)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, values in learned[0].items():
        np.testing.assert_allclose(values, learned[1][name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_positions_that_are_computed_do_not_learn():
    network = make("pegasus")
    fixed = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert len(fixed) == 2
    stack = Seq2Seq(network)
    stack.learn(len(stack))
    assert [name for name, p in network.named_parameters() if not p.requires_grad] == fixed


def test_networks_that_cannot_be_cut_are_refused():
    causal = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("gpt2", vocab_size=60, n_embd=16, n_layer=1, n_head=2)
    )
    with pytest.raises(SourceError, match="GPT2LMHeadModel has no encoder and decoder"):
        Seq2Seq(causal)

    class Louder(T5ForConditionalGeneration):
        def forward(self, *args, **named):
            out = super().forward(*args, **named)
            out.logits = 2 * out.logits
            return out

    with pytest.raises(SourceError, match="Louder cut before block 0 differs by"):
        Seq2Seq(Louder(make("t5").config))
    long = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model("longt5", **T5))
    with pytest.raises(SourceError, match="LongT5ForConditionalGeneration cut before block 2 differs by"):
        Seq2Seq(long)
    windowed = AutoConfig.for_model("led", **BART, max_encoder_position_embeddings=64, attention_window=[4, 4])
    with pytest.raises(SourceError, match="LEDForConditionalGeneration cannot be run in parts on two short rows"):
        Seq2Seq(AutoModelForSeq2SeqLM.from_config(windowed))
    no_start = make("mbart")
    with pytest.raises(SourceError, match="decoder_start_token_id=None, where one token is needed"):
        _ = Seq2Seq(no_start).begin


def test_one_layer_on_both_sides_of_a_cut_is_refused():
    network = make("t5")
    network.decoder.block[1] = network.decoder.block[2]
    stack = Seq2Seq(network, cuts=())
    with pytest.raises(SharedError, match=r"decoder2\.0\.layer\.0.* and decoder3\.0\.layer\.0.* are one parameter"):
        stack.learn(2)


@pytest.mark.parametrize("name", ["enc_mask", "told_mask"])
def test_padding_on_the_left_is_refused(name):
    network = make("t5")
    state, _ = inputs(network)
    state[name] = state[name].flip(1)
    with pytest.raises(DataError, match="pad each row on its right only"):
        Seq2Seq(network, cuts=())(state)


def framed():
    """The speaker of tests with the special tokens of a BART around each text."""
    one = speaker()
    special = [("<s>", 1), ("</s>", 2)]
    one.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=special)
    return one


@pytest.mark.parametrize(("family", "one"), [("t5", speaker()), ("bart", framed()), ("t5 untied", framed())])
def test_each_talk_loses_what_the_network_loses_on_it_alone(family, one):
    network, said = make(family), talks(11)
    stack = Seq2Seq(network)
    found = pairs(one, [said[0], talk(("assistant", "hi"), name="line 0"), *said[1:]], 64, 64, begin=stack.begin)
    losses = found.judged(stack)
    assert found.told[1] == losses[1] == 0
    left, right = one.tokenizer("")["input_ids"][:1], [2]
    for at, each in zip([0, *range(2, 12)], said, strict=True):
        document, answer = ([*left, *one.ids(turn.text), *right] for turn in each.turns)
        labels = torch.tensor([answer])
        want = network(input_ids=torch.tensor([document]), labels=labels).loss.item() * len(answer)
        assert losses[at] == pytest.approx(want, rel=1e-4)
        assert found.told[at] == len(answer)
    assert found.task.told == pytest.approx(found.told.sum() / 11)
    assert [name for name, _ in found.left_out] == ["line 0"]


@pytest.mark.parametrize(("keep", "kept"), [("beginning", "abcdefgh"), ("end", "stuvwxyz")])
def test_a_long_document_is_cut_and_counted_and_what_stands_before_it_is_not(keep, kept):
    one, letters = framed(), "abcdefghijklmnopqrstuvwxyz"
    said = [talk(("user", letters), ("assistant", "yes")), talk(("user", "short"), ("assistant", "no"))]
    found = pairs(one, said, 14, 5, begin=0, before="tl: ", keep=keep)
    texts = ["".join(one.tokenizer.convert_ids_to_tokens(ids)) for ids in (*found.documents, *found.answers)]
    assert texts == [f"<s>tl: {kept}</s>", "<s>tl: short</s>", "<s>yes</s>", "<s>no</s>"]
    assert found.cut.tolist() == [18, 0]
    assert found.tokens == 14 + 11 + 5 + 4


def test_answers_are_shifted_and_rows_have_keys_of_their_content():
    one = speaker()
    first, again, other, begun = (
        pairs(one, talks(seed=seed), 64, 64, begin=begin).examples() for seed, begin in ((0, 7), (0, 7), (1, 7), (0, 8))
    )
    arrays, picked = first.read(np.arange(len(first))), np.array([3, 1])
    for told, following, mask, count in zip(arrays["told"], arrays["next"], arrays["told_mask"], first.y, strict=True):
        assert told[:count].tolist() == [7, *following[: count - 1]]
        assert following[count - 1] == one.end
        assert mask.sum() == count == (following != NOTHING).sum()
    assert first.read(picked)["ids"].shape == (2, first.lengths[picked].max())
    assert first.read(picked)["next"].shape == (2, first.y.max())
    assert first.keys == again.keys
    assert not set(first.keys) & {*other.keys, *begun.keys}


def test_talks_that_are_no_pairs_are_named_and_the_others_stay():
    one, good = speaker(), talk(("user", "long"), ("assistant", "ok"), name="line 5")
    bad = [
        talk(("user", "hi"), ("assistant", "yes"), ("user", "and"), ("assistant", "no"), name="line 1"),
        talk(("text", "plain"), name="line 2"),
        talk(("user", "hi"), ("assistant", "y" * 30), name="line 3"),
        talk(("user", " "), ("assistant", "y"), name="line 4"),
    ]
    found = pairs(one, [*bad, good], 10, 10, begin=0)
    assert [name for name, _ in found.left_out] == [f"line {k}" for k in range(1, 5)]
    assert found.told.tolist() == [0, 0, 0, 0, 3]
    assert "an answer of 31 tokens that does not fit the 10" in found.left_out[2][1]
    with pytest.raises(
        DataError, match="line 1 has the turns user, assistant, user, assistant, and an encoder-decoder"
    ):
        pairs(one, bad, 10, 10, begin=0)
    with pytest.raises(DataError, match="12 tokens are always there and a document may have 10; give a larger width"):
        pairs(one, [good], 10, 10, begin=0, before="summarize: ")
    with pytest.raises(DataError, match="there are no talks"):
        pairs(one, [], 10, 10, begin=0)
