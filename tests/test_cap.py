"""A fit leaves the cache below its cap: the longest unused goes, what was just used stays."""

import os
import time
from types import SimpleNamespace

import numpy as np
import pytest
from networks import small_encoder, write_table

from headstart.core import stock
from headstart.core.store import Address, Store
from headstart.errors import UsageError
from headstart.places import cache_cap
from headstart.units import human
from headstart.verbs.cache import clear, show, trim, verify
from headstart.verbs.fit import fit
from headstart.verbs.settings import Settings


def left_by_others(cache):
    """A table and a compiled network that nobody has used for a day."""
    table = Store(cache / "store").table(Address("another", 1))
    table.write(["row"], {"h": np.ones((1, 1000), np.float32)})
    network = cache / "networks" / "another-1"
    network.mkdir(parents=True)
    (network / "network.json").write_bytes(bytes(1000))
    for folder in (table.folder, network):
        os.utime(folder, (time.time() - 86_400, time.time() - 86_400))
    return table.folder, network


def test_a_fit_removes_what_is_longest_unused_and_keeps_what_it_used(tmp_path, monkeypatch):
    cache, table = tmp_path / "cache", write_table(tmp_path / "films.csv", 40)
    settings = Settings(source=small_encoder(tmp_path / "net"), depth=1)
    others = left_by_others(cache)
    fit(table, tmp_path / "a.skill", settings=settings, cache=cache)
    assert all(folder.exists() for folder in others)  # far below the default cap
    mine = {entry.folder for entry in stock.entries(cache / "store")} - {others[0]}
    networks = set((cache / "networks").iterdir()) - {others[1]}
    for folder in (*mine, *networks):  # used less lately than the others, until it is used again
        os.utime(folder, (time.time() - 90_000, time.time() - 90_000))
    monkeypatch.setenv("HEADSTART_CACHE_CAP", "1kB")
    fit(table, tmp_path / "b.skill", settings=settings, cache=cache)
    assert not any(folder.exists() for folder in others)
    assert {entry.folder for entry in stock.entries(cache / "store")} == mine
    assert set((cache / "networks").iterdir()) == networks


def test_what_was_just_used_and_does_not_fit_is_said(tmp_path, monkeypatch):
    heard, cache = [], tmp_path / "cache"
    teller = SimpleNamespace(say=heard.append, progress=lambda *_: None)
    settings = Settings(source=small_encoder(tmp_path / "net"), depth=1)
    monkeypatch.setenv("HEADSTART_CACHE_CAP", "1kB")
    fit(write_table(tmp_path / "films.csv", 40), tmp_path / "a.skill", settings=settings, cache=cache, teller=teller)
    parts = {part.name: part.bytes for part in show(cache)}
    over = parts["store"] + parts["networks"] - 2000
    assert heard[-1] == f"what this run used is {human(over)} above the cap of 1.0 kB and was kept"


def test_a_cache_folder_that_is_a_file_is_refused(tmp_path):
    place = tmp_path / "cache"
    place.write_text("no folder")
    for verb in (show, verify, lambda cache: clear("all", cache), lambda cache: trim(0, cache)):
        with pytest.raises(UsageError, match=r"the cache folder '.*' is a file; give a folder with --cache"):
            verb(place)


def test_a_table_that_is_refused_removal_does_not_cost_the_skill(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("headstart.verbs.fit.keep", refuse)
    settings = Settings(source=small_encoder(tmp_path / "net"), depth=1)
    data = write_table(tmp_path / "films.csv", 40)
    skill = fit(data, tmp_path / "a.skill", settings=settings, cache=tmp_path / "cache")
    assert (skill.folder / "skill.json").is_file()


@pytest.mark.parametrize(("text", "cap"), [(None, 20 * 10**9), ("", 20 * 10**9), ("5GB", 5 * 10**9), ("0", 0)])
def test_the_cap_is_the_environments_or_20_gb(monkeypatch, text, cap):
    monkeypatch.delenv("HEADSTART_CACHE_CAP", raising=False)
    if text is not None:
        monkeypatch.setenv("HEADSTART_CACHE_CAP", text)
    assert cache_cap() == cap


@pytest.mark.parametrize("text", ["much", "-1GB", "5 apples", "inf"])
def test_another_cap_is_refused(monkeypatch, text):
    monkeypatch.setenv("HEADSTART_CACHE_CAP", text)
    with pytest.raises(UsageError, match=r"is not a size; set it for example to 5GB"):
        cache_cap()
