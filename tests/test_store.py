"""The store against the ways in which activations go wrong on disk."""

import errno
import multiprocessing
import os
import shutil
import signal

import numpy as np
import pytest
import torch
from stacks import examples, make

from headstart.core.examples import from_arrays
from headstart.core.feed import fill
from headstart.core.store import Address, Store
from headstart.errors import DataError, StoreError

ROWS = np.arange(24, dtype="float32").reshape(6, 4)
KEYS = [f"key{row}" for row in range(6)]


def test_rows_come_back_in_the_order_that_is_asked_for(tmp_path):
    table = Store(tmp_path).table(Address("w", 1))
    table.write(KEYS[:4], {"h": ROWS[:4]})
    table.write(KEYS[4:], {"h": ROWS[4:]})
    again = Store(tmp_path).table(Address("w", 1))
    np.testing.assert_array_equal(np.stack(again.read(["key5", "key0", "key3"])["h"]), ROWS[[5, 0, 3]])
    assert again.missing(["new", "key1", "new", "other"]).tolist() == [0, 3]


def test_ragged_rows_take_no_padding(tmp_path):
    ragged = [np.full((length, 3), length, "float32") for length in (5, 1, 3)]
    table = Store(tmp_path).table(Address("w", 1))
    table.write(KEYS[:3], {"h": ragged})
    for got, want in zip(table.read(KEYS[:3])["h"], ragged, strict=True):
        np.testing.assert_array_equal(got, want)
    (file,) = table.folder.glob("*.npy")
    assert np.load(file).shape == (9, 3)


@pytest.mark.parametrize(
    "other",
    [
        Address("x", 1),
        Address("w", 2),
        Address("w", 1, preparation="resize 224"),
        Address("w", 1, view=1),
        Address("w", 1, engine="openvino 2025"),
        Address("w", 1, compute_dtype="bfloat16"),
        Address("w", 1, store_dtype="float16"),
    ],
)
def test_every_field_of_the_address_has_its_own_table(other, tmp_path):
    Store(tmp_path).table(Address("w", 1)).write(KEYS, {"h": ROWS})
    assert len(Store(tmp_path).table(other)) == 0


def test_the_store_dtype_decides_the_format_on_disk(tmp_path):
    table = Store(tmp_path).table(Address("w", 1, store_dtype="float16"))
    table.write(KEYS, {"h": ROWS, "mask": ROWS > 3})
    rows = table.read(KEYS)
    assert rows["h"][0].dtype == np.float16
    assert rows["mask"][0].dtype == bool


def test_changed_weights_have_another_address():
    stack = make("image")
    first = stack.fingerprint(2)
    with torch.no_grad():
        stack.blocks["stem"].module[1].running_mean.add_(1)
    assert stack.fingerprint(2) != first


def test_other_bytes_another_order_or_preparation_have_another_fingerprint():
    plain = from_arrays(ROWS)
    assert plain.fingerprint == from_arrays(ROWS.copy()).fingerprint
    changed = ROWS.copy()
    changed[0, 0] = 9
    for other in (from_arrays(changed), from_arrays(ROWS[::-1]), from_arrays(ROWS, preparation="scaled")):
        assert other.fingerprint != plain.fingerprint


def test_only_new_examples_are_computed(tmp_path):
    stack, data, read = make("table"), examples("table"), []
    counted = from_arrays(data.read(np.arange(40))["h"], data.y)
    fill(Store(tmp_path), stack, counted.take(range(30)), 2)
    watched = type(counted)(counted.keys, lambda rows: read.extend(rows) or counted.read(rows), counted.y)
    fill(Store(tmp_path), stack, watched, 2)
    assert read == list(range(30, 40))


def test_a_chunk_without_its_index_does_not_exist(tmp_path):
    table = Store(tmp_path).table(Address("w", 1))
    table.write(KEYS, {"h": ROWS})
    next(table.folder.glob("*.json")).unlink()
    assert len(Store(tmp_path).table(Address("w", 1))) == 0


def test_a_full_disk_leaves_nothing_half_written_and_says_where(tmp_path, monkeypatch):
    table = Store(tmp_path).table(Address("w", 1))
    table.write(KEYS[:2], {"h": ROWS[:2]})

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"4 rows .* No space left on device\. Free space"):
        table.write(KEYS[2:], {"h": ROWS[2:]})
    assert len(list(table.folder.iterdir())) == 2
    assert len(Store(tmp_path).table(Address("w", 1))) == 2


def _write_forever(root, ready):
    table = Store(root).table(Address("w", 1))
    ready.set()
    for chunk in range(100_000):
        table.write([f"{chunk}-{row}" for row in range(50)], {"h": np.full((50, 64), chunk, "float32")})


def test_a_killed_writer_leaves_only_whole_chunks(tmp_path):
    context = multiprocessing.get_context("spawn")
    for _ in range(3):
        ready = context.Event()
        writer = context.Process(target=_write_forever, args=(tmp_path, ready))
        writer.start()
        assert ready.wait(60)
        writer.join(0.1)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        table = Store(tmp_path).table(Address("w", 1))
        keys = [key for path in table.folder.glob("*.json") for key in _keys(path)]
        for key, row in zip(keys, table.read(keys)["h"] if keys else [], strict=True):
            assert (row == float(key.split("-")[0])).all()


def _keys(path):
    import json

    return json.loads(path.read_text())["keys"]


def _fill_table(root):
    fill(Store(root), make("table"), examples("table"), 2, chunk=3)


def test_two_processes_may_fill_one_table(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_fill_table, args=(tmp_path,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    data, stack = examples("table"), make("table").eval()
    with torch.no_grad():
        want = stack({"h": torch.from_numpy(data.read(np.arange(40))["h"])}, stop=2)["h"].numpy()
    got = fill(Store(tmp_path), stack, data, 2).read(data.keys)["h"]
    np.testing.assert_allclose(np.stack(got), want, rtol=1e-5, atol=1e-6)


def test_a_row_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StoreError, match="'absent' is not among the 0 rows"):
        Store(tmp_path).table(Address("w", 1)).read(["absent"])


def test_arrays_of_different_lengths_are_refused():
    with pytest.raises(DataError, match=r"'h': 6, 'mask': 2"):
        from_arrays({"h": ROWS, "mask": ROWS[:2]})


def test_a_table_that_is_removed_while_it_is_open_is_said_in_one_sentence(tmp_path):
    table = Store(tmp_path).table(Address("w", 1))
    table.write(["a"], {"h": np.ones((1, 3), np.float32)})
    shutil.rmtree(table.folder)
    for read in (lambda: table.matrix(["a"], "h"), lambda: Store(tmp_path) and table.read(["a"])):
        with pytest.raises(StoreError, match="removed or damaged meanwhile; start again"):
            read()
