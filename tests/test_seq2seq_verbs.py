"""Encoder-decoders through the verbs: taught from summaries, written with, and judged, against whole forward passes."""

import json

import numpy as np
import pytest
import torch
from letters import LETTERS, VOCABULARY, asked, speaker
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, AutoModelForSeq2SeqLM

from headstart.adapt.below import Below
from headstart.adapt.lessons import lessons
from headstart.adapt.teach import teach
from headstart.core.feed import fill
from headstart.core.plan import Plan
from headstart.core.store import Store
from headstart.data.talks import Talk, Turn
from headstart.data.talks_read import read_talks
from headstart.errors import DataError, SourceError, UsageError
from headstart.language.general import general_texts
from headstart.sources.decoding import Decoding
from headstart.sources.find import find
from headstart.sources.frames import Framed
from headstart.sources.language import open_language
from headstart.sources.seq2seq import Seq2Seq
from headstart.sources.writer import Writer
from headstart.verbs.fit import fit
from headstart.verbs.plan import plan
from headstart.verbs.settings import Settings
from headstart.verbs.voice import open_voice
from headstart.verbs.write import chat, generate, summarize

PAD = VOCABULARY
SIDE = 384
SIZES = {
    "t5": {
        "d_model": 16, "d_kv": 8, "num_heads": 2, "d_ff": 32, "num_layers": 3, "num_decoder_layers": 3,
        "decoder_start_token_id": PAD, "initializer_factor": 1.0, "n_positions": SIDE,
        "task_specific_params": {"summarization": {"prefix": "summarize: ", "num_beams": 4}},
    },
    "bart": {
        "d_model": 16, "encoder_layers": 3, "decoder_layers": 3, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": SIDE,
        "init_std": 0.3, "decoder_start_token_id": 2, "bos_token_id": 1,
    },
}  # fmt: skip
FAMILIES = tuple(SIZES)
SEEDS = {"t5": 3, "bart": 2}  # of networks that say several things
EXTRA = {"t5": 1, "bart": 2}  # special tokens around a text
PROMPTS = [asked("hello there"), asked("x"), asked("long " * 40), asked("Once upon a time there was"), asked("y" * 90)]


def make(family, dtype=torch.float32, spread=1.0):
    torch.manual_seed(SEEDS[family])
    config = AutoConfig.for_model(family, **SIZES[family], vocab_size=VOCABULARY + 1, pad_token_id=PAD, eos_token_id=2)
    network = AutoModelForSeq2SeqLM.from_config(config).to(dtype).eval()
    for parameter in network.parameters():
        parameter.data *= spread
    return network


def tokens(family):
    """Letters, as both families frame a text."""
    one = speaker(template=None)
    one.tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    form = "$A </s>" if family == "t5" else "<s> $A </s>"
    special = [("<s>", 1), ("</s>", 2)]
    one.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=form, special_tokens=special)
    return one


def writer(family, dtype=torch.float64):
    network = make(family, dtype)
    return Writer(network, Framed.over(tokens(family), Seq2Seq(network, cuts=()).eval()))


def by_hand(one, turns, decoding):
    """Greedy tokens of whole forward passes of one row, without padding and cache."""
    ids, said = torch.tensor([one.speaker.prompt(turns)]), []
    while len(said) < decoding.max_new_tokens:
        told = torch.tensor([[one.speaker.begin, *said]])
        with torch.no_grad():
            z = one.network(input_ids=ids, decoder_input_ids=told, use_cache=False).logits[0, -1].double()
        for token in set(said):
            z[token] *= decoding.repetition_penalty ** (-1 if z[token] > 0 else 1)
        said.append(int(z.argmax()))
        if said[-1] == 2:
            break
    return said


def text_of(ids):
    return "".join(LETTERS[token - 3] for token in ids if 2 < token < PAD)


def small_summaries(path, count=40):
    draw = np.random.default_rng(0)
    with path.open("w", encoding="utf8") as file:
        for k in range(count):
            colours = draw.choice(["red", "green", "blue", "grey"], 3).tolist()
            document = f"{k}: " + "; ".join(f"box {n} is {colour}" for n, colour in enumerate(colours)) + "."
            file.write(json.dumps({"document": document, "summary": f"In {k} {colours[0]} comes first."}) + "\n")
    return path


@pytest.fixture(scope="module", params=FAMILIES)
def place(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    make(request.param, spread=0.7).save_pretrained(folder / "net")
    tokens(request.param).tokenizer.save_pretrained(folder / "net")
    small_summaries(folder / "summaries.jsonl")
    (folder / "family").write_text(request.param)
    return folder


def opened(place):
    return open_language(find(f"file:{place / 'net'}", place / "cache"), place / "cache")


def rows_of(place, language, count=16):
    return lessons(language.speaker, read_talks(place / "summaries.jsonl").talks[:count], 128)


def settings(place, **more):
    few = {"epochs": 2, "lr": 1e-2, "depth": 4, "device": "eager"}
    return Settings(source=f"file:{place / 'net'}", **{**few, **more})


# ---- writing


@pytest.mark.parametrize("penalty", [1.0, 1.5])
@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_those_of_whole_forward_passes_whatever_they_are_written_beside(family, penalty):
    one, decoding = writer(family), Decoding(max_new_tokens=24, repetition_penalty=penalty)
    # settings that such networks come with, none of which is asked for
    one.network.generation_config.update(
        num_beams=4, forced_bos_token_id=9, forced_eos_token_id=2, min_length=20, no_repeat_ngram_size=3,
        encoder_no_repeat_ngram_size=2, length_penalty=2.0, suppress_tokens=[5, 6, 7],
    )  # fmt: skip
    before = one.network.generation_config.to_dict()
    want = [by_hand(one, turns, decoding) for turns in PROMPTS]
    assert len({tuple(said) for said in want}) > 3
    for batch in (1, 2, 8):
        found = one.write(PROMPTS, decoding, batch=batch)
        assert [each.text for each in found] == [text_of(said) for said in want]
        assert [each.tokens for each in found] == [len(said) for said in want]
        assert [each.ended for each in found] == [said[-1] == 2 for said in want]
        assert all(each.cut == 0 for each in found)
    assert ["".join(one.stream(turns, decoding)) for turns in PROMPTS] == [text_of(said) for said in want]
    assert one.network.generation_config.to_dict() == before


@pytest.mark.parametrize("family", FAMILIES)
def test_each_side_has_a_window_of_its_own(family):
    one = writer(family)
    assert one.window == 2 * SIDE
    full = "ab" * SIDE
    kept = full[: SIDE - EXTRA[family]]
    decoding = Decoding(max_new_tokens=SIDE)
    long, short = one.write([asked(full), asked(kept)], decoding)
    assert (long.cut, short.cut) == (2 * SIDE - len(kept), 0)
    assert long.text == short.text == text_of(by_hand(one, asked(kept), decoding))
    with pytest.raises(UsageError, match=f"max_new_tokens={SIDE + 1} is more than the {SIDE} tokens that an answer of"):
        one.write(PROMPTS, Decoding(max_new_tokens=SIDE + 1))
    for nothing in ("", "  "):
        with pytest.raises(DataError, match="a prompt has no text, so that there is nothing to answer"):
            one.write([asked(nothing)], decoding)


def test_a_network_that_names_no_limit_has_512_tokens_on_each_side():
    network = make("t5")
    network.config.n_positions = None
    assert Framed.over(tokens("t5"), Seq2Seq(network, cuts=())).side == 512


def test_a_prompt_is_the_last_words_of_a_user_behind_those_of_the_system():
    one = writer("bart").speaker
    turns = (Turn("system", "tl:"), Turn("user", "old"), Turn("assistant", "yes"), Turn("user", "new one"))
    assert "".join(one.tokenizer.convert_ids_to_tokens(one.prompt(turns))) == "<s>tl: new one</s>"
    assert "".join(one.tokenizer.convert_ids_to_tokens(one.prompt((Turn("text", "plain"),)))) == "<s>plain</s>"
    ids, cut = one.fitting(turns, 8)
    assert ("".join(one.tokenizer.convert_ids_to_tokens(ids)), cut) == ("<s>tl: ne</s>", 5)


# ---- lessons


def test_what_is_learned_of_a_talk_is_its_last_exchange_and_of_a_plain_text_its_second_half():
    one = writer("bart").speaker
    said = [("system", "tl:"), ("user", "old"), ("assistant", "yes"), ("user", "new"), ("assistant", "no")]
    talk = Talk(tuple(Turn(role, text) for role, text in said), "line 1")
    untold = Talk((*talk.turns[:4], Turn("assistant", "no", told=False)), "line 2")
    plain = Talk((Turn("text", "one two three four five"),), "line 3")
    nothing = Talk((Turn("user", "new"),), "line 4")
    found = lessons(one, [talk, untold, plain, nothing], 64)
    texts = [
        tuple(one.tokenizer.decode(ids, skip_special_tokens=True) for ids in row)
        for row in zip(found.documents, found.answers, strict=True)
    ]
    assert texts == [("tl: new", "no"), ("tl: old", "yes"), ("one two three", "four five")]
    assert [name for name, _ in found.left_out] == ["line 4"]
    assert (found.rows, found.count, found.tokens) == (3, 4, sum(map(len, (*found.documents, *found.answers))))
    (document, answer) = one.spoken(talk, 64).pieces
    assert np.array_equal(document.ids, found.documents[0])
    assert np.array_equal(answer.ids, found.answers[0])


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("update", ["lora", "all"])
def test_nothing_of_the_way_is_the_network_as_it_was_bit_for_bit(place, update, stored, tmp_path):
    language, before = opened(place), opened(place)
    rows = rows_of(place, language)
    store = Store(tmp_path) if stored else None
    taught = teach(language, rows, Plan(3, epochs=2, lr=3e-2, batch=4, update=update), rank=4, store=store)
    assert taught.run.stored == stored
    assert taught.told.tokens == 2 * rows.tokens
    tuned, untuned = rows.judged(language.stack), rows.judged(before.stack)
    taught.at(0.0)
    assert np.array_equal(rows.judged(language.stack), untuned)
    taught.at(1.0)
    assert np.array_equal(rows.judged(language.stack), tuned)
    assert tuned.sum() < 0.95 * untuned.sum()
    taught.taken_out(1.0)
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(language.network.state_dict()[name], tensor), name


@pytest.mark.parametrize("cut", [2, 5, 7])
def test_what_is_stored_by_fours_is_what_is_stored_at_once(place, cut, tmp_path):
    language = opened(place)
    data = rows_of(place, language, 10).examples()
    below = Below(language.stack, cut, language.card.digest, "float32", data.read(np.arange(2)))
    one = fill(Store(tmp_path / "one"), language.stack, data, cut, prefix=below).read(data.keys)
    two = fill(Store(tmp_path / "two"), language.stack, data, cut).read(data.keys)
    assert below.store_dtype == "float16"
    assert set(one) == set(two)
    for name, rows in two.items():
        for row, there in zip(rows, one[name], strict=True):
            # rows end with padding of their batches, but for the places that a side needs
            both, precise = min(len(row), len(there)), {"f": 2e-3}.get(there.dtype.kind, 0)
            np.testing.assert_allclose(there[:both], row[:both], rtol=precise, atol=precise, err_msg=name)
            assert len(row) == len(there) or name != "mask"


def nats_by_hand(network, rows):
    """Summed -log p of all answers, each by itself, as the network's own loss has it."""
    total = 0.0
    for document, answer in zip(rows.documents, rows.answers, strict=True):
        ids, labels = torch.from_numpy(document)[None], torch.from_numpy(answer)[None]
        told = torch.tensor([[rows.begin, *answer[:-1]]])
        total += network(input_ids=ids, decoder_input_ids=told, labels=labels).loss.item() * len(answer)
    return total


@pytest.mark.parametrize("depth", [3, 6, 8])
def test_layers_that_run_again_give_the_same_gradients(place, depth):
    found = []
    for recompute in (False, True):
        language = opened(place)
        stack, rows = language.stack, rows_of(place, language, 4)
        state = {name: torch.from_numpy(array) for name, array in rows.read(np.arange(4)).items()}
        runs = []
        stack.learn(depth).recompute = recompute
        first = next(module for module in stack._layers[-1].modules() if isinstance(module, torch.nn.Linear))
        first.register_forward_hook(lambda *_, runs=runs: runs.append(1))
        stack(stack(state, stop=stack.cut(depth)), start=stack.cut(depth))["h"].sum().backward()
        assert len(runs) == (2 if recompute else 1)
        found.append({name: p.grad for name, p in language.network.named_parameters() if p.grad is not None})
    assert len(found[0]) > 5
    assert set(found[0]) == set(found[1])
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-5, atol=1e-6, msg=name)


# ---- verbs


def test_a_skill_says_what_the_network_in_memory_said_and_its_report_has_the_naive_numbers(place, tmp_path):
    skill = fit(place / "summaries.jsonl", tmp_path / "it.skill", settings=settings(place), cache=place / "cache")
    about = json.loads((skill.folder / "metrics.json").read_text())
    voice = open_voice(skill.folder, cache=place / "cache")
    assert (voice.kind, about["voice"]["stored"]) == ("summaries", True)
    first = next(sample for sample in about["samples"] if sample["tuned"])  # some say nothing, after so little
    assert generate(voice, first["prompt"])[0].text == first["tuned"]
    assert [each.text for each in generate(skill, [first["prompt"]] * 2, cache=place / "cache")] == [first["tuned"]] * 2
    base = opened(place)
    halves = lessons(base.speaker, [Talk((Turn("text", text),), "it") for text in general_texts()], 256)
    want = np.exp(nats_by_hand(base.network, halves) / halves.told.sum())
    # the fit may judge in 16 bits
    assert about["untuned"]["general"]["value"] == pytest.approx(want, rel=2e-3)
    assert about["untuned"]["probe"] is None
    assert about["change"]["perplexity"]["value"] < 0.8
    assert "rouge1" in about["tuned"]["scores"]
    document = tmp_path / "document.txt"
    document.write_text(first["prompt"])
    (summary,) = summarize(voice, document)
    assert (summary.text, summary.parts, summary.error) == (first["tuned"], 1, None)


def test_what_is_learned_is_held_back_where_other_texts_lose_too_much(place, tmp_path):
    skill = fit(
        place / "summaries.jsonl",
        tmp_path / "it.skill",
        settings=settings(place, forget_at_most=0.01, epochs=1),
        cache=place / "cache",
    )
    guarded = json.loads((skill.folder / "metrics.json").read_text())["guarded"]
    kept = guarded["tried"].get(f"{guarded['share']:g}")
    assert guarded["share"] == 0 or kept <= 1.01


ROLES, SAID = ("user", "assistant", "user", "assistant"), ("red?", "yes", "blue?", "sure")


def test_talks_are_learned_by_their_last_exchange_and_plain_texts_are_refused(place, tmp_path):
    talks, texts = tmp_path / "talks.jsonl", tmp_path / "texts.jsonl"
    lines = [
        {"messages": [{"role": role, "content": f"{k} {text}"} for role, text in zip(ROLES, SAID, strict=True)]}
        for k in range(20)
    ]
    talks.write_text("\n".join(json.dumps(line) for line in lines))
    skill = fit(talks, tmp_path / "it.skill", settings=settings(place, epochs=1), cache=place / "cache")
    about = json.loads((skill.folder / "metrics.json").read_text())
    judged = {sample["name"] for sample in about["samples"]}
    learned = [f"{k} sure" for k in range(20) if f"line {k + 1}" not in judged]
    around = EXTRA[(place / "family").read_text()]
    assert about["data"]["told"] == sum(len(answer) + around for answer in learned)
    talk = chat(skill, decoding=Decoding(max_new_tokens=8), cache=place / "cache")
    said = "".join(talk.say("3 red?"))
    assert said.strip() == generate(skill, "3 red?", decoding=Decoding(max_new_tokens=8), cache=place / "cache")[0].text
    texts.write_text("\n".join(json.dumps({"text": f"{k} " + "word " * 30}) for k in range(20)))
    with pytest.raises(UsageError, match="reads a text and answers it, and goes on with none; use a causal network"):
        fit(texts, tmp_path / "no.skill", settings=settings(place), cache=place / "cache")


def test_a_plan_measures_an_encoder_decoder_too(place, tmp_path):
    found = plan(
        place / "summaries.jsonl", tmp_path / "p.toml", sources=[f"file:{place / 'net'}"], cache=place / "cache"
    )
    assert found.tokens > 0
    assert found.seconds.value == pytest.approx(sum(found.parts.values()))


def test_a_network_as_it_came_answers_and_is_asked_for_summaries_as_its_settings_say(place, tmp_path):
    family = (place / "family").read_text()
    name, decoding = f"file:{place / 'net'}", Decoding(max_new_tokens=12)
    voice = open_voice(name, cache=place / "cache")
    assert (voice.kind, voice.language.speaker.asks) == ("chat", "summarize:" if family == "t5" else "")
    (found,) = generate(voice, "what is it", decoding=decoding)
    assert found.text == text_of(by_hand(voice.writer, asked("what is it"), decoding)).strip()
    document = tmp_path / "document.txt"
    document.write_text("Boxes are red. " * 6)
    (summary,) = summarize(voice, document, decoding=decoding)
    before = "summarize:\n\n" if family == "t5" else ""
    prompt = asked(before + document.read_text().strip())
    assert (summary.text, summary.parts) == (text_of(by_hand(voice.writer, prompt, decoding)).strip(), 1)
    # a document may fill its window, whatever its summary may take
    around = len(voice.language.speaker.prompt(asked(before + "a"))) - 1
    for more, parts in ((0, 1), (1, 2)):
        document.write_text(("a b " * SIDE)[: SIDE - around + more - 1] + "c")
        assert summarize(voice, document, decoding=decoding)[0].parts == parts


def test_what_cannot_be_used_is_said_in_one_sentence(tmp_path):
    network = make("bart")
    network.config.decoder_start_token_id = None
    network.generation_config.decoder_start_token_id = None
    network.save_pretrained(tmp_path / "net")
    tokens("bart").tokenizer.save_pretrained(tmp_path / "net")
    with pytest.raises(SourceError, match="decoder_start_token_id=None, where one token is needed"):
        open_voice(f"file:{tmp_path / 'net'}", cache=tmp_path / "cache")
    one = writer("t5").speaker
    long = Talk((Turn("user", "hi"), Turn("assistant", "y" * SIDE)), "line 9")
    with pytest.raises(DataError, match=f"line 9 has an answer of {SIDE + 1} tokens that does not fit the {SIDE}"):
        lessons(one, [long], 64)
    with pytest.raises(DataError, match="2 tokens are always there and a document may have 1; give a larger width"):
        writer("bart").speaker.fitting(asked("hello"), 1)
