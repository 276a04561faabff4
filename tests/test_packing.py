"""Documents side by side: every one once, none cut, little padding."""

import numpy as np
import pytest

from headstart.data.packing import NOTHING, Piece, laid_out, packed
from headstart.errors import DataError


@pytest.mark.parametrize("seed", range(5))
def test_every_document_is_in_one_row_that_holds_it_and_few_rows_are_needed(seed):
    draw = np.random.default_rng(seed)
    lengths = draw.integers(1, 65, 400).tolist()
    rows = packed(lengths, 64)
    assert sorted(at for row in rows for at in row) == list(range(400))
    assert max(sum(lengths[at] for at in row) for row in rows) <= 64
    least = -(-sum(lengths) // 64)
    assert len(rows) <= 11 / 9 * least + 1


def test_best_fit_by_hand():
    assert packed([5, 4, 3, 3, 2, 1], 9) == [[0, 1], [2, 3, 4, 5]]
    assert packed([6, 5, 3, 4], 9) == [[0, 2], [1, 3]]
    with pytest.raises(DataError, match="a document of 10 tokens does not fit a row of 9; cut it first"):
        packed([10], 9)


def test_rows_hold_what_is_told_in_the_place_before_it():
    pieces = [
        Piece(np.array([7, 8, 9]), np.array([False, True, True])),
        Piece(np.array([5, 6]), np.array([True, False])),
    ]
    found = laid_out(pieces, 6)
    assert found["ids"].tolist() == [[7, 8, 9, 5, 6, 0]]
    assert found["doc"].tolist() == [[1, 1, 1, 2, 2, 0]]
    assert found["next"].tolist() == [[8, 9, NOTHING, NOTHING, NOTHING, NOTHING]]


def test_no_token_is_told_across_documents():
    draw = np.random.default_rng(0)
    pieces = [Piece(draw.integers(1, 50, n), draw.random(n) < 0.5) for n in draw.integers(1, 20, 60)]
    found = laid_out(pieces, 40)
    told = sum(int(piece.told[1:].sum()) for piece in pieces)
    assert int((found["next"] != NOTHING).sum()) == told
    row, place = np.nonzero(found["next"] != NOTHING)
    assert (found["next"][row, place] == found["ids"][row, place + 1]).all()
    assert (found["doc"][row, place] == found["doc"][row, place + 1]).all()
