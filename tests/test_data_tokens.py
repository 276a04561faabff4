"""Texts as tokens: nothing lost, means weighted, little padding."""

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from headstart.data.tokens import Chunks, chunks, open_tokenizer, pad

WORDS = [f"w{place}" for place in range(50)]


def tokenizer_file(tmp_path, *, special=True):
    """One token per word: [PAD] 0, [CLS] 1, [SEP] 2, [UNK] 3, then the words."""
    names = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *WORDS]
    tokenizer = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.normalizer = normalizers.Lowercase()
    if special:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
    tokenizer.enable_padding(length=99)  # as some files come; it must not reach the network
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def texts_of(counts, seed=0):
    draw = np.random.default_rng(seed)
    words = [draw.integers(0, len(WORDS), count).tolist() for count in counts]
    return words, [" ".join(WORDS[word] for word in text) for text in words]


COUNTS = [0, 1, 5, 6, 7, 12, 13, 100, 3]


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("window", [3, 8, 50, 200])
def test_chunks_hold_every_token_once_in_order(tmp_path, window, special):
    words, texts = texts_of(COUNTS)
    cut = chunks(open_tokenizer(tokenizer_file(tmp_path, special=special), window), texts)
    assert (cut.texts, cut.window) == (len(texts), window)
    assert (np.diff(cut.owner) >= 0).all()
    room = window - 2 * special
    for row, wanted in enumerate(words):
        mine = [cut.ids[at].tolist() for at in np.flatnonzero(cut.owner == row)]
        assert len(mine) == max(1, -(-len(wanted) // room))
        if special:
            assert all((chunk[0], chunk[-1]) == (1, 2) for chunk in mine)
            mine = [chunk[1:-1] for chunk in mine]
        assert [word for chunk in mine for word in chunk] == [word + 4 for word in wanted]
        assert all(len(chunk) == room for chunk in mine[:-1])
    assert cut.lengths.tolist() == [len(chunk) for chunk in cut.ids]
    assert cut.lengths.max() <= window


def test_unknown_words_and_halves_of_characters_are_tokens(tmp_path):
    cut = chunks(open_tokenizer(tokenizer_file(tmp_path), 8), ["W3 what", "w1 \ud83d w2"])
    assert [chunk.tolist() for chunk in cut.ids] == [[1, 7, 3, 2], [1, 5, 3, 6, 2]]


@pytest.mark.parametrize("special", [True, False])
def test_a_text_is_the_mean_of_its_chunks_weighted_by_tokens(tmp_path, special):
    _, texts = texts_of(COUNTS)
    cut = chunks(open_tokenizer(tokenizer_file(tmp_path, special=special), 8), texts)
    values = np.random.default_rng(0).normal(size=(len(cut.ids), 4)).astype(np.float32)
    found = cut.pooled(values)
    assert found.dtype == np.float32
    for row in range(len(texts)):
        total, weight = np.zeros(4), 0
        for chunk, owner, value in zip(cut.ids, cut.owner, values, strict=True):
            if owner == row:
                total, weight = total + value.astype(float) * max(1, len(chunk)), weight + max(1, len(chunk))
        np.testing.assert_allclose(found[row], total / weight, rtol=1e-6)


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("tokens", [1, 64, 512, 10_000])
@pytest.mark.parametrize("multiple", [1, 8])
def test_batches_hold_every_chunk_once_with_little_padding(tmp_path, tokens, multiple, special):
    _, texts = texts_of(np.random.default_rng(1).integers(0, 60, 80))
    cut = chunks(open_tokenizer(tokenizer_file(tmp_path, special=special), 30), texts)
    seen, padding = [], 0
    for rows, batch in cut.batches(tokens=tokens, multiple=multiple):
        ids, mask = batch["ids"], batch["mask"]
        width = ids.shape[1]
        assert ids.shape == mask.shape == (len(rows), width)
        assert len(rows) == 1 or len(rows) * width <= tokens
        assert width % multiple == 0 or width == 30
        assert width - max(len(cut.ids[row]) for row in rows) < multiple
        for row, line, there in zip(rows, ids, mask, strict=True):
            np.testing.assert_array_equal(line, np.r_[cut.ids[row], np.zeros(width - len(cut.ids[row]))])
            np.testing.assert_array_equal(there, np.arange(width) < len(cut.ids[row]))
        padding += int((mask == 0).sum())
        seen += rows.tolist()
    assert sorted(seen) == list(range(len(cut.ids)))
    lengths = np.sort(cut.lengths)[::-1]
    assert lengths[0] == len(cut.ids[seen[0]])  # the largest need of memory shows first
    # sorted by length, each batch pads to its longest: together less than one longest width per row of a batch
    most = max(1, tokens // max(1, int(lengths[-1])))
    assert padding <= (multiple - 1) * len(seen) + min(most, len(seen)) * (int(lengths[0]) + multiple)


def test_padding_never_passes_the_window():
    """A network whose window is no multiple of the padding has no positions beyond it."""
    cut = Chunks((np.arange(50), np.arange(41)), np.array([0, 1]), 2, 50)
    widths = [batch["ids"].shape[1] for _, batch in cut.batches(tokens=50)]
    assert widths == [50, 48]


def test_padding_is_zeros_on_the_right():
    found = pad([np.array([5, 6]), np.array([7])], 3)
    assert found["ids"].tolist() == [[5, 6, 0], [7, 0, 0]]
    assert found["mask"].tolist() == [[1, 1, 0], [1, 0, 0]]


def test_no_texts_give_no_batches(tmp_path):
    cut = chunks(open_tokenizer(tokenizer_file(tmp_path), 8), [])
    assert list(cut.batches(tokens=64)) == []
    assert cut.pooled(np.zeros((0, 3))).shape == (0, 3)
