"""Trimming and padding against each other and a naive loop."""

import numpy as np
import pytest
import torch

from headstart.core.ragged import padded, trimmed
from headstart.errors import DataError


def test_padding_undoes_trimming_up_to_what_was_masked():
    mask = torch.arange(5) < torch.tensor([5, 2, 3])[:, None]
    h = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(0))
    rows = trimmed({"h": h, "mask": mask})
    assert [len(row) for row in rows["h"]] == [5, 2, 3]
    back = padded(rows)
    assert torch.equal(back["mask"], mask)
    for i in range(3):
        for t in range(5):
            assert torch.equal(back["h"][i, t], h[i, t] if mask[i, t] else torch.zeros(4))


def test_a_batch_is_as_long_as_its_longest_row():
    rows = {"mask": [np.ones(2, bool), np.ones(1, bool)], "h": [np.ones((2, 3)), np.ones((1, 3))]}
    assert padded(rows)["h"].shape == (2, 2, 3)


@pytest.mark.parametrize("mask", [[[False, True]], [[True, False, True]]])
def test_a_mask_that_no_length_stands_for_is_refused(mask):
    with pytest.raises(DataError, match="pad each row on its right only"):
        trimmed({"h": torch.zeros(1, len(mask[0]), 2), "mask": torch.tensor(mask)})
