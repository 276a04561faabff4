"""A skill brings a card along: what it may ask for when its network is opened, in every verb that does so."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from networks import small_encoder

from headstart.core import skill as skills
from headstart.core.archive import pack
from headstart.errors import SourceError
from headstart.heads.linear import Linear
from headstart.sources.catalog import CATALOG
from headstart.sources.fetch import converted_of
from headstart.sources.find import find
from headstart.sources.safe import refuse_code
from headstart.verbs.export import export
from headstart.verbs.predict import open_predictor
from headstart.verbs.shelf import Shelf

ONES = np.ones((32, 2), np.float32)
HEAD = Linear(np.zeros(32, np.float32), ONES[:, 0], ONES, np.zeros(2), 1, "classes")


@pytest.fixture
def card(tmp_path):
    return find(small_encoder(tmp_path / "net"), tmp_path / "cache")


def skill_of(card, folder):
    manifest = {"name": "x", "modality": "text", "task": "classes", "classes": ["a", "b"], "metric": "accuracy"}
    return skills.write(folder, {**manifest, "source": asdict(card), "taps": ["layer2"], "depth": 1}, HEAD.arrays(), {})


def wild(card, locator):
    files = {**card.files, "weights": replace(card.files["weights"], locator=locator)}
    return replace(card, files=files)


VERBS = {
    "predict": lambda path, cache: open_predictor(path, cache=cache),
    "a shelf": lambda path, cache: Shelf(cache=cache).open(path),
    "export": lambda path, cache: export(path, openvino=path.parent / "out", cache=cache),
    "as a source": lambda path, cache: find(f"skill:{path}", cache),
}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
@pytest.mark.parametrize("locator", ["file:{}/model.pth", "hf:a/b@0#pytorch_model.BIN", "file:{}/model.pkl"])
def test_weights_that_may_run_code_are_not_opened_for_a_skill(card, tmp_path, verb, locator):
    skill = skill_of(wild(card, locator.format(tmp_path)), tmp_path / "x.skill")
    with pytest.raises(SourceError, match="whose weights may run code when they are opened"):
        verb(skill.folder, tmp_path / "cache")


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_an_architecture_that_lies_elsewhere_is_not_fetched(card, tmp_path, verb):
    skill = skill_of(replace(card, architecture="hf-hub:a/b"), tmp_path / "x.skill")
    with pytest.raises(SourceError, match="whose architecture 'hf-hub:a/b' lies elsewhere"):
        verb(skill.folder, tmp_path / "cache")


def test_weights_of_the_catalogue_and_those_that_were_converted_here_are_opened(card, tmp_path):
    for name in CATALOG:
        refuse_code(CATALOG[name], tmp_path)
    other = wild(card, "file:/somewhere/model.pth")
    for each in (other, replace(card, files={}, beside=(card, other))):
        with pytest.raises(SourceError):
            refuse_code(each, tmp_path)
    place = converted_of(other.files["weights"], tmp_path)
    place.parent.mkdir()
    place.write_bytes(b"made here before")
    refuse_code(other, tmp_path)


def test_an_archive_of_a_skill_is_a_source_too(card, tmp_path):
    skill = skill_of(card, tmp_path / "x.skill")
    archive = pack(skill.folder, tmp_path / "x.zip")
    found = [find(f"skill:{path}", tmp_path / "cache") for path in (skill.folder, archive)]
    assert found[0].digest == found[1].digest == card.digest
