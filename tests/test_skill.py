"""A skill folder is whole, unchanged and of a known format, or it is refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest

from headstart.core import skill as skills
from headstart.errors import SkillError

ARRAYS = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(3, np.float32)}


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "cats.skill"
    skills.write(place, {"classes": ["Kätzchen", "dog"]}, ARRAYS, {"README.md": "# Cats\n"})
    return place


def test_what_is_read_is_what_was_written(folder):
    skill = skills.read(folder)
    assert skill.manifest["classes"] == ["Kätzchen", "dog"]
    assert set(skill.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(skill.arrays[name], array)
    assert (folder / "README.md").read_text("utf8") == "# Cats\n"


def test_arrays_are_read_as_they_were_whatever_their_order_in_memory(tmp_path):
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    arrays = {"turned": rows.T, "columns": np.asfortranarray(rows), "every second": rows[:, ::2], "one": np.array(7)}
    skills.write(tmp_path / "x.skill", {}, arrays, {})
    for name, array in skills.read(tmp_path / "x.skill").arrays.items():
        np.testing.assert_array_equal(array, arrays[name], strict=True)


@pytest.mark.parametrize("name", ["delta.safetensors", "README.md"])
def test_a_changed_byte_is_found(folder, name):
    raw = bytearray((folder / name).read_bytes())
    raw[-1] ^= 1
    (folder / name).write_bytes(raw)
    with pytest.raises(SkillError, match=f"{name} is not as it was written"):
        skills.read(folder)


def test_a_missing_file_is_named(folder):
    (folder / "README.md").unlink()
    with pytest.raises(SkillError, match=r"lacks README\.md"):
        skills.read(folder)


def test_a_newer_format_asks_for_an_upgrade(folder):
    manifest = json.loads((folder / "skill.json").read_text("utf8"))
    (folder / "skill.json").write_text(json.dumps({**manifest, "format": 2}), "utf8")
    with pytest.raises(SkillError, match="made by a newer headstart; upgrade"):
        skills.read(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}'])
def test_a_damaged_manifest_is_said(folder, text):
    (folder / "skill.json").write_text(text)
    with pytest.raises(SkillError, match="cannot be read as a manifest"):
        skills.read(folder)


def test_a_manifest_cannot_lead_out_of_the_folder(folder):
    manifest = json.loads((folder / "skill.json").read_text("utf8"))
    manifest["files"]["../secret"] = "0"
    (folder / "skill.json").write_text(json.dumps(manifest))
    with pytest.raises(SkillError, match="leaves the folder"):
        skills.read(folder)


def test_a_folder_of_something_else_is_not_written_over(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("mine")
    with pytest.raises(SkillError, match="is not a skill; choose another place"):
        skills.write(tmp_path / "photos", {}, ARRAYS, {})
    assert (tmp_path / "photos" / "a.txt").read_text() == "mine"


def test_a_refused_write_leaves_the_earlier_skill(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    before = sorted((path.name, path.read_bytes()) for path in folder.iterdir())
    monkeypatch.setattr(skills, "_replace", full)
    with pytest.raises(SkillError, match="No space left on device"):
        skills.write(folder, {}, {"weight": np.ones(3, np.float32)}, {})
    assert sorted((path.name, path.read_bytes()) for path in folder.iterdir()) == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_earlier_skill_is_replaced_whole(folder):
    skills.write(folder, {"classes": ["a"]}, {"weight": np.ones(2, np.float32)}, {})
    assert skills.read(folder).manifest["classes"] == ["a"]
    assert sorted(path.name for path in folder.iterdir()) == ["delta.safetensors", "skill.json"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_place_that_cannot_be_written_is_refused_before_any_work(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "x.skill", Path("/proc/x.skill")):
        with pytest.raises(SkillError, match="choose another place with -o"):
            skills.ready(place)
    skills.ready(tmp_path / "new" / "deep" / "x.skill")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
