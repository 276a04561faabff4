"""A store is listed, checked, cleared and kept below a size without harm to what is in use."""

import os
import time

import numpy as np
import pytest

from headstart.core import stock
from headstart.core.store import Address, Store

ROW = 4 * 1000  # bytes of one row's numbers


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path)
    for age, weights in ((300, "old"), (200, "middle"), (100, "new")):
        table = made.table(Address(weights, 1))
        table.write([f"{weights}{row}" for row in range(10)], {"h": np.ones((10, 1000), np.float32)})
        os.utime(table.folder, (time.time() - age, time.time() - age))
    return made


def test_entries_tell_what_is_there_longest_unused_first(store):
    found = stock.entries(store.root)
    assert [entry.address["weights"] for entry in found] == ["old", "middle", "new"]
    assert [entry.rows for entry in found] == [10, 10, 10]
    assert all(10 * ROW <= entry.bytes < 12 * ROW for entry in found)


def test_a_changed_byte_and_a_missing_file_are_found(store):
    assert stock.damaged(store.root) == []
    first, second, _ = (next(entry.folder.glob("*.npy")) for entry in stock.entries(store.root))
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    second.unlink()
    assert set(stock.damaged(store.root)) == {first, second}


@pytest.mark.parametrize(("cap", "left"), [(50 * ROW, 3), (25 * ROW, 2), (15 * ROW, 1), (0, 1)])
def test_the_longest_unused_go_first_and_the_last_used_stays(store, cap, left):
    before = sum(entry.bytes for entry in stock.entries(store.root))
    freed = stock.keep_below(store.root, cap)
    after = stock.entries(store.root)
    assert [entry.address["weights"] for entry in after] == ["old", "middle", "new"][3 - left :]
    assert freed == before - sum(entry.bytes for entry in after)


def test_leftovers_of_killed_writes_go_and_unfinished_ones_stay(store):
    folder = stock.entries(store.root)[0].folder
    (folder / "killed.h.npy").write_bytes(b"x" * 100)
    os.utime(folder / "killed.h.npy", (0, 0))
    (folder / "writing.h.npy").write_bytes(b"x" * 100)
    assert stock.keep_below(store.root, 10**9) == 100
    assert (folder / "writing.h.npy").exists()
    assert stock.entries(store.root)[-1].rows == 10


def test_what_is_cleared_is_missing_again(store):
    keys = [f"new{row}" for row in range(10)]
    stock.clear(store.root)
    assert stock.entries(store.root) == []
    assert len(store.table(Address("new", 1)).missing(keys)) == 10


def test_a_matrix_is_the_rows_in_the_order_of_the_keys(tmp_path):
    table = Store(tmp_path).table(Address("w", 1))
    values = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    for start in (0, 7, 14):
        rows = range(start, min(start + 7, 20))
        table.write([str(row) for row in rows], {"h": values[list(rows)]})
    order = np.random.default_rng(1).permutation(20)
    np.testing.assert_array_equal(table.matrix([str(row) for row in order], "h"), values[order])


def test_what_was_used_since_a_time_stays(store):
    since = time.time() - 250  # between the oldest and the others
    stock.keep_below(store.root, 0, since=since)
    assert [entry.address["weights"] for entry in stock.entries(store.root)] == ["middle", "new"]


@pytest.mark.parametrize(("cap", "left"), [(900, 3), (899, 2), (300, 1), (0, 1)])
def test_the_longest_unused_networks_go_first(tmp_path, cap, left):
    for age, name in enumerate(("new", "middle", "old")):
        (tmp_path / name / "compiled").mkdir(parents=True)
        (tmp_path / name / "network.json").write_bytes(bytes(100))
        (tmp_path / name / "compiled" / "blob").write_bytes(bytes(200))
        os.utime(tmp_path / name, (time.time() - 100 * age, time.time() - 100 * age))
    assert stock.keep_networks_below(tmp_path, cap) == 300 * (3 - left)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["new", "middle", "old"][:left])


def test_a_folder_that_another_process_removed_frees_nothing(store, monkeypatch):
    seen = stock.entries(store.root)
    monkeypatch.setattr(stock, "entries", lambda _: seen)
    assert stock.clear(store.root) > 0
    assert stock.clear(store.root) == 0
