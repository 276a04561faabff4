"""Networks side by side: their outputs joined under one head."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
from networks import small_convnet, small_encoder, write_table

from headstart.adapt.held import open_held
from headstart.data.read import read
from headstart.errors import DepthError, SkillError, SourceError, UsageError
from headstart.heads.linear import Linear
from headstart.sources.card import card_of
from headstart.sources.find import find
from headstart.verbs.export import export
from headstart.verbs.fit import fit
from headstart.verbs.predict import open_predictor
from headstart.verbs.prepared import opened
from headstart.verbs.rank import rank
from headstart.verbs.settings import Settings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, two names of networks, and a table."""
    root = tmp_path_factory.mktemp("beside")
    one, two = small_encoder(root / "one"), f"file:{root / 'two'}"
    shutil.copytree(root / "one", root / "two")
    return root, one, two, write_table(root / "films.csv", 120)


def by_hand(names, data, root):
    """Taps of each network, read one after the other."""
    found = {}
    for name in names:
        held = open_held(find(name, root), root)
        values = zip(held.taps, held.read(data), strict=True)
        found.update({f"{name}/{tap}": value for tap, value in values})
    return found


def test_joined_outputs_are_those_of_each_network(place):
    root, one, two, table = place
    data = read(table)
    features = opened(find(f"{one}+{two}", root), data, root, threads=0, told=print)
    alone = by_hand([one, two], data, root)
    assert list(features.taps) == list(alone)
    assert features.last == (f"{one}/layer2", f"{two}/layer2")
    rows = np.array([5, 3, 40])
    # the order of the columns is that of the networks, whatever the order of the names
    taps = (f"{two}/layer1", f"{one}/embed", f"{two}/layer2")
    want = np.concatenate([alone[name][rows] for name in (f"{one}/embed", f"{two}/layer1", f"{two}/layer2")], axis=1)
    assert np.allclose(features.matrix(rows, taps), want, atol=1e-4)
    assert [len(join) for join in features.joins()] == [2, 4, 6]


def test_a_skill_of_two_networks_answers_by_both(place, tmp_path):
    root, one, two, table = place
    settings = Settings(source=f"{one}+{two}", depth=1)
    skill = fit(table, tmp_path / "x.skill", settings=settings, cache=root)
    predictor = open_predictor(skill.folder, cache=root)
    new = read(write_table(tmp_path / "new.csv", 30, seed=9))
    alone = by_hand([one, two], new, root)
    x = np.concatenate([alone[tap] for tap in skill.manifest["taps"]], axis=1)
    head = Linear.from_arrays(dict(skill.arrays), "classes")
    assert {tap.rsplit("/", 1)[0] for tap in skill.manifest["taps"]} == {one, two}
    assert np.allclose(predictor.answers(new), head.probabilities(x), atol=1e-3)
    with pytest.raises(SkillError, match=r"side by side; export takes a skill of one network"):
        export(skill.folder, onnx=tmp_path / "x.onnx", cache=root)


def test_a_joined_card_survives_json_and_depends_on_each_network(place):
    root, one, two, _ = place
    card = find(f"{one}+{two}", root)
    assert card_of(json.loads(json.dumps(asdict(card)))) == card
    assert card.digest not in (find(one, root).digest, find(f"{one}+minilm-l6", root).digest)
    assert card.bytes == find(one, root).bytes + find(two, root).bytes


def test_networks_side_by_side_can_be_ranked(place):
    root, one, two, table = place
    found = rank(table, [one, f"{one}+{two}"], cache=root)
    assert {each.name for each in found.networks} == {one, f"{one}+{two}"}
    # a network beside its own copy knows nothing more: every row of the one is a row of the other twice
    assert found.networks[0].score == pytest.approx(found.networks[1].score, abs=0.05)


def test_what_cannot_stand_side_by_side_is_one_sentence(place, tmp_path):
    root, one, two, table = place
    picture = small_convnet(tmp_path / "convnet")
    with pytest.raises(SourceError, match="are not two or three different networks"):
        find(f"{one}+{one}", root)
    with pytest.raises(SourceError, match="are not two or three different networks"):
        find("+".join([one, two, "minilm-l6", "efficientnet-lite0"]), root)
    with pytest.raises(SourceError, match=r"\(text\), .* \(image\) cannot be joined"):
        find(f"{one}+{picture}", root)
    with pytest.raises(DepthError, match=r"depth=2 cannot be had of .*side by side; use depth 1"):
        fit(table, tmp_path / "x.skill", settings=Settings(source=f"{one}+{two}", depth=2), cache=root)
    with pytest.raises(UsageError, match="which --scratch cannot train"):
        fit(table, tmp_path / "x.skill", settings=Settings(source=f"{one}+{two}", scratch=5), cache=root)
    assert not (tmp_path / "x.skill").exists()


def test_a_path_with_a_plus_in_it_is_one_network(place, tmp_path):
    root, one, _, _ = place
    shutil.copytree(one.removeprefix("file:"), tmp_path / "a+b")
    assert not find(f"file:{tmp_path / 'a+b'}", root).beside
