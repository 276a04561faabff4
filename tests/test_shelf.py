"""Many skills on one network: one is opened, all answer as they do alone, and what changes on disk is picked up."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest
from networks import sentences, small_encoder

from headstart.adapt import held as helds
from headstart.core import skill as skills
from headstart.core.archive import pack
from headstart.errors import SkillError, UsageError
from headstart.heads.linear import Linear
from headstart.sources.find import find
from headstart.verbs import shelf as shelves
from headstart.verbs.predict import open_predictor, predict
from headstart.verbs.shelf import Shelf

TEXTS = [text for text, _ in sentences(7, seed=4)]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A cache and the card of a small network."""
    root = tmp_path_factory.mktemp("shelf")
    return root, find(small_encoder(root / "net"), root / "cache")


def made(folder, card, seed, *, taps=("layer2",), tail=None, depth=1, **said):
    """A skill with a head of its own."""
    draw = np.random.default_rng(seed)
    d = 32 * len(taps)
    weight = draw.normal(0, 1, (d, 3)).astype(np.float32)
    head = Linear(np.zeros(d, np.float32), np.ones(d, np.float32), weight, draw.normal(0, 1, 3), 1.5, "classes")
    manifest = {"name": folder.name, "modality": card.modality, "task": "classes", "classes": ["a", "b", "c"]}
    manifest |= {"metric": "accuracy", "source": asdict(card), "taps": list(taps), "depth": depth, **said}
    return skills.write(folder, manifest, {**head.arrays(), **(tail or {})}, {}).folder


def tail_of(seed):
    """A learned last layer: one of its biases is another."""
    draw = np.random.default_rng(seed)
    return {"tail.layer2.0.output.dense.bias": draw.normal(0, 1, 32).astype(np.float32)}


def test_a_hundred_skills_share_one_network_and_answer_as_each_does_alone(world, tmp_path):
    root, card = world
    pairs = [("layer1",), ("layer2",), ("layer1", "layer2")]
    paths = [made(tmp_path / f"{k}.skill", card, k, taps=pairs[k % 3]) for k in range(100)]
    shelf = Shelf(cache=root / "cache")
    predictors = [shelf.open(path) for path in paths]
    assert {id(each.held) for each in predictors} == {id(shelf.networks[0])}
    assert len(shelf.networks) == 1
    assert len(shelf) == 100
    together = shelf.predict_all(paths, TEXTS)
    for path, answers in list(zip(paths, together, strict=True))[::20]:
        assert answers == predict(open_predictor(path, cache=root / "cache"), TEXTS)
        assert answers == shelf.predict(path, TEXTS)
    assert all(a is b for a, b in zip(predictors, map(shelf.open, paths), strict=True))  # nothing is made twice


def test_the_inputs_are_read_once_for_all_skills_of_a_network(world, tmp_path, monkeypatch):
    root, card = world
    paths = [made(tmp_path / f"{k}.skill", card, k) for k in range(5)]
    shelf, read = Shelf(cache=root / "cache"), []
    shelf.open(paths[0])
    real = helds.Held.read
    monkeypatch.setattr(
        helds.Held, "read", lambda self, data, **rest: read.append(len(data)) or real(self, data, **rest)
    )
    shelf.predict_all(paths, TEXTS)
    assert read == [len(TEXTS)]


def test_an_update_is_picked_up_by_the_next_call_and_only_then_is_it_read(world, tmp_path, monkeypatch):
    root, card = world
    path = made(tmp_path / "x.skill", card, 1)
    shelf = Shelf(cache=root / "cache")
    before = shelf.predict(path, TEXTS)
    opened = []
    real = shelves.opened
    monkeypatch.setattr(shelves, "opened", lambda *which: opened.append(which) or real(*which))
    assert shelf.predict(path, TEXTS) == before
    assert opened == []
    made(path, card, 2)
    after = shelf.predict(path, TEXTS)
    assert after != before
    assert after == predict(path, TEXTS, cache=root / "cache")
    assert len(opened) == 1
    assert len(shelf.networks) == 1


def test_no_check_is_left_out_when_a_skill_is_opened_or_was_updated(world, tmp_path):
    root, card = world
    path = made(tmp_path / "x.skill", card, 1)
    raw = bytearray((path / "delta.safetensors").read_bytes())
    raw[-1] ^= 1
    broken = shutil.copytree(path, tmp_path / "broken.skill")
    (broken / "delta.safetensors").write_bytes(raw)
    shelf = Shelf(cache=root / "cache")
    with pytest.raises(SkillError, match="is not as it was written"):
        shelf.open(broken)
    shelf.open(path)
    (path / "delta.safetensors").write_bytes(raw)
    said = (path / "skill.json").read_text()
    os.utime(path / "skill.json", ns=(1, 1))
    with pytest.raises(SkillError, match="is not as it was written"):
        shelf.open(path)
    assert (path / "skill.json").read_text() == said
    shutil.rmtree(path)
    with pytest.raises(SkillError, match="is not a skill"):
        shelf.open(path)


def test_the_longest_unused_tail_is_closed_and_opened_again_when_it_is_asked_for(world, tmp_path):
    root, card = world
    head = made(tmp_path / "head.skill", card, 0)
    paths = [made(tmp_path / f"{k}.skill", card, k, tail=tail_of(k), depth=2) for k in range(3)]
    same = made(tmp_path / "same.skill", card, 9, tail=tail_of(2), depth=2)
    shelf = Shelf(cache=root / "cache", tails=2)
    plain = shelf.open(head).held
    first = shelf.open(paths[0]).held
    second = shelf.open(paths[1]).held
    assert shelf.open(paths[0]).held is first  # used: the second is now the longest unused
    third = shelf.open(paths[2])
    assert shelf.open(same).held is third.held
    assert set(map(id, shelf.networks)) == {id(plain), id(first), id(third.held)}
    assert shelf.open(paths[1]).held is not second
    assert shelf.open(head).held is plain
    for path, answers in zip([*paths, same, head], shelf.predict_all([*paths, same, head], TEXTS), strict=True):
        assert answers == predict(path, TEXTS, cache=root / "cache")
    assert len(shelf.networks) == 3


def test_networks_that_prepare_their_inputs_otherwise_are_not_shared(world, tmp_path):
    root, card = world
    shelf = Shelf(cache=root / "cache")
    other = replace(card, crop=0.5)  # its digest is the same: it says what the network computes
    assert other.digest == card.digest
    assert (
        shelf.open(made(tmp_path / "a.skill", card, 0)).held
        is not shelf.open(made(tmp_path / "b.skill", other, 0)).held
    )


def test_an_archive_is_a_skill_on_the_shelf_too(world, tmp_path):
    root, card = world
    path = made(tmp_path / "x.skill", card, 1)
    archive = pack(path, tmp_path / "x.zip")
    shelf = Shelf(cache=root / "cache")
    assert shelf.predict(archive, TEXTS) == shelf.predict(path, TEXTS)
    assert shelf.open(archive) is shelf.open(archive)
    assert len(shelf.networks) == 1
    pack(made(path, card, 2), archive)
    assert shelf.predict(archive, TEXTS) == shelf.predict(path, TEXTS)


def test_skills_that_read_different_things_are_not_asked_together(world, tmp_path):
    root, card = world
    text = made(tmp_path / "a.skill", card, 0)
    picture = made(tmp_path / "b.skill", card, 0, modality="image")
    with pytest.raises(UsageError, match="these 2 skills read image and text; give skills that read one kind"):
        Shelf(cache=root / "cache").predict_all([text, picture], TEXTS)
    with pytest.raises(UsageError, match="these 0 skills read nothing"):
        Shelf(cache=root / "cache").predict_all([], TEXTS)


def test_a_shelf_needs_no_pytorch(world, tmp_path):
    root, card = world
    path = made(tmp_path / "x.skill", card, 0)
    Shelf(cache=root / "cache").open(path)  # the network is compiled now
    code = (
        "import sys, headstart as hs; from pathlib import Path; "
        f"shelf = hs.Shelf(cache=Path({str(root / 'cache')!r})); print(len(shelf.predict({str(path)!r}, ['a film'])));"
        "assert not {'torch', 'timm', 'transformers', 'sklearn'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("1\n", "")


MANIFESTS = {
    "no classes": ({"classes": None}, r"skill.json lacks classes"),
    "classes that are numbers": ({"classes": [1, 2, 3]}, r"skill.json lacks classes"),
    "a task that there is not": ({"task": "guess"}, "has the task 'guess', which there is not"),
    "fewer classes than the head has": ({"classes": ["a"]}, r"a head of shape \(32, 3\) for 1 classes"),
    "layers that the network lacks": ({"taps": ["layer9"]}, "reads layer9, which file:.* does not give"),
    "layers of another width": ({"taps": ["layer1", "layer2"]}, "reads 32 values where its layers have 64"),
}


@pytest.mark.parametrize(("change", "said"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_that_cannot_answer_is_one_sentence(world, tmp_path, change, said):
    root, card = world
    path = made(tmp_path / "x.skill", card, 0)
    manifest = json.loads((path / "skill.json").read_text())
    (path / "skill.json").write_text(json.dumps({**manifest, **change}))
    for ask in (Shelf(cache=root / "cache").open, lambda path: open_predictor(path, cache=root / "cache")):
        with pytest.raises(SkillError, match=said):
            ask(path)
