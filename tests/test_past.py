"""Skills that earlier versions wrote load, and answer as they did then; see tests/past/README.md."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from headstart.core import skill as skills
from headstart.core.also import heads_of
from headstart.core.archive import unpack
from headstart.verbs.predict import open_predictor, predict

PAST = Path(__file__).parent / "past"
VERSIONS = sorted(path.parent.name for path in PAST.glob("*/answers.json"))
KINDS = ("head", "tail", "both")


@pytest.fixture(scope="module", params=VERSIONS)
def version(request, tmp_path_factory):
    """A copy of what a version left, whose cards name the copied network."""
    place = tmp_path_factory.mktemp("past") / request.param
    shutil.copytree(PAST / request.param, place)
    for archive in place.glob("*.zip"):
        unpack(archive, place / archive.stem)
    for path in place.glob("*/skill.json"):
        path.write_text(path.read_text("utf8").replace("{place}", str(place)), "utf8")
    return place


@pytest.mark.parametrize("kind", KINDS)
def test_a_skill_of_the_past_answers_as_it_did(version, kind):
    said = json.loads((version / "answers.json").read_text("utf8"))
    for head, rows in said["skills"][kind].items():
        predictor = open_predictor(version / kind, head=head or None, cache=version / "cache")
        found = predict(predictor, said["texts"])
        # another machine's engine may compute in bfloat16
        assert np.allclose([list(row.all.values()) for row in found], [list(row.values()) for row in rows], atol=0.02)
        assert [list(row.all) for row in found] == [list(row) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_whole_and_says_what_it_is(version, kind):
    skill = skills.read(version / kind)
    assert skill.manifest["headstart"] == version.name
    assert skill.manifest["classes"] == ["bad", "good"]
    assert skill.manifest["depth"] == (2 if kind == "tail" else 1)
    assert len(heads_of(skill)) == (2 if kind == "both" else 1)


def test_the_collection_is_small_and_holds_no_path_of_another_machine():
    assert VERSIONS
    files = [path for path in PAST.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) < 150_000 * len(VERSIONS)
    assert not any(b"/home/" in path.read_bytes() or b"/tmp/" in path.read_bytes() for path in files)
