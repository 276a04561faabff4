"""Tails of which adapters or norms alone learn: what moves, what is kept, and the way back."""

import json

import numpy as np
import pytest
import torch
from networks import small_convnet, small_encoder, write_pictures, write_table

import headstart as hs
from headstart.adapt.lora import Adapters
from headstart.adapt.recipes import recipes
from headstart.adapt.tune import Tuned, tail_of, tune
from headstart.core.fit import fit
from headstart.core.plan import Plan
from headstart.core.stack import LORA, is_norm
from headstart.core.task import Contrast
from headstart.data.dataset import Options
from headstart.data.read import read
from headstart.errors import UsageError
from headstart.sources.find import find
from headstart.sources.load import LORA_A, LORA_B, load, with_tail
from headstart.verbs.settings import Settings


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora")
    texts = (write_table(folder / "films.csv", 80), small_encoder(folder / "encoder"))
    pictures = (write_pictures(folder / "pictures", 40), small_convnet(folder / "convnet"))
    return {"text": texts, "image": pictures}, folder / "cache"


def inputs_of(card, stack, n=3):
    draw = torch.Generator().manual_seed(0)
    if card.modality == "image":
        return {"h": torch.randn(n, 3, card.size, card.size, generator=draw)}
    return {"ids": torch.randint(5, 20, (n, 6), generator=draw), "mask": torch.ones(n, 6, dtype=torch.bool)}


def features(stack, state):
    with torch.no_grad():
        return stack.eval()(state, stop=len(stack) - 1)["h"]


def learned(places, modality, update, depth=3, **rates) -> tuple[Tuned, object]:
    sets, cache = places
    path, source = sets[modality]
    card, data = find(source, cache), read(path, Options())
    blocks = len(load(card, cache, outputs=2))
    (recipe,) = recipes(card, blocks, len(data), 2, "classes", precision="fp32", seed=0, depth=depth)
    plan = Plan(depth, epochs=3, batch=16, lr=1e-2, update=update, **rates)
    return tune(card, data, data.y, type(recipe)("x", recipe.objective, plan), cache), card


@pytest.mark.parametrize("modality", ["text", "image"])
def test_without_its_adapters_the_network_is_the_old_one_bit_for_bit(places, modality):
    _, cache = places
    tuned, card = learned(places, modality, "lora")
    fresh = load(card, cache, outputs=2)
    tuned.lay(0.0)
    for name in fresh.names[:-1]:
        one, other = fresh.blocks[name].state_dict(), tuned.stack.blocks[name].state_dict()
        assert one.keys() == other.keys()
        for key in one:
            assert torch.equal(one[key], other[key]), key
    state = inputs_of(card, fresh)
    before, after = features(tuned.stack, state), None
    assert torch.equal(before, features(fresh, state)) or modality == "image"  # channels last rounds otherwise
    tuned.lay(1.0)
    after = features(tuned.stack, state)
    assert not torch.allclose(before, after, atol=1e-4)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_what_a_skill_keeps_gives_the_tuned_network_and_is_small(places, modality):
    _, cache = places
    tuned, card = learned(places, modality, "lora")
    tail = tuned.lay(0.5)
    assert {name[-len(LORA_A) :] for name in tail} == {LORA_A, LORA_B}
    state = inputs_of(card, tuned.stack)
    again = with_tail(card, tail, cache)
    torch.testing.assert_close(features(again, state), features(tuned.stack, state), rtol=1e-4, atol=1e-5)
    assert sum(x.size for x in tail.values()) < sum(x.size for x in tuned.after.values())


def test_adapters_compute_what_peft_computes_with_them(places):
    """The weight with its adapter laid over answers as peft's wrapped layers did, to rounding."""
    _, cache = places
    card = find(places[0]["text"][1], cache)
    stack = load(card, cache, outputs=2)
    adapters = Adapters(stack, 3)
    named = [p for name, p in stack.named_parameters() if LORA in name]
    with torch.no_grad():
        for place, parameter in enumerate(named):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(place)) / 10)
    state = inputs_of(card, stack)
    want = features(stack, state)
    tail = adapters.take_out()
    got = features(with_tail(card, tail, cache), state)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_an_adapter_that_has_not_learned_changes_nothing(places):
    _, cache = places
    card = find(places[0]["text"][1], cache)
    stack = load(card, cache, outputs=2)
    state = inputs_of(card, stack)
    before = features(stack, state)
    Adapters(stack, 3)
    assert torch.equal(features(stack, state), before)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_norms_alone_move(places, modality):
    _, cache = places
    tuned, card = learned(places, modality, "norms")
    stack = load(card, cache, outputs=2)
    norms = {
        f"tail.{block}.{name}.{own}"
        for block in stack.names[stack.cut(3) : -1]
        for name, module in stack.blocks[block].named_modules()
        if is_norm(module)
        for own in module.state_dict()
        if "." not in own
    }
    tail = tuned.lay(1.0)
    assert tail
    assert set(tail) <= norms
    assert any(name.endswith(".weight") for name in tail)


def test_held_norms_beside_adapters_do_not_move(places):
    _, cache = places
    card = find(places[0]["image"][1], cache)
    stack = load(card, cache, outputs=2)
    Adapters(stack, 3)
    from headstart.adapt.inputs import pictures_of

    data = read(places[0]["image"][0], Options())
    before = {k: v.clone() for k, v in stack.state_dict().items() if "running" in k}
    fit(stack, pictures_of(data, card, data.y), Contrast(), Plan(3, epochs=1, batch=16, update="lora"))
    assert before
    assert all(torch.equal(before[k], v) for k, v in stack.state_dict().items() if k in before)


@pytest.mark.parametrize("update", ["lora", "norms"])
def test_a_skill_of_adapters_or_norms_answers_as_it_was_measured(places, update, tmp_path):
    sets, cache = places
    path, source = sets["text"]
    settings = Settings(source=source, depth=3, epochs=2, lr=1e-2, update=update)
    skill = hs.fit(path, tmp_path / "x.skill", settings=settings, cache=cache)
    said = json.loads((skill.folder / "metrics.json").read_text())
    assert said["kept"]["layers"][0]["new"] == pytest.approx(1)
    whole = hs.fit(path, tmp_path / "y.skill", settings=Settings(source=source, depth=3, epochs=2), cache=cache)
    assert (skill.folder / "delta.safetensors").stat().st_size < (whole.folder / "delta.safetensors").stat().st_size
    again = hs.predict(skill.folder, path, column="text", cache=cache)
    assert len(again) == 80
    assert f'update = "{update}"' in (skill.folder / "plan.toml").read_text()
    followed = hs.settings_of(skill.folder / "plan.toml")
    assert followed.update == update
    from_it = hs.fit(
        path, tmp_path / "z.skill", settings=Settings(source=f"skill:{skill.folder}", depth=1), cache=cache
    )
    tails = [name for name in skill.arrays if name.startswith("tail.")]
    assert tails
    assert not any(name.startswith("tail.") for name in from_it.arrays)


def test_an_update_that_there_is_not_is_one_sentence():
    with pytest.raises(UsageError, match="update='some' is not one of all, norms, lora; write --update all"):
        Settings(update="some")


def test_the_tail_of_everything_is_every_tensor_of_the_blocks(places):
    tuned, _ = learned(places, "text", "all")
    assert set(tuned.lay(1.0)) <= set(tail_of(tuned.stack, 3))
    assert all(np.array_equal(tuned.after[name], values) for name, values in tail_of(tuned.stack, 3).items())
