"""An earlier skill as a source: what it learned is laid over its network, and others stand on that."""

import shutil

import numpy as np
import pytest
from networks import sentences, small_encoder, write_table

from headstart.adapt.held import open_held, open_skill_network
from headstart.data.read import read
from headstart.errors import SkillError
from headstart.sources.find import find
from headstart.verbs.fit import fit
from headstart.verbs.predict import predict
from headstart.verbs.settings import Settings


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A cache, a table, a source, and a skill whose last block learned."""
    root = tmp_path_factory.mktemp("sources")
    source, table = small_encoder(root / "net"), write_table(root / "films.csv", 40)
    fit(table, root / "tuned.skill", settings=Settings(source=source, depth=2), cache=root / "cache")
    return root, source, table


def last_of(held, data):
    return held.read(data)[-1]


def test_the_source_computes_what_the_skill_computes(place):
    root, source, table = place
    data = read(table)
    skill = fit(table, root / "again.skill", settings=Settings(source=source, depth=2), cache=root / "cache")
    card = find(f"skill:{skill.folder}", root / "cache")
    tuned = last_of(open_held(card, root / "cache"), data)
    assert np.allclose(tuned, last_of(open_skill_network(skill, root / "cache"), data), atol=1e-5)
    plain = last_of(open_held(find(source, root / "cache"), root / "cache"), data)
    assert np.abs(tuned - plain).max() > 0.01


def test_its_other_layers_are_those_of_the_network_below(place):
    root, source, table = place
    data, cache = read(table), root / "cache"
    plain, tuned = (open_held(find(name, cache), cache) for name in (source, f"skill:{root / 'tuned'}"))
    assert plain.taps == tuned.taps
    for tap, a, b in zip(plain.taps, plain.read(data), tuned.read(data), strict=True):
        assert np.allclose(a, b, atol=1e-5) == (tap != plain.taps[-1])


def test_a_skill_made_from_it_answers_without_the_first_ones_folder(place, tmp_path):
    root, _, table = place
    shutil.copytree(root / "tuned.skill", tmp_path / "first.skill")
    settings = Settings(source=f"skill:{tmp_path / 'first.skill'}", depth=1)
    second = fit(table, tmp_path / "second.skill", settings=settings, cache=root / "cache")
    texts = [text for text, _ in sentences(10, seed=9)]
    before = predict(second, texts, cache=root / "cache")
    shutil.rmtree(tmp_path / "first.skill")
    assert predict(second, texts, cache=root / "cache") == before


def test_tails_are_laid_over_each_other_in_their_order(place, tmp_path):
    root, _, table = place
    data, cache = read(table), root / "cache"
    deeper = Settings(source=f"skill:{root / 'tuned.skill'}", depth=3)
    second = fit(table, tmp_path / "b.skill", settings=deeper, cache=cache)
    third = Settings(source=f"skill:{second.folder}", depth=2)
    last = fit(table, tmp_path / "c.skill", settings=third, cache=cache)
    card = find(f"skill:{last.folder}", cache)
    assert [role for role in card.files if role.startswith("tail")] == ["tail1", "tail2", "tail3"]
    assert np.allclose(last_of(open_held(card, cache), data), last_of(open_skill_network(last, cache), data), atol=1e-5)


def test_a_skill_with_a_head_alone_is_the_network_that_it_was_made_from(place, tmp_path):
    root, source, table = place
    skill = fit(table, tmp_path / "head.skill", settings=Settings(source=source, depth=1), cache=root / "cache")
    card = find(f"skill:{skill.folder}", root / "cache")
    assert card.digest == find(source, root / "cache").digest


def test_it_is_found_with_or_without_its_ending_and_by_name_in_the_users_folder(place, tmp_path, monkeypatch):
    root, _, _ = place
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    shutil.copytree(root / "tuned.skill", tmp_path / "headstart" / "skills" / "reviews.skill")
    monkeypatch.chdir(root)
    digests = {find(f"skill:{name}", root / "cache").digest for name in ("tuned.skill", "tuned", "reviews")}
    assert len(digests) == 1


def test_a_skill_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SkillError, match=r"nowhere is not a skill: .* give a folder that `headstart fit` wrote"):
        find("skill:nowhere", tmp_path)
