"""Networks listed, pulled, verified; the cache shown, verified, cleared, trimmed: against files made here."""

import hashlib
import json
import os
from dataclasses import asdict, replace

import numpy as np
import pytest
from networks import small_convnet

from headstart.core.store import Address, Store
from headstart.errors import SourceError, StoreError, UsageError
from headstart.sources.catalog import CATALOG
from headstart.sources.find import find
from headstart.verbs import cache as caches
from headstart.verbs.models import models, pull, verify


class Heard:
    """What a verb told."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)

    def progress(self, stage, done, total):
        pass


@pytest.fixture
def known(tmp_path):
    """A network that a hub gave before, as its card is kept; its name and the cache's folder."""
    name = small_convnet(tmp_path / "net")
    cache = tmp_path / "cache"
    card = replace(find(name, cache), name="hf:someone/thing")
    (cache / "cards").mkdir(parents=True)
    place = cache / "cards" / f"{hashlib.sha256(card.name.encode()).hexdigest()[:16]}.json"
    place.write_text(json.dumps(asdict(card)))
    return card.name, cache


def test_the_list_is_the_catalogue_and_what_hubs_gave_before(known):
    name, cache = known
    listed = models(cache)
    assert [each.card.name for each in listed] == [*CATALOG, name]
    assert not any(each.on_disk for each in listed)
    pull([name], cache)
    assert [each.card.name for each in models(cache) if each.on_disk] == [name]


def test_what_is_pulled_is_whole_and_pulled_once(known):
    name, cache = known
    heard = Heard()
    (first,) = pull([name, name], cache, teller=heard)
    assert first.fetched == first.card.bytes
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in first.files.values()} == {
        file.sha256 for file in first.card.files.values()
    }
    assert [line.split(" (")[0] for line in heard.lines] == [f"fetching {name}"]
    assert pull([name], cache, teller=heard)[0].fetched == 0
    assert len(heard.lines) == 1


def test_nothing_is_fetched_when_one_name_is_unknown(known):
    name, cache = known
    with pytest.raises(SourceError, match=r"'minilm-l7' is not in the catalogue; did you mean minilm-l6"):
        pull([name, "minilm-l7"], cache)
    assert not (cache / "files").exists()


def test_a_changed_byte_is_found_and_pulled_anew(known):
    name, cache = known
    (pulled,) = pull([name], cache)
    assert [each.whole for each in verify((), cache)] == [True]
    path = pulled.files["weights"]
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.unlink()  # it may be a link to the network's own file, which stays as it is
    path.write_bytes(raw)
    (seen,) = verify((), cache)
    assert (seen.damaged, seen.missing) == ((path,), ())
    heard = Heard()
    assert pull([name], cache, teller=heard)[0].fetched == pulled.card.files["weights"].bytes
    assert "is damaged and fetched anew" in heard.lines[0]
    assert verify([name], cache)[0].whole


def test_a_network_that_is_asked_for_and_not_there_is_missing(known):
    name, cache = known
    assert verify((), cache) == []
    (seen,) = verify([name], cache)
    assert len(seen.missing) == len(seen.card.files)
    assert not seen.whole


def rows_of(cache, weights, rows=4, dtype="float32"):
    table = Store(cache / "store").table(Address(weights, 1, store_dtype=dtype))
    table.write([f"{weights}{row}" for row in range(rows)], {"h": np.ones((rows, 1000), dtype)})
    return table


def test_the_parts_have_the_sizes_of_their_files(known):
    name, cache = known
    pull([name], cache)
    rows_of(cache, "a")
    by_hand = {
        part: sum(os.path.getsize(os.path.join(at, file)) for at, _, files in os.walk(cache / part) for file in files)
        for part in caches.PARTS
    }
    assert {part.name: part.bytes for part in caches.show(cache)} == by_hand
    assert by_hand["files"] == find(name, cache).bytes
    things = dict.fromkeys(caches.PARTS, 0) | {"store": 1, "files": 1}
    assert {part.name: part.things for part in caches.show(cache)} == things


def test_damage_in_the_store_and_in_weights_is_found(known):
    name, cache = known
    (pulled,) = pull([name], cache)
    table = rows_of(cache, "a")
    assert caches.verify(cache) == []
    for path in (pulled.files["weights"], next(table.folder.glob("*.npy"))):
        raw = path.read_bytes()
        path.unlink()
        path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert {path.suffix for path in caches.verify(cache)} == {"", ".npy"}


@pytest.mark.parametrize("part", [*caches.PARTS, "all"])
def test_one_part_is_cleared_and_the_others_stay(known, part):
    _, cache = known
    for each in caches.PARTS:
        (cache / each).mkdir()
        (cache / each / "thing").write_bytes(bytes(100))
    freed = caches.clear(part, cache)
    left = {path.name for path in cache.iterdir()}
    assert left == {"cards"} | (set() if part == "all" else set(caches.PARTS) - {part})
    assert freed == (100 * len(caches.PARTS) if part == "all" else 100)


def test_an_unknown_part_lists_the_parts(tmp_path):
    with pytest.raises(UsageError, match="'cards' is not a part of the cache; use store, networks, runs, unpacked, "):
        caches.clear("cards", tmp_path)


def test_what_cannot_be_removed_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "files").mkdir()

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(caches.shutil, "rmtree", refuse)
    with pytest.raises(StoreError, match="files cannot be cleared: Permission denied; close what uses it"):
        caches.clear("files", tmp_path)


def test_trimming_takes_the_longest_unused_first(tmp_path):
    tables = [rows_of(tmp_path, name) for name in "abc"]
    for age, table in enumerate(reversed(tables)):
        os.utime(table.folder, (1_000_000 - age, 1_000_000 - age))
    size = caches.show(tmp_path)[0].bytes
    assert caches.trim(size, tmp_path) == 0
    freed = caches.trim(size - 1, tmp_path)
    assert not tables[0].folder.exists()
    assert tables[1].folder.exists()
    assert caches.show(tmp_path)[0].bytes == size - freed
    caches.trim(0, tmp_path)
    assert [table.folder.exists() for table in tables] == [False, False, True]
