"""Data out of a random generator, for benchmarks of time and memory: pictures in class folders, texts in a table."""

import csv
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

SIDE, COARSE = 64, 8  # pixels of a picture, and of the random grid that it is scaled up from
COLOURS = {"red": (150, 110, 110), "blue": (110, 110, 150)}
WORDS, LENGTH = 5000, 16  # of the vocabulary, and of a text
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]


def pictures(folder, n, *, threads=4):
    """JPEG files of two classes that differ in their mean colour: no two are alike."""
    for kind in COLOURS:
        (folder / kind).mkdir(parents=True)

    def some(first):
        draw = np.random.default_rng([n, first])
        for row in range(first, min(first + 1000, n)):
            kind = list(COLOURS)[row % 2]
            grid = np.clip(draw.normal(COLOURS[kind], 45, (COARSE, COARSE, 3)), 0, 255).astype(np.uint8)
            picture = Image.fromarray(grid).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            picture.save(folder / kind / f"{row}.jpg", quality=85)

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(some, range(0, n, 1000)):
            pass
    return folder


def texts(file, n):
    """A table of two classes: half of the words of a text come from the class's own half of the vocabulary."""
    draw = np.random.default_rng([n, 1])
    words = np.array(["".join(draw.choice(SYLLABLES, 2 + row % 2)) for row in range(WORDS)])
    own, common = draw.integers(0, WORDS // 2, (n, LENGTH // 2)), draw.integers(0, WORDS, (n, LENGTH // 2))
    with file.open("w", encoding="utf8", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(("text", "label"))
        for row in range(n):
            label = row % 2
            line = np.concatenate([words[own[row] + label * (WORDS // 2)], words[common[row]]])
            writer.writerow((" ".join(draw.permutation(line)), ("first", "second")[label]))
    return file
