"""The probe set is the same everywhere and at every call, and no two of it are alike."""

import re
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
import torch

from headstart.retain.probes import probe_pictures, probe_texts, resized


def test_there_are_64_texts_of_one_word_to_three_sentences():
    texts = probe_texts()
    assert len(texts) == 64
    assert all(text == text.strip() and text.isprintable() for text in texts)
    words = [len(text.split()) for text in texts]
    assert min(words) == 1
    assert max(words) > 30
    assert all(len(re.findall(r"[.!?](?=\s+[A-Z])", text)) <= 2 for text in texts if "Ms" not in text)


def test_no_two_texts_share_half_of_their_words():
    sets = [set(re.findall(r"\w+", text.lower())) for text in probe_texts()]
    assert max(len(a & b) / len(a | b) for a, b in combinations(sets, 2)) < 0.5


def test_pictures_are_the_same_at_every_call_and_draw_from_no_shared_generator():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    one, two = probe_pictures(), probe_pictures()
    assert (one.shape, one.dtype) == ((64, 224, 224, 3), np.uint8)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_no_two_pictures_are_alike_and_none_is_plain():
    small = probe_pictures().reshape(64, 28, 8, 28, 8, 3).mean((2, 4)).reshape(64, -1)
    apart = [np.abs(a - b).mean() for a, b in combinations(small, 2)]
    assert min(apart) > 5
    assert small.std(1).min() > 3


@pytest.mark.parametrize("shape", [(427, 427), (150, 200), (4, 4)])
def test_resizing_is_bilinear_between_the_centres_of_pixels(shape):
    values = np.random.default_rng(0).uniform(0, 255, (*shape, 3))
    moved = torch.from_numpy(values).permute(2, 0, 1)[None]
    wanted = torch.nn.functional.interpolate(moved, size=(64, 64), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(resized(values, 64), wanted[0].permute(1, 2, 0).numpy(), atol=1e-9)


def test_the_probe_set_is_read_without_torch():
    code = (
        "import sys, headstart.retain.probes as p\n"
        "p.probe_texts(), p.probe_pictures()\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
