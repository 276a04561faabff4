"""References of networks without statistics: small files that say what is usual."""

import numpy as np
import pytest
from blobs import blobs

from headstart.errors import DataError
from headstart.mismatch.reference import FOLDER, Reference, layer_of, load, save, shipped
from headstart.sources.catalog import CATALOG


def test_distances_are_those_of_mahalanobis_where_all_directions_are_kept():
    x = blobs(3000, d=6, c=1)[0].astype(np.float64)
    layer = layer_of(x[:2000], x[2000:], rank=5)
    z = (x[2000:] - x[:2000].mean(0)) @ np.linalg.inv(np.cov(x[:2000].T)) * (x[2000:] - x[:2000].mean(0))
    assert layer.unusual(x[2000:]) == pytest.approx(np.sqrt(z.sum(1) / 6), rel=1e-6)
    assert np.mean(layer.rank(x[2000:]) >= 0.95) == pytest.approx(0.05, abs=0.01)


def test_a_file_gives_back_what_was_saved(tmp_path):
    x = blobs(900, d=20, c=3)[0].astype(np.float64)
    layer = layer_of(x[:600], x[600:], rank=8)
    save(Reference({"one": layer}, {"what": "blobs"}), tmp_path / "r.npz")
    again = load(tmp_path / "r.npz")
    assert again.about["what"] == "blobs"
    assert again.layers["one"].unusual(x[600:]) == pytest.approx(layer.unusual(x[600:]), rel=0.02)
    assert again.layers["one"].rows == 600


def test_the_reference_that_ships_is_of_the_network_in_the_catalogue():
    found = shipped(CATALOG["minilm-l6"].digest)
    assert found is not None
    assert list(found.layers) == ["embed", *(f"layer{k}" for k in range(1, 7))]
    assert len(found.about["parts"]) == len(found.about["yardsticks"]) == 9
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 500_000
    assert shipped("of another") is None


def test_what_cannot_be_a_reference_is_one_sentence(tmp_path):
    x = blobs(60, d=70)[0]
    with pytest.raises(DataError, match="30 rows of 70 features with 48 directions; give more rows than features"):
        layer_of(x[:30], x[30:])
    (tmp_path / "r.npz").write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"r\.npz' cannot be read .*; make it with bench/references\.py"):
        load(tmp_path / "r.npz")
