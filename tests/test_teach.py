"""A language model taught: by a naive loop's numbers, put back bit for bit, the same from a skill as in memory."""

import copy
import json

import numpy as np
import pytest
import torch
from talkers import small_talker, small_talks
from transformers import AutoModelForCausalLM

from headstart.adapt.course import course, window_of
from headstart.adapt.held_back import SHARES, held_back
from headstart.adapt.lessons import lessons
from headstart.adapt.teach import teach
from headstart.core.feed import batches
from headstart.core.plan import Plan
from headstart.core.store import Store
from headstart.data.packing import NOTHING
from headstart.data.talks import PLAIN, Turn
from headstart.data.talks_read import read_talks
from headstart.errors import DepthError
from headstart.sources.decoding import Decoding
from headstart.sources.find import find
from headstart.sources.language import open_language
from headstart.sources.writer import Writer
from headstart.verbs.fit import fit
from headstart.verbs.plan import plan as plan_verb
from headstart.verbs.planfile import settings_of
from headstart.verbs.settings import Settings
from headstart.verbs.spoken import prose_of
from headstart.verbs.voice import open_voice
from headstart.verbs.write import generate

WIDTH = 96


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("talker")
    small_talker(folder / "net")
    small_talks(folder / "talks.jsonl")
    return folder


def opened(place):
    card = find(f"file:{place / 'net'}", place / "cache")
    return open_language(card, place / "cache")


def rows_of(place, language, count=24):
    return lessons(language.speaker, read_talks(place / "talks.jsonl").talks[:count], WIDTH)


def naive(network, rows, row):
    """Summed -log p of the told tokens of a row, each document by itself."""
    ids, doc, following = (torch.from_numpy(rows.arrays[name][row]) for name in ("ids", "doc", "next"))
    total = torch.zeros(())
    for number in range(1, int(doc.max()) + 1):
        mine = doc == number
        logits = network(input_ids=ids[mine][None], use_cache=False).logits[0].float()
        total = total + torch.nn.functional.cross_entropy(
            logits, following[mine], ignore_index=NOTHING, reduction="sum"
        )
    return total


@pytest.mark.parametrize("stored", [True, False])
def test_what_is_taught_is_what_a_naive_loop_teaches(place, stored, tmp_path):
    language = opened(place)
    rows, plan = rows_of(place, language), Plan(3, epochs=2, lr=1e-2, batch=2, update="all")
    network = copy.deepcopy(language.network)
    learning = [p for layer in network.model.layers[2:] for p in layer.parameters()]
    learning += [network.model.norm.weight, network.lm_head.weight]
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for parameter in learning:
        parameter.requires_grad_(True)
    optimizer, draw = torch.optim.AdamW(learning, lr=plan.lr, weight_decay=0.0), np.random.default_rng([0, 0])
    for _ in range(plan.epochs):
        for batch in batches(len(rows.arrays["ids"]), plan.batch, draw):
            optimizer.zero_grad()
            (sum(naive(network, rows, row) for row in batch) / len(batch) / rows.task.told).backward()
            optimizer.step()
    taught = teach(language, rows, plan, rank=0, store=Store(tmp_path) if stored else None)
    assert taught.run.stored == stored
    if not stored:
        for (name, want), got in zip(network.named_parameters(), language.network.parameters(), strict=True):
            assert torch.allclose(got, want, atol=2e-4), name
    # stored in 16 bits, states are known to three digits, and Adam's first steps to less: what is told agrees
    want = sum(naive(network, rows, row).item() for row in range(len(rows.arrays["ids"])))
    untuned = rows.judged(opened(place).stack).sum()
    assert rows.judged(language.stack).sum() == pytest.approx(want, abs=0.02 * (untuned - want))


@pytest.mark.parametrize("update", ["lora", "all", "norms"])
def test_nothing_of_the_way_is_the_network_as_it_was_bit_for_bit(place, update, tmp_path):
    language, before = opened(place), opened(place)
    rows = rows_of(place, language)
    taught = teach(language, rows, Plan(3, epochs=1, lr=3e-2, batch=4, update=update), rank=4, store=Store(tmp_path))
    tuned = rows.judged(language.stack)
    taught.at(0.0)
    assert np.array_equal(rows.judged(language.stack), rows.judged(before.stack))
    taught.at(1.0)
    assert np.array_equal(rows.judged(language.stack), tuned)
    assert not np.allclose(tuned, rows.judged(before.stack), atol=1e-2)
    taught.taken_out(1.0)
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(language.network.state_dict()[name], tensor), name


def test_half_of_the_way_of_adapters_is_half_of_their_product(place):
    language = opened(place)
    rows = rows_of(place, language)
    taught = teach(language, rows, Plan(3, epochs=1, lr=3e-2, batch=4, update="lora"), rank=4, store=None)
    taught.at(0.5)
    half = rows.judged(language.stack)
    learned, network = taught.taken_out(1.0), opened(place).network
    for name, a in learned.items():
        if name.endswith(".lora_A"):
            _, layer, _, *path = name.removesuffix(".weight.lora_A").split(".")
            module = network.model.layers[int(layer.removeprefix("layer")) - 1].get_submodule(".".join(path))
            product = learned[name.removesuffix(".lora_A") + ".lora_B"] @ a
            module.weight.data += 0.5 * torch.from_numpy(product)
    want = sum(naive(network, rows, row).item() for row in range(len(rows.arrays["ids"])))
    assert half.sum() == pytest.approx(want, rel=1e-4)


def ratios(taught, prose):
    """Perplexity at every share over that before learning."""
    told, found = prose.told.sum(), {}
    taught.at(0.0)
    untuned = prose.judged(taught.language.stack)
    for share in SHARES:
        taught.at(share)
        found[share] = float(np.exp((prose.judged(taught.language.stack) - untuned).sum() / told))
    return found


def own_words(place, language):
    """What the network wrote before it learned: it can only become less likely."""
    written = Writer(opened(place).network, language.speaker).write(
        [(Turn(PLAIN, start),) for start in ("once", "The sea", "42 is")], Decoding(max_new_tokens=60)
    )
    return lessons(language.speaker, prose_of([each.text for each in written]), WIDTH)


def test_a_limit_is_kept_by_the_greatest_share_that_keeps_it(place):
    language = opened(place)
    rows = rows_of(place, language)
    taught = teach(language, rows, Plan(6, epochs=6, lr=3e-2, batch=2, update="lora"), rank=4, store=None)
    prose = own_words(place, language)
    every = ratios(taught, prose)
    assert every[1.0] > 1.2, "these texts have to lose, or nothing is held back"
    limit = 0.5 * (every[1.0] - 1)
    found = held_back(taught, prose, rows, limit, precision="float32")
    assert found.share == max(share for share, ratio in every.items() if ratio <= 1 + limit) < 1
    assert found.general[found.share] == pytest.approx(every[found.share])
    taught.at(found.share)
    assert found.fit[found.share] == pytest.approx(np.exp(rows.judged(language.stack).sum() / rows.told.sum()))


def test_where_other_texts_lose_nothing_all_that_was_learned_is_kept(place):
    language = opened(place)
    rows = rows_of(place, language)
    taught = teach(language, rows, Plan(3, epochs=2, lr=1e-2, batch=4, update="lora"), rank=4, store=None)
    prose = lessons(language.speaker, read_talks(place / "talks.jsonl").talks[30:], WIDTH)
    assert ratios(taught, prose)[1.0] < 1
    assert held_back(taught, prose, rows, 0.001, precision="float32").share == 1.0


def test_a_limit_that_no_share_keeps_leaves_the_network_as_it_was(place):
    language, before = opened(place), opened(place)
    rows = rows_of(place, language)
    taught = teach(language, rows, Plan(6, epochs=6, lr=3e-2, batch=2, update="lora"), rank=4, store=None)
    prose = own_words(place, language)
    limit = min(ratios(taught, prose).values()) - 1.001  # a little below what the best of them has
    assert held_back(taught, prose, rows, limit, precision="float32").share == 0.0
    assert np.array_equal(rows.judged(language.stack), rows.judged(before.stack))


def test_a_skill_says_what_the_network_in_memory_said_and_its_report_has_the_naive_numbers(place, tmp_path):
    skill = fit(
        place / "talks.jsonl",
        tmp_path / "it.skill",
        settings=Settings(source=f"file:{place / 'net'}", epochs=4, lr=1e-2, depth=4),
        cache=place / "cache",
    )
    about = json.loads((skill.folder / "metrics.json").read_text())
    voice = open_voice(skill.folder, cache=place / "cache")
    held = read_talks(place / "talks.jsonl").talks
    of = lessons(voice.language.speaker, held, about["voice"]["window"])
    nats = sum(naive(voice.language.network, of, row).item() for row in range(len(of.arrays["ids"])))
    assert of.judged(voice.language.stack).sum() == pytest.approx(nats, rel=1e-4)
    # the samples in the report were written by the network in memory
    first = next(sample for sample in about["samples"] if sample["prompt"][0].isdigit())
    assert generate(voice, first["prompt"])[0].text == first["tuned"]
    base = AutoModelForCausalLM.from_pretrained(place / "net")
    assert about["untuned"]["general"]["value"] > 1
    assert sum(p.numel() for p in base.parameters()) == about["voice"]["parameters"] - about["voice"]["learned"]


def test_a_plan_is_followed_and_its_seconds_stand_beside_what_came(place, tmp_path):
    found = plan_verb(
        place / "talks.jsonl", tmp_path / "p.toml", sources=[f"file:{place / 'net'}"], cache=place / "cache"
    )
    assert found.tokens == 2164
    assert found.seconds.low < found.seconds.value < found.seconds.high
    assert found.seconds.value == pytest.approx(sum(found.parts.values()))
    skill = fit(
        place / "talks.jsonl", tmp_path / "q.skill", settings=settings_of(tmp_path / "p.toml"), cache=place / "cache"
    )
    about = json.loads((skill.folder / "metrics.json").read_text())
    assert [each["name"] for each in about["foretold"]] == ["seconds", "memory_mb"]
    assert all(each["happened"] for each in about["foretold"])
    assert (skill.folder / "plan.toml").read_text().splitlines()[:4] == (tmp_path / "p.toml").read_text().splitlines()[
        :4
    ]


def test_the_course_is_a_third_of_the_layers_and_few_rows_have_more_epochs():
    one = course(32, 200, rates={}, precision="float32", seed=0, room=True)
    assert (one.plan.depth, one.plan.update, one.stored) == (11, "lora", True)
    few = course(32, 8, rates={}, precision="float32", seed=0, room=True)
    assert few.plan.epochs > one.plan.epochs
    assert not course(32, 200, rates={}, precision="float32", seed=0, room=False).stored
    assert not course(32, 200, depth=32, rates={}, precision="float32", seed=0, room=True).stored
    with pytest.raises(DepthError, match=r"depth=40 is outside 1\.\.32"):
        course(32, 200, depth=40, rates={}, precision="float32", seed=0, room=True)


def test_the_window_fits_nearly_all_talks():
    assert window_of([100] * 99 + [5000], None) == 256
    assert window_of([500] * 100, None) == 512
    assert window_of([5000] * 100, None) == 1024
    assert window_of([5000] * 100, 512) == 512
